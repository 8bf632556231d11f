"""The only reader and writer of data: immutable partitions, each with a manifest.

::

    <storage>/<layer>/<period>/v<version>/<first digits of its SHA-256>.parquet ...
                                         manifest.json
    <storage>/<layer>/<period>/attempt-<when>-<number>/   parts of a partition that is being made
    <storage>/datasets/<first digits of its digest>.json

A partition is a list of parts, of at most `[compute] rows_per_part` rows each. It exists when its manifest does, which
is written last, atomically, and never over another: a writer that is killed or second leaves nothing that readers see.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modelworks.data.files import exists, upload
from modelworks.data.filesystems import open_filesystem
from modelworks.data.frames import to_table
from modelworks.data.journal import create
from modelworks.data.manifests import Dataset, Layer, Part, Partition, digest_partitions, digest_parts
from modelworks.data.parts import BATCH_ROWS, PartWriter, place, read_part, read_part_batches
from modelworks.errors import PartitionError
from modelworks.settings import Compute

__all__ = [
    "BATCH_ROWS",
    "Dataset",
    "Layer",
    "Part",
    "Partition",
    "PartitionWriter",
    "find_partitions",
    "find_partitions_in",
    "list_periods",
    "load_dataset",
    "new_attempt",
    "new_partition",
    "read_batches",
    "read_dataset",
    "read_partition",
    "remove_partition",
    "save_dataset",
]

ROWS_PER_PART = Compute().rows_per_part
IDENTITY = ("sha256", "source_sha256", "contract_version", "facts")
"""Two partitions of one period and layer that share these are the same."""


class PartitionWriter:
    """Publishes rows, or parts that tasks have stored, as one partition or not at all.

    Parameters
    ----------
    rows_per_part : rows that are written are cut into parts of so many

    Attributes
    ----------
    folder : of the period
    attempt : URI of the folder in which tasks store the partition's parts
    """

    def __init__(self, storage_uri: str, layer: Layer, period: str, rows_per_part: int) -> None:
        self.folder = f"{storage_uri}/{layer}/{period}"
        self.attempt = _name_attempt(self.folder)
        self.layer: Layer = layer
        self.period = period
        self._rows_per_part = rows_per_part
        self._parts: list[Part] = []
        self._open: PartWriter | None = None

    @property
    def rows(self) -> int:
        """Rows so far."""
        return sum(part.rows for part in self._parts) + (self._open.rows if self._open else 0)

    def write(self, rows: pa.Table | pa.RecordBatch | pd.DataFrame) -> None:
        """Add rows, all of the same columns."""
        table = to_table(rows)
        self._open = self._open or PartWriter()
        while self._open.rows + table.num_rows > self._rows_per_part:
            rest = self._rows_per_part - self._open.rows
            self._open.write(table.slice(0, rest))
            self.add(self._open.store(self.attempt))
            self._open.discard()
            self._open, table = PartWriter(), table.slice(rest)
        self._open.write(table)

    def add(self, part: Part) -> None:
        """Add a part that is stored in the folder of the attempt; parts without rows count if there is no other."""
        if part.rows and self._parts and not self._parts[0].rows:
            self._parts.clear()
        if part.rows or not self._parts:
            self._parts.append(part)

    def read(self, columns: list[str] | None = None) -> pd.DataFrame:
        """All rows so far, before they are published; nothing can be written afterwards."""
        tables = [read_part(self.attempt, part, columns) for part in self._parts]
        if self._open:
            self._open.close()
            tables.append(pq.read_table(self._open.local, columns=columns))
        return pa.concat_tables(tables).to_pandas()

    def publish(self, *, source: str, source_sha256: str, contract_version: str, **facts: Any) -> Partition:
        """Make the partition visible, as the next version of its period.

        If the same rows, source and facts have been published meanwhile, that partition is returned.
        """
        parts = (*self._parts, self._open.close()) if self._open else tuple(self._parts)
        made: dict[str, Any] = {
            "layer": self.layer,
            "period": self.period,
            "parts": parts,
            "sha256": digest_parts(parts),
            "source": source,
            "source_sha256": source_sha256,
            "contract_version": contract_version,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "facts": facts,
        }
        while True:
            versions = find_partitions_in(self.folder)
            for other in versions:
                if all(getattr(other, name) == made[name] for name in IDENTITY):
                    return other
            version = max((other.version for other in versions), default=0) + 1
            partition = Partition(version=version, uri=f"{self.folder}/v{version}", **made)
            self._store(partition)
            try:
                create(f"{partition.uri}/manifest.json", _dump(partition))
                return partition
            except FileExistsError:
                continue  # another writer took this version number

    def _store(self, partition: Partition) -> None:
        """Have all parts in the partition's folder."""
        for part in self._parts:
            place(part, self.attempt, partition.uri)
        if self._open:
            upload(self._open.local, partition.files[-1])

    def discard(self) -> None:
        """Remove what is temporary."""
        if self._open:
            self._open.discard()
        _remove_attempt(self.attempt)


