"""The column whose rows belong together, such as the visits of one patient."""

import re

import pandas as pd

from modelworks.adopt.choices import NO_GROUP
from modelworks.adopt.column_profile import ColumnAccumulator
from modelworks.adopt.names import ID
from modelworks.adopt.plan import Table
from modelworks.adopt.splitting import Split

ENTITY = re.compile(
    r"(^|[\W_])(patient|customer|client|user|subject|group|household|account|person|member|employee|student|driver)"
    r"(?P<id>[\W_]?(id|no|nr|number|code|key))?(?P<many>s?)$",
    re.IGNORECASE,
)
MIN_GROUPS, MIN_REPEATED_SHARE = 10, 0.01
FEW_VALUES, MANY_ROWS = 50, 20
"""Whole numbers with so few values, each in so many rows, are rather quantities than ids."""
CONSTANT_SHARE = 0.9


def choose_group(table: Table, split: Split) -> tuple[str, list[str]]:
    """The column whose rows are held out together, or "", and warnings."""
    given, parsed = table.choices.group, table.parsed
    if split.kind == "time":
        is_unused = given and given != NO_GROUP
        return "", [f"--group {given!r} is not used: rows are held out by time"] if is_unused else []
    if given == NO_GROUP:
        return "", []
    if given:
        return parsed.name_of(given), []
    warnings = []
    for source, accumulator in _find_repeated(table).items():
        name = parsed.name_of(source)
        entity = ENTITY.search(source)
        if not entity:
            each = accumulator.known / accumulator.distinct
            warnings.append(
                f"{name!r}: {accumulator.distinct:,} different ids, each in {each:.1f} rows; rows are held out one by "
                f"one; where new rows are of new ones, --group {source!r}"
            )
        elif _is_quantity(table, name, entity, accumulator):
            warnings.append(f"{name!r} is taken as a quantity; --group {source!r} holds its rows out together")
        else:
            why = _describe_group(table, name, accumulator)
            return name, [
                f"rows of one {name!r} are held out together, or not at all ({why}); another column: --group, or "
                "--group none"
            ]
    return "", warnings


def _find_repeated(table: Table) -> dict[str, ColumnAccumulator]:
    """Columns that are called like an entity or an id, have no gaps, and whose values repeat; entities first."""
    excluded = {table.choices.target, *table.parsed.parts, *table.choices.features, *table.choices.outcomes}
    found = {
        name: each
        for name, each in table.profile.columns.items()
        if name not in excluded
        and (ENTITY.search(name) or ID.search(name))
        and not each.nulls
        and each.distinct >= MIN_GROUPS
        and each.known - each.distinct >= max(MIN_GROUPS, MIN_REPEATED_SHARE * each.known)
    }
    return dict(sorted(found.items(), key=lambda item: not ENTITY.search(item[0])))


def _is_quantity(table: Table, name: str, entity: re.Match[str], accumulator: ColumnAccumulator) -> bool:
    """Whether numbers count entities rather than naming one."""
    if table.parsed.recipe.find(name).dtype == "str" or entity["id"]:
        return False
    is_coarse = accumulator.distinct <= FEW_VALUES and accumulator.known >= MANY_ROWS * accumulator.distinct
    return bool(entity["many"]) or (is_coarse and not _find_constant(table.sample, name))


def _describe_group(table: Table, name: str, accumulator: ColumnAccumulator) -> str:
    text = f"{accumulator.distinct:,} in {accumulator.known:,} rows"
    constant = _find_constant(table.sample, name)
    return f"{text}, and {constant!r} is the same in all rows of one" if constant else text


def _find_constant(sample: pd.DataFrame, name: str) -> str:
    """A column that differs between groups and not within them; "" if there is none."""
    repeated = sample[sample[name].duplicated(keep=False)]
    for other in repeated.columns.drop(name):
        if (
            not repeated[other].eq(repeated[other].iloc[0]).all()
            and repeated.groupby(name)[other].nunique().le(1).mean() >= CONSTANT_SHARE
        ):
            return str(other)
    return ""
