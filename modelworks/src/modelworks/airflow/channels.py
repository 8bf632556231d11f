"""The ways a notification is sent: webhook, Slack, e-mail and the project's own notifiers."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from html import escape
from threading import Thread
from typing import Any

from modelworks.airflow.webhook import TIMEOUT_S, Message, event_id, keep, post, send_waiting
from modelworks.project import load_project
from modelworks.settings import Notifications, Settings

# 20 s after the end of a task Airflow kills its process, and then retries even a task that was not to be retried.
PATIENCE_S = 15

log = logging.getLogger(__name__)


def send(settings: Settings, message: Message) -> None:
    """Send a message by every channel at once, if it is new; delivery failures are logged and stop no other."""
    webhook = _keep(settings, message)
    if webhook is None:
        return  # sent already, by another try of the same task
    deliveries = [("webhook", webhook)] if settings.notifications.webhook_url.get_secret_value() else []
    _send_all([*deliveries, *channels(settings.notifications, message), *to_project(settings, message)])


def send_rollback(settings: Settings, text: str) -> None:
    """Notify of a rollback, which a person makes without a run."""
    at = datetime.now(UTC)
    if "rollback" in settings.notifications.events:
        nowhere = dict.fromkeys(("dag_id", "run_id", "task_id", "period", "url"))
        name = event_id(settings.name, "rollback", at.isoformat())
        about = {"event": "rollback", "project": settings.name, "text": text, "at": at.isoformat(timespec="seconds")}
        send(settings, name_environment(settings, {"id": name, **about, **nowhere}))


def name_environment(settings: Settings, message: Message) -> Message:
    """The message with the environment that it comes from, if one is chosen, which makes it another event."""
    if not (chosen := settings.environment):
        return message
    return {**message, "id": event_id(chosen, message["id"]), "environment": chosen}


def _keep(settings: Settings, message: Message) -> Callable[[], object] | None:
    """Keep a message, and how to deliver it to the webhook; None if it was sent already."""
    try:
        return partial(send_waiting, settings) if keep(settings, message) else None
    except Exception as error:  # a storage that fails may be what the message is about
        log.warning("the event is not kept: %s: %s", type(error).__name__, error)
        return partial(post, settings.notifications, message)


def _send_all(deliveries: list[tuple[str, Callable[[], object]]]) -> None:
    """Deliver side by side, so that none waits for another; what takes too long is abandoned."""
    senders = [Thread(target=_try, args=each, daemon=True) for each in deliveries]
    for sender in senders:
        sender.start()
    deadline = time.monotonic() + PATIENCE_S
    for sender in senders:
        sender.join(max(0.0, deadline - time.monotonic()))
    if any(sender.is_alive() for sender in senders):
        log.warning("notification abandoned after %s s", PATIENCE_S)


def _try(name: str, deliver: Callable[[], object]) -> None:
    try:
        deliver()
    except Exception as error:
        log.warning("%s: %s: %s", name, type(error).__name__, error)


def to_project(settings: Settings, message: Message) -> list[tuple[str, Callable[[], object]]]:
    """The project's own notifiers by name, each with a message of its own."""
    notifiers = load_project(settings.home).notifiers
    return [(getattr(each, "__name__", repr(each)), partial(each, dict(message))) for each in notifiers]


def channels(to: Notifications, message: Message) -> Iterator[tuple[str, Callable[[], object]]]:
    """The channels for people that are configured, by name; each is imported only then."""
    within = f" in {message['environment']}" if message.get("environment") else ""
    title = f"{message['project']}{within}: {message['event']}"
    period = f" ({message['period']})" if message["period"] else ""
    origin = ", ".join(filter(None, (message["dag_id"], message["run_id"])))
    lines = [message["text"] or "", f"{origin}{period}", message["url"] or ""]
    if to.slack_connection:
        yield "Slack", lambda: send_to_slack(to.slack_connection, [f"*{title}*", *lines])
    if to.email_to:
        yield "e-mail", lambda: send_mail(to, title, lines)


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
