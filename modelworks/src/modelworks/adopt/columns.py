"""How each column of a file is parsed: its name, its dtype, and which one is the time of a row."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from modelworks.adopt import formats, time_column
from modelworks.adopt.choices import Ask, Choices
from modelworks.adopt.column_profile import MAX_EXACT_FLOAT, ColumnAccumulator
from modelworks.adopt.profile import Profile
from modelworks.adopt.reading import NAMELESS, Layout
from modelworks.adopt.recipe import ColumnRecipe, Recipe
from modelworks.errors import AdoptionError
from modelworks.wording import count, shorten

TAKEN = re.compile(r"reason|row|row_number|request_id|answered_at|model_version|probability(_.*)?|prediction|decision")
"""Columns of the engine's own, in quarantine, scores and the log of predictions."""
AS_IS = {"int": "int64", "bool": "int64", "float": "float64", "date": "datetime64[us]"}
"""Dtype of what Parquet types."""


UNIX_NAMES = re.compile(r"time|zeit|stamp|epoch|unix|date|(^|_)(ts|at|on)$", re.IGNORECASE)
"""Names of whole numbers that are times since 1970, if their range says so too."""
NEARLY = 0.8
"""Share of values that are numbers or dates from which a warning names the others."""


@dataclass(frozen=True)
class ParsedColumns:
    """How the columns of a file become those of the contract.

    Attributes
    ----------
    renamed : names of the contract by those of the file, where they differ
    """

    recipe: Recipe
    renamed: Mapping[str, str]
    warnings: list[str]

    def name_of(self, source: str) -> str:
        """The contract's name for a column of the file."""
        return self.renamed.get(source, source)

    @property
    def parts(self) -> list[str]:
        """Columns of the file that are combined into one, and are gone."""
        return [name for column in self.recipe.columns if len(column.sources) > 1 for name in column.sources]


def check_names(profile: Profile, choices: Choices) -> None:
    """Make sure that every column that an option names is in the file.

    Raises
    ------
    AdoptionError
        If one is not, with the nearest names; or if the target has nothing to learn.
    """
    for option, name in choices.named:
        if name not in profile.columns:
            near = get_close_matches(name, profile.columns, 3, 0.4) or list(profile.columns)
            raise AdoptionError(f"{option} {name!r}: no such column; there are {shorten(near[:5])}")
    target = profile.columns[choices.target]
    if not target.known:
        raise AdoptionError(f"column {choices.target!r}: no row has a value, so there is nothing to learn")
    if target.counts is not None and len(target.counts) == 1:
        words = [word for word in target.null_texts if word]
        advice = f'; if {shorten(words)} is a class: --null "" reads the empty text alone as no value' if words else ""
        raise AdoptionError(
            f"column {choices.target!r}: {next(iter(target.counts))!r} in all rows{' with a value' * bool(words)}; "
            f"two values are wanted{advice}"
        )


def parse_columns(profile: Profile, layout: Layout, choices: Choices, ask: Ask) -> ParsedColumns:
    """Decide how to parse each column, and which one is the time of a row."""
    prefers_comma = layout.delimiter == ";" or any(map(_is_surely_comma, profile.columns.values()))
    columns, warnings = [], []
    empty = [each for each in profile.columns.values() if each.name.startswith(NAMELESS) and not each.known]
    if empty:
        warnings.append(f"{count(len(empty), 'column')} without a name and without a value: left out")
    for accumulator in profile.columns.values():
        if accumulator in empty:
            continue
        column, more = _parse_column(accumulator, prefers_comma, choices, ask)
        columns.append(column)
        warnings += more
    columns, time, more = time_column.choose_time(columns, profile, choices, ask)
    renamed = _rename([column.name for column in columns])
    columns = [replace(each, name=renamed.get(each.name, each.name)) for each in columns]
    target = renamed.get(choices.target, choices.target)
    recipe = Recipe(layout, columns, target, renamed.get(time, time) if time else "", null_words=choices.null_words)
    warnings += more
    warnings += [
        f"{name!r} is called {new!r} here: the pipeline has a column of that name, or it had none"
        for name, new in renamed.items()
    ]
    warnings += _warn_of_nulls(profile) + _warn_of_header(profile)
    if layout.encoding != "utf-8":
        warnings.append(f"the file is not UTF-8; it is read as {layout.encoding}: look at its special letters")
    return ParsedColumns(recipe, renamed, warnings)


