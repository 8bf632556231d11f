"""The ways a notification is sent: webhook, Slack, e-mail and the project's own notifiers."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from typing import Any

from modelworks.project import load_project
from modelworks.settings import Notifications, Settings

Message = dict[str, str | None]
"""`event`, `project`, `dag_id`, `run_id`, `task_id`, `period`, `text`, `url` and `at`."""

TIMEOUT_S = 5

log = logging.getLogger(__name__)


def send(settings: Settings, message: Message) -> None:
    """Send a message by every channel; delivery failures are logged and stop no other."""
    for name, deliver in channels(settings.notifications, message):
        _try(name, deliver)
    _try("Project.notifiers", lambda: send_to_project(settings, message))


def send_to_project(settings: Settings, message: Message) -> None:
    """Call the project's own notifiers, each with a message of its own."""
    for notifier in load_project(settings.home).notifiers:
        _try(getattr(notifier, "__name__", repr(notifier)), partial(notifier, dict(message)))


def _try(name: str, deliver: Callable[[], None]) -> None:
    try:
        deliver()
    except Exception as error:
        log.warning("%s: %s: %s", name, type(error).__name__, error)


def channels(to: Notifications, message: Message) -> Iterator[tuple[str, Callable[[], None]]]:
    """The channels that are configured, by name; each is imported only then."""
    title = f"{message['project']}: {message['event']}"
    period = f" ({message['period']})" if message["period"] else ""
    lines = [message["text"] or "", f"{message['dag_id']}, {message['run_id']}{period}", message["url"] or ""]
    if url := to.webhook_url.get_secret_value():
        yield "webhook", lambda: post(url, message)
    if to.slack_connection:
        yield "Slack", lambda: send_to_slack(to.slack_connection, [f"*{title}*", *lines])
    if to.email_to:
        yield "e-mail", lambda: send_mail(to, title, lines)


def post(url: str, message: Message) -> None:
    """Post a message as JSON."""
    import httpx

    answer = httpx.post(url, json=message, timeout=TIMEOUT_S)
    if not answer.is_success:
        raise ConnectionError(f"it answered with status {answer.status_code}")


def send_to_slack(connection: str, lines: list[str]) -> None:
    """Post lines to an incoming webhook of Slack."""
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    text = escape("\n".join(lines).strip(), quote=False)
    options: dict[str, Any] = {"timeout": TIMEOUT_S, "retry_handlers": []}  # a retry would log the URL
    # `notify` rather than a call, which would take the text for a template: it may hold values of the data.
    SlackWebhookNotifier(slack_webhook_conn_id=connection, text=text, **options).notify({})  # type: ignore[no-untyped-call]


def send_mail(to: Notifications, subject: str, lines: list[str]) -> None:
    """Send lines as an e-mail."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    html = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
    SmtpNotifier(smtp_conn_id=to.smtp_connection, to=to.email_to, subject=subject, html_content=html).notify({})
