"""How each column is read: what it is called, as what, and which one says when. Doubts are kept, and told."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches

from ..errors import AdoptionError
from . import forms
from .choices import Choices
from .profile import ColumnTally, Profile
from .reading import Layout
from .recipe import ColumnRecipe, Recipe

Ask = Callable[[str, list[str], str], str]
"""A question, its answers (the proposed one first) and the option that answers it beforehand."""

TAKEN = re.compile(r"reason|row|row_number|request_id|answered_at|model_version|probability(_.*)?|prediction|decision")
"""Columns of the pipeline's own, in quarantine, scores and the log of predictions."""
ID = re.compile(r"(^|[\W_])(id|ids|uuid|guid|key|index|unnamed|row|nr|no|number)([\W_]|$)|[a-z]I[Dd]$", re.IGNORECASE)
TIME_NAMES = re.compile(r"date|datum|time|zeit|stamp|month|monat|day|tag", re.IGNORECASE)
LATER_NAMES = re.compile(r"birth|geburt|dob|end|close|expir|due|after|updat|modif|deliver|arriv|return", re.IGNORECASE)
PARTS = [("year", "jahr"), ("month", "monat"), ("day", "tag"), ("hour", "stunde"), ("minute",)]
MAX_SHOWN = 5
MAX_KEY, MAX_KEYS = 5, 3


@dataclass
class Readings:
    """What is decided of the file, before all rows are read as that.

    Attributes
    ----------
    renamed : names of the contract by those of the file, where they differ
    """

    recipe: Recipe
    doubts: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)

    def name_of(self, source: str) -> str:
        """What a column of the file is called here."""
        return self.renamed.get(source, source)

    @property
    def parts(self) -> list[str]:
        """Columns of the file that were put together, and are gone."""
        return [name for column in self.recipe.columns if len(column.sources) > 1 for name in column.sources]


def check_names(profile: Profile, choices: Choices) -> None:
    """Make sure that every column that an option names is in the file.

    Raises
    ------
    AdoptionError
        If one is not, with the nearest names; or if the target has nothing to be learned.
    """
    for option, name in choices.named:
        if name not in profile.columns:
            near = get_close_matches(name, profile.columns, 3, 0.4) or list(profile.columns)[:MAX_SHOWN]
            raise AdoptionError(f"{option} {name!r}: no such column; there are {shorten(near)}")
    known = profile.columns[choices.target]
    if not known.known:
        raise AdoptionError(f"column {choices.target!r}: no row has a value, so there is nothing to learn")
    if known.counts is not None and len(known.counts) == 1:
        raise AdoptionError(
            f"column {choices.target!r}: {next(iter(known.counts))!r} in all rows; two values are wanted"
        )


