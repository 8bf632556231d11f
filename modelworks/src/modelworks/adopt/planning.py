"""From a table's profile and statistics to a plan: key, group, roles and ranges."""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from modelworks.adopt import ranges
from modelworks.adopt.grouping import choose_group
from modelworks.adopt.names import ID
from modelworks.adopt.plan import MANY_CATEGORIES, Plan, PlannedColumn, Role, Table
from modelworks.adopt.prose import FEW_CATEGORIES, MAX_DISTINCT_SHARE, count_distinct, is_prose
from modelworks.adopt.recipe import ColumnRecipe
from modelworks.adopt.splitting import Split
from modelworks.errors import AdoptionError
from modelworks.targets import Kind
from modelworks.wording import count

AFTERWARDS = re.compile(
    r"(^|[\W_])(after|outcome|result|paid|closed|final|actual|resolved|refund|cancel\w*|bezahlt|storn\w*|ergebnis)",
    re.IGNORECASE,
)
"""Names of columns that are likely known only after the event."""
FEW_ROWS = 1000
MAX_NEW_SHARE = 0.001
"""Of rows with a category that no other row has, above which the API has to take new ones."""
MAX_REPEATED_SHARE = 0.05


def make_plan(table: Table, task: Kind, classes: list[Any], split: Split, warnings: list[str]) -> Plan:
    """Everything that follows from both passes over the rows; `leaks.try_out` looks for leaks afterwards.

    Parameters
    ----------
    warnings : so far

    Raises
    ------
    AdoptionError
        If the key that was named repeats, or no column is left to learn from.
    """
    key, key_warnings = _choose_key(table)
    group, group_warnings = choose_group(table, split)
    if group:
        split = replace(split, kind="grouped")
    planned = [_plan_column(table, each, key, group) for each in table.parsed.recipe.columns]
    columns = [column for column, _ in planned]
    if key == ["row_number"]:
        columns.insert(0, PlannedColumn("row_number", "int64", "key", "number of the row in its file"))
    found = [*key_warnings, *group_warnings, *(each for _, more in planned for each in more), *_warn_of_rows(table)]
    plan = Plan(table.parsed.recipe, table.statistics, task, classes, columns, key, group, split, [*warnings, *found])
    if not plan.names_of("feature", "time"):
        raise AdoptionError(
            'no column is left to learn from; name one by --feature; images are columns with content="image" in '
            "contract.py, by hand"
        )
    return plan


