"""The contract that a table leads to: task, roles, ranges, key and split, with the reasons and the doubts."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import AdoptionError
from . import trial
from .choices import Choices
from .converting import Measures, parse
from .decisions import ID, Ask, Readings
from .profile import ColumnTally, Profile

POSITIVE = {"yes", "y", "true", "t", "1", "positive", "pos", "ja", "oui", "si", "sí", "malignant", "bad", "default"}
NEGATIVE = {"no", "n", "false", "f", "0", "negative", "neg", "nein", "non", "benign", "good", "none", "normal"}
AFTERWARDS = re.compile(
    r"(^|[\W_])(after|outcome|result|paid|closed|final|actual|resolved|refund|cancel\w*)", re.IGNORECASE
)
GROUP = re.compile(
    r"(^|[\W_])(patient|customer|client|user|subject|group|household|account|person)([\W_]?id)?s?$", re.IGNORECASE
)
MAX_CLASSES, FEW_INTEGERS, FEW_ROWS = 100, 20, 30
MANY_CATEGORIES = 100
SLICE_VALUES = range(2, 21)
MIN_HELD_OUT, MIN_HELD_OUT_SHARE, MAX_MONTHS = 100, 0.15, 600


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
    nullable: bool
    null_share: float = 0.0
    low: float | None = None
    high: float | None = None
    categories: int = 0


@dataclass(frozen=True)
class Split:
    """How rows are held out; `first_month` and `last_month` are those of the source."""

    kind: str
    first_month: str
    last_month: str
    held_out: int
    holdout_months: int = 1
    sentence: str = ""


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
    slices: list[str]
    split: Split
    example: dict[str, Any]
    reached: float = 0.0
    doubts: list[str] = field(default_factory=list)

    def names(self, *roles: str) -> list[str]:
        return [column.name for column in self.columns if column.role in roles]

    @property
    def dtypes(self) -> dict[str, str]:
        return {column.name: column.dtype for column in self.columns}


def choose_task(profile: Profile, readings: Readings, choices: Choices, ask: Ask) -> tuple[str, list[Any]]:
    """The task, and the classes of the target in order; of two the last is the positive one.

    Raises
    ------
    AdoptionError
        If the target fits no task, or not the one that was asked for.
    """
    tally = profile.columns[choices.target]
    column = readings.recipe.of(readings.recipe.target)
    where = f"column {choices.target!r}"
    if column.dtype.startswith("datetime"):
        raise AdoptionError(f"{where}: dates; a target is a number or a class, such as the days until then")
    counts: Counter[Any] = Counter()
    for value, count in (tally.counts or {}).items():
        typed = parse(pd.Series([value], dtype="str" if tally.kind == "text" else None), column).iloc[0]
        if pd.notna(typed):
            counts[typed if column.dtype == "str" else float(typed)] += count
    if column.dtype == "str":
        if choices.task == "regression":
            raise AdoptionError(f"{where}: text, and not numbers; leave --task out for classes")
        if tally.counts is None or len(counts) > MAX_CLASSES:
            raise AdoptionError(f"{where}: more than {MAX_CLASSES} different texts are no classes; group them first")
        task = "binary" if len(counts) == 2 else "multiclass"
    else:
        task = _task_of_numbers(tally, counts, choices, ask)
    if choices.task in {"binary", "multiclass"} and task != choices.task:
        raise AdoptionError(f"{where}: {len(counts) or 'many'} different values, which are not {choices.task}")
    if task == "regression":
        return task, []
    if len(counts) < 2:
        raise AdoptionError(f"{where}: {len(counts)} class only; two are wanted")
    classes = sorted(counts)
    if column.dtype != "str":
        return task, [int(value) if value.is_integer() else value for value in classes]
    return task, _positive_last(classes, counts) if task == "binary" else classes


def _task_of_numbers(tally: ColumnTally, counts: Counter[Any], choices: Choices, ask: Ask) -> str:
    are_whole = all(value.is_integer() for value in counts)
    classes = "binary" if len(counts) == 2 else "multiclass"
    if choices.task == "regression" or tally.counts is None:
        return "regression"
    if choices.task == classes and len(counts) <= MAX_CLASSES:
        return classes
    if tally.kind == "bool" or (are_whole and len(counts) == 2):
        return "binary"
    if not are_whole or len(counts) > FEW_INTEGERS or tally.known < 10 * len(counts):
        return "regression"
    question = f"{choices.target!r} has {len(counts)} different whole numbers; what are they, classes or quantities?"
    return ask(question, ["multiclass", "regression"], "--task")


def _positive_last(classes: list[Any], counts: Counter[Any]) -> list[Any]:
    for words, place in ((POSITIVE, 1), (NEGATIVE, 0)):
        named = [label for label in classes if str(label).strip().lower() in words]
        if len(named) == 1:
            other = next(label for label in classes if label != named[0])
            return [other, named[0]] if place else [named[0], other]
    return sorted(classes, key=lambda label: (-counts[label], label))


def make_plan(
    profile: Profile,
    readings: Readings,
    measures: Measures,
    choices: Choices,
    task: str,
    classes: list[Any],
    sample: pd.DataFrame,
    split: Split,
) -> Plan:
    """Everything that follows from the two passes; the leaks are looked for by `try_out`.

    Parameters
    ----------
    sample : converted rows
    """
    doubts = list(readings.doubts)
    key = _choose_key(profile, readings, measures, choices, doubts)
    group = _choose_group(profile, readings, choices, split, doubts)
    if split.kind != "time" and group:
        split = replace(split, kind="grouped")
    added = (
        [] if key != ["row_number"] else [Column("row_number", "int64", "key", "number of the row in its file", False)]
    )
    columns = added + [
        _describe(profile, readings, measures, choices, each.name, key, group, split, sample, doubts)
        for each in readings.recipe.columns
    ]
    plan = Plan(readings, measures, task, classes, columns, key, group, [], split, {}, doubts=doubts)
    _doubt_target(plan, profile, choices)
    _doubt_rows(plan, profile)
    return plan


def _choose_key(
    profile: Profile, readings: Readings, measures: Measures, choices: Choices, doubts: list[str]
) -> list[str]:
    """The first of the proposed keys that tells all rows apart, but for rows that are the same altogether."""
    for key, repeated in measures.repeated_keys.items():
        if repeated <= min(profile.repeated, 0.05 * profile.rows):
            if repeated:
                doubts.append(f"{repeated:,} rows repeat the key {', '.join(key)}; `validate` will quarantine them")
            return list(key)
        if choices.key:
            raise AdoptionError(
                f"--key {' '.join(map(repr, choices.key))}: {repeated:,} of {measures.rows:,} rows repeat one; "
                "name more columns, or leave it out and rows are numbered"
            )
    doubts.append(
        "no column tells the rows apart: `row_number`, their number in the file, is added as the key. A label that comes "
        "later in a file of its own needs a better one: --key"
    )
    return ["row_number"]


def choose_split(measures: Measures, this_month: str, doubts: list[str]) -> Split:
    """By time, if the rows span enough months without a gap; else by rows."""
    months = measures.months
    by_rows = Split("random", this_month, this_month, 0)
    if not months:
        return by_rows
    names = list(months)
    if len(names) == 1:
        doubts.append(
            f"all rows are of {names[0]}: with one month there is no split by time, and the time is a feature like others"
        )
        return by_rows
    tail = names[-1:]
    for name in reversed(names[:-1]):
        if pd.Period(name, "M") + 1 != pd.Period(tail[0], "M"):
            break
        tail.insert(0, name)
    rows = sum(months[name] for name in tail)
    if rows < measures.rows / 2 or len(tail) < 2 or len(tail) > MAX_MONTHS:
        doubts.append(
            f"rows lie in {len(names)} months from {names[0]} to {names[-1]}, too far apart for a file a month: there is no "
            "split by time, and the time is a feature like others"
        )
        return by_rows
    if len(tail) < len(names):
        left_out = measures.rows - rows
        doubts.append(
            f"there is no row of the month before {tail[0]}: {left_out:,} older rows are converted, and not used"
        )
    wanted = max(MIN_HELD_OUT_SHARE * rows, min(MIN_HELD_OUT, rows / 3))
    held_out, count = 0, 0
    for name in reversed(tail[1:]):
        if held_out >= wanted or held_out + months[name] > rows / 2:
            break
        held_out, count = held_out + months[name], count + 1
    if not count:
        doubts.append(
            f"more than half of the rows are of {tail[-1]}: there is no split by time, and the time is a feature like others"
        )
        return by_rows
    return Split("time", tail[0], tail[-1], held_out, count)


def _choose_group(profile: Profile, readings: Readings, choices: Choices, split: Split, doubts: list[str]) -> str:
    if choices.group:
        if split.kind == "time":
            doubts.append(f"--group {choices.group!r} is not used: rows are held out by time")
            return ""
        return readings.name_of(choices.group)
    if split.kind == "time":
        return ""
    for name, tally in profile.columns.items():
        distinct = len(tally.counts) if tally.counts is not None else 0
        if GROUP.search(name) and name != choices.target and not tally.nulls and 10 <= distinct <= tally.known / 1.5:
            doubts.append(f"rows of one {name!r} are held out together, or not at all; another column: --group")
            return readings.name_of(name)
    return ""


def _describe(
    profile: Profile,
    readings: Readings,
    measures: Measures,
    choices: Choices,
    name: str,
    key: list[str],
    group: str,
    split: Split,
    sample: pd.DataFrame,
    doubts: list[str],
) -> Column:
    """One column: its role, and the range that its values keep."""
    recipe = readings.recipe.of(name)
    source = recipe.sources[0]
    tally, dtype = profile.columns[source], recipe.dtype
    nulls = sum(counts[name] for counts in measures.nulls.values())
    is_text = dtype == "str"
    distinct = -1 if tally.counts is None else len(tally.counts)
    if name == readings.recipe.target:
        role = "target"
    elif name == readings.recipe.time and split.kind == "time":
        role = "time"
    elif source in choices.outcomes:
        role = "outcome"
    elif source in choices.features:
        role = "feature"
    else:
        role = _role_of(name, tally, dtype, key, group, sample, doubts)
    low = high = None
    if role in {"feature", "outcome", "target"} and dtype in {"int64", "float64"} and name in measures.lows:
        low, high = widen(float(measures.lows[name]), float(measures.highs[name]))
    described = name if readings.name_of(source) == source or len(recipe.sources) > 1 else f"{source!r} in the file"
    nullable = bool(nulls) or role in {"target", "outcome"}
    if dtype == "int64" and nullable:
        dtype = "float64"
    categories = distinct if is_text else 0
    return Column(
        name, dtype, role, described.strip("'") or name, nullable, nulls / max(measures.rows, 1), low, high, categories
    )


def _role_of(
    name: str, tally: ColumnTally, dtype: str, key: list[str], group: str, sample: pd.DataFrame, doubts: list[str]
) -> str:
    share = sample[name].nunique() / max(len(sample), 1)
    if not tally.known or (tally.counts is not None and len(tally.counts) == 1):
        doubts.append(
            f"{name!r}: the same in all rows; not used" if tally.known else f"{name!r}: no value at all; not used"
        )
        return "unused"
    if name in key and (len(key) == 1 or ID.search(name)):
        return "key"
    if name == group:
        return "unused"
    if dtype == "str" and share > 0.5:
        doubts.append(
            f"{name!r}: {share:.0%} of the texts are different, so they are no categories; not used (--feature keeps it)"
        )
        return "unused"
    if dtype == "int64" and ID.search(name) and share > 0.2:
        doubts.append(
            f"{name!r}: looks like an id, of which a model learns rows by heart; not used (--feature keeps it)"
        )
        return "unused"
    if dtype == "str" and (tally.counts is None or len(tally.counts) > MANY_CATEGORIES):
        count = "too many to count" if tally.counts is None else f"{len(tally.counts):,}"
        doubts.append(
            f"{name!r}: {count} categories; the model knows the 250 most frequent, and the API takes new ones as missing"
        )
    if AFTERWARDS.search(name):
        doubts.append(f"{name!r}: sounds like something that is known only afterwards; if so, --outcome {name!r}")
    return "feature"


def widen(low: float, high: float) -> tuple[float, float]:
    """A range with half its span of slack on both sides, in round numbers; it does not cross zero by that."""
    slack = (high - low) / 2 or abs(high) / 2 or 1.0
    step = 10.0 ** (math.floor(math.log10(slack)) - 1)
    wide = [math.floor((low - slack) / step) * step, math.ceil((high + slack) / step) * step]
    digits = max(0, -math.floor(math.log10(step)))
    wide_low, wide_high = (round(each, digits) for each in wide)
    return (max(wide_low, 0.0) if low >= 0 else wide_low), (min(wide_high, 0.0) if high <= 0 else wide_high)


def _doubt_target(plan: Plan, profile: Profile, choices: Choices) -> None:
    tally = profile.columns[choices.target]
    if tally.nulls:
        plan.doubts.append(
            f"{tally.nulls:,} rows have no {choices.target!r}: they are kept, scored, and not learned from"
        )
    counts = plan.measures.targets
    by_class = {label: sum(count for (_, value), count in counts.items() if value == label) for label in plan.classes}
    if rare := [f"{label} ({count:,})" for label, count in by_class.items() if count < FEW_ROWS]:
        plan.doubts.append(
            f"classes with few rows, of which little can be learned: {', '.join(rare)}; gather more, or join them"
        )
    if plan.task == "binary":
        plan.doubts.append(
            f"what is predicted is the probability of {plan.classes[1]!r} ({by_class[plan.classes[1]] / max(sum(by_class.values()), 1):.1%} "
            "of the rows); for the other one, turn CLASSES in contract.py around"
        )
    if plan.split.kind == "time":
        held_out = set(list(plan.measures.months)[-plan.split.holdout_months :])
        seen = {value for (month, value) in counts if month not in held_out}
        if late := [str(label) for label in plan.classes if label not in seen]:
            plan.doubts.append(
                f"classes that appear only in the months held out: {', '.join(late)}; no model has learned them"
            )


def _doubt_rows(plan: Plan, profile: Profile) -> None:
    if profile.repeated:
        plan.doubts.append(f"{profile.repeated:,} rows are the same as an earlier one: are they the same event?")
    if plan.measures.rejected:
        worst = "; ".join(f"{why} ({count:,})" for why, count in plan.measures.reasons.most_common(3))
        plan.doubts.append(
            f"{plan.measures.rejected:,} rows cannot be read and go to data/rejected.csv: {worst}; --text keeps a column as text"
        )
    if plan.measures.rows < 1000:
        plan.doubts.append(f"{plan.measures.rows:,} rows are few: figures will have wide intervals")
    if not plan.names("feature", "time"):
        raise AdoptionError("no column is left to learn from; name one by --feature")


def try_out(plan: Plan, sample: pd.DataFrame, choices: Choices, ask: Ask) -> None:
    """Look for leaks, set them aside as outcomes, and see what a model of the rest reaches."""
    target_name = plan.readings.recipe.target
    labelled = sample[sample[target_name].notna()]
    if plan.readings.recipe.time:
        labelled = labelled.sort_values(plan.readings.recipe.time)
    labelled = labelled.reset_index(drop=True)
    target = trial.code_target(labelled[target_name], plan.classes)
    leaf = min_samples_leaf(len(labelled))
    n_classes = len(plan.classes)
    leaks, strong = trial.find_leaks(labelled[plan.names("feature")], target, n_classes, leaf)
    unlabelled = sample[target_name].isna()
    if unlabelled.any():  # what is missing with the target comes with it
        for name in plan.names("feature"):
            if (sample[name].isna() == unlabelled).all():
                leaks[name] = 1.0
    for name, value in leaks.items():
        _set_aside(plan, name, value, choices, ask)
    for name, value in strong.items():
        if name not in leaks:
            plan.doubts.append(
                f"{name!r} alone reaches {value:.3f}, and so do others; it stays. Known only afterwards? --outcome {name!r}"
            )
    features = plan.names("feature", "time")
    if not features:
        raise AdoptionError("every column knows the target, as far as can be seen; keep one by --feature NAME")
    groups = labelled[plan.group] if plan.group else None
    is_ordered = plan.split.kind == "time"
    plan.reached = trial.try_model(
        labelled[features], target, n_classes, leaf, groups, time=plan.readings.recipe.time if is_ordered else ""
    )
    plan.slices = [
        column.name
        for column in plan.columns
        if column.role == "feature" and column.categories in SLICE_VALUES and column.name != "hour"
    ][:3]
    plan.example = _choose_example(plan, labelled)


def _set_aside(plan: Plan, name: str, value: float, choices: Choices, ask: Ask) -> None:
    source = plan.readings.recipe.of(name).sources[0]
    at = next(at for at, column in enumerate(plan.columns) if column.name == name)
    if source in choices.features:
        plan.doubts.append(f"{name!r} alone predicts the target ({value:.3f}), and stays a feature as you said")
        return
    answer = ask(
        f"{name!r} alone predicts the target ({value:.3f}): is it known only afterwards?",
        ["yes", "no"],
        f"--outcome or --feature {name!r}",
    )
    if answer == "no":
        return
    plan.doubts.append(
        f"likely leak: {name!r} alone predicts the target ({value:.3f}); it is set aside as an outcome. --feature {name!r} keeps it"
    )
    plan.columns[at] = replace(
        plan.columns[at], role="outcome", nullable=True, dtype=plan.columns[at].dtype.replace("int64", "float64")
    )


def min_samples_leaf(rows: int) -> int:
    """So many rows that a leaf is no chance, and leaves of them that a tree can be grown."""
    return int(np.clip(rows // 50, 5, 100))


def _choose_example(plan: Plan, sample: pd.DataFrame) -> dict[str, Any]:
    """The row with the fewest gaps, as JSON can hold it."""
    names = [column.name for column in plan.columns if column.role in {"time", "key", "feature"}]
    at = int(sample.isna().sum(axis=1).idxmin())
    example: dict[str, Any] = {}
    for name in names:
        value = 1 if name not in sample else sample.at[at, name]
        if pd.isna(value):
            example[name] = None
        elif isinstance(value, pd.Timestamp):
            example[name] = value.isoformat()
        else:
            example[name] = (
                value if isinstance(value, str) else {"int64": int, "float64": float}[plan.dtypes[name]](value)
            )
    return example
