"""Reading a source file as what the contract describes: the right columns, and typed where the values allow it."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from . import schema
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


def newest_labelled(month: str, delay_months: int) -> str:
    """The newest month whose outcomes are known when `month` is the last complete one."""
    index = int(month[:4]) * 12 + int(month[5:]) - 1 - delay_months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def choose_months(
    source: Source,
    month: str | None,
    window_months: int,
    today: date,
    delay_months: int = 0,
    holdout_months: int = 1,
    *,
    to_train: bool = True,
) -> list[str]:
    """The months of one run: up to `month`, and no further back than the window.

    Parameters
    ----------
    month : the newest month; None: the last that there can be, or to train the last whose labels are known
    window_months : how many months to train on, before the newest, which are held out; 0: all
    delay_months : how many months labels take
    holdout_months : how many are held out; 0 where rows are, and one month is enough to train on
    to_train : if not, one month is enough, and the window reaches back to all whose labels may have come since

    Raises
    ------
    SourceError
        If `month` is no month, lies outside the source, or leaves nothing to train on.
    """
    newest = source.last_month or last_complete_month(today)
    why = ""
    if not month and to_train and delay_months:
        why = f" (the newest whose labels are known, by [labels] delay_months = {delay_months})"
    month = month or newest_labelled(newest, delay_months if to_train else 0)
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise SourceError(f"month {month!r}: not a month; write it as {newest}")
    if not source.first_month <= month <= newest:
        raise SourceError(f"month {month}{why}: outside the source, which has {source.first_month} to {newest}")
    months = months_between(source.first_month, month)
    if to_train and len(months) < 1 + holdout_months:
        of_many = f"one of the first {holdout_months}, and [training] holdout_months holds out as many"
        which = of_many if holdout_months > 1 else "the first of the source"
        raise SourceError(f"month {month}{why}: {which}; there is no month before it to train on")
    wanted = window_months + holdout_months if to_train else window_months + 1 + delay_months
    return months[-wanted:] if window_months else months


class ValueNotParsedError(Exception):
    """A value is not of its column's dtype; the file has to be read as text."""


def read_source(
    path: Path, source: Source, columns: list[str] | None = None, *, as_text: bool = False
) -> Iterator[pa.RecordBatch]:
    """Batches of a CSV (plain or gzip) or Parquet file, with the contract's columns in its order.

    Parameters
    ----------
    path : a name that ends in .csv, .csv.gz or .parquet
    columns : those of the contract that the file has to have, and no others; default: all
    as_text : leave every value as it is written, so that validation can point at the rows that do not parse

    Raises
    ------
    ValueNotParsedError
        If a value is not of its column's dtype, such as 'n/a' among numbers, and not `as_text`.
    SourceError
        If the file is empty, truncated, has another delimiter or cannot be read.
    ContractError
        If a column is missing or is not wanted.
    """
    rows = 0
    for batch in _read(path, source, columns or list(schema.DTYPES), as_text):
        rows += batch.num_rows
        yield batch
    if not rows:
        raise SourceError(f"{path}: a header and no rows; fetch it again")


def read_labels(path: Path, source: Source) -> pd.DataFrame:
    """A whole file of labels: key and outcomes, each value typed or, if one of them does not parse, all as text.

    A header without rows is a file of labels as well: none is known yet.

    Raises
    ------
    SourceError, ContractError
        As `read_source`.
    """
    try:
        batches = list(_read(path, source, schema.LABEL_COLUMNS, as_text=False))
    except ValueNotParsedError:
        batches = list(_read(path, source, schema.LABEL_COLUMNS, as_text=True))
    if not batches:
        return schema.empty_frame()[schema.LABEL_COLUMNS]
    return pa.Table.from_batches(batches).to_pandas()


def _read(path: Path, source: Source, columns: list[str], as_text: bool) -> Iterator[pa.RecordBatch]:
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: empty file (0 bytes); fetch it again")
    typed = pa.Schema.from_pandas(schema.empty_frame()[columns], preserve_index=False)
    fields = pa.schema([(name, pa.large_string()) for name in typed.names]) if as_text else typed
    read = _read_parquet if path.suffix == ".parquet" else _read_csv
    try:
        yield from read(path, source, fields)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if _is_conversion(error) and not as_text:
            raise ValueNotParsedError(str(error)) from error
        raise SourceError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 text: {error}; convert it") from error
    except OSError as error:
        raise SourceError(f"{path}: truncated or damaged: {error}; fetch it again") from error


def _read_csv(path: Path, source: Source, fields: pa.Schema) -> Iterator[pa.RecordBatch]:
    parsing = pyarrow.csv.ParseOptions(delimiter=source.delimiter)
    with pyarrow.csv.open_csv(path, parse_options=parsing) as reader:
        check_columns(path, reader.schema.names, fields.names, source.delimiter)
    conversion = pyarrow.csv.ConvertOptions(
        column_types=fields,
        include_columns=fields.names,
        null_values=source.null_values,
        strings_can_be_null=True,
    )
    reading = pyarrow.csv.ReadOptions(block_size=CSV_BLOCK_BYTES)
    with pyarrow.csv.open_csv(path, reading, parsing, conversion) as reader:
        yield from reader


def _read_parquet(path: Path, source: Source, fields: pa.Schema) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        check_columns(path, file.schema_arrow.names, fields.names, source.delimiter)
        for batch in file.iter_batches(BATCH_ROWS, columns=fields.names):
            yield batch.select(fields.names).cast(fields)


def check_columns(path: Path | str, found: list[str], expected: list[str], delimiter: str) -> None:
    """Compare a header with the contract.

    Parameters
    ----------
    path : of the file, or what else it is
    expected : the contract's columns that belong into the file

    Raises
    ------
    SourceError
        If the header looks like one of another delimiter.
    ContractError
        If a column is missing, does not belong there or stands there twice.
    """
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
            ("not in the contract", [name for name in found if name not in schema.DTYPES]),
            ("of another file", [name for name in found if name in schema.DTYPES and name not in expected]),
            ("twice", sorted({name for name in found if found.count(name) > 1})),
        )
        if names
    ]
    if complaints:
        remedy = _explain_outcomes(found, expected) or "mend the source or change contract.py"
        raise ContractError(f"{path}: columns {'; '.join(complaints)}; {remedy}")


def _explain_outcomes(found: list[str], expected: list[str]) -> str:
    """What to do if outcomes are in the source and [labels] uri says otherwise, or the other way round."""
    outcomes = set(schema.OUTCOMES)
    if outcomes & set(found) and not outcomes & set(expected):
        return 'outcomes come from [labels] uri: take them out of the source, or set that to ""'
    if outcomes <= set(expected) and not outcomes & set(found):
        return "add the outcomes, or name the file that has them in [labels] uri"
    return ""


def _is_conversion(error: Exception) -> bool:
    return any(mark in str(error) for mark in ("conversion error", "Failed to parse", "truncated", "Unsupported cast"))
