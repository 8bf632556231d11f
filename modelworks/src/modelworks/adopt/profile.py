"""The profile of a table, made in one pass: how values are written, how many are missing, which there are."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from modelworks.adopt import formats
from modelworks.adopt.column_profile import FEW, MAX_DISTINCT, ColumnAccumulator
from modelworks.errors import SourceError

MAX_DISTINCT_IN_ALL = 2_000_000
SAMPLE_ROWS = 50_000
SAMPLE_VALUES = 5_000_000
HASHED_ROWS = 20_000_000


@dataclass
class Profile:
    """The profile of a whole table.

    Attributes
    ----------
    sample : every n-th row, as it is in the file
    repeated : rows that are the same as an earlier one; of very large tables, among the first rows
    """

    rows: int
    columns: dict[str, ColumnAccumulator]
    sample: pa.Table
    repeated: int


def profile_table(batches: Iterable[pa.RecordBatch], null_words: list[str] = formats.NULLS) -> Profile:
    """Profile all rows, with memory for a part of them.

    Parameters
    ----------
    null_words : texts that mean "no value" in any column

    Raises
    ------
    SourceError
        If there are no rows, or a column holds lists or other values that no column of the contract can hold.
    """
    accumulators: dict[str, ColumnAccumulator] = {}
    sample = _Sample()
    hashes: list[np.ndarray] = []
    rows = 0
    for batch in batches:
        if not accumulators:
            distinct = max(FEW, min(MAX_DISTINCT, MAX_DISTINCT_IN_ALL // batch.num_columns))
            accumulators = {
                each.name: ColumnAccumulator(each.name, kind_of(each), distinct, null_words) for each in batch.schema
            }
        total = np.zeros(batch.num_rows, dtype="uint64")
        for name, accumulator in accumulators.items():
            values, codes = encode(batch.column(name))
            accumulator.add(values, np.bincount(codes, minlength=len(values)))
            hashed = pd.util.hash_array(values.astype("str").to_numpy("object"), categorize=False)
            total = total * np.uint64(1_000_003) + hashed[codes]
        if rows < HASHED_ROWS:
            hashes.append(total)
        sample.add(batch, rows)
        rows += batch.num_rows
    if not rows:
        raise SourceError("a header and no rows")
    return Profile(rows, accumulators, sample.table(), count_repeated(np.concatenate(hashes)))


def count_repeated(hashes: np.ndarray) -> int:
    """How many hashes equal another one that is counted already."""
    # numpy's own `unique` puts integers into a hash table, which takes ten times as long as sorting millions of them.
    ordered = np.sort(hashes)
    return int((ordered[1:] == ordered[:-1]).sum())


def kind_of(column: pa.Field) -> str:
    """What a column of a file holds; text may turn out to be numbers or dates."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    tests = {
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null),
        "int": (pa.types.is_integer,),
        "float": (pa.types.is_floating, pa.types.is_decimal),
        "bool": (pa.types.is_boolean,),
        "date": (pa.types.is_date, pa.types.is_timestamp),
    }
    for name, are in tests.items():
        if any(test(kind) for test in are):
            return name
    raise SourceError(f"column {column.name!r} holds {column.type}; flatten it, or leave it out of the file")


def encode(column: pa.Array) -> tuple[pd.Series, np.ndarray]:
    """The different values of a column, None among them if one is missing, and where each row's stands."""
    kind = kind_of(pa.field("", column.type))
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kind == "text":
        column = pc.utf8_trim_whitespace(column.cast(pa.string()))
    elif kind == "float":
        column = column.cast(pa.float64())
    elif kind == "date":
        has_zone = pa.types.is_timestamp(column.type) and column.type.tz  # Arrow keeps those in UTC
        column = column.cast(pa.timestamp("us", "UTC" if has_zone else None), safe=False).cast(pa.timestamp("us"))
    encoded = column.dictionary_encode(null_encoding="encode")
    values = encoded.dictionary.to_pandas()
    if kind == "text":
        values = values.astype("str")
    elif kind in {"int", "bool"}:
        values = pd.Series(pd.array(encoded.dictionary.to_pylist(), dtype="object"))
    return values, encoded.indices.to_numpy(zero_copy_only=False).astype("int64")


class _Sample:
    """Every n-th row, where n doubles whenever there are too many."""

    def __init__(self) -> None:
        self._step = 1
        self._parts: list[tuple[np.ndarray, pa.RecordBatch]] = []

    def add(self, batch: pa.RecordBatch, first: int) -> None:
        wanted = min(SAMPLE_ROWS, SAMPLE_VALUES // batch.num_columns)
        at = np.arange(first, first + batch.num_rows)
        self._parts.append((at, batch))
        self._thin()
        while sum(len(each) for each, _ in self._parts) > wanted:
            self._step *= 2
            self._thin()

    def _thin(self) -> None:
        kept = [(at % self._step == 0, at, batch) for at, batch in self._parts]
        self._parts = [(at[hit], batch.filter(pa.array(hit))) for hit, at, batch in kept if hit.any()]

    def table(self) -> pa.Table:
        return pa.Table.from_batches([batch for _, batch in self._parts])
