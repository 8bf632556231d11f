"""The profile of one column: how its values are written, how many are missing, which there are."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from modelworks.adopt import formats, units

MAX_DISTINCT = 10_000
MIN_SHARE = 0.99
"""Share of the values that have to be written like a number or a date for the column to be one."""
FEW = 100
MAX_INT = 2**63 - 1
MAX_DIGITS = 18  # of any whole number of 64 bits, its sign included
MAX_EXACT_FLOAT = 2**53


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
    units : rows by the unit of their number, "" without one
    low, high : of the values that are whole numbers; None as long as there are none
    null_words : texts that mean "no value"
    """

    name: str
    kind: str
    max_distinct: int = MAX_DISTINCT
    null_words: list[str] = field(default_factory=lambda: formats.NULLS)
    rows: int = 0
    nulls: int = 0
    null_texts: Counter[str] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    with_offset: int = 0
    units: Counter[str] = field(default_factory=Counter)
    low: int | None = None
    high: int | None = None
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
        missing = values.isna() if self.kind != "text" else values.isna() | values.isin(self.null_words)
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
        elif self.kind == "int" and len(values):
            self._widen(values)

    def _widen(self, numbers: pd.Series) -> None:
        """Count whole numbers in."""
        low, high = int(numbers.min()), int(numbers.max())
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def _widen_by_texts(self, texts: pd.Series) -> None:
        """Count whole numbers in that are written as text, of up to 19 digits."""
        is_short = texts.str.len() <= MAX_DIGITS
        if is_short.any():
            self._widen(texts[is_short].astype("int64"))
        if not is_short.all():
            self._widen(texts[~is_short].map(int).astype("object"))

    def _match_formats(self, texts: pd.Series, counts: np.ndarray) -> None:
        among_numbers = texts.isin(formats.NULLS_AMONG_NUMBERS)
        for text, count in zip(texts[among_numbers], counts[among_numbers], strict=True):
            self.matched[f"null {text}"] += int(count)
        is_number = np.zeros(len(texts), dtype="bool")
        is_date: dict[str, np.ndarray] = {}
        may_be_numbers = any(fmt in formats.NUMBERS for fmt in self.candidates)
        plain, found = units.split_units(texts) if may_be_numbers else (texts, texts)
        for fmt in self.candidates:
            # A date is no number, except in the format that has nothing between its parts, and has one kind of marks.
            marks = "".join(sorted(fmt))
            is_other = np.logical_or.reduce([is_number, *(hits for same, hits in is_date.items() if same != marks)])
            if fmt in formats.DATES and fmt != "Ymd" and is_other.all():
                continue
            hits = formats.match(plain if fmt in formats.NUMBERS else texts, fmt).to_numpy()
            self.matched[fmt] += int(counts[hits].sum())
            is_number |= hits & (fmt in formats.NUMBERS)
            if fmt in formats.DATES:
                is_date[marks] = is_date.get(marks, False) | hits
            if fmt == "int" and hits.any():
                self._widen_by_texts(plain[hits])
        for unit, count in pd.Series(counts[is_number]).groupby(found[is_number].to_numpy()).sum().items():
            self.units[str(unit)] += int(count)
        if any(self.matched[fmt] for fmt in formats.DATES):
            self.with_offset += int(counts[texts.str.contains(r"\d{2}:\d{2}.*(?:Z|UTC|[+-]\d{2}:?\d{2})$")].sum())
        if self.known >= FEW:
            # A date's format may first appear late in a file, but not in a column without dates.
            has_dates = any(self.matched[fmt] for fmt in formats.DATES)
            self.candidates = [
                fmt
                for fmt in self.candidates
                if (has_dates if fmt in formats.DATES else self.matched[fmt] > self.known / 2)
                or (
                    fmt in {formats.LEADING_ZEROS, formats.LONG} and (self.matched["int"] or self.matched[formats.LONG])
                )
            ]

    @property
    def holds_years(self) -> bool:
        """Whether the values are whole numbers that may be years."""
        first, last = formats.YEARS
        is_whole = self.kind == "int" or self.number_format(prefers_comma=False) == "int"
        return is_whole and self.low is not None and self.high is not None and first <= self.low <= self.high < last

    @property
    def has_clock(self) -> bool:
        """Whether the values are times of day, without a date."""
        return self.matched[formats.CLOCK] >= MIN_SHARE * self.known > 0

    @property
    def nulls_among_numbers(self) -> int:
        """How many values are texts that mean "no value" in a column of numbers."""
        return sum(count for fmt, count in self.matched.items() if fmt.startswith("null "))

    @property
    def unit(self) -> str:
        """The unit of most numbers; a number without one may stand among them."""
        named = {unit: count for unit, count in self.units.items() if unit}
        best = max(named, key=named.__getitem__, default="")
        return best if named.get(best, 0) >= self.units[""] else ""

    @property
    def is_too_long(self) -> bool:
        """Whether these are whole numbers and some of them do not fit into 64 bits."""
        whole = self.matched["int"] + self.matched[formats.LONG]
        is_beyond = self.matched[formats.LONG] > 0 or max(abs(self.low or 0), abs(self.high or 0)) > MAX_INT
        return is_beyond and whole >= MIN_SHARE * self.known

    def number_format(self, prefers_comma: bool) -> str:
        """The format of most values, if it is that of nearly all; else ""."""
        best, share = self.nearest_number(prefers_comma)
        is_code = self.matched[formats.LEADING_ZEROS] or self.is_too_long
        return best if share >= MIN_SHARE and not is_code else ""

    def nearest_number(self, prefers_comma: bool) -> tuple[str, float]:
        """The format of a number that fits most values, and its share of them."""
        point = ["point", "point, thousands", "point, spaces"]
        comma = ["comma", "comma, thousands", "comma, spaces"]
        # 1,234 is a thousand where the comma is no decimal mark, and 1.234 where the point is none.
        order = ["int", *comma, "point", "point, thousands"] if prefers_comma else ["int", *point, *comma]
        best = max(order, key=lambda fmt: self.matched[fmt])
        others = sum(self.units.values()) - self.units[""] - self.units[self.unit] * bool(self.unit)
        known = self.known - self.nulls_among_numbers
        return best, max(0.0, (self.matched[best] - others) / known) if known else 0.0

    def date_formats(self, prefers_month_first: bool) -> tuple[list[str], bool]:
        """The formats of nearly all values, one a mark between the parts, and whether day and month are certain."""
        chosen, share = self.nearest_dates(prefers_month_first)
        if share < MIN_SHARE:
            return [], True
        best = [self._find_alternatives(fmt) for fmt in chosen]
        return chosen, all(len(same) == 1 or "." in same[0] for same in best)

    def nearest_dates(self, prefers_month_first: bool) -> tuple[list[str], float]:
        """The formats of dates that fit most values, one a mark between the parts, and their share of the values."""
        chosen: dict[str, str] = {}
        for fmt in formats.DATES:
            if self.matched[fmt]:
                best = self._find_alternatives(fmt)
                first = next((each for each in best if each.startswith("m") == prefers_month_first), best[0])
                chosen["".join(sorted(fmt))] = first
        covered = sum(self.matched[fmt] for fmt in chosen.values())
        known = self.known - self.nulls_among_numbers
        return list(chosen.values()), covered / known if known > 0 else 0.0

    def _find_alternatives(self, fmt: str) -> list[str]:
        """The formats with the same marks and parts that fit most values."""
        same = [each for each in formats.DATES if sorted(each) == sorted(fmt)]
        most = max(self.matched[each] for each in same)
        return [each for each in same if self.matched[each] == most]

    def find_others(self, fitting: list[str]) -> list[str]:
        """Frequent values that are in none of the formats; none where there are too many values to keep."""
        texts = pd.Series([value for value, _ in (self.counts or Counter()).most_common()], dtype="str")
        is_null = texts.isin(formats.NULLS_AMONG_NUMBERS)
        plain, _ = units.split_units(texts)
        hits = [formats.match(plain if fmt in formats.NUMBERS else texts, fmt) for fmt in fitting]
        return texts[~is_null & ~np.logical_or.reduce(hits)].tolist()[:3] if len(texts) else []
