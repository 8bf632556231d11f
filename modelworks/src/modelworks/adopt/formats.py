"""How numbers and dates are written as text, and how they are parsed.

A format is a name: `int`, `point` (1.5), `comma` (1,5), `point, thousands` (1,234.5), `comma, thousands` (1.234,5), or
a date's parts with the marks between them, such as `Y-m-d` or `d.m.Y`, each with or without a time of day.
"""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

NULLS = ["", "NA", "N/A", "n/a", "null", "NULL", "NaN", "nan", "?", "#N/A"]
"""Texts that mean "no value" in any column."""
NULLS_AMONG_NUMBERS = ["-", "--", ".", "None", "none"]
"""The same, among numbers and dates; a category may well be called so."""

_DIGITS = r"(?:0|[1-9]\d*)"
_THOUSANDS = r"(?:[1-9]\d{{0,2}}(?:{0}\d{{3}})+|0|[1-9]\d*)"
NUMBERS = {
    "int": r"[+-]?(?:0|[1-9]\d{0,17})",
    "point": rf"[+-]?(?:{_DIGITS}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?",
    "comma": rf"[+-]?(?:{_DIGITS}(?:,\d*)?|,\d+)(?:[eE][+-]?\d+)?",
    "point, thousands": rf"[+-]?{_THOUSANDS.format(',')}(?:\.\d*)?",
    "comma, thousands": rf"[+-]?{_THOUSANDS.format('[.]')}(?:,\d*)?",
}
_PARTS = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<short>\d{2})",
    "m": r"(?P<month>0?[1-9]|1[0-2])",
    "d": r"(?P<day>0?[1-9]|[12]\d|3[01])",
}
_TIME_OF_DAY = (
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}(?:\.\d+)?))?\s*(?P<half>[AaPp][Mm])?)?"
)
_OFFSET = r"\s*(?P<offset>Z|UTC|[+-]\d{2}:?\d{2})?"


def _to_pattern(fmt: str) -> str:
    return "".join(_PARTS.get(letter, re.escape(letter)) for letter in fmt) + _TIME_OF_DAY + _OFFSET


DATES = {
    fmt: _to_pattern(fmt)
    for fmt in ("Y-m-d", "Y/m/d", "Y.m.d", "d.m.Y", "d/m/Y", "m/d/Y", "d-m-Y", "m-d-Y", "d.m.y", "d/m/y", "m/d/y")
} | {
    "Ymd": r"(?P<year>(?:19|20)\d{2})(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])" + _TIME_OF_DAY + _OFFSET,
    "Y-m": r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])",
}
LEADING_ZEROS = "leading zeros"
FORMATS = NUMBERS | DATES | {LEADING_ZEROS: r"0\d+"}  # would lose something as a number, such as a postal code


def match(texts: pd.Series, fmt: str) -> pd.Series:
    """Whether each text is written in a format; shape (n_rows,), bool."""
    # A hundred times as fast as pandas' own for a few hundred rows, and tables may have a thousand columns.
    hits = pc.match_substring_regex(pa.array(texts, pa.large_string(), from_pandas=True), f"^(?:{FORMATS[fmt]})$")
    return pd.Series(pc.fill_null(hits, False).to_numpy(zero_copy_only=False), texts.index)


def parse_numbers(texts: pd.Series, fmt: str) -> pd.Series:
    """Numbers; what is not written in that format is NaN."""
    plain = texts.where(match(texts, fmt))
    if "thousands" in fmt:
        plain = plain.str.replace("." if fmt.startswith("comma") else ",", "", regex=False)
    if fmt.startswith("comma"):
        plain = plain.str.replace(",", ".", regex=False)
    return pd.to_numeric(plain)


def parse_dates(texts: pd.Series, formats: list[str]) -> pd.Series:
    """Times without a zone, those with an offset in UTC; what is in none of the formats, or no date, is NaT."""
    found = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us]")
    for fmt in formats:
        hits = texts[found.isna() & match(texts, fmt)]
        if len(hits):
            found.loc[hits.index] = _assemble(_extract(hits, fmt))
    return found


def _extract(texts: pd.Series, fmt: str) -> pd.DataFrame:
    """The parts of dates that are all in one format, as text; "" for a part that is not there."""
    parts = pc.extract_regex(pa.array(texts, pa.large_string()), f"^(?:{DATES[fmt]})$")
    names = [field.name for field in parts.type]
    return pd.DataFrame({name: part.to_pandas() for name, part in zip(names, parts.flatten(), strict=True)}).set_axis(
        texts.index
    )


def _assemble(parts: pd.DataFrame) -> pd.Series:
    """Times from their parts as text."""
    for name in ("day", "hour", "minute", "second", "half", "offset"):
        if name not in parts:
            parts = parts.assign(**{name: ""})
    if "year" not in parts:  # of this century, or the last where that were years ahead
        short = pd.to_numeric(parts["short"])
        parts = parts.assign(year=short + 2000 - 100 * (short > (pd.Timestamp.now().year + 10) % 100))
    hour = pd.to_numeric(parts["hour"]).fillna(0)
    half = parts["half"].astype("str").str.lower()
    hour = hour.where(~half.isin(["am", "pm"]), hour % 12 + 12 * (half == "pm"))
    numbers = pd.DataFrame({
        "year": pd.to_numeric(parts["year"]),
        "month": pd.to_numeric(parts["month"]),
        "day": pd.to_numeric(parts["day"]).fillna(1),
    })
    days = pd.to_datetime(numbers, errors="coerce")
    seconds = (hour * 60 + pd.to_numeric(parts["minute"]).fillna(0)) * 60 + pd.to_numeric(parts["second"]).fillna(0)
    seconds -= _offset(parts["offset"])
    return (days + pd.to_timedelta((seconds * 1_000_000).round(), unit="us")).where(hour < 24).astype("datetime64[us]")


def _offset(texts: pd.Series) -> pd.Series:
    """Seconds by which a zone is ahead of UTC."""
    if not texts.isin(["", "Z", "UTC"]).all():
        parts = texts.str.extract(r"(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})")
        seconds = (pd.to_numeric(parts["hours"]) * 60 + pd.to_numeric(parts["minutes"])).fillna(0) * 60
        return seconds.where(parts["sign"] != "-", -seconds)
    return pd.Series(0, index=texts.index)
