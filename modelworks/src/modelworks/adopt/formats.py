"""How numbers and dates are written as text, and how they are parsed.

A format is a name: `int`, `point` (1.5), `comma` (1,5), `point, thousands` (1,234.5), `comma, thousands` (1.234,5),
`point, spaces` (1 234.5 or 1'234.5) and `comma, spaces` (1 234,5), each with or without a unit; or a date's parts with
the marks between them, such as `Y-m-d`, `d.m.Y` or `d-b-y`, where b is the name of a month and Q a quarter, each with
or without a time of day; or `unix s`, `unix ms`, `unix us` and `unix ns`, the time that has passed since 1970.
"""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from modelworks.adopt import units

NULLS = ["", "NA", "N/A", "n/a", "null", "NULL", "NaN", "nan", "?", "#N/A"]
"""Texts that mean "no value" in any column."""
NULLS_AMONG_NUMBERS = ["-", "--", ".", "None", "none"]
"""The same, among numbers and dates; a category may well be called so."""

_DIGITS = r"(?:0|[1-9]\d*)"
_THOUSANDS = r"(?:[1-9]\d{{0,2}}(?:{0}\d{{3}})+|0|[1-9]\d*)"
_SPACES = r"[ '\x{00a0}\x{2009}\x{202f}\x{2019}]"  # no-break and thin spaces, and a printed apostrophe
_THOUSANDS_OR_ZERO = rf"(?:(?:0|[1-9]\d{{0,2}})(?:{_SPACES}\d{{3}})+|0|[1-9]\d*)"  # some programs pad: 0 123
NUMBERS = {
    "int": r"[+-]?(?:0|[1-9]\d{0,18})",
    "point": rf"[+-]?(?:{_DIGITS}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?",
    "comma": rf"[+-]?(?:{_DIGITS}(?:,\d*)?|,\d+)(?:[eE][+-]?\d+)?",
    "point, thousands": rf"[+-]?{_THOUSANDS.format(',')}(?:\.\d*)?",
    "comma, thousands": rf"[+-]?{_THOUSANDS.format('[.]')}(?:,\d*)?",
    "point, spaces": rf"[+-]?{_THOUSANDS_OR_ZERO}(?:\.\d*)?",
    "comma, spaces": rf"[+-]?{_THOUSANDS_OR_ZERO}(?:,\d*)?",
}
_MONTHS = {
    1: "jan(?:uar)?y?|janv(?:ier)?|ene(?:ro)?",
    2: "feb(?:ruar)?y?|févr(?:ier)?|feb(?:rero)?",
    3: "mar(?:ch)?|märz?|mrz|mars|marzo",
    4: "apr(?:il)?|avr(?:il)?|abr(?:il)?",
    5: "may|mai|mayo",
    6: "june?|juni|juin|junio",
    7: "july?|juli|juil(?:let)?|julio",
    8: "aug(?:ust)?|août|ago(?:sto)?",
    9: "sept?(?:ember)?|septembre|septiembre",
    10: "oct(?:ober)?|okt(?:ober)?|octobre|octubre",
    11: "nov(?:ember)?|novembre|noviembre",
    12: "dec(?:ember)?|dez(?:ember)?|déc(?:embre)?|dic(?:iembre)?",
}
"""Names of the months in English, German, French and Spanish, short or whole."""
_PARTS = {
    "b": rf"(?P<name>(?i:{'|'.join(_MONTHS.values())}))\.?",
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
    for fmt in (
        *("Y-m-d", "Y/m/d", "Y.m.d", "d.m.Y", "d/m/Y", "m/d/Y", "d-m-Y", "m-d-Y", "d.m.y", "d/m/y", "m/d/y"),
        *("d-b-Y", "d-b-y", "d b Y", "d b y", "d. b Y", "b d, Y", "b d Y", "d/b/Y", "Y-b-d"),
    )
} | {
    "Ymd": r"(?P<year>(?:19|20)\d{2})(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])" + _TIME_OF_DAY + _OFFSET,
    "Y-m": r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])",
    "Y-b": rf"{_PARTS['Y']}-{_PARTS['b']}",
    "Y-Q": r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])",
    "b-Y": rf"{_PARTS['b']}[- ]{_PARTS['Y']}",
    "b-y": rf"{_PARTS['b']}[- ]{_PARTS['y']}",
}
YEAR_AND_PART = {"Y-m": "-", "Y-b": "-", "Y-Q": "-Q"}
"""Formats of a year and what follows it, with the mark between the two."""
_CLOCK = r"[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
ISO = rf"^\d{{4}}-\d{{2}}-\d{{2}}(?:[T ](?:[01]\d|2[0-3]):{_CLOCK})?$"
LEADING_ZEROS = "leading zeros"  # would lose something as a number, such as a postal code
LONG = "more than 19 digits"
CLOCK = "H:M"
YEAR = "Y"
"""Years as numbers, which nothing distinguishes from others: only where somebody says that they are the time."""
YEARS = (1700, 2200)
FORMATS = (
    NUMBERS
    | DATES
    | {
        LEADING_ZEROS: r"0\d+",
        LONG: r"[+-]?[1-9]\d{19,}",
        CLOCK: r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:\s*[AaPp][Mm])?",
    }
)

UNIX = {"unix s": 1, "unix ms": 1_000, "unix us": 1_000_000, "unix ns": 1_000_000_000}
"""Times since 1970, with their number in a second."""
UNIX_SPAN_S = (946_684_800, 4_102_444_800)
"""2000 to 2099: where such a time has to lie to be taken for one."""


