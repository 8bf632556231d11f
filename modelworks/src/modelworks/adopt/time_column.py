"""The time of a row: one column, or its parts in several."""

import re

from modelworks.adopt.choices import Ask, Choices
from modelworks.adopt.column_profile import ColumnAccumulator
from modelworks.adopt.formats import find_unix
from modelworks.adopt.names import ID
from modelworks.adopt.profile import Profile
from modelworks.adopt.recipe import ColumnRecipe
from modelworks.errors import AdoptionError
from modelworks.wording import shorten

TIME_NAMES = re.compile(r"date|datum|time|zeit|stamp|month|monat|day|tag", re.IGNORECASE)
LATER_NAMES = re.compile(r"birth|geburt|dob|end|close|expir|due|after|updat|modif|deliver|arriv|return", re.IGNORECASE)
PARTS = [("year", "jahr"), ("month", "monat"), ("day", "tag"), ("hour", "stunde"), ("minute",)]
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
        return *_combine(columns, choices.time), []
    if dates := _find_dates(columns, profile, choices):
        time, warnings = _choose_date(dates, ask)
        parts = [time, *_find_clock(time, columns, profile, choices)]
    else:
        time, warnings = "", []
        parts = _find_parts([column.name for column in columns if column.name != choices.target])
    if not parts:
        return columns, "", _warn_of_unread_times(columns, profile, choices)
    if len(parts) == 1:
        return columns, time, warnings
    warnings.append(
        f"{', '.join(map(repr, parts))} are put together as the time; name another by --time, or none by --no-time"
    )
    return *_combine(columns, parts), warnings


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


def _find_parts(names: list[str]) -> list[str]:
    """Columns named as the parts of a time, from the year on; at least two, or none."""
    lower = {name.lower(): name for name in names}
    found = [next((lower[word] for word in words if word in lower), "") for words in PARTS]
    parts = found[: found.index("")] if "" in found else found
    return parts if len(parts) >= 2 else []


def _combine(columns: list[ColumnRecipe], parts: list[str]) -> tuple[list[ColumnRecipe], str]:
    by_name = {column.name: column for column in columns}
    first = by_name[parts[0]]
    written = first.formats if first.dtype == "datetime64[us]" and first.formats else ["Y-m-d"]
    name = "time" if "time" not in by_name or "time" in parts else "time_"
    combined = ColumnRecipe(name, parts, "datetime64[us]", written)
    return [combined, *(column for column in columns if column.name not in parts)], name
