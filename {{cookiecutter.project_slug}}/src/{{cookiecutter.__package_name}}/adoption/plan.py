"""The contract that a table leads to: key, roles and ranges, with the doubts that a person should look at."""

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import AdoptionError
from .choices import Choices
from .converting import Measures
from .decisions import ID, Readings, count
from .profile import Profile
from .recipe import ColumnRecipe
from .splitting import Split

AFTERWARDS = re.compile(
    r"(^|[\W_])(after|outcome|result|paid|closed|final|actual|resolved|refund|cancel\w*|bezahlt|storn\w*|ergebnis)",
    re.IGNORECASE,
)
"""Names of what is known only afterwards."""
GROUP = re.compile(
    r"(^|[\W_])(patient|customer|client|user|subject|group|household|account|person)([\W_]?id)?s?$", re.IGNORECASE
)
MANY_CATEGORIES = 100
FEW_ROWS = 1000
MAX_REPEATED_SHARE = 0.05


@dataclass(frozen=True)
class Evidence:
    """What is known of a table when its contract is made.

    Attributes
    ----------
    sample : converted rows
    """

    profile: Profile
    readings: Readings
    measures: Measures
    sample: pd.DataFrame
    choices: Choices


@dataclass(frozen=True)
class Column:
    """A column of the contract to be.

    Attributes
    ----------
    low, high : with slack; None where there is no range
    categories : how many there are of a text; 0 where it is none, -1 for too many to count
    """

    name: str
    dtype: str
    role: str
    description: str
    nullable: bool = False
    null_share: float = 0.0
    low: float | None = None
    high: float | None = None
    categories: int = 0


@dataclass
class Plan:
    """All that is written, and what there is to say of it.

    Attributes
    ----------
    reached : ROC-AUC or R² of the trial
    """

    readings: Readings
    measures: Measures
    task: str
    classes: list[Any]
    columns: list[Column]
    key: list[str]
    group: str
    split: Split
    doubts: list[str]
    slices: list[str] = field(default_factory=list)
    example: dict[str, Any] = field(default_factory=dict)
    reached: float = 0.0

    def names(self, *roles: str) -> list[str]:
        """Columns that play one of the roles."""
        return [column.name for column in self.columns if column.role in roles]

    @property
    def dtypes(self) -> dict[str, str]:
        return {column.name: column.dtype for column in self.columns}


def make_plan(evidence: Evidence, task: str, classes: list[Any], split: Split) -> Plan:
    """Everything that follows from two passes over the rows; leaks are looked for by `leaks.try_out`.

    Raises
    ------
    AdoptionError
        If the key that was named repeats, or no column is left to learn from.
    """
    doubts = evidence.readings.doubts
    key = _choose_key(evidence, doubts)
    group = _choose_group(evidence, split, doubts)
    if group:
        split = replace(split, kind="grouped")
    columns = [_describe(evidence, each, key, group, split, doubts) for each in evidence.readings.recipe.columns]
    if key == ["row_number"]:
        columns.insert(0, Column("row_number", "int64", "key", "number of the row in its file"))
    _doubt_rows(evidence, doubts)
    plan = Plan(evidence.readings, evidence.measures, task, classes, columns, key, group, split, doubts)
    if not plan.names("feature", "time"):
        raise AdoptionError(
            "no column is left to learn from; name one by --feature; texts and images that differ from row to row are "
            'no categories: they are columns with content="text" or "image" in contract.py, by hand'
        )
    return plan