def _is_surely_comma(accumulator: ColumnAccumulator) -> bool:
    comma = accumulator.matched["comma"]
    return bool(accumulator.number_format(prefers_comma=True)) and comma > max(
        accumulator.matched["point"], accumulator.matched["point, thousands"]
    )


def _parse_column(
    accumulator: ColumnAccumulator, prefers_comma: bool, choices: Choices, ask: Ask
) -> tuple[ColumnRecipe, list[str]]:
    """Dtype and formats of a column, and warnings."""
    name = accumulator.name
    if name in choices.texts or not accumulator.known:
        return ColumnRecipe(name, [name], "str", []), []
    if fmt := _find_unix(accumulator, choices):
        warning = f"{name!r}: read as a time since 1970 ({fmt}), in UTC; --text {name!r} keeps it from being one"
        return ColumnRecipe(name, [name], "datetime64[us]", [fmt]), [warning]
    if choices.time == [name] and accumulator.holds_years:
        return ColumnRecipe(name, [name], "datetime64[us]", [formats.YEAR]), []
    if accumulator.kind != "text":
        return _take_as_typed(accumulator, is_target=name == choices.target)
    dates, is_sure = accumulator.date_formats(prefers_month_first=not prefers_comma)
    number = accumulator.number_format(prefers_comma)
    if dates and not (number and (dates != ["Ymd"] or name == choices.target)):
        return _parse_dates(accumulator, dates, is_sure, ask)
    if number:
        return _parse_numbers(accumulator, number, is_target=name == choices.target)
    return ColumnRecipe(name, [name], "str", []), _warn_of_text(accumulator, prefers_comma)


def _find_unix(accumulator: ColumnAccumulator, choices: Choices) -> str:
    """The format of whole numbers that are times since 1970, by their range and their name; "" if they are none."""
    name, low, high = accumulator.name, accumulator.low, accumulator.high
    is_whole = accumulator.kind == "int" or accumulator.number_format(prefers_comma=False) == "int"
    if not is_whole or low is None or high is None or name in {choices.target, *choices.features}:
        return ""
    sounds_like_time = name in choices.time or UNIX_NAMES.search(name)
    return formats.find_unix(low, high) if sounds_like_time else ""


def _take_as_typed(accumulator: ColumnAccumulator, *, is_target: bool) -> tuple[ColumnRecipe, list[str]]:
    """A column of Parquet."""
    name, dtype = accumulator.name, AS_IS[accumulator.kind]
    if dtype != "int64" or not (accumulator.nulls or is_target):
        return ColumnRecipe(name, [name], dtype, []), []
    return _take_gaps(accumulator, [], is_target=is_target)


def _take_gaps(accumulator: ColumnAccumulator, number: list[str], *, is_target: bool) -> tuple[ColumnRecipe, list[str]]:
    """Whole numbers with gaps: as floats, unless these cannot hold all their digits."""
    name = accumulator.name
    if not is_target and max(abs(accumulator.low or 0), abs(accumulator.high or 0)) > MAX_EXACT_FLOAT:
        warning = f"{name!r}: whole numbers with gaps, too long for floats, such as {accumulator.high}; they stay text"
        return ColumnRecipe(name, [name], "str", []), [warning]
    return ColumnRecipe(name, [name], "float64", number, accumulator.unit), []


def _warn_of_text(accumulator: ColumnAccumulator, prefers_comma: bool) -> list[str]:
    """Why a column is text although many of its values are numbers or dates."""
    name = accumulator.name
    if accumulator.matched[formats.LEADING_ZEROS]:
        return [f"{name!r}: numbers with leading zeros, such as {_example(accumulator, '0')}; they stay text"]
    if accumulator.is_too_long:
        return [f"{name!r}: whole numbers of more than 64 bits; they stay text"]
    number, share = accumulator.nearest_number(prefers_comma)
    dates, share_of_dates = accumulator.nearest_dates(prefers_month_first=not prefers_comma)
    what, share = ("numbers", share) if share >= share_of_dates else ("dates", share_of_dates)
    if share < NEARLY:
        return []
    others = accumulator.find_others([number] if what == "numbers" else dates)
    return [
        f"{name!r}: {share:.1%} of its values are {what}, and it stays text because of others, such as "
        f"{shorten(others)}; correct them in the file, or name them as no value by --null"
    ]


