"""Read a source file with the contract's columns, typed if every value parses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from modelworks.contract import Contract
from modelworks.data import frames
from modelworks.data.filesystems import open_filesystem
from modelworks.data.parts import OWN_TYPES
from modelworks.errors import ContractError, NoRowsError, SourceError
from modelworks.settings import Source

BATCH_ROWS = 200_000
CSV_BLOCK_BYTES = 4 << 20
TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "str": pa.large_string(),
    "datetime64[us]": pa.timestamp("us"),
}
"""Arrow's type of each dtype of a contract, as of a frame."""


@dataclass(frozen=True)
class RowGroups:
    """Consecutive row groups of a Parquet file, from row number `start` on."""

    numbers: tuple[int, ...]
    start: int
    rows: int


class ValueNotParsedError(Exception):
    """A value is not of its column's dtype; the file has to be read as text."""


def read_source(
    contract: Contract, path: Path, source: Source, columns: list[str] | None = None, *, as_text: bool = False
) -> Iterator[pa.RecordBatch]:
    """Batches of a CSV (plain or gzip) or Parquet file, with the contract's columns in its order.

    Parameters
    ----------
    path : a name that ends in .csv, .csv.gz or .parquet
    columns : those of the contract that the file has to have, and no others; default: all
    as_text : read every value as text, so that validation can name the rows that do not parse

    Raises
    ------
    ValueNotParsedError
        If a value is not of its column's dtype, such as 'n/a' among numbers, and not `as_text`.
    NoRowsError
        If the file has a header and no rows.
    SourceError
        If the file is empty, truncated, unreadable or has another delimiter.
    ContractError
        If a column is missing or unexpected.
    """
    rows = 0
    for batch in _read(contract, path, source, columns or list(contract.dtypes), as_text):
        rows += batch.num_rows
        yield batch
    if not rows:
        raise NoRowsError(f"{path}: a header and no rows; fetch it again")


def read_labels(contract: Contract, path: Path, source: Source) -> pd.DataFrame:
    """A whole file of labels, key and outcomes: typed, or all as text if one value does not parse.

    A header without rows is a valid file of labels: none is known yet.

    Raises
    ------
    SourceError, ContractError
        As `read_source`.
    """
    try:
        batches = list(_read(contract, path, source, contract.label_columns, as_text=False))
    except ValueNotParsedError:
        batches = list(_read(contract, path, source, contract.label_columns, as_text=True))
    if not batches:
        return frames.empty_frame(contract)[contract.label_columns]
    return pa.Table.from_batches(batches).to_pandas()


def _read(
    contract: Contract, path: Path, source: Source, columns: list[str], as_text: bool
) -> Iterator[pa.RecordBatch]:
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: empty file (0 bytes); fetch it again")
    fields = _to_fields(contract, columns, as_text)
    read = _read_parquet if path.suffix == ".parquet" else _read_csv
    with _explained(path, as_text):
        yield from read(contract, path, source, fields)


