"""Reading a source file as what the contract describes: the right columns, and typed where the values allow it."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from . import contract
from .config import Source
from .errors import ContractError, SourceError

BATCH_ROWS = 200_000
CSV_BLOCK_BYTES = 4 << 20


def months_between(first: str, last: str) -> list[str]:
    """Every month from `first` to `last`, both included, as `YYYY-MM`."""
    start, end = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (first, last))
    return [f"{index // 12:04d}-{index % 12 + 1:02d}" for index in range(start, end + 1)]


def last_complete_month(today: date) -> str:
    """The month before the one that `today` is in."""
    return months_between("0001-01", f"{today:%Y-%m}")[-2]


def choose_months(source: Source, month: str | None, window_months: int, today: date) -> list[str]:
    """The months of one run: up to `month`, and no further back than the window.

    Parameters
    ----------
    month : the newest month, which will be held out; None: the last that there can be
    window_months : how many months to train on, before the one held out; 0: all

    Raises
    ------
    SourceError
        If `month` is no month, lies outside the source, or leaves nothing to train on.
    """
    newest = source.last_month or last_complete_month(today)
    month = month or newest
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise SourceError(f"month {month!r}: not a month; write it as {newest}")
    if not source.first_month <= month <= newest:
        raise SourceError(f"month {month}: outside the source, which has {source.first_month} to {newest}")
    months = months_between(source.first_month, month)
    if len(months) < 2:
        raise SourceError(f"month {month}: the first of the source; there is no month before it to train on")
    return months[-(window_months + 1) :] if window_months else months


class ValueNotParsedError(Exception):
    """A value is not of its column's dtype; the file has to be read as text."""


def read_source(path: Path, source: Source, *, as_text: bool = False) -> Iterator[pa.RecordBatch]:
    """Batches of a CSV (plain or gzip) or Parquet file, with the contract's columns in its order.

    Parameters
    ----------
    path : a name that ends in .csv, .csv.gz or .parquet
    as_text : leave every value as it is written, so that validation can point at the rows that do not parse

    Raises
    ------
    ValueNotParsedError
        If a value is not of its column's dtype, such as 'n/a' among numbers, and not `as_text`.
    SourceError
        If the file is empty, truncated, has another delimiter or cannot be read.
    ContractError
        If a column is missing or is not in the contract.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: empty file (0 bytes); fetch it again")
    typed = pa.Schema.from_pandas(contract.empty_frame(), preserve_index=False)
    schema = pa.schema([(name, pa.large_string()) for name in typed.names]) if as_text else typed
    read = _read_parquet if path.suffix == ".parquet" else _read_csv
    rows = 0
    try:
        for batch in read(path, source, schema):
            rows += batch.num_rows
            yield batch
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if _is_conversion(error) and not as_text:
            raise ValueNotParsedError(str(error)) from error
        raise SourceError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 text: {error}; convert it") from error
    except OSError as error:
        raise SourceError(f"{path}: truncated or damaged: {error}; fetch it again") from error
    if not rows:
        raise SourceError(f"{path}: a header and no rows; fetch it again")


def _read_csv(path: Path, source: Source, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    parsing = pyarrow.csv.ParseOptions(delimiter=source.delimiter)
    with pyarrow.csv.open_csv(path, parse_options=parsing) as reader:
        check_columns(path, reader.schema.names, source.delimiter)
    conversion = pyarrow.csv.ConvertOptions(
        column_types=schema,
        include_columns=schema.names,
        null_values=source.null_values,
        strings_can_be_null=True,
    )
    reading = pyarrow.csv.ReadOptions(block_size=CSV_BLOCK_BYTES)
    with pyarrow.csv.open_csv(path, reading, parsing, conversion) as reader:
        yield from reader


def _read_parquet(path: Path, source: Source, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        check_columns(path, file.schema_arrow.names, source.delimiter)
        for batch in file.iter_batches(BATCH_ROWS, columns=schema.names):
            yield batch.select(schema.names).cast(schema)


def check_columns(path: Path, found: list[str], delimiter: str) -> None:
    """Compare a header with the contract.

    Raises
    ------
    SourceError
        If the header looks like one of another delimiter.
    ContractError
        If a column is missing, is not in the contract or stands there twice.
    """
    expected = list(contract.SCHEMA.columns)
    if len(found) == 1 and len(expected) > 1:
        other = next((mark for mark in ",;\t|" if mark != delimiter and mark in found[0]), None)
        if other:
            raise SourceError(
                f"{path}: the delimiter is {other!r}, not {delimiter!r}; set [source] delimiter in pipeline.toml"
            )
    complaints = [
        f"{label} {', '.join(repr(name) for name in names)}"
        for label, names in (
            ("missing", [name for name in expected if name not in found]),
            ("not in the contract", [name for name in found if name not in expected]),
            ("twice", sorted({name for name in found if found.count(name) > 1})),
        )
        if names
    ]
    if complaints:
        raise ContractError(f"{path}: columns {'; '.join(complaints)}; mend the source or change contract.py")


def _is_conversion(error: Exception) -> bool:
    return any(mark in str(error) for mark in ("conversion error", "Failed to parse", "truncated", "Unsupported cast"))