@contextmanager
def new_partition(
    storage_uri: str, layer: Layer, period: str, rows_per_part: int = ROWS_PER_PART
) -> Iterator[PartitionWriter]:
    """A writer; what it has written and not published is removed at the end."""
    writer = PartitionWriter(storage_uri, layer, period, rows_per_part)
    try:
        yield writer
    finally:
        writer.discard()


@contextmanager
def new_attempt(storage_uri: str, layer: Layer, period: str) -> Iterator[str]:
    """URI of a folder for files that tasks share; it is removed at the end."""
    attempt = _name_attempt(f"{storage_uri}/{layer}/{period}")
    try:
        yield attempt
    finally:
        _remove_attempt(attempt)


def _name_attempt(folder: str) -> str:
    return f"{folder}/attempt-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}"


def _remove_attempt(attempt: str) -> None:
    fs, path = open_filesystem(attempt)
    fs.invalidate_cache(path)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def find_partitions(storage_uri: str, layer: Layer, period: str) -> list[Partition]:
    """All versions of a period, the oldest first."""
    return find_partitions_in(f"{storage_uri}/{layer}/{period}")


def find_partitions_in(folder: str) -> list[Partition]:
    """All versions below the folder of one period, the oldest first."""
    fs, path = open_filesystem(folder)
    fs.invalidate_cache(path)
    manifests = fs.glob(f"{path}/v*/manifest.json")
    # A manifest holds no location, so that the whole storage can be moved.
    found = [(json.loads(fs.cat_file(manifest)), f"{folder}/{manifest.split('/')[-2]}") for manifest in manifests]
    return sorted((Partition.from_json(uri, fields) for fields, uri in found), key=lambda partition: partition.version)


def remove_partition(partition: Partition) -> None:
    """Remove a version of a period, its manifest first."""
    fs, path = open_filesystem(partition.uri)
    fs.rm(f"{path}/manifest.json")
    fs.rm(path, recursive=True)


def list_periods(storage_uri: str, layer: Layer) -> list[str]:
    """Periods that have at least one version, in order of time."""
    fs, path = open_filesystem(f"{storage_uri}/{layer}")
    fs.invalidate_cache(path)
    return sorted({manifest.rsplit("/", 3)[1] for manifest in fs.glob(f"{path}/*/v*/manifest.json")})


def read_partition(partition: Partition, columns: list[str] | None = None) -> pd.DataFrame:
    """A whole partition, checked against its SHA-256.

    Raises
    ------
    PartitionError
        If the file is missing or its bytes are not those that were written.
    """
    return pa.concat_tables([read_part(partition.uri, part, columns) for part in partition.parts]).to_pandas()


def read_batches(
    partition: Partition, columns: list[str] | None = None, rows: int = BATCH_ROWS
) -> Iterator[pd.DataFrame]:
    """A partition in frames of at most so many rows, checked against its SHA-256 first.

    Parameters
    ----------
    columns : default: all
    """
    for part in partition.parts:
        for batch in read_part_batches(partition.uri, part, columns, rows):
            yield pa.Table.from_batches([batch]).to_pandas()


def read_dataset(dataset: Dataset) -> pd.DataFrame:
    """All partitions, one after the other, with a fresh index."""
    return pd.concat([read_partition(partition) for partition in dataset.partitions], ignore_index=True)


def save_dataset(storage_uri: str, partitions: list[Partition]) -> Dataset:
    """Record the partitions of a dataset; the same partitions give the same URI."""
    digest = digest_partitions(partitions)
    dataset = Dataset(f"{storage_uri}/datasets/{digest[:16]}.json", digest, partitions)
    if not exists(dataset.uri):
        with suppress(FileExistsError):  # another task may just have recorded the same partitions
            create(dataset.uri, _dump([[each.layer, each.period, each.version] for each in partitions]))
    return dataset


def load_dataset(uri: str) -> Dataset:
    """The dataset that `save_dataset` recorded.

    Raises
    ------
    PartitionError
        If there is none at that URI.
    """
    fs, path = open_filesystem(uri)
    try:
        members = json.loads(fs.cat_file(path))
    except FileNotFoundError:
        raise PartitionError(f"{uri}: no such dataset; `ingest` and `validate` print the URI of theirs") from None
    storage_uri = uri.rsplit("/datasets/", 1)[0]
    found = [_get_partition(storage_uri, *member) for member in members]
    return Dataset(uri, digest_partitions(found), found)


def _get_partition(storage_uri: str, layer: Layer, period: str, version: int) -> Partition:
    for partition in find_partitions(storage_uri, layer, period):
        if partition.version == version:
            return partition
    raise PartitionError(
        f"{storage_uri}/{layer}/{period}/v{version}: missing; run again from the start to make it anew"
    )


def _dump(content: Any) -> bytes:
    return json.dumps(content.to_json() if isinstance(content, Partition) else content, indent=1).encode()