def find_unix(low: int, high: int) -> str:
    """The format of times since 1970 that whole numbers of that range may be; "" if none."""
    first, last = UNIX_SPAN_S
    return next((fmt for fmt, per_second in UNIX.items() if first <= low / per_second <= high / per_second < last), "")


def match(texts: pd.Series, fmt: str) -> pd.Series:
    """Whether each text is written in a format; shape (n_rows,), bool."""
    # A hundred times as fast as pandas' own for a few hundred rows, and tables may have a thousand columns.
    hits = pc.match_substring_regex(pa.array(texts, pa.large_string(), from_pandas=True), f"^(?:{FORMATS[fmt]})$")
    return pd.Series(pc.fill_null(hits, False).to_numpy(zero_copy_only=False), texts.index)


def parse_numbers(texts: pd.Series, fmt: str, unit: str = "") -> pd.Series:
    """Numbers; what is not written in that format, or has another unit, is NaN."""
    plain, found = units.split_units(texts)
    plain = plain.where(match(plain, fmt) & found.isin(["", unit]))
    if "thousands" in fmt:
        plain = plain.str.replace("." if fmt.startswith("comma") else ",", "", regex=False)
    if "spaces" in fmt:
        plain = plain.str.replace(_SPACES.replace("\\x{", "\\u").replace("}", ""), "", regex=True)
    if fmt.startswith("comma"):
        plain = plain.str.replace(",", ".", regex=False)
    try:
        return pa.array(plain, pa.large_string(), from_pandas=True).cast(pa.float64()).to_pandas().set_axis(texts.index)
    except pa.ArrowInvalid:  # Arrow knows no plus, and no point at the end
        return pd.to_numeric(plain)


def parse_dates(texts: pd.Series, formats: list[str]) -> pd.Series:
    """Times without a zone, those with an offset in UTC; what is in none of the formats, or no date, is NaT."""
    if formats[0] in {*UNIX, YEAR}:
        return parse_whole(pd.to_numeric(texts.where(match(texts, "int"))), formats[0])
    found = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us]")
    for fmt in formats:
        hits = texts[found.isna() & match(texts, fmt)]
        if len(hits):
            times = _parse_iso(hits) if fmt == "Y-m-d" else None
            found.loc[hits.index] = _assemble(_extract(hits, fmt)) if times is None else times
    return found


def _parse_iso(texts: pd.Series) -> pd.Series | None:
    """Times as ISO 8601 has them, in a tenth of the time that other formats take; None if one is of another form."""
    values = pa.array(texts, pa.large_string())
    if not pc.all(pc.match_substring_regex(values, ISO)).as_py():
        return None
    try:
        return values.cast(pa.timestamp("us")).to_pandas().astype("datetime64[us]").set_axis(texts.index)
    except pa.ArrowInvalid:  # a day that does not exist, such as the 31st of February
        return None


def parse_whole(numbers: pd.Series, fmt: str) -> pd.Series:
    """Times of whole numbers, years or since 1970; NaT outside `YEARS` and `UNIX_SPAN_S`."""
    first, last = YEARS if fmt == YEAR else (second * UNIX[fmt] for second in UNIX_SPAN_S)
    known = numbers[numbers.notna() & (numbers >= first) & (numbers < last)].astype("int64")
    if fmt == YEAR:
        times = pd.to_datetime(known.astype("str"), format="%Y")
    else:
        times = pd.to_datetime(known, unit=fmt.removeprefix("unix "))
    return times.astype("datetime64[us]").reindex(numbers.index)


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
    if "name" in parts:
        parts = parts.assign(month=parts["name"].map(number_month))
    if "quarter" in parts:
        parts = parts.assign(month=3 * pd.to_numeric(parts["quarter"]) - 2)
    hour = pd.to_numeric(parts["hour"]).fillna(0)
    half = parts["half"].astype("str").str.lower()
    hour = hour.where(~half.isin(["am", "pm"]), hour % 12 + 12 * (half == "pm"))
    numbers = pd.DataFrame({
        "year": pd.to_numeric(parts["year"]),
        "month": pd.to_numeric(parts["month"]),
        "day": pd.to_numeric(parts["day"]).fillna(1),
    })
    days = pd.to_datetime(numbers, errors="coerce")
    second = parts["second"].str.replace(r"(\.\d{6})\d+", r"\1", regex=True)  # cut as everywhere else, not rounded
    seconds = (hour * 60 + pd.to_numeric(parts["minute"]).fillna(0)) * 60 + pd.to_numeric(second).fillna(0)
    seconds -= _offset(parts["offset"])
    return (days + pd.to_timedelta((seconds * 1_000_000).round(), unit="us")).where(hour < 24).astype("datetime64[us]")


def number_month(name: str) -> int:
    """Which month is called so; 0 for none."""
    found = (number for number, pattern in _MONTHS.items() if re.fullmatch(pattern, name, re.IGNORECASE))
    return next(found, 0)


def _offset(texts: pd.Series) -> pd.Series:
    """Seconds by which a zone is ahead of UTC."""
    if not texts.isin(["", "Z", "UTC"]).all():
        parts = texts.str.extract(r"(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})")
        seconds = (pd.to_numeric(parts["hours"]) * 60 + pd.to_numeric(parts["minutes"])).fillna(0) * 60
        return seconds.where(parts["sign"] != "-", -seconds)
    return pd.Series(0, index=texts.index)
