"""Events for a webhook, by the rules of Standard Webhooks: kept until they are delivered, signed, and known by an id.

::

    <storage>/events/<id>.json            every event, once
    <storage>/events/waiting/<id>.json    those that the webhook has not accepted yet

An event is delivered at least once: a process that dies after the receiver's answer sends it again. The receiver sees
by the header `webhook-id` that it has it already.

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
"""How long a receiver that is away or busy is asked again at once; later events and runs try it anew."""

MAX_AGE = timedelta(days=7)
"""An event that no receiver has accepted for so long is dropped."""

PASSING = {408, 425, 429, *range(500, 600)}  # answers after which the same event may be accepted

log = logging.getLogger(__name__)


class NotDeliveredError(ConnectionError):
    """The receiver is away or busy."""


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

    One that the receiver refuses stays, and stops no other. A receiver that is away ends it: the next event, or the
    next run that succeeds, tries again.
    """
    delivered = 0
    if not settings.notifications.webhook_url.get_secret_value():
        return delivered
    for message in read_events(settings, waiting=True):
        try:
            post(settings.notifications, message)
        except NotDeliveredError as error:
            _drop_if_old(settings, message)
            log.warning("webhook: %s; the event waits and is sent again later", error)
            break
        except ConnectionError as error:
            _drop_if_old(settings, message)
            log.warning("webhook: %s: %s; it is sent again later", message["id"], error)
        else:
            _remove(settings, message["id"])
            delivered += 1
    return delivered


def post(to: Notifications, message: Message) -> None:
    """Post an event as JSON, signed if there is a secret; a receiver that is away or busy is asked again for seconds.

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
