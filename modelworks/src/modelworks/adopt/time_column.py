"""The time of a row: one column, or its parts in several."""

import re

from modelworks.adopt.choices import Ask, Choices
from modelworks.adopt.profile import Profile
from modelworks.adopt.recipe import ColumnRecipe
from modelworks.errors import AdoptionError
from modelworks.wording import shorten

TIME_NAMES = re.compile(r"date|datum|time|zeit|stamp|month|monat|day|tag", re.IGNORECASE)
LATER_NAMES = re.compile(r"birth|geburt|dob|end|close|expir|due|after|updat|modif|deliver|arriv|return", re.IGNORECASE)
PARTS = [("year", "jahr"), ("month", "monat"), ("day", "tag"), ("hour", "stunde"), ("minute",)]
MAX_NULL_SHARE = 0.01


def choose_time(
    columns: list[ColumnRecipe], profile: Profile, choices: Choices, ask: Ask
) -> tuple[list[ColumnRecipe], str, list[str]]:
    """The columns, with parts of a time combined, the name of the time or "", and warnings."""
    if len(choices.time) == 1:
        _check_is_time(choices.time[0], columns, profile)
        return columns, choices.time[0], []
    if choices.time:
        return *_combine(columns, choices.time), []
    if dates := _find_dates(columns, profile, choices):
        return columns, *_choose_date(dates, ask)
    parts = _find_parts([column.name for column in columns if column.name != choices.target])
    if not parts:
        return columns, "", []
    warning = f"{', '.join(map(repr, parts))} are put together as the time; name another by --time"
    return *_combine(columns, parts), [warning]


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


def _choose_date(dates: list[str], ask: Ask) -> tuple[str, list[str]]:
    if len(dates) == 1:
        return dates[0], []
    time = ask("Which column says when a row happened?", dates, "--time")
    others = shorten([each for each in dates if each != time])
    return time, [f"{time!r} is taken as the time of a row; others: {others}"]


def _find_parts(names: list[str]) -> list[str]:
    """Columns named as the parts of a time, from the year on; at least three, or none."""
    lower = {name.lower(): name for name in names}
    found = [next((lower[word] for word in words if word in lower), "") for words in PARTS]
    parts = found[: found.index("")] if "" in found else found
    return parts if len(parts) >= 3 else []


def _combine(columns: list[ColumnRecipe], parts: list[str]) -> tuple[list[ColumnRecipe], str]:
    by_name = {column.name: column for column in columns}
    first = by_name[parts[0]]
    written = first.formats if first.dtype == "datetime64[us]" and first.formats else ["Y-m-d"]
    name = "time" if "time" not in by_name or "time" in parts else "time_"
    combined = ColumnRecipe(name, parts, "datetime64[us]", written)
    return [combined, *(column for column in columns if column.name not in parts)], name
