"""Opening a table of any origin: its format, its columns, and its rows in batches."""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from modelworks.data import files
from modelworks.errors import SourceError
from modelworks.progress import track

BATCH_ROWS = 100_000
BLOCK_BYTES = 8 << 20
SNIFFED_BYTES = 1 << 18
SNIFFED_ROWS = 50
DELIMITERS = ",;\t|"
ENCODINGS = ("utf-8", "cp1252", "latin-1")
"""In the order in which they are tried; the last takes any byte."""
MARKS = {
    b"PK": "a zip archive or a spreadsheet",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"BZh": "bzip2-compressed",
    b"\xfd7z": "xz-compressed",
    b"\x28\xb5": "zstd-compressed",
}
"""First bytes of files that are no text."""
ADVICE = {
    "columns, got": "; a value with the delimiter in it has to be quoted",
    "straddling object": f"; a row is longer than {BLOCK_BYTES >> 20} MB, or a quotation mark is never closed",
}
"""What to do, by a part of Arrow's message."""
GZIP = b"\x1f\x8b"
NAMELESS = "unnamed"
"""Name of a column whose header is empty; of further ones with a number."""


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes
    ----------
    delimiter, encoding : of a CSV file
    header : line of a CSV file in which the names stand; 1 where Excel's line `sep=;` stands before them
    """

    kind: Literal["csv", "parquet"]
    delimiter: str = ","
    encoding: str = "utf-8"
    header: int = 0


@contextmanager
def open_file(uri: str) -> Iterator[Path]:
    """A file of any URI as a local path.

    Raises
    ------
    SourceError
        If there is none, or it has nothing in it.
    """
    if uri.startswith("~"):
        uri = str(Path(uri).expanduser())
    with ExitStack() as stack:
        try:
            path = stack.enter_context(files.local_copy(uri))
        except FileNotFoundError:
            what = "a folder; name one file in it" if "://" not in uri and Path(uri).is_dir() else "no such file"
            raise SourceError(f"{uri}: {what}") from None
        if path.stat().st_size == 0:
            raise SourceError(f"{uri}: empty file (0 bytes)")
        yield path


def find_layout(path: Path) -> Layout:
    """The format of a file, by what is in it.

    Raises
    ------
    SourceError
        If it is neither CSV nor Parquet.
    """
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        return Layout("parquet")
    for mark, what in MARKS.items():
        if head.startswith(mark):
            raise SourceError(f"{path}: {what}, not CSV or Parquet; save it as CSV in UTF-8")
    with _open_bytes(path) as file:
        start = file.read(SNIFFED_BYTES)
    if b"\0" in start:
        raise SourceError(f"{path}: binary data, not CSV or Parquet")
    encoding = next(each for each in ENCODINGS if _is_encoded(path, each))
    text = start.decode(encoding, errors="ignore").removeprefix("\ufeff")
    if declared := re.match(r"sep=([^\r\n])\r?\n", text):
        return Layout("csv", declared[1], encoding, header=1)
    return Layout("csv", _find_delimiter(text), encoding)


def read_names(path: Path, layout: Layout) -> list[str]:
    """The names of the columns; those without one are called `unnamed`, `unnamed_2` and so on.

    Raises
    ------
    SourceError
        If a name stands there twice, or there is only one column.
    """
    if layout.kind == "parquet":
        with _readable(path), pq.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
    else:
        with _readable(path), _open_bytes(path) as raw:
            encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
            text = io.TextIOWrapper(raw, encoding, newline="")
            rows = csv.reader(text, delimiter=layout.delimiter)
            names = next(islice(rows, layout.header, None), [])
    names = _name_all(names)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{path}: columns that stand there twice: {', '.join(map(repr, twice))}; rename one of each")
    if len(names) < 2:
        raise SourceError(f"{path}: one column only, {', '.join(map(repr, names))}; a target and a feature are wanted")
    return names


def read_batches(path: Path, layout: Layout, what: str = "reading") -> Iterator[pa.RecordBatch]:
    """The rows of a file: of CSV every value as text, of Parquet as they are typed.

    Parameters
    ----------
    what : the step whose progress is shown

    Raises
    ------
    SourceError
        If a line has more or fewer values than the header, or the file is damaged.
    """
    with _readable(path):
        if layout.kind == "parquet":
            with pq.ParquetFile(path, pre_buffer=False) as file:
                yield from track(file.iter_batches(BATCH_ROWS), what, "rows", file.metadata.num_rows, size=len)
            return
        names = read_names(path, layout)
        types = dict.fromkeys(names, pa.string())
        with (
            pa.input_stream(str(path), compression="gzip" if _is_gzip(path) else None) as raw,
            pyarrow.csv.open_csv(
                raw,
                pyarrow.csv.ReadOptions(
                    block_size=BLOCK_BYTES,
                    encoding=layout.encoding,
                    column_names=names,
                    skip_rows_after_names=layout.header + 1,
                ),
                pyarrow.csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
                pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False),
            ) as reader,
        ):
            yield from track(reader, what, "rows", size=len)


def estimate_bytes(path: Path, layout: Layout) -> int:
    """Bytes that the whole table would take, very roughly: what it takes on disk, unpacked."""
    if layout.kind == "parquet":
        with pq.ParquetFile(path) as file:
            return file.metadata.num_rows * file.metadata.num_columns * 8
    return path.stat().st_size * (5 if _is_gzip(path) else 1)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, csv.Error, UnicodeDecodeError) as error:
        advice = next((advice for part, advice in ADVICE.items() if part in str(error)), "")
        raise SourceError(f"{path}: cannot be read: {str(error).splitlines()[0]}{advice}") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise SourceError(f"{path}: truncated or damaged: {error}; fetch it again") from error


def _is_gzip(path: Path) -> bool:
    """By content: a server may send a file without the suffix, and a browser unpack one that keeps it."""
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def _open_bytes(path: Path) -> Any:
    return gzip.open(path, "rb") if _is_gzip(path) else path.open("rb")


def _name_all(names: list[str]) -> list[str]:
    """The names, with a new one for each that is empty."""
    free = (new for number in count(1) if (new := f"{NAMELESS}_{number}" if number > 1 else NAMELESS) not in names)
    return [name if name.strip() else next(free) for name in names]


def _is_encoded(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with _readable(path), _open_bytes(path) as file:
        try:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _find_delimiter(start: str) -> str:
    """The mark that splits most lines into as many values as the header has."""
    lines = start.splitlines(keepends=True)
    # The last line may be cut off.
    text = "".join(lines[:-1] if len(lines) > 1 else lines)
    csv.field_size_limit(max(csv.field_size_limit(), SNIFFED_BYTES))  # a field may fill all that is looked at

    def score(delimiter: str) -> tuple[float, int]:
        rows = [
            row for _, row in zip(range(SNIFFED_ROWS), csv.reader(io.StringIO(text), delimiter=delimiter), strict=False)
        ]
        if not rows or len(rows[0]) < 2:
            return 0.0, 0
        return sum(len(row) == len(rows[0]) for row in rows) / len(rows), len(rows[0])

    return max(DELIMITERS, key=score)
