"""Write and read the files of a partition, in batches."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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


class PartWriter:
    """Writes rows to a local Parquet file, and stores it under a name that is its content's."""

    def __init__(self) -> None:
        self.rows = 0
        self.local = Path(tempfile.mkdtemp(prefix="part-")) / "data.parquet"
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table | pa.RecordBatch | pd.DataFrame) -> None:
        """Add rows, all of the same columns."""
        rows = to_table(rows)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.local, rows.schema, compression="zstd")
        self._writer.write_table(rows, row_group_size=BATCH_ROWS)
        self.rows += rows.num_rows

    def close(self) -> Part:
        """The part as it is; nothing can be written afterwards."""
        assert self._writer is not None, "a part needs at least one batch, which may have no rows"
        self._writer.close()  # does nothing the second time
        sha256 = file_sha256(self.local)
        return Part(f"{sha256[:16]}.parquet", self.rows, self.local.stat().st_size, sha256)

    def store(self, folder: str) -> Part:
        """Close the file and copy it to a folder of any URI."""
        part = self.close()
        upload(self.local, f"{folder}/{part.file}")
        return part

    def discard(self) -> None:
        """Remove the local file."""
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
        return pq.read_table(path, columns=columns, read_dictionary=list(encoded))


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
            yield pa.RecordBatch.from_pylist([], schema=pa.schema(fields))
        yield from file.iter_batches(rows, columns=columns)


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
