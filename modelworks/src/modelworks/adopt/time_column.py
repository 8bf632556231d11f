"""The time of a row: one column, or its parts in several."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from modelworks.adopt.choices import Ask, Choices
from modelworks.adopt.column_profile import MIN_SHARE, ColumnAccumulator
from modelworks.adopt.formats import YEARS, find_unix, number_month
from modelworks.adopt.names import ID
from modelworks.adopt.profile import Profile
from modelworks.adopt.recipe import ColumnRecipe
from modelworks.errors import AdoptionError
from modelworks.wording import shorten

TIME_NAMES = re.compile(r"date|datum|time|zeit|stamp|month|monat|day|tag", re.IGNORECASE)
LATER_NAMES = re.compile(r"birth|geburt|dob|end|close|expir|due|after|updat|modif|deliver|arriv|return", re.IGNORECASE)
QUARTER = ("quarter", "quartal")
PARTS = [("year", "jahr"), ("month", "monat", *QUARTER), ("day", "tag"), ("hour", "stunde"), ("minute",)]
SPANS = [YEARS, (1, 12), (1, 31), (0, 24), (0, 59)]
"""The numbers that each part may be."""
YEAR_NAMES = re.compile(r"year|jahr|année|año", re.IGNORECASE)
MAX_NULL_SHARE = 0.01


def choose_time(
    columns: list[ColumnRecipe], profile: Profile, choices: Choices, ask: Ask
) -> tuple[list[ColumnRecipe], str, list[str]]:
    """The columns, with parts of a time combined, the name of the time or "", and warnings."""
    if choices.no_time:
        return columns, "", []
    if len(choices.time) == 1:
        _check_is_time(choices.time[0], columns, profile)
        return columns, choices.time[0], []
    if choices.time:
        return *_combine(columns, choices.time, profile), []
    if dates := _find_dates(columns, profile, choices):
        time, warnings = _choose_date(dates, ask)
        parts = [time, *_find_clock(time, columns, profile, choices)]
    else:
        time, warnings = "", []
        parts = _find_parts([column.name for column in columns if column.name != choices.target], profile)
    if not parts:
        return columns, "", _warn_of_unread_times(columns, profile, choices)
    if len(parts) == 1:
        return columns, time, warnings
    warnings.append(
        f"{', '.join(map(repr, parts))} are put together as the time; name another by --time, or none by --no-time"
    )
    return *_combine(columns, parts, profile), warnings


def _check_is_time(name: str, columns: list[ColumnRecipe], profile: Profile) -> None:
    if next(column for column in columns if column.name == name).dtype != "datetime64[us]":
        example = next(iter(profile.columns[name].counts or ["..."]))
        raise AdoptionError(
            f"--time {name!r}: not a date that can be read, such as {example!r}; write it as 2013-12-31, "
            "or name several columns: --time year --time month --time day"
        )


def _find_dates(columns: list[ColumnRecipe], profile: Profile, choices: Choices) -> list[str]:
    """Columns that may be the time, the likeliest first."""
    dates = [
        column.name
        for column in columns
        if column.dtype == "datetime64[us]"
        and column.name not in {choices.target, *choices.outcomes, *choices.features}
        and profile.columns[column.name].nulls <= MAX_NULL_SHARE * profile.rows
    ]
    return sorted(dates, key=lambda name: (bool(LATER_NAMES.search(name)), not TIME_NAMES.search(name)))


def _find_clock(date: str, columns: list[ColumnRecipe], profile: Profile, choices: Choices) -> list[str]:
    """The only column with a time of day, where the date has none; else nothing."""
    named = {choices.target, *choices.outcomes, *choices.features, *choices.texts}
    found = [
        each.name
        for each in columns
        if each.name not in named
        and profile.columns[each.name].has_clock
        and profile.columns[each.name].nulls <= MAX_NULL_SHARE * profile.rows
    ]
    days = profile.columns[date].counts
    has_days_only = days is not None and all(":" not in str(day).removesuffix(" 00:00:00") for day in days)
    return found if len(found) == 1 and has_days_only else []


def _warn_of_unread_times(columns: list[ColumnRecipe], profile: Profile, choices: Choices) -> list[str]:
    """Columns that look like a time and are not read as one: without it, rows are held out at random."""
    warnings = []
    for column in columns:
        accumulator = profile.columns[column.name]
        if column.name == choices.target or column.dtype.startswith("datetime") or not accumulator.known:
            continue
        is_id = ID.search(column.name)
        is_unix = column.dtype == "int64" and not is_id and find_unix(accumulator.low or 0, accumulator.high or 0)
        is_year = column.dtype == "int64" and YEAR_NAMES.fullmatch(column.name)
        sounds_so = column.dtype == "str" and TIME_NAMES.search(column.name) and _has_digits(accumulator)
        if is_unix or is_year:
            warnings.append(
                f"{column.name!r} may be the time of a row, and is not read as one, so rows are held out without "
                f"regard to time; --time {column.name!r} makes it the time"
            )
        elif sounds_so:
            example = next(iter(accumulator.counts or ["..."]))
            warnings.append(
                f"{column.name!r} sounds like a time, and texts such as {example!r} are not read as one, so rows are "
                "held out without regard to time; write it as 2013-12-31 in the file"
            )
    return warnings


def _has_digits(accumulator: ColumnAccumulator) -> bool:
    return any(letter.isdigit() for text in list(accumulator.counts or [])[:10] for letter in str(text))


def _choose_date(dates: list[str], ask: Ask) -> tuple[str, list[str]]:
    if len(dates) == 1:
        return dates[0], []
    time = ask("Which column says when a row happened?", dates, "--time")
    others = shorten([each for each in dates if each != time])
    return time, [f"{time!r} is taken as the time of a row; others: {others}"]


def _find_parts(names: list[str], profile: Profile) -> list[str]:
    """Columns named as the parts of a time, and with values of them, from the year on; at least two, or none."""
    lower = {name.lower(): name for name in names}
    parts: list[str] = []
    for words in PARTS:
        name = next((lower[word] for word in words if word in lower), "")
        if not name or _is_quarter(parts[-1:]) or not _is_part(profile, name, len(parts)):
            break
        parts.append(name)
    return parts if len(parts) >= 2 else []


def _is_quarter(names: list[str]) -> bool:
    return any(name.lower() in QUARTER for name in names)


def _is_part(profile: Profile, name: str, at: int) -> bool:
    """Whether nearly all rows have a value of the part at that place of `PARTS`."""
    accumulator = profile.columns[name]
    if accumulator.nulls > MAX_NULL_SHARE * profile.rows or not accumulator.known:
        return False
    first, last = SPANS[at]
    has_numbers = _are_mostly(accumulator, lambda value: first <= _to_number(value) <= last)
    return has_numbers or (at == 1 and _has_month_names(accumulator))


def _to_number(value: object) -> float:
    """A whole number, -1 for anything else."""
    try:
        number = float(str(value))
    except ValueError:
        return -1.0
    return number if number.is_integer() else -1.0


def _has_month_names(accumulator: ColumnAccumulator) -> bool:
    return _are_mostly(accumulator, lambda value: bool(number_month(str(value).removesuffix("."))))


def _are_mostly(accumulator: ColumnAccumulator, test: Callable[[object], bool]) -> bool:
    counts: Counter[Any] = accumulator.counts or Counter()
    return sum(rows for value, rows in counts.items() if test(value)) >= MIN_SHARE * accumulator.known > 0


def _combine(columns: list[ColumnRecipe], parts: list[str], profile: Profile) -> tuple[list[ColumnRecipe], str]:
    by_name = {column.name: column for column in columns}
    first = by_name[parts[0]]
    is_date = first.dtype == "datetime64[us]"
    written = (first.formats or ["Y-m-d"]) if is_date else [_find_format(parts, profile)]
    name = "time" if "time" not in by_name or "time" in parts else "time_"
    combined = ColumnRecipe(name, parts, "datetime64[us]", written)
    return [combined, *(column for column in columns if column.name not in parts)], name


def _find_format(parts: list[str], profile: Profile) -> str:
    """How the parts of a time are written when they are put together, year first."""
    for at, (name, words) in enumerate(zip(parts, PARTS, strict=False)):
        if not _is_part(profile, name, at):
            example = next(iter(profile.columns[name].counts or ["..."]))
            what = words[0] if at else "year, nor a date that can be read"
            raise AdoptionError(
                f"--time {name!r}: no {what}, such as {example!r}; name the parts of a time in this order: year, "
                "month, day, hour, minute; or a date and a time of day"
            )
    if _is_quarter(parts[1:2]):
        return "Y-Q"
    return ("Y-b" if _has_month_names(profile.columns[parts[1]]) else "Y-m") + "-d" * (len(parts) > 2)
