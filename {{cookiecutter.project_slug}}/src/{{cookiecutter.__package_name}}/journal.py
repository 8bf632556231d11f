"""Small files that are written once: the journals (releases, and what monitoring found), and who has claimed what.

::

    <storage>/ledger/<registry>/<number>.json
    <storage>/monitoring/<registry>/<number>.json
    <storage>/claims/<name>.json

They are the only writers beside `storage`, and import nothing heavy, as Airflow asks them again and again.
"""

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from .config import Settings


def read_entries(storage_uri: str, journal: str) -> list[dict[str, Any]]:
    """Every entry of a journal, the oldest first."""
    fs, path = fsspec.core.url_to_fs(f"{storage_uri}/{journal}")
    fs.invalidate_cache(path)
    return [json.loads(fs.cat_file(entry)) for entry in sorted(fs.glob(f"{path}/*.json"))]


def has_entry(storage_uri: str, journal: str, sequence: int) -> bool:
    """Whether a journal has an entry of that number."""
    fs, path = fsspec.core.url_to_fs(_entry(storage_uri, journal, sequence))
    fs.invalidate_cache(path.rsplit("/", 1)[0])
    return bool(fs.exists(path))


def append_entry(storage_uri: str, journal: str, sequence: int, entry: dict[str, Any]) -> None:
    """Write the entry with that number, which is the moment that what it says becomes true.

    Raises
    ------
    FileExistsError
        If somebody else has taken the number meanwhile.
    """
    create(_entry(storage_uri, journal, sequence), _dump(entry))


def _entry(storage_uri: str, journal: str, sequence: int) -> str:
    return f"{storage_uri}/{journal}/{sequence:06d}.json"


def claim(storage_uri: str, name: str, owner: str) -> str:
    """Take something that only one may have; returns who has it, which may be another."""
    uri = f"{storage_uri}/claims/{name}.json"
    with suppress(FileExistsError):
        create(uri, _dump({"owner": owner}))
    return find_owner(storage_uri, name) or owner


def find_owner(storage_uri: str, name: str) -> str | None:
    """Who has claimed something, if anybody has."""
    fs, path = fsspec.core.url_to_fs(f"{storage_uri}/claims/{name}.json")
    try:
        return str(json.loads(fs.cat_file(path))["owner"])
    except FileNotFoundError:
        return None


def of_monitoring(settings: Settings) -> str:
    """The journal of what monitoring has found, for the registry in use."""
    return f"monitoring/{settings.registry}"


def claim_of(settings: Settings, sequence: int) -> str:
    """The name of the claim by which a training run takes up what an entry of that journal asks for."""
    return f"{of_monitoring(settings)}/{sequence:06d}"


def has_monitored(settings: Settings, month: str) -> bool:
    """Whether a month, or a later one, has been monitored."""
    return any(each["month"] >= month for each in read_entries(settings.storage_uri, of_monitoring(settings)))


def is_settled(settings: Settings) -> bool:
    """Whether nothing that monitoring has asked for still waits to be taken up."""
    asked = [each for each in read_entries(settings.storage_uri, of_monitoring(settings)) if each["retrain"]]
    return not asked or find_owner(settings.storage_uri, claim_of(settings, asked[-1]["sequence"])) is not None


def create(uri: str, content: bytes) -> None:
    """Write a small file whole, or raise FileExistsError if there is one: never both, never half of it."""
    fs, path = fsspec.core.url_to_fs(uri)
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
