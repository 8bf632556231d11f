"""The target: its task and classes, and warnings about it."""

from collections import Counter
from typing import Any

import pandas as pd

from modelworks.adopt.choices import Ask, Choices
from modelworks.adopt.column_profile import ColumnAccumulator
from modelworks.adopt.columns import ParsedColumns
from modelworks.adopt.conversion import parse
from modelworks.adopt.plan import Plan
from modelworks.adopt.profile import Profile
from modelworks.adopt.recipe import ColumnRecipe
from modelworks.errors import AdoptionError
from modelworks.targets import Kind
from modelworks.wording import count

POSITIVE = {"yes", "y", "true", "t", "positive", "pos", "ja", "oui", "si", "sí", "malignant", "bad", "default"}
NEGATIVE = {"no", "n", "false", "f", "negative", "neg", "nein", "non", "benign", "good", "none", "normal"}
MAX_CLASSES, FEW_INTEGERS, FEW_ROWS = 100, 20, 30


def choose_task(profile: Profile, parsed: ParsedColumns, choices: Choices, ask: Ask) -> tuple[Kind, list[Any]]:
    """The task, and the classes of the target in order; of two the last is the positive one.

    Raises
    ------
    AdoptionError
        If the target fits no task, or not the one that was asked for.
    """
    accumulator = profile.columns[choices.target]
    column = parsed.recipe.find(parsed.recipe.target)
    where = f"column {choices.target!r}"
    if column.dtype.startswith("datetime"):
        raise AdoptionError(f"{where}: dates; a target is a number or a class, such as the days until then")
    counts = _count_values(accumulator, column)
    is_text = column.dtype == "str"
    if is_text:
        task = _task_of_texts(accumulator, counts, choices)
    else:
        task = _task_of_numbers(accumulator, counts, choices, ask)
    if choices.task in {"binary", "multiclass"} and task != choices.task:
        raise AdoptionError(f"{where}: {len(counts) or 'many'} different values, which are not {choices.task}")
    if task == "regression":
        return task, []
    if len(counts) < 2:
        raise AdoptionError(f"{where}: {len(counts)} class only; two are wanted")
    classes = sorted(counts)
    if not is_text:
        return task, [int(value) if value.is_integer() else value for value in classes]
    return task, _positive_last(classes, counts) if task == "binary" else classes


def _count_values(accumulator: ColumnAccumulator, column: ColumnRecipe) -> Counter[Any]:
    """Rows by parsed value; empty where there are too many to count."""
    counts: Counter[Any] = Counter()
    dtype = "str" if accumulator.kind == "text" else None
    for value, rows in (accumulator.counts or {}).items():
        typed = parse(pd.Series([value], dtype=dtype), column, accumulator.null_words).iloc[0]
        if pd.notna(typed):
            counts[typed if column.dtype == "str" else float(typed)] += rows
    return counts


def _task_of_texts(accumulator: ColumnAccumulator, counts: Counter[Any], choices: Choices) -> Kind:
    where = f"column {choices.target!r}"
    if choices.task == "regression":
        raise AdoptionError(f"{where}: text, and not numbers; leave --task out for classes")
    if accumulator.counts is None or len(counts) > MAX_CLASSES:
        raise AdoptionError(f"{where}: more than {MAX_CLASSES} different texts are no classes; group them first")
    return "binary" if len(counts) == 2 else "multiclass"


def _task_of_numbers(accumulator: ColumnAccumulator, counts: Counter[Any], choices: Choices, ask: Ask) -> Kind:
    are_whole = all(value.is_integer() for value in counts)
    of_classes: Kind = "binary" if len(counts) == 2 else "multiclass"
    if choices.task == "regression" or accumulator.counts is None:
        return "regression"
    if choices.task == of_classes and len(counts) <= MAX_CLASSES:
        return of_classes
    if are_whole and len(counts) == 2:
        return "binary"
    if not are_whole or len(counts) > FEW_INTEGERS or accumulator.known < 10 * len(counts):
        return "regression"
    question = f"{choices.target!r} has {len(counts)} different whole numbers; what are they, classes or quantities?"
    return "multiclass" if ask(question, ["multiclass", "regression"], "--task") == "multiclass" else "regression"


def _positive_last(classes: list[Any], counts: Counter[Any]) -> list[Any]:
    for words, place in ((POSITIVE, 1), (NEGATIVE, 0)):
        named = [label for label in classes if str(label).strip().lower() in words]
        if len(named) == 1:
            [other] = (label for label in classes if label != named[0])
            return [other, named[0]] if place else [named[0], other]
    return sorted(classes, key=lambda label: (-counts[label], label))


def find_warnings(plan: Plan, profile: Profile, choices: Choices) -> list[str]:
    """Gaps, rare classes, classes that only the held-out periods have, and the class that is predicted."""
    warnings = []
    if nulls := profile.columns[choices.target].nulls:
        warnings.append(
            f"{count(nulls, 'row')} without {choices.target!r}: kept and scored, and no model is trained on them"
        )
    rows: Counter[Any] = Counter()
    for (_, value), number in plan.statistics.targets.items():
        rows[value] += number
    if rare := [f"{label!r} ({rows[label]:,})" for label in plan.classes if rows[label] < FEW_ROWS]:
        warnings.append(f"classes with too few rows to learn: {', '.join(rare)}; gather more, or join some")
    if plan.task == "binary":
        positive = plan.classes[1]
        warnings.append(
            f"the probability of {positive!r} is predicted ({rows[positive] / max(rows.total(), 1):.1%} of the rows); "
            "for the other one, swap negative and positive in contract.py"
        )
    if plan.split.kind == "time":
        held_out = set(list(plan.statistics.periods)[-plan.split.holdout :])
        seen = {value for (period, value) in plan.statistics.targets if period not in held_out}
        if late := [repr(label) for label in plan.classes if label not in seen]:
            warnings.append(
                f"classes that only the held-out periods have: {', '.join(late)}; no model has learned them"
            )
    return warnings