@contextmanager
def _explained(path: Path | str, as_text: bool) -> Iterator[None]:
    """Errors of Arrow as errors of this module."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if _is_conversion(error) and not as_text:
            raise ValueNotParsedError(str(error)) from error
        raise SourceError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 text: {error}; convert it") from error
    except OSError as error:
        raise SourceError(f"{path}: truncated or damaged: {error}; fetch it again") from error


def _to_fields(contract: Contract, columns: list[str], as_text: bool) -> pa.Schema:
    return pa.schema([(name, TYPES["str" if as_text else contract.dtypes[name]]) for name in columns])


def _read_csv(contract: Contract, path: Path, source: Source, fields: pa.Schema) -> Iterator[pa.RecordBatch]:
    parsing = pyarrow.csv.ParseOptions(delimiter=source.delimiter)
    with pyarrow.csv.open_csv(path, parse_options=parsing) as reader:
        check_columns(contract, path, reader.schema.names, fields.names, source.delimiter)
    conversion = pyarrow.csv.ConvertOptions(
        column_types=fields,
        include_columns=fields.names,
        null_values=source.null_values,
        strings_can_be_null=True,
    )
    reading = pyarrow.csv.ReadOptions(block_size=CSV_BLOCK_BYTES)
    with pyarrow.csv.open_csv(path, reading, parsing, conversion) as reader:
        yield from reader


def _read_parquet(contract: Contract, path: Path, source: Source, fields: pa.Schema) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        check_columns(contract, path, file.schema_arrow.names, fields.names, source.delimiter)
        for batch in file.iter_batches(BATCH_ROWS, columns=fields.names):
            yield batch.select(fields.names).cast(fields)


def may_be_copied(contract: Contract, path: Path, columns: list[str], max_rows: int) -> bool:
    """Whether a file is Parquet with at most so many rows, and its columns are the wanted ones in order and type."""
    if path.suffix != ".parquet" or path.stat().st_size == 0:
        return False
    with _explained(path, False), pq.ParquetFile(path) as file:
        wanted, found = _to_fields(contract, columns, False), file.schema_arrow
        types = [OWN_TYPES.get(each.type, each.type) for each in found]
        return found.names == columns and types == wanted.types and file.metadata.num_rows <= max_rows


def cut_row_groups(contract: Contract, path: Path, columns: list[str], rows_per_part: int) -> list[RowGroups]:
    """The row groups of a Parquet file in lists of about so many rows; empty if it is another file, or one list is all.

    Raises
    ------
    ContractError
        If a column is missing or unexpected.
    """
    if path.suffix != ".parquet" or path.stat().st_size == 0:
        return []
    with _explained(path, False), pq.ParquetFile(path) as file:
        check_columns(contract, path, file.schema_arrow.names, columns, ",")
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    found: list[RowGroups] = []
    start = rows = 0
    numbers: list[int] = []
    for number, size in enumerate(sizes):
        if numbers and rows + size > rows_per_part:
            found.append(RowGroups(tuple(numbers), start, rows))
            start, rows, numbers = start + rows, 0, []
        numbers.append(number)
        rows += size
    return [*found, RowGroups(tuple(numbers), start, rows)] if found else []


def read_row_groups(
    contract: Contract, uri: str, columns: list[str], row_groups: RowGroups, *, as_text: bool
) -> Iterator[pa.RecordBatch]:
    """Batches of some row groups of a Parquet file of any URI, as `read_source` gives them."""
    fs, path = open_filesystem(uri)
    fields = _to_fields(contract, columns, as_text)
    with _explained(uri, as_text), fs.open(path, "rb") as opened, pq.ParquetFile(opened) as file:
        for batch in file.iter_batches(BATCH_ROWS, row_groups=list(row_groups.numbers), columns=fields.names):
            yield batch.select(fields.names).cast(fields)


def check_columns(contract: Contract, path: Path | str, found: list[str], expected: list[str], delimiter: str) -> None:
    """Compare a header with the contract.

    Parameters
    ----------
    path : of the file, or the URI of another source
    expected : the contract's columns that the file has to have

    Raises
    ------
    SourceError
        If the header looks like one of another delimiter.
    ContractError
        If a column is missing, unexpected or there twice.
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
            ("not in the contract", [name for name in found if name not in contract.dtypes]),
            ("of another file", [name for name in found if name in contract.dtypes and name not in expected]),
            ("twice", sorted({name for name in found if found.count(name) > 1})),
        )
        if names
    ]
    if complaints:
        remedy = _explain_outcomes(contract, found, expected) or "fix the source or change contract.py"
        raise ContractError(f"{path}: columns {'; '.join(complaints)}; {remedy}")


def _explain_outcomes(contract: Contract, found: list[str], expected: list[str]) -> str:
    """The remedy if outcomes are in the source although [labels] uri is set, or the other way round."""
    outcomes = set(contract.outcomes)
    if outcomes & set(found) and not outcomes & set(expected):
        return 'outcomes come from [labels] uri: take them out of the source, or set that to ""'
    if outcomes <= set(expected) and not outcomes & set(found):
        return "add the outcomes, or name the file that has them in [labels] uri"
    return ""


def _is_conversion(error: Exception) -> bool:
    return any(mark in str(error) for mark in ("conversion error", "Failed to parse", "truncated", "Unsupported cast"))
