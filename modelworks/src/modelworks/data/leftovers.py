"""Files that no manifest lists: what attempts that were killed have left behind."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

from modelworks.data.filesystems import open_filesystem
from modelworks.data.manifests import Layer
from modelworks.data.partitions import find_partitions, list_periods


@dataclass(frozen=True)
class Leftover:
    """A file that no reader sees."""

    path: str
    bytes: int


def find_leftovers(storage_uri: str, older_than: timedelta) -> list[Leftover]:
    """Files of periods that no manifest lists, unless they are so young that a run may still be writing them."""
    fs, _ = open_filesystem(storage_uri)
    before = datetime.now(UTC) - older_than
    unlisted = (each for layer in get_args(Layer) for each in _find_unlisted(storage_uri, layer))
    return [each for each in unlisted if _to_utc(fs.modified(each.path)) < before]


def _find_unlisted(storage_uri: str, layer: Layer) -> Iterator[Leftover]:
    fs, root = open_filesystem(f"{storage_uri}/{layer}")
    fs.invalidate_cache(root)
    # Before the manifests: what a run publishes meanwhile is in none of them, and too young.
    files = fs.find(root, detail=True) if fs.exists(root) else {}
    listed: set[str] = set()
    for period in list_periods(storage_uri, layer):
        for partition in find_partitions(storage_uri, layer, period):
            names = ["manifest.json", *(part.file for part in partition.parts)]
            listed |= {open_filesystem(f"{partition.uri}/{name}")[1] for name in names}
    for path, about in files.items():
        if path not in listed:
            yield Leftover(path, about["size"])


def _to_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def remove_leftovers(storage_uri: str, leftovers: list[Leftover]) -> None:
    """Remove the files."""
    fs, _ = open_filesystem(storage_uri)
    for each in leftovers:
        fs.rm_file(each.path)
