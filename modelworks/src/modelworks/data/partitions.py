"""The only reader and writer of data: immutable partitions, each with a manifest.

::

    <storage>/<layer>/<period>/v<version>/<first digits of its SHA-256>.parquet
                                         manifest.json
    <storage>/datasets/<first digits of its digest>.json
    <storage>/predictions/date=<YYYY-MM-DD>/<name>.parquet

A partition exists when its manifest does. The manifest is written last, atomically, and never over another: a writer
that is killed, or is second, leaves nothing that a reader sees. This holds on a local disk and on an object store.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from modelworks.data.files import exists, file_sha256, local_copy, upload
from modelworks.data.filesystems import open_filesystem
from modelworks.data.journal import create
from modelworks.errors import PartitionError

Layer = Literal["raw", "clean", "quarantine", "scores"]

BATCH_ROWS = 200_000
IDENTITY = ("sha256", "source_sha256", "contract_version", "facts")
"""Two partitions of one period and layer that share these are the same."""


@dataclass(frozen=True)
class Partition:
    """One period of one layer, as its manifest describes it."""

    layer: Layer
    period: str
    version: int
    uri: str
    file: str
    rows: int
    bytes: int
    sha256: str
    source: str
    source_sha256: str
    contract_version: str
    created_at: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Partitions in order of time; the digest is that of all their bytes."""

    uri: str
    digest: str
    partitions: list[Partition]

    @property
    def periods(self) -> list[str]:
        """The periods of the partitions, in order of time."""
        return [partition.period for partition in self.partitions]

    @property
    def rows(self) -> int:
        """Rows of all partitions."""
        return sum(partition.rows for partition in self.partitions)


class PartitionWriter:
    """Writes frames or batches to a local file, and publishes them as one partition or not at all."""

    def __init__(self, storage_uri: str, layer: Layer, period: str) -> None:
        self.folder = f"{storage_uri}/{layer}/{period}"
        self.layer: Layer = layer
        self.period = period
        self.rows = 0
        self._local = Path(tempfile.mkdtemp(prefix=f"{layer}-{period}-")) / "data.parquet"
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table | pa.RecordBatch | pd.DataFrame) -> None:
        """Add rows, all of the same columns."""
        if isinstance(rows, pd.DataFrame):
            rows = pa.Table.from_pandas(rows, preserve_index=False)
        elif isinstance(rows, pa.RecordBatch):
            rows = pa.Table.from_batches([rows])
        rows = rows.replace_schema_metadata(None)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._local, rows.schema, compression="zstd")
        self._writer.write_table(rows, row_group_size=BATCH_ROWS)
        self.rows += rows.num_rows

    def read(self) -> pd.DataFrame:
        """All rows that were written, before they are published; nothing can be written afterwards."""
        self._close()
        return pq.read_table(self._local).to_pandas()

    def publish(self, *, source: str, source_sha256: str, contract_version: str, **facts: Any) -> Partition:
        """Make the partition visible, as the next version of its period.

        If the same rows, source and facts have been published meanwhile, that partition is returned.
        """
        self._close()
        sha256 = file_sha256(self._local)
        made: dict[str, Any] = {
            "layer": self.layer,
            "period": self.period,
            "file": f"{sha256[:16]}.parquet",
            "rows": self.rows,
            "bytes": self._local.stat().st_size,
            "sha256": sha256,
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
            upload(self._local, f"{partition.uri}/{partition.file}")
            try:
                create(f"{partition.uri}/manifest.json", _dump(partition))
                return partition
            except FileExistsError:
                continue  # another writer took this version number

    def _close(self) -> None:
        assert self._writer is not None, "a partition needs at least one batch, which may have no rows"
        self._writer.close()  # does nothing the second time

    def discard(self) -> None:
        """Remove the temporary file."""
        if self._writer is not None:
            self._writer.close()
        self._local.unlink(missing_ok=True)
        self._local.parent.rmdir()


@contextmanager
def new_partition(storage_uri: str, layer: Layer, period: str) -> Iterator[PartitionWriter]:
    """A writer; its temporary file is removed at the end, published or not."""
    writer = PartitionWriter(storage_uri, layer, period)
    try:
        yield writer
    finally:
        writer.discard()


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
    return sorted((Partition(uri=uri, **fields) for fields, uri in found), key=lambda partition: partition.version)


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
    with _verified(partition) as path:
        table = pq.read_table(path, columns=columns)
    return table.to_pandas()


def read_batches(
    partition: Partition, columns: list[str] | None = None, rows: int = BATCH_ROWS
) -> Iterator[pd.DataFrame]:
    """A partition in frames of at most so many rows, checked against its SHA-256 first.

    Parameters
    ----------
    columns : default: all
    """
    # With a pre-buffer, batches that were read stay in memory until the end of the file.
    with _verified(partition) as path, pq.ParquetFile(path, pre_buffer=False) as file:
        if file.metadata.num_rows == 0:
            yield file.schema_arrow.empty_table().to_pandas()
        for batch in file.iter_batches(rows, columns=columns):
            yield pa.Table.from_batches([batch]).to_pandas()


def read_dataset(dataset: Dataset) -> pd.DataFrame:
    """All partitions, one after the other, with a fresh index."""
    return pd.concat([read_partition(partition) for partition in dataset.partitions], ignore_index=True)


def save_dataset(storage_uri: str, partitions: list[Partition]) -> Dataset:
    """Record the partitions of a dataset; the same partitions give the same URI."""
    digest = _digest(partitions)
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
    return Dataset(uri, _digest(found), found)


def _get_partition(storage_uri: str, layer: Layer, period: str, version: int) -> Partition:
    for partition in find_partitions(storage_uri, layer, period):
        if partition.version == version:
            return partition
    raise PartitionError(
        f"{storage_uri}/{layer}/{period}/v{version}: missing; run again from the start to make it anew"
    )


def _digest(partitions: list[Partition]) -> str:
    members = [[partition.layer, partition.period, partition.sha256] for partition in partitions]
    return hashlib.sha256(json.dumps(members).encode()).hexdigest()


def _dump(content: Any) -> bytes:
    if isinstance(content, Partition):
        content = {name: value for name, value in asdict(content).items() if name != "uri"}
    return json.dumps(content, indent=1).encode()


def save_predictions(storage_uri: str, day: str, name: str, rows: pa.Table) -> None:
    """Write answers of the API as one file of that day; the same name again replaces the file."""
    with tempfile.TemporaryDirectory(prefix="predictions-") as folder:
        local = Path(folder) / "data.parquet"
        pq.write_table(rows, local, compression="zstd")
        upload(local, f"{storage_uri}/predictions/date={day}/{name}.parquet")


@contextmanager
def _verified(partition: Partition) -> Iterator[Path]:
    uri = f"{partition.uri}/{partition.file}"
    try:
        with local_copy(uri) as path:
            found = file_sha256(path)
            if found != partition.sha256:
                raise PartitionError(
                    f"{uri}: damaged: SHA-256 is {found[:12]}..., the manifest says {partition.sha256[:12]}...; "
                    f"restore the file, or remove {partition.uri} and run again to make it anew"
                )
            yield path
    except FileNotFoundError:
        raise PartitionError(f"{uri}: missing, although its manifest exists; restore the file") from None