def min_samples_leaf(rows: int) -> int:
    """So many rows that a leaf is no chance, and leaves of them that a tree can be grown."""
    return int(np.clip(rows // 50, 5, 100))


def widen(low: float, high: float) -> tuple[float, float]:
    """A range with half its span of slack on both sides, in round numbers; it does not cross zero by that."""
    slack = (high - low) / 2 or abs(high) / 2 or 1.0
    step = 10.0 ** (math.floor(math.log10(slack)) - 1)
    digits = max(0, -math.floor(math.log10(step)))
    wide_low = round(math.floor((low - slack) / step) * step, digits)
    wide_high = round(math.ceil((high + slack) / step) * step, digits)
    return (max(wide_low, 0.0) if low >= 0 else wide_low), (min(wide_high, 0.0) if high <= 0 else wide_high)


def _choose_key(evidence: Evidence, doubts: list[str]) -> list[str]:
    """The first of the proposed keys that tells all rows apart, but for rows that are the same altogether."""
    rows = evidence.measures.rows
    for key, repeated in evidence.measures.repeated_keys.items():
        if repeated <= min(evidence.profile.repeated, MAX_REPEATED_SHARE * rows):
            if repeated:
                doubts.append(f"{count(repeated, 'row')} with a repeated key; `validate` sets them aside")
            return list(key)
        if evidence.choices.key:
            raise AdoptionError(
                f"--key {', '.join(map(repr, evidence.choices.key))}: {repeated:,} of {rows:,} rows repeat one; "
                "name more columns, or leave it out and rows are numbered"
            )
    doubts.append(
        "no column tells the rows apart: their number in the file is added as the key, `row_number`. Labels that come "
        "later, in files of their own, need a better one: --key"
    )
    return ["row_number"]


def _choose_group(evidence: Evidence, split: Split, doubts: list[str]) -> str:
    """The column whose rows are held out together, or ""."""
    given, readings = evidence.choices.group, evidence.readings
    if split.kind == "time":
        if given:
            doubts.append(f"--group {given!r} is not used: rows are held out by time")
        return ""
    if given:
        return readings.name_of(given)
    for name, tally in evidence.profile.columns.items():
        is_likely = GROUP.search(name) and not tally.nulls and name not in {evidence.choices.target, *readings.parts}
        if is_likely and 10 <= tally.distinct <= tally.known / 1.5:
            doubts.append(f"rows of one {name!r} are held out together, or not at all; another column: --group")
            return readings.name_of(name)
    return ""


def _describe(
    evidence: Evidence, recipe: ColumnRecipe, key: list[str], group: str, split: Split, doubts: list[str]
) -> Column:
    """One column: its role, and the range that its values keep."""
    measures, name, dtype = evidence.measures, recipe.name, recipe.dtype
    nulls = sum(counts[name] for counts in measures.nulls.values())
    role = _role_of(evidence, recipe, key, group, split, doubts)
    low = high = None
    if role in {"feature", "outcome", "target"} and dtype in {"int64", "float64"} and name in measures.lows:
        low, high = widen(float(measures.lows[name]), float(measures.highs[name]))
    source = recipe.sources[0]
    description = (
        name if recipe.sources == [name] else " and ".join(each or "a column without a name" for each in recipe.sources)
    )
    is_nullable = nulls > 0 or role in {"target", "outcome"}
    return Column(
        name,
        "float64" if dtype == "int64" and is_nullable else dtype,
        role,
        description,
        is_nullable,
        nulls / max(measures.rows, 1),
        low,
        high,
        evidence.profile.columns[source].distinct if dtype == "str" else 0,
    )


def _role_of(
    evidence: Evidence, recipe: ColumnRecipe, key: list[str], group: str, split: Split, doubts: list[str]
) -> str:
    name, source = recipe.name, recipe.sources[0]
    tally, choices = evidence.profile.columns[source], evidence.choices
    if name == evidence.readings.recipe.target:
        return "target"
    if name == evidence.readings.recipe.time:
        return "time"
    if source in choices.outcomes:
        return "outcome"
    if source in choices.features:
        return "feature"
    if name in key and (len(key) == 1 or ID.search(name)):
        return "key"
    if not tally.distinct or (tally.distinct == 1 and not tally.nulls):  # of one value, gaps may tell something
        doubts.append(f"{name!r}: {'the same in all rows' if tally.distinct else 'no value at all'}; not used")
        return "unused"
    if name == group:
        return "unused"
    share = evidence.sample[name].nunique() / max(len(evidence.sample), 1)
    if recipe.dtype == "str" and share > 0.5:
        doubts.append(
            f"{name!r}: {share:.0%} of its texts differ, which are no categories; not used; --feature keeps it"
        )
        return "unused"
    if recipe.dtype == "int64" and ID.search(name) and share > 0.2:
        doubts.append(f"{name!r}: an id, which a model would learn by heart; not used; --feature keeps it")
        return "unused"
    if recipe.dtype == "str" and not 0 <= tally.distinct <= MANY_CATEGORIES:
        many = f"{tally.distinct:,}" if tally.distinct > 0 else "too many to count"
        doubts.append(
            f"{name!r}: {many} categories; the model knows the 250 most frequent, and the API takes others as missing"
        )
    if AFTERWARDS.search(name):
        doubts.append(f"{name!r}: sounds like something that is known only afterwards; if so, --outcome {name!r}")
    return "feature"


def _doubt_rows(evidence: Evidence, doubts: list[str]) -> None:
    measures = evidence.measures
    if repeated := evidence.profile.repeated:
        doubts.append(f"{count(repeated, 'row')} the same as an earlier one: are they the same event?")
    if measures.rejected:
        worst = "; ".join(f"{why} ({number:,})" for why, number in measures.reasons.most_common(3))
        doubts.append(
            f"{count(measures.rejected, 'row')} cannot be read, and will be in data/rejected.csv: {worst}; "
            "--text keeps a column as text"
        )
    if measures.rows < FEW_ROWS:
        doubts.append(f"{measures.rows:,} rows are few: figures will have wide intervals")