def count(number: int, noun: str) -> str:
    """A number of things, such as "1 row" and "2 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shorten(names: list[str]) -> str:
    """Some names, and how many there are beside them."""
    shown = ", ".join(repr(name) for name in names[:MAX_SHOWN])
    return shown + (f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else "")


def read_as(profile: Profile, layout: Layout, choices: Choices, ask: Ask) -> Readings:
    """How to read each column, and which says when a row happened."""
    prefers_comma = layout.delimiter == ";" or any(map(_is_surely_comma, profile.columns.values()))
    doubts: list[str] = []
    columns = [_read_column(tally, prefers_comma, choices, ask, doubts) for tally in profile.columns.values()]
    columns, time = _choose_time(columns, profile, choices, ask, doubts)
    renamed = _rename(columns, doubts)
    columns = [
        ColumnRecipe(renamed.get(each.name, each.name), each.sources, each.dtype, each.forms) for each in columns
    ]
    target = renamed.get(choices.target, choices.target)
    _tell_of_nulls(profile, doubts)
    if layout.encoding != "utf-8":
        doubts.append(f"the file is not UTF-8; it is read as {layout.encoding}: look at its special letters")
    return Readings(Recipe(layout, columns, target, renamed.get(time, time) if time else ""), doubts, renamed)


def _is_surely_comma(tally: ColumnTally) -> bool:
    comma = tally.matched["comma"]
    return bool(tally.number_form(True)) and comma > max(tally.matched["point"], tally.matched["point, thousands"])


def _read_column(
    tally: ColumnTally, prefers_comma: bool, choices: Choices, ask: Ask, doubts: list[str]
) -> ColumnRecipe:
    name = tally.name
    as_is = {"int": "int64", "bool": "int64", "float": "float64", "date": "datetime64[us]"}
    if name in choices.texts or not tally.known:
        return ColumnRecipe(name, [name], "str", [])
    if tally.kind != "text":
        dtype = as_is[tally.kind]
        has_gaps = dtype == "int64" and (tally.nulls or name == choices.target)
        return ColumnRecipe(name, [name], "float64" if has_gaps else dtype, [])
    dates, is_sure = tally.date_forms(prefers_month_first=not prefers_comma)
    number = tally.number_form(prefers_comma)
    if dates and not (number and (dates != ["Ymd"] or name == choices.target)):
        if not is_sure:
            dates = [_ask_for_order(name, form, ask, doubts) for form in dates]
        if len(dates) > 1:
            doubts.append(f"{name!r}: dates in several forms, {shorten(dates)}; all are read")
        if tally.with_offset:
            doubts.append(f"{name!r}: {tally.with_offset:,} times with an offset; they are kept in UTC, without it")
        return ColumnRecipe(name, [name], "datetime64[us]", dates)
    if number:
        has_gaps = tally.nulls or tally.nulls_among_numbers or name == choices.target
        if "thousands" in number:
            doubts.append(
                f"{name!r}: numbers with a mark for thousands, such as {_example(tally, '.,')}; it is taken out"
            )
        return ColumnRecipe(name, [name], "int64" if number == "int" and not has_gaps else "float64", [number])
    if tally.matched[forms.LEADING_ZEROS]:
        doubts.append(f"{name!r}: numbers with leading zeros, such as {_example(tally, '0')}; they stay text")
    return ColumnRecipe(name, [name], "str", [])


def _example(tally: ColumnTally, marks: str) -> str:
    return repr(next((value for value in tally.counts or [] if any(mark in value[:-1] for mark in marks)), "..."))


def _ask_for_order(name: str, form: str, ask: Ask, doubts: list[str]) -> str:
    """Whether 1/2 is the first of February, where no value tells."""
    other = form.translate(str.maketrans("dm", "md"))
    if other not in forms.DATES:
        return form
    chosen = ask(
        f"{name!r}: no date tells whether the day or the month comes first; which form is it?", [form, other], "--yes"
    )
    doubts.append(f"{name!r}: read as {chosen}, and {form if chosen == other else other} would do as well: look at it")
    return chosen


def _choose_time(
    columns: list[ColumnRecipe], profile: Profile, choices: Choices, ask: Ask, doubts: list[str]
) -> tuple[list[ColumnRecipe], str]:
    """The columns, with parts of a time put together, and the name of the time, or ""."""
    by_name = {column.name: column for column in columns}
    parts = choices.time
    if len(parts) == 1:
        if by_name[parts[0]].dtype != "datetime64[us]":
            example = next(iter(profile.columns[parts[0]].counts or ["..."]))
            raise AdoptionError(
                f"--time {parts[0]!r}: not a date that can be read, such as {example!r}; write it as 2013-12-31, "
                "or name several columns: --time year --time month --time day"
            )
        return columns, parts[0]
    dates = [
        column.name
        for column in columns
        if column.dtype == "datetime64[us]"
        and column.name not in {choices.target, *choices.outcomes, *choices.features}
        and profile.columns[column.name].nulls <= 0.01 * profile.rows
    ]
    if not parts and dates:
        dates.sort(key=lambda name: (bool(LATER_NAMES.search(name)), not TIME_NAMES.search(name)))
        time = dates[0]
        if len(dates) > 1:
            time = ask("Which column says when a row happened?", dates, "--time")
            doubts.append(
                f"{time!r} is taken as the time of a row; others: {shorten([each for each in dates if each != time])}"
            )
        return columns, time
    if not parts:
        lower = {name.lower(): name for name in by_name if name != choices.target}
        found = [next((lower[word] for word in words if word in lower), "") for words in PARTS]
        parts = found[: found.index("")] if "" in found else found
        if len(parts) < 3:
            return columns, ""
        doubts.append(f"{', '.join(map(repr, parts))} are put together as the time; name another by --time")
    first = by_name[parts[0]]
    written = first.forms if first.dtype == "datetime64[us]" and first.forms else ["Y-m-d"]
    name = "time" if "time" not in by_name or "time" in parts else "time_"
    whole = ColumnRecipe(name, parts, "datetime64[us]", written)
    return [whole, *(column for column in columns if column.name not in parts)], name


def _rename(columns: list[ColumnRecipe], doubts: list[str]) -> dict[str, str]:
    """New names by old, of columns whose name the pipeline needs itself, or that have none."""
    names = {column.name for column in columns}
    renamed = {}
    for name in sorted(names):
        if name.strip() and not TAKEN.fullmatch(name):
            continue
        new = f"{name}_" if name.strip() else "unnamed"
        while new in names:
            new += "_"
        names.add(new)
        renamed[name] = new
        doubts.append(f"{name!r} is called {new!r} here: the pipeline has a column of that name, or it had none")
    return renamed


def _tell_of_nulls(profile: Profile, doubts: list[str]) -> None:
    counted: dict[str, list[str]] = {}
    for name, tally in profile.columns.items():
        for text in tally.null_texts:
            if text:
                counted.setdefault(text, []).append(name)
    for text, names in counted.items():
        doubts.append(f"{text!r} is read as no value, in {shorten(names)}")


def propose_keys(profile: Profile, readings: Readings, choices: Choices) -> list[list[str]]:
    """Sets of columns, in this order, that may tell all rows apart; names of the contract."""
    if choices.key:
        return [[readings.name_of(name) for name in choices.key]]
    rows = profile.rows
    excluded = {choices.target, *choices.outcomes, *([choices.group] if choices.group else [])}

    def is_unique(tally: ColumnTally) -> bool:
        return not tally.nulls and (tally.counts is None or len(tally.counts) >= 0.95 * rows)

    whole = {each.sources[0] for each in readings.recipe.columns if each.dtype in {"int64", "str"}} - excluded
    ids = [
        name
        for name in profile.columns
        if name in whole and ID.search(readings.name_of(name)) and is_unique(profile.columns[name])
    ]
    texts = [
        each.sources[0]
        for each in readings.recipe.columns
        if each.dtype == "str" and each.sources[0] in whole - set(ids) and is_unique(profile.columns[each.sources[0]])
    ]
    found = [[readings.name_of(name)] for name in (ids + texts)[:3]]
    if readings.recipe.time:
        found += _keys_with_time(profile, readings, whole)
    return found


def _keys_with_time(profile: Profile, readings: Readings, names: set[str]) -> list[list[str]]:
    """The time, and columns that make it unique in the sample: the fewest, and some more."""
    from .converting import convert

    time = readings.recipe.time
    sample, _ = convert(profile.sample, readings.recipe)
    candidates = sorted(readings.name_of(name) for name in names if not profile.columns[name].nulls)
    # Texts and ids rather than quantities, which tell rows apart by chance.
    candidates.sort(key=lambda name: readings.recipe.of(name).dtype != "str" and not ID.search(name))
    key, found = [time], []
    while len(key) <= MAX_KEY and candidates:
        if not sample.duplicated(key).any():
            found.append(list(key))  # all rows may need more than the sample
        best = min(candidates, key=lambda name: int(sample.duplicated([*key, name]).sum()))
        key.append(best)
        candidates.remove(best)
    return found[:MAX_KEYS]