def _parse_dates(
    accumulator: ColumnAccumulator, dates: list[str], is_sure: bool, ask: Ask
) -> tuple[ColumnRecipe, list[str]]:
    name = accumulator.name
    warnings: list[str] = []
    if not is_sure:
        asked = [_ask_for_order(name, each, ask) for each in dates]
        dates = [chosen for chosen, _ in asked]
        warnings += [warning for _, warning in asked if warning]
    if len(dates) > 1:
        warnings.append(f"{name!r}: dates in several formats, {shorten(dates)}; all are read")
    if accumulator.with_offset:
        warnings.append(f"{name!r}: {accumulator.with_offset:,} times with an offset; they are kept in UTC, without it")
    return ColumnRecipe(name, [name], "datetime64[us]", dates), warnings


def _parse_numbers(accumulator: ColumnAccumulator, number: str, *, is_target: bool) -> tuple[ColumnRecipe, list[str]]:
    name = accumulator.name
    has_gaps = accumulator.nulls or accumulator.nulls_among_numbers or is_target
    warnings = []
    if "," in number:
        example = _example(accumulator, ".,' \u00a0\u2009\u202f\u2019")
        warnings.append(f"{name!r}: numbers with a mark for thousands, such as {example}; it is taken out")
    if accumulator.unit:
        warnings.append(f"{name!r}: numbers with the unit {accumulator.unit!r}, which is taken out")
    if number == "int" and has_gaps:
        column, more = _take_gaps(accumulator, [number], is_target=is_target)
        return column, warnings + more
    return ColumnRecipe(name, [name], "int64" if number == "int" else "float64", [number], accumulator.unit), warnings


def _example(accumulator: ColumnAccumulator, marks: str) -> str:
    return repr(next((value for value in accumulator.counts or [] if any(mark in value[:-1] for mark in marks)), "..."))


def _ask_for_order(name: str, date_format: str, ask: Ask) -> tuple[str, str]:
    """Whether 1/2 is the first of February, where no value shows it; with a warning, or ""."""
    other = date_format.translate(str.maketrans("dm", "md"))
    if other not in formats.DATES:
        return date_format, ""
    question = f"{name!r}: no date shows whether the day or the month comes first; which format is it?"
    chosen = ask(question, [date_format, other], "--yes")
    rejected = date_format if chosen == other else other
    return chosen, f"{name!r}: read as {chosen}, and {rejected} would do as well: look at it"


def _rename(names: list[str]) -> dict[str, str]:
    """New names by old, of columns that have none or whose name the engine needs."""
    taken, renamed = set(names), {}
    for name in sorted(taken):
        if name.strip() and not TAKEN.fullmatch(name):
            continue
        new = f"{name}_" if name.strip() else "unnamed"
        while new in taken:
            new += "_"
        taken.add(new)
        renamed[name] = new
    return renamed


def _warn_of_nulls(profile: Profile) -> list[str]:
    columns: dict[str, list[str]] = {}
    for name, accumulator in profile.columns.items():
        for text in accumulator.null_texts:
            if text:
                columns.setdefault(text, []).append(name)
    return [f"{text!r} is read as no value, in {shorten(names)}" for text, names in columns.items()]


def _warn_of_header(profile: Profile) -> list[str]:
    """Columns whose name is one of their texts: of a file without a header, or of several files in one."""
    found = {
        name: each.counts[name] if each.counts and name in each.counts else 0
        for name, each in profile.columns.items()
        if each.kind == "text"
    }
    names = [name for name, rows in found.items() if rows and not any(letter.isdigit() for letter in name)]
    if not names:
        return []
    rows = count(max(found[name] for name in names), "row")
    return [
        f"the first line says {shorten(names)}, and so {'does' if rows == '1 row' else 'do'} {rows}: if it is a row "
        "itself, write a line with the columns' names before it; if headers repeat within the file, remove them"
    ]