def min_samples_leaf(rows: int) -> int:
    """Rows of a leaf: enough that it is no chance, and few enough that a tree has leaves."""
    return int(np.clip(rows // 50, 5, 100))


def _choose_key(table: Table) -> tuple[list[str], list[str]]:
    """The first of the proposed keys that identifies each row, except for rows equal in all columns; with warnings."""
    rows = table.statistics.rows
    for key, repeated in table.statistics.repeated_keys.items():
        if repeated <= min(table.profile.repeated, MAX_REPEATED_SHARE * rows):
            warning = f"{count(repeated, 'row')} with a repeated key; `validate` sets them aside"
            return list(key), [warning] if repeated else []
        if table.choices.key:
            raise AdoptionError(
                f"--key {', '.join(map(repr, table.choices.key))}: {repeated:,} of {rows:,} rows repeat one; "
                "name more columns, or leave it out and rows are numbered"
            )
    return ["row_number"], [
        "no column identifies the rows: their number in the file is added as the key, `row_number`. Labels that come "
        "later, in files of their own, need a better one: --key"
    ]


def _plan_column(table: Table, recipe: ColumnRecipe, key: list[str], group: str) -> tuple[PlannedColumn, list[str]]:
    """One column, with its role and the range of its values; and warnings."""
    statistics, name, dtype = table.statistics, recipe.name, recipe.dtype
    role, warnings = _choose_role(table, recipe, key, group)
    is_text = role == "feature" and dtype == "str" and is_prose(table.sample[name])
    low = high = None
    if role in {"feature", "outcome", "target"} and dtype in {"int64", "float64"} and name in statistics.lows:
        (low, high), more = _choose_range(table, recipe)
        warnings += more
    sources = " and ".join(each or "a column without a name" for each in recipe.sources)
    nulls = sum(counts[name] for counts in statistics.nulls.values())
    is_nullable = nulls > 0 or role in {"target", "outcome"}
    planned = PlannedColumn(
        name,
        "float64" if dtype == "int64" and is_nullable else dtype,
        role,
        description=name if recipe.sources == [name] else sources,
        nullable=is_nullable,
        null_share=nulls / max(statistics.rows, 1),
        low=low,
        high=high,
        categories=table.profile.columns[recipe.sources[0]].distinct if dtype == "str" and not is_text else 0,
        has_new_categories=dtype == "str" and not is_text and _share_seen_once(table, recipe) > MAX_NEW_SHARE,
        unit=recipe.unit,
        content="text" if is_text else "category",
    )
    return planned, warnings


def _choose_range(table: Table, recipe: ColumnRecipe) -> tuple[tuple[float | None, float | None], list[str]]:
    """The range of a column of numbers, open where it grows with time; and warnings."""
    name, time, sample = recipe.name, table.parsed.recipe.time, table.sample
    low, high = float(table.statistics.lows[name]), float(table.statistics.highs[name])
    if time and name != table.parsed.recipe.target and ranges.grows_with_time(sample[name], sample[time]):
        return (None, None), [
            f"{name!r} grows or falls with time, so later values are outside: its range is not checked"
        ]
    is_whole = recipe.dtype == "int64" or recipe.formats == ["int"]
    return ranges.choose_range(name, low, high, is_whole=is_whole) or (None, None), []


def _choose_role(table: Table, recipe: ColumnRecipe, key: list[str], group: str) -> tuple[Role, list[str]]:
    name, source, choices = recipe.name, recipe.sources[0], table.choices
    if name == table.parsed.recipe.target:
        return "target", []
    if name == table.parsed.recipe.time:
        return "time", []
    if source in choices.outcomes:
        return "outcome", []
    if source in choices.features:
        return "feature", []
    if name in key and (len(key) == 1 or ID.search(name)):
        return "key", []
    if reason := _why_empty(table, recipe):
        return "unused", [f"{name!r}: {reason}"]
    if name == group:
        return "unused", []
    if reason := _why_unused(table, recipe):
        return "unused", [f"{name!r}: {reason}"]
    return "feature", _warn_of_feature(table, recipe)


def _why_empty(table: Table, recipe: ColumnRecipe) -> str:
    """Why a column holds nothing to learn from; "" if it does."""
    accumulator = table.profile.columns[recipe.sources[0]]
    if not accumulator.distinct:
        return "no value at all; not used"
    if accumulator.distinct == 1 and not accumulator.nulls:  # of one value, gaps may be informative
        return "the same in all rows; not used"
    return ""


def _why_unused(table: Table, recipe: ColumnRecipe) -> str:
    """Why a model would learn a column by heart; "" if it would not."""
    distinct, share = count_distinct(table.sample[recipe.name])
    if recipe.dtype == "str" and is_prose(table.sample[recipe.name]):
        return ""
    if recipe.dtype == "str" and (share > 0.5 or (share > MAX_DISTINCT_SHARE and distinct > FEW_CATEGORIES)):
        return f"{share:.0%} of its texts differ, which are no categories; not used; --feature keeps it"
    if recipe.dtype == "int64" and ID.search(recipe.name) and share > MAX_DISTINCT_SHARE:
        return "an id, which a model would learn by heart; not used; --feature keeps it"
    return ""


def _share_seen_once(table: Table, recipe: ColumnRecipe) -> float:
    """Share of the rows whose category no other row has: by Good and Turing, how many rows will bring a new one."""
    counts = table.profile.columns[recipe.sources[0]].counts
    return 1.0 if counts is None else sum(rows == 1 for rows in counts.values()) / max(counts.total(), 1)


def _warn_of_feature(table: Table, recipe: ColumnRecipe) -> list[str]:
    name, distinct = recipe.name, table.profile.columns[recipe.sources[0]].distinct
    warnings = []
    if recipe.dtype == "str" and not 0 <= distinct <= MANY_CATEGORIES and not is_prose(table.sample[name]):
        many = f"{distinct:,}" if distinct > 0 else "too many to count"
        warnings.append(
            f"{name!r}: {many} categories; the model knows the 250 most frequent, and the API takes others as missing"
        )
    if AFTERWARDS.search(name):
        warnings.append(f"{name!r}: sounds like something that is known only afterwards; if so, --outcome {name!r}")
    return warnings


def _warn_of_rows(table: Table) -> list[str]:
    statistics, warnings = table.statistics, []
    if repeated := table.profile.repeated:
        warnings.append(f"{count(repeated, 'row')} the same as an earlier one: are they the same event?")
    if statistics.rejected:
        worst = "; ".join(f"{why} ({number:,})" for why, number in statistics.reasons.most_common(3))
        warnings.append(
            f"{count(statistics.rejected, 'row')} cannot be read, and will be in data/rejected.csv: {worst}; "
            "--text keeps a column as text"
        )
    if statistics.rows < FEW_ROWS:
        warnings.append(f"{statistics.rows:,} rows are few: figures will have wide intervals")
    return warnings
