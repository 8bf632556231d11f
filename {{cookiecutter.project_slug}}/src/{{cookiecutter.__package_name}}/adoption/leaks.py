"""Columns that know the target, and what a model of the others reaches."""

from dataclasses import replace
from typing import Any

import pandas as pd

from ..errors import AdoptionError
from . import trial
from .choices import Choices
from .decisions import Ask
from .plan import Plan, min_samples_leaf

SLICE_VALUES = range(2, 21)
MAX_SLICES = 3
LATER = 0.9
"""Share of rows in which a date lies after the row's own time, from which it is asked how it can be known."""


def try_out(plan: Plan, sample: pd.DataFrame, choices: Choices, ask: Ask) -> None:
    """Look for leaks, set them aside as outcomes, and see what a model of the rest reaches.

    Parameters
    ----------
    sample : converted rows
    """
    recipe = plan.readings.recipe
    is_known = sample[recipe.target].notna()
    labelled = sample[is_known]
    if recipe.time:
        labelled = labelled.sort_values(recipe.time)
    labelled = labelled.reset_index(drop=True)
    target = trial.code_target(labelled[recipe.target], plan.classes)
    leaf, n_classes = min_samples_leaf(len(labelled)), len(plan.classes)
    leaks, strong = trial.find_leaks(labelled[plan.names("feature")], target, n_classes, leaf)
    if not is_known.all():  # what is missing with the target comes with it
        leaks |= {name: 1.0 for name in plan.names("feature") if (sample[name].notna() == is_known).all()}
    for name, value in leaks.items():
        _set_aside(plan, name, value, choices, ask)
    for name, value in strong.items():
        if name not in leaks:
            plan.doubts.append(f"{name!r} alone reaches {value:.3f}; known only afterwards? --outcome {name!r}")
    _doubt_dates(plan, labelled)
    features = plan.names("feature", "time")
    if not features:
        raise AdoptionError("every column knows the target, as far as can be seen; keep one by --feature NAME")
    groups = labelled[plan.group] if plan.group else None
    plan.reached = trial.try_model(labelled[features], target, n_classes, leaf, groups, recipe.time)
    plan.slices = [
        column.name
        for column in plan.columns
        if column.role == "feature" and column.categories in SLICE_VALUES and column.name != "hour"
    ][:MAX_SLICES]
    plan.example = _choose_example(plan, labelled)


def _set_aside(plan: Plan, name: str, value: float, choices: Choices, ask: Ask) -> None:
    source = plan.readings.recipe.of(name).sources[0]
    if source in choices.features:
        plan.doubts.append(f"{name!r} alone predicts the target ({value:.3f}), and stays a feature as you said")
        return
    question = f"{name!r} alone predicts the target ({value:.3f}): is it known only afterwards?"
    if ask(question, ["yes", "no"], f"--outcome or --feature {source!r}") == "no":
        return
    plan.doubts.append(
        f"likely leak: {name!r} alone predicts the target ({value:.3f}); it is set aside as an outcome, which no model "
        f"sees. --feature {source!r} keeps it"
    )
    at = next(at for at, column in enumerate(plan.columns) if column.name == name)
    dtype = plan.columns[at].dtype.replace("int64", "float64")
    plan.columns[at] = replace(plan.columns[at], role="outcome", nullable=True, dtype=dtype)


def _doubt_dates(plan: Plan, sample: pd.DataFrame) -> None:
    time = plan.readings.recipe.time
    for name in plan.names("feature") if time else []:
        if not plan.dtypes[name].startswith("datetime") or not sample[name].notna().any():
            continue
        later = (sample[name] > sample[time])[sample[name].notna()].mean()
        if later >= LATER:
            plan.doubts.append(
                f"{name!r} lies after {time!r} in {later:.0%} of the rows: is it known then? If not, --outcome {name!r}"
            )


def _choose_example(plan: Plan, sample: pd.DataFrame) -> dict[str, Any]:
    """The row with the fewest gaps, as JSON can hold it."""
    at = int(sample.isna().sum(axis=1).idxmin())
    example: dict[str, Any] = {}
    for name in plan.names("time", "key", "feature"):
        value = 1 if name not in sample else sample.at[at, name]
        if pd.isna(value):
            example[name] = None
        elif isinstance(value, pd.Timestamp):
            example[name] = value.isoformat()
        elif isinstance(value, str):
            example[name] = value
        else:
            example[name] = int(value) if plan.dtypes[name] == "int64" else float(value)
    return example
