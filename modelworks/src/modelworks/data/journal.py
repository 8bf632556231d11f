"""Small files that are written once: journals (releases, findings of monitoring) and claims.

::

    <storage>/ledger/<registry>/<number>.json
    <storage>/ledger/<registry>/rollouts/<number>.json
    <storage>/monitoring/<registry>/<number>.json
    <storage>/claims/<name>.json

This module imports nothing heavy, since sensors of Airflow ask it again and again.
"""

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from modelworks.data.filesystems import open_filesystem
from modelworks.settings import Settings


def read_entries(storage_uri: str, journal: str) -> list[dict[str, Any]]:
    """Every entry of a journal, the oldest first."""
    fs, path = open_filesystem(f"{storage_uri}/{journal}")
    fs.invalidate_cache(path)
    return [json.loads(fs.cat_file(entry)) for entry in sorted(fs.glob(f"{path}/*.json"))]


def read_last_entry(storage_uri: str, journal: str) -> dict[str, Any] | None:
    """The newest entry of a journal, if there is one; the others are not read."""
    fs, path = open_filesystem(f"{storage_uri}/{journal}")
    fs.invalidate_cache(path)
    newest = max(fs.glob(f"{path}/*.json"), default=None)
    return dict(json.loads(fs.cat_file(newest))) if newest else None


def has_entry(storage_uri: str, journal: str, sequence: int) -> bool:
    """Whether a journal has an entry of that number."""
    fs, path = open_filesystem(_entry(storage_uri, journal, sequence))
    fs.invalidate_cache(path.rsplit("/", 1)[0])
    return bool(fs.exists(path))


def append_entry(storage_uri: str, journal: str, sequence: int, entry: dict[str, Any]) -> None:
    """Write the entry with that number; with this it is in force.

    Raises
    ------
    FileExistsError
        If the number is taken meanwhile.
    """
    create(_entry(storage_uri, journal, sequence), _dump(entry))


def _entry(storage_uri: str, journal: str, sequence: int) -> str:
    return f"{storage_uri}/{journal}/{sequence:06d}.json"


def claim(storage_uri: str, name: str, owner: str) -> str:
    """Claim something that only one may have; returns its owner, which may be another."""
    uri = f"{storage_uri}/claims/{name}.json"
    with suppress(FileExistsError):
        create(uri, _dump({"owner": owner}))
    return find_owner(storage_uri, name) or owner


def find_owner(storage_uri: str, name: str) -> str | None:
    """The owner of a claim, if there is one."""
    fs, path = open_filesystem(f"{storage_uri}/claims/{name}.json")
    try:
        return str(json.loads(fs.cat_file(path))["owner"])
    except FileNotFoundError:
        return None


def of_monitoring(settings: Settings) -> str:
    """The journal of monitoring, for the registry in use."""
    return f"monitoring/{settings.registry}"


def claim_of(settings: Settings, sequence: int) -> str:
    """The name of the claim of a request for a new model, by the number of its entry in that journal."""
    return f"{of_monitoring(settings)}/{sequence:06d}"


def has_monitored(settings: Settings, period: str) -> bool:
    """Whether a period, or a later one, has been monitored."""
    return any(each["period"] >= period for each in read_entries(settings.storage_uri, of_monitoring(settings)))


def find_clean_before(settings: Settings, period: str) -> str | None:
    """The newest clean period before a period; there may be gaps between them."""
    fs, path = open_filesystem(f"{settings.storage_uri}/clean")
    fs.invalidate_cache(path)
    found = [manifest.rsplit("/", 3)[1] for manifest in fs.glob(f"{path}/*/v*/manifest.json")]
    return max((each for each in found if each < period), default=None)


def is_retraining_done(settings: Settings) -> bool:
    """Whether the last request of monitoring for a new model is claimed, if there is one."""
    asked = [each for each in read_entries(settings.storage_uri, of_monitoring(settings)) if each["retrain"]]
    return not asked or find_owner(settings.storage_uri, claim_of(settings, asked[-1]["sequence"])) is not None


def is_rollout_open(settings: Settings) -> bool:
    """Whether the last step of the last rollout is not its end."""
    last = read_last_entry(settings.storage_uri, f"ledger/{settings.registry}/rollouts")
    return last is not None and last["action"] in {"started", "advanced"}


def create(uri: str, content: bytes) -> None:
    """Write a small file whole, or raise FileExistsError if there is one: never both, never half of it."""
    fs, path = open_filesystem(uri)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    if not isinstance(fs, LocalFileSystem):
        fs.pipe_file(path, content, mode="create")
        return
    temporary = Path(f"{path}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        os.link(temporary, path)  # unlike a rename, a link fails where the name is taken
    finally:
        temporary.unlink(missing_ok=True)


def _dump(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()
