"""Notifications of what happened to a run: always logged, and sent by the channels of `[notifications]`.

Airflow calls the callbacks of a task at its end, in the task's process, where the error is known. A process that was
killed on its task's last try calls nothing; `run_failed` finds that, in the DAG processor, after the run.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.sdk import DAG, conf

from modelworks.airflow.channels import name_environment, send
from modelworks.airflow.webhook import Message, event_id, send_waiting
from modelworks.errors import PipelineError, QualityGateError
from modelworks.settings import Event, load_settings

NOTIFIED = "notified"  # XCom of a task that has sent its failure itself
MAX_TEXT = 2000  # characters

log = logging.getLogger(__name__)


def task_failed(home: Path, context: Any) -> None:
    """Notify of a task that has failed and is not retried: of a refusal, or of another failure."""
    error, ti = context.get("exception"), context["ti"]
    if error is None or isinstance(error, KeyboardInterrupt):
        return  # the process is gone, and the error with it; or a person has ended the run
    if isinstance(error, QualityGateError):
        notify(home, "refusal", str(error), context)
    else:
        why = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        notify(home, "failure", f"{ti.task_id} failed: {why}", context)
    ti.xcom_push(NOTIFIED, True)


def run_failed(home: Path, context: Any) -> None:
    """Notify of a run that has failed by a task which could not notify of it."""
    if not isinstance(context["dag"], DAG):
        return  # a stand-in, in `make run`: if that process dies, nothing is left to call this
    ti = context.get("ti")
    if ti is None:
        notify(home, "failure", f"the run failed: {context['reason']}", context)
    elif not ti.xcom_pull(key=NOTIFIED):
        notify(home, "failure", f"{ti.task_id} failed and left no error: it was killed, or ended by a person", context)


def run_succeeded(home: Path, context: Any) -> None:
    """Send the webhook the events that it has not accepted yet; `make run` has no process that calls this."""
    if isinstance(context["dag"], DAG):
        send_waiting(load_settings(home))


def deployed(home: Path, context: Any) -> None:
    """Notify of a new champion, by the facts of the task."""
    notify(home, "deployment", context["ti"].xcom_pull()["summary"], context)


def retraining_requested(home: Path, context: Any) -> None:
    """Notify of a retraining that monitoring has requested, by the facts of the task."""
    notify(home, "retraining", context["ti"].xcom_pull()["summary"], context)


def alarmed(home: Path, context: Any) -> None:
    """Notify of alarms of a period: drift, or calibration drift."""
    facts = context["ti"].xcom_pull()
    if facts["alarms"]:
        notify(home, "drift", facts["summary"], context)


def notify(home: Path, event: Event, text: str, context: Any) -> None:
    """Log what happened and send it where `[notifications] events` lists it; no channel is waited for very long."""
    settings = load_settings(home)
    message = name_environment(settings, compose(settings.name, event, text, context))
    log.info("%s in %s: %s", event, message["run_id"], message["text"])
    if event in settings.notifications.events:
        send(settings, message)


def compose(project_name: str, event: Event, text: str, context: Any) -> Message:
    """What the webhook is sent; the other channels are sent the same."""
    dag_id, run_id, dag_run = context["dag"].dag_id, context["run_id"], context.get("dag_run")
    airflow = conf.get("api", "base_url", fallback=None)
    if dag_run and dag_run.triggering_user_name == "dag_test":
        airflow = None  # a run of `make run` is on no server
    task_id = context["ti"].task_id if "ti" in context else None
    # A failure may come again in the same run, which a person may clear; what succeeds is the same, tried again.
    again = context["ti"].try_number if "ti" in context and event in {"failure", "refusal"} else None
    return {
        "id": event_id(project_name, event, dag_id, run_id, task_id, again),
        "event": event,
        "project": project_name,
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id,
        "period": context.get("params", {}).get("period") or (dag_run.partition_key if dag_run else None),
        "text": " ".join(text.split())[:MAX_TEXT],
        "url": f"{airflow.rstrip('/')}/dags/{dag_id}/runs/{quote(run_id)}" if airflow else None,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
