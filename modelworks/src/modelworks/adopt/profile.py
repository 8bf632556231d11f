"""The profile of a table, made in one pass: how values are written, how many are missing, which there are."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from modelworks.adopt import formats
from modelworks.errors import SourceError

MAX_DISTINCT = 10_000
MAX_DISTINCT_IN_ALL = 2_000_000
SAMPLE_ROWS = 50_000
SAMPLE_VALUES = 5_000_000
HASHED_ROWS = 20_000_000
MIN_SHARE = 0.99
"""Share of the values that have to be written like a number or a date for the column to be one."""
FEW = 100


@dataclass
class ColumnAccumulator:
    """Accumulates the profile of one column.

    Attributes
    ----------
    kind : "text" of CSV files; what Parquet says otherwise: int, float, bool, date or text
    nulls : rows without a value, `null_texts` of them by what stands there
    matched : rows by the format that they are written in; one row may match several
    counts : rows by their value; None where there are more than could be kept
    with_offset : rows with a time that has an offset to UTC
    """

    name: str
    kind: str
    max_distinct: int = MAX_DISTINCT
    rows: int = 0
    nulls: int = 0
    null_texts: Counter[str] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    with_offset: int = 0
    counts: Counter[Any] | None = field(default_factory=Counter)
    candidates: list[str] = field(default_factory=lambda: list(formats.FORMATS))

    @property
    def distinct(self) -> int:
        """How many different values there are; -1 for more than could be kept."""
        return -1 if self.counts is None else len(self.counts)

    @property
    def known(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    def add(self, values: pd.Series, counts: np.ndarray) -> None:
        """Add the different values of a batch, None for missing, and how many rows have each."""
        missing = values.isna() if self.kind != "text" else values.isna() | values.isin(formats.NULLS)
        self.rows += int(counts.sum())
        self.nulls += int(counts[missing].sum())
        if self.kind == "text":
            for text, count in zip(values[missing].fillna(""), counts[missing], strict=True):
                self.null_texts[text] += int(count)
        values, counts = values[~missing].reset_index(drop=True), counts[~missing]
        if self.counts is not None:
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                self.counts[value] += count
            if len(self.counts) > self.max_distinct:
                self.counts = None
        if self.kind == "text":
            self._match_formats(values, counts)

    def _match_formats(self, texts: pd.Series, counts: np.ndarray) -> None:
        among_numbers = texts.isin(formats.NULLS_AMONG_NUMBERS)
        for text, count in zip(texts[among_numbers], counts[among_numbers], strict=True):
            self.matched[f"null {text}"] += int(count)
        is_number = np.zeros(len(texts), dtype="bool")
        for fmt in self.candidates:
            # A date is no number, except in the format that has nothing between its parts.
            if fmt in formats.DATES and fmt != "Ymd" and is_number.all():
                continue
            hits = formats.match(texts, fmt).to_numpy()
            self.matched[fmt] += int(counts[hits].sum())
            is_number |= hits & (fmt in formats.NUMBERS)
        if any(self.matched[fmt] for fmt in formats.DATES):
            self.with_offset += int(counts[texts.str.contains(r"\d{2}:\d{2}.*(?:Z|UTC|[+-]\d{2}:?\d{2})$")].sum())
        if self.known >= FEW:
            # A date's format may first appear late in a file, but not in a column without dates.
            has_dates = any(self.matched[fmt] for fmt in formats.DATES)
            self.candidates = [
                fmt
                for fmt in self.candidates
                if (has_dates if fmt in formats.DATES else self.matched[fmt] > self.known / 2)
                or (fmt == formats.LEADING_ZEROS and self.matched["int"])
            ]

    @property
    def nulls_among_numbers(self) -> int:
        """How many values are texts that mean "no value" in a column of numbers."""
        return sum(count for fmt, count in self.matched.items() if fmt.startswith("null "))

    def number_format(self, prefers_comma: bool) -> str:
        """The format of most values, if it is that of nearly all; else ""."""
        point, comma = ["point", "point, thousands"], ["comma", "comma, thousands"]
        # 1,234 is a thousand where the comma is no decimal mark, and 1.234 where the point is none.
        order = ["int", *comma, "point", "point, thousands"] if prefers_comma else ["int", *point, *comma]
        best = max(order, key=lambda fmt: self.matched[fmt])
        enough = self.matched[best] >= MIN_SHARE * (self.known - self.nulls_among_numbers) > 0
        return best if enough and not self.matched[formats.LEADING_ZEROS] else ""

    def date_formats(self, prefers_month_first: bool) -> tuple[list[str], bool]:
        """The formats of nearly all values, one a mark between the parts, and whether day and month are certain."""
        by_marks: dict[str, list[str]] = {}
        for fmt in formats.DATES:
            if self.matched[fmt]:
                by_marks.setdefault("".join(sorted(fmt)), []).append(fmt)
        chosen, is_sure = [], True
        for same in by_marks.values():
            most = max(self.matched[fmt] for fmt in same)
            best = [fmt for fmt in same if self.matched[fmt] == most]
            is_sure = is_sure and (len(best) == 1 or "." in best[0])
            chosen.append(next((fmt for fmt in best if fmt.startswith("m") == prefers_month_first), best[0]))
        covered = sum(self.matched[fmt] for fmt in chosen)
        enough = covered >= MIN_SHARE * (self.known - self.nulls_among_numbers) > 0
        return (chosen, is_sure) if enough else ([], True)


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


def profile_table(batches: Iterable[pa.RecordBatch]) -> Profile:
    """Profile all rows, with memory for a part of them.

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
            accumulators = {each.name: ColumnAccumulator(each.name, kind_of(each), distinct) for each in batch.schema}
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
    merged = np.concatenate(hashes)
    return Profile(rows, accumulators, sample.table(), len(merged) - len(np.unique(merged)))


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
