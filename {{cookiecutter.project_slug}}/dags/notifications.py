"""Who is told that something has happened: the log always, and whom `[notifications]` names.

Airflow calls the first of these at the end of a task, in the task's own process, where the error is known. A process
that was killed on its task's last try calls nothing; `run_failed` finds that, in the DAG processor, after the run.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from threading import Thread
from typing import Any
from urllib.parse import quote

from airflow.sdk import DAG, BaseNotifier, conf

from {{ cookiecutter.__package_name }}.config import PACKAGE, Event, Notifications, load_settings
from {{ cookiecutter.__package_name }}.errors import PipelineError, QualityGateError

TOLD = "told"  # XCom of a task that has told of its failure itself
MAX_TEXT = 2000  # characters
TIMEOUT_S = 5
# 20 s after the end of a task Airflow kills its process, and then tries even a task again that was not to be.
PATIENCE_S = 15

log = logging.getLogger(f"{PACKAGE}.notifications")


def task_failed(context: Any) -> None:
    """Tell of a task that has failed and is not tried again: of a refusal, or of another failure."""
    error, ti = context.get("exception"), context["ti"]
    if error is None:
        return  # the process is gone, and the error with it
    if isinstance(error, QualityGateError):
        tell("refusal", str(error), context)
    else:
        why = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        tell("failure", f"{ti.task_id} failed: {why}", context)
    ti.xcom_push(TOLD, True)


def run_failed(context: Any) -> None:
    """Tell of a run that has failed by a task which could not tell of it."""
    if not isinstance(context["dag"], DAG):
        return  # a stand-in, in `make run`: a process in which everything runs dies with all that it could tell
    ti = context.get("ti")
    if ti is None:
        tell("failure", f"the run failed: {context['reason']}", context)
    elif not ti.xcom_pull(key=TOLD):
        tell("failure", f"{ti.task_id} failed and left no error: it was killed, or ended by a person", context)


def deployed(context: Any) -> None:
    """Tell of a model that is in force, by the facts of the task."""
    tell("deployment", context["ti"].xcom_pull()["result"], context)


def retrained(context: Any) -> None:
    """Tell of a training that was started because the model has aged, by the facts of the task."""
    tell("retraining", context["ti"].xcom_pull()["result"], context)


def tell(event: Event, text: str, context: Any) -> None:
    """Log what has happened, and send it to those who want to know; nobody's answer is waited for very long."""
    message = compose(event, text, context)
    log.info("%s in %s: %s", event, message["run_id"], message["text"])
    to = load_settings().notifications
    if event in to.events:
        sender = Thread(target=send, args=(to, message), daemon=True)
        sender.start()
        sender.join(PATIENCE_S)
        if sender.is_alive():
            log.warning("notification given up after %s s", PATIENCE_S)


def compose(event: Event, text: str, context: Any) -> dict[str, str | None]:
    """What the webhook is told; the others are told the same."""
    dag_id, run_id, dag_run = context["dag"].dag_id, context["run_id"], context.get("dag_run")
    airflow = conf.get("api", "base_url", fallback=None)
    if dag_run and dag_run.triggering_user_name == "dag_test":
        airflow = None  # a run of `make run` is on no server
    return {
        "event": event,
        "project": "{{ cookiecutter.project_slug }}",
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": context["ti"].task_id if "ti" in context else None,
        "month": context.get("params", {}).get("month") or (dag_run.partition_key if dag_run else None),
        "text": " ".join(text.split())[:MAX_TEXT],
        "url": f"{airflow.rstrip('/')}/dags/{dag_id}/runs/{quote(run_id)}" if airflow else None,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def send(to: Notifications, message: dict[str, Any]) -> None:
    """Send a message in all ways that are configured; one that fails is logged and stops no other."""
    for notifier in notifiers(to, message):
        try:
            # Not called as a whole, which would take the text for a template: it may hold values of the data.
            notifier.notify({})
        except Exception as error:
            log.warning("%s: %s: %s", type(notifier).__name__, type(error).__name__, error)


def notifiers(to: Notifications, message: dict[str, Any]) -> Iterator[BaseNotifier]:
    """The ways that are configured; each is imported only then."""
    title = f"{message['project']}: {message['event']}"
    month = f" ({message['month']})" if message["month"] else ""
    lines = [message["text"], f"{message['dag_id']}, {message['run_id']}{month}", message["url"] or ""]
    if url := to.webhook_url.get_secret_value():
        yield WebhookNotifier(url, message)
    if to.slack_connection:
        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        text = escape("\n".join([f"*{title}*", *lines]).strip(), quote=False)
        options: dict[str, Any] = {"timeout": TIMEOUT_S, "retry_handlers": []}  # a retry would log the URL
        yield SlackWebhookNotifier(slack_webhook_conn_id=to.slack_connection, text=text, **options)
    if to.email_to:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        html = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
        yield SmtpNotifier(smtp_conn_id=to.smtp_connection, to=to.email_to, subject=title, html_content=html)


class WebhookNotifier(BaseNotifier):
    """Posts a message as JSON."""

    def __init__(self, url: str, message: dict[str, Any]) -> None:
        super().__init__()
        self.url = url
        self.message = message

    def notify(self, context: Any) -> None:
        import httpx

        answer = httpx.post(self.url, json=self.message, timeout=TIMEOUT_S)
        if not answer.is_success:
            raise ConnectionError(f"it answered with status {answer.status_code}")
