"""Events for a webhook, as Standard Webhooks specifies: stored before they are sent, signed, retried, deduplicated.

::

    <storage>/events/<id>.json            every event, once
    <storage>/events/waiting/<id>.json    those that the webhook has not accepted yet

Delivery is at least once: a process that dies after the receiver's answer sends the event again, with the same
`webhook-id`, by which the receiver ignores it.

References
----------
https://www.standardwebhooks.com
"""

import hashlib
import json
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx
from standardwebhooks import Webhook
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from modelworks.data.filesystems import open_filesystem
from modelworks.data.journal import create
from modelworks.settings import Notifications, Settings

Message = dict[str, str | None]
"""`id`, `event`, `project`, `dag_id`, `run_id`, `task_id`, `period`, `text`, `url` and `at`."""

TIMEOUT_S = 5
RETRIES_S = 8
"""How long one delivery is retried; later events and runs retry it again."""

MAX_AGE = timedelta(days=7)
"""An event that was not accepted for this long is dropped."""

PASSING = {408, 425, 429, *range(500, 600)}  # answers after which the same event may be accepted

log = logging.getLogger(__name__)


class NotDeliveredError(ConnectionError):
    """The receiver is unavailable or overloaded; the same event may be accepted later."""


def event_id(*parts: object) -> str:
    """The id of an event: the same for the same parts, so that a repeat is known as one."""
    return f"evt_{hashlib.sha256(json.dumps([str(each) for each in parts]).encode()).hexdigest()[:32]}"


def keep(settings: Settings, message: Message) -> bool:
    """Keep an event, for the webhook until it is delivered; whether it is new."""
    record = f"{settings.storage_uri}/events/{message['id']}.json"
    fs, path = open_filesystem(record)
    fs.invalidate_cache(path.rsplit("/", 1)[0])
    if fs.exists(path):
        return False
    content = json.dumps(message).encode()
    if settings.notifications.webhook_url.get_secret_value():
        with suppress(FileExistsError):  # of a process that was killed here
            create(_waiting(settings, message["id"]), content)
    try:
        create(record, content)
    except FileExistsError:
        return False
    return True


def read_events(settings: Settings, *, waiting: bool = False) -> list[Message]:
    """Every event, or only those that wait for the webhook, the oldest first."""
    fs, folder = open_filesystem(f"{settings.storage_uri}/events{'/waiting' if waiting else ''}")
    fs.invalidate_cache(folder)
    found = []
    for path in fs.glob(f"{folder}/*.json"):
        with suppress(FileNotFoundError):  # delivered meanwhile by another process
            found.append(json.loads(fs.cat_file(path)))
    return sorted(found, key=lambda message: (message["at"], message["id"]))


def send_waiting(settings: Settings) -> int:
    """Send the events that wait, the oldest first; how many were delivered.

    A refused event stays in the storage and does not hold up the others. If the receiver does not answer, the rest is
    left to the next event or the next successful run.
    """
    delivered = 0
    if not settings.notifications.webhook_url.get_secret_value():
        return delivered
    for message in read_events(settings, waiting=True):
        try:
            post(settings.notifications, message)
        except ConnectionError as error:
            log.warning("webhook: %s; event %s stays in the storage and is sent again later", error, message["id"])
            _drop_if_old(settings, message)
            if isinstance(error, NotDeliveredError):
                break
        else:
            _remove(settings, message["id"])
            delivered += 1
    return delivered


def post(to: Notifications, message: Message) -> None:
    """Post an event as JSON, signed if there is a secret; retried for some seconds if the receiver is unavailable.

    Raises
    ------
    ConnectionError
        If it is not accepted; `NotDeliveredError` if it may be later.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(NotDeliveredError),
        wait=wait_exponential(multiplier=0.25, max=4),
        stop=stop_after_delay(RETRIES_S),
        reraise=True,
    )
    retrying(_post_once, to, message)


def _post_once(to: Notifications, message: Message) -> None:
    body, now = json.dumps(message), datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": str(message["id"]),
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if secrets := to.webhook_secret.get_secret_value().split():
        signatures = [Webhook(secret).sign(str(message["id"]), now, body) for secret in secrets]
        headers["webhook-signature"] = " ".join(signatures)
    try:
        answer = httpx.post(to.webhook_url.get_secret_value(), content=body, headers=headers, timeout=TIMEOUT_S)
    except httpx.TransportError as error:
        raise NotDeliveredError(f"{type(error).__name__}: {error}") from None
    if not answer.is_success:
        kind = NotDeliveredError if answer.status_code in PASSING else ConnectionError
        raise kind(f"it answered with status {answer.status_code}")


def _drop_if_old(settings: Settings, message: Message) -> None:
    if datetime.now(UTC) - datetime.fromisoformat(str(message["at"])) > MAX_AGE:
        log.warning("webhook: %s is dropped, as it was not delivered for %s days", message["id"], MAX_AGE.days)
        _remove(settings, message["id"])


def _remove(settings: Settings, name: str | None) -> None:
    fs, path = open_filesystem(_waiting(settings, name))
    with suppress(FileNotFoundError):
        fs.rm_file(path)


def _waiting(settings: Settings, name: str | None) -> str:
    return f"{settings.storage_uri}/events/waiting/{name}.json"
