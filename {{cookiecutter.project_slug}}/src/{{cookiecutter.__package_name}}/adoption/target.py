"""What is to be predicted: which kind of target it is, and its classes."""

from collections import Counter
from typing import Any

import pandas as pd

from ..errors import AdoptionError
from .choices import Choices
from .converting import parse
from .decisions import Ask, Readings, count
from .plan import Plan
from .profile import ColumnTally, Profile

POSITIVE = {"yes", "y", "true", "t", "positive", "pos", "ja", "oui", "si", "sí", "malignant", "bad", "default"}
NEGATIVE = {"no", "n", "false", "f", "negative", "neg", "nein", "non", "benign", "good", "none", "normal"}
MAX_CLASSES, FEW_INTEGERS, FEW_ROWS = 100, 20, 30


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
    is_text = column.dtype == "str"
    counts: Counter[Any] = Counter()
    for value, rows in (tally.counts or {}).items():
        typed = parse(pd.Series([value], dtype="str" if tally.kind == "text" else None), column).iloc[0]
        if pd.notna(typed):
            counts[typed if is_text else float(typed)] += rows
    if is_text:
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
    if not is_text:
        return task, [int(value) if value.is_integer() else value for value in classes]
    return task, _positive_last(classes, counts) if task == "binary" else classes


def _task_of_numbers(tally: ColumnTally, counts: Counter[Any], choices: Choices, ask: Ask) -> str:
    are_whole = all(value.is_integer() for value in counts)
    classes = "binary" if len(counts) == 2 else "multiclass"
    if choices.task == "regression" or tally.counts is None:
        return "regression"
    if choices.task == classes and len(counts) <= MAX_CLASSES:
        return classes
    if are_whole and len(counts) == 2:
        return "binary"
    if not are_whole or len(counts) > FEW_INTEGERS or tally.known < 10 * len(counts):
        return "regression"
    question = f"{choices.target!r} has {len(counts)} different whole numbers; what are they, classes or quantities?"
    return ask(question, ["multiclass", "regression"], "--task")


def _positive_last(classes: list[Any], counts: Counter[Any]) -> list[Any]:
    for words, place in ((POSITIVE, 1), (NEGATIVE, 0)):
        named = [label for label in classes if str(label).strip().lower() in words]
        if len(named) == 1:
            [other] = (label for label in classes if label != named[0])
            return [other, named[0]] if place else [named[0], other]
    return sorted(classes, key=lambda label: (-counts[label], label))


def doubt_target(plan: Plan, profile: Profile, choices: Choices) -> None:
    """Say what there is to say of the target: gaps, rare classes, late ones, and which one is predicted."""
    if nulls := profile.columns[choices.target].nulls:
        plan.doubts.append(
            f"{count(nulls, 'row')} without {choices.target!r}: kept and scored, and nothing is learned from them"
        )
    rows: Counter[Any] = Counter()
    for (_, value), number in plan.measures.targets.items():
        rows[value] += number
    if rare := [f"{label!r} ({rows[label]:,})" for label in plan.classes if rows[label] < FEW_ROWS]:
        plan.doubts.append(
            f"classes with few rows, of which little can be learned: {', '.join(rare)}; gather more, or join some"
        )
    if plan.task == "binary":
        positive = plan.classes[1]
        plan.doubts.append(
            f"the probability of {positive!r} is predicted ({rows[positive] / max(rows.total(), 1):.1%} of the rows); "
            "for the other one, turn CLASSES in contract.py around"
        )
    if plan.split.kind == "time":
        held_out = set(list(plan.measures.months)[-plan.split.holdout_months :])
        seen = {value for (month, value) in plan.measures.targets if month not in held_out}
        if late := [repr(label) for label in plan.classes if label not in seen]:
            plan.doubts.append(
                f"classes that only the held-out months have: {', '.join(late)}; no model has learned them"
            )
