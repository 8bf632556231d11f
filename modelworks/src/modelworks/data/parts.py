"""Write and read the files of a partition, in batches."""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from modelworks.data.files import file_sha256, local_copy, upload
from modelworks.data.filesystems import open_filesystem
from modelworks.data.frames import to_table
from modelworks.data.manifests import Part
from modelworks.errors import PartitionError

BATCH_ROWS = 200_000
OWN_TYPES = {pa.timestamp("ms"): pa.timestamp("us"), pa.string(): pa.large_string()}
"""By the type of a column of a copied file: that of any other part."""


class PartWriter:
    """Writes rows to a local Parquet file, and stores it under a name that is its content's."""

    def __init__(self) -> None:
        self.rows = 0
        self.local = Path(tempfile.mkdtemp(prefix="part-")) / "data.parquet"
        self._writer: pq.ParquetWriter | None = None
        self._thread = ThreadPoolExecutor(1, "write")
        self._writing: Future[None] | None = None

    def write(self, rows: pa.Table | pa.RecordBatch | pd.DataFrame) -> None:
        """Add rows, all of the same columns."""
        rows = to_table(rows)
        self._finish_writing()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.local, rows.schema, compression="zstd")
        # Encoding takes as long as reading and checking the next batch, and leaves a second core to that.
        self._writing = self._thread.submit(self._writer.write_table, rows, row_group_size=BATCH_ROWS)
        self.rows += rows.num_rows

    def close(self) -> Part:
        """The part as it is; nothing can be written afterwards."""
        assert self._writer is not None, "a part needs at least one batch, which may have no rows"
        self._finish_writing()
        self._writer.close()  # does nothing the second time
        sha256 = file_sha256(self.local)
        return Part(f"{sha256[:16]}.parquet", self.rows, self.local.stat().st_size, sha256)

    def store(self, folder: str) -> Part:
        """Close the file and copy it to a folder of any URI."""
        part = self.close()
        upload(self.local, f"{folder}/{part.file}")
        return part

    def _finish_writing(self) -> None:
        """Wait for the last batch, and raise what writing it has raised."""
        if writing := self._writing:
            self._writing = None
            writing.result()

    def discard(self) -> None:
        """Remove the local file."""
        self._thread.shutdown()
        if self._writer is not None:
            self._writer.close()
        self.local.unlink(missing_ok=True)
        self.local.parent.rmdir()


@contextmanager
def new_part() -> Iterator[PartWriter]:
    """A writer; its local file is removed at the end, stored or not."""
    writer = PartWriter()
    try:
        yield writer
    finally:
        writer.discard()


def read_part(folder: str, part: Part, columns: list[str] | None = None, encoded: Sequence[str] = ()) -> pa.Table:
    """A whole part, checked against its SHA-256.

    Parameters
    ----------
    encoded : columns of texts to read as dictionaries

    Raises
    ------
    PartitionError
        If the file is missing or its bytes are not those that were written.
    """
    with _verified(folder, part) as path:
        return _as_written(pq.read_table(path, columns=columns, read_dictionary=list(encoded)))


def read_part_batches(
    folder: str,
    part: Part,
    columns: list[str] | None = None,
    rows: int = BATCH_ROWS,
    encoded: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """A part in batches of at most so many rows, checked against its SHA-256 first; without rows, one empty batch.

    Parameters
    ----------
    encoded : columns of texts to read as dictionaries
    """
    # With a pre-buffer, batches that were read stay in memory until the end of the file.
    with (
        _verified(folder, part) as path,
        pq.ParquetFile(path, pre_buffer=False, read_dictionary=list(encoded)) as file,
    ):
        if file.metadata.num_rows == 0:
            fields = [each for each in file.schema_arrow if columns is None or each.name in columns]
            yield _as_written(pa.RecordBatch.from_pylist([], schema=pa.schema(fields)))
        yield from _read_ahead(map(_as_written, file.iter_batches(rows, columns=columns)))


def _read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, each read by a second core while the one before is worked on."""
    with ThreadPoolExecutor(1, "read") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def _as_written(rows: Rows) -> Rows:
    """The rows in the types that a `PartWriter` is given, where the file is a copy of the source's."""
    schema = pa.schema([pa.field(each.name, OWN_TYPES.get(each.type, each.type)) for each in rows.schema])
    return rows if rows.schema.equals(schema, check_metadata=True) else rows.cast(schema)


@contextmanager
def _verified(folder: str, part: Part) -> Iterator[Path]:
    uri = f"{folder}/{part.file}"
    try:
        with local_copy(uri) as path:
            found = file_sha256(path)
            if found != part.sha256:
                raise PartitionError(
                    f"{uri}: damaged: SHA-256 is {found[:12]}..., the manifest says {part.sha256[:12]}...; "
                    f"restore the file, or remove {folder} and run again to make it anew"
                )
            yield path
    except FileNotFoundError:
        raise PartitionError(f"{uri}: missing, although its manifest exists; restore the file") from None


def copy_part(part: Part, source: str, target: str) -> None:
    """Have a part in another folder of the same storage as well; damage to one file leaves the other."""
    fs, there = open_filesystem(f"{target}/{part.file}")
    fs.makedirs(there.rsplit("/", 1)[0], exist_ok=True)
    fs.copy(open_filesystem(f"{source}/{part.file}")[1], there)


def place(part: Part, source: str, target: str) -> None:
    """Have a part of one folder in another folder of the same storage as well; what is there already stays."""
    fs, there = open_filesystem(f"{target}/{part.file}")
    _, here = open_filesystem(f"{source}/{part.file}")
    if not isinstance(fs, LocalFileSystem):
        fs.copy(here, there)
        return
    Path(there).parent.mkdir(parents=True, exist_ok=True)
    if not Path(there).exists():
        try:
            Path(there).hardlink_to(here)
        except OSError:  # a file system without hard links
            upload(Path(here), f"{target}/{part.file}")
