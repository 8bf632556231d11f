"""Columns that reveal the target, and what a model of the others reaches."""

from dataclasses import replace
from typing import Any

import pandas as pd

from modelworks.adopt import trial
from modelworks.adopt.choices import Ask, Choices
from modelworks.adopt.plan import Plan
from modelworks.adopt.planning import min_samples_leaf
from modelworks.adopt.rolling_trial import run_trial
from modelworks.errors import AdoptionError
from modelworks.evaluation.single_column import LATER_SHARE, share_later
from modelworks.models.types import tfidf
from modelworks.wording import shorten

SLICE_VALUES = range(2, 21)
MAX_SLICES = 3
MIN_MISSING = 5
"""Rows without a target from which it says something that a column is missing in the same ones."""


def try_out(plan: Plan, sample: pd.DataFrame, choices: Choices, ask: Ask) -> Plan:
    """Look for leaks, set them aside as outcomes, and try a model of the rest.

    Parameters
    ----------
    sample : converted rows
    """
    is_known = sample[plan.recipe.target].notna()
    labelled = _sort(sample[is_known], plan.recipe.time)
    leaf = min_samples_leaf(len(labelled))
    texts = plan.contract.documents
    leaks, strong = trial.find_leaks(
        plan.contract, labelled, [name for name in plan.names_of("feature") if name not in texts], leaf
    )
    for name, value in leaks.items():
        why = f"alone predicts the target ({value:.3f})"
        plan = _set_aside(plan, name, why, f"likely leak: {name!r} {why}", choices, ask)
    if (~is_known).sum() >= MIN_MISSING:
        for name in plan.names_of("feature"):
            if (sample[name].notna() == is_known).all():
                why = f"is missing in the same rows as {plan.recipe.target!r}, so the two arrive together"
                plan = _set_aside(plan, name, why, f"{name!r} {why}", choices, ask)
    plan = plan.warn(
        *(
            f"{name!r} alone reaches {value:.3f}; known only afterwards? --outcome {name!r}"
            for name, value in strong.items()
            if name not in leaks
        ),
        *_warn_of_dates(plan, labelled),
    )
    features = plan.names_of("feature", "time")
    if not features:
        raise AdoptionError("every column knows the target, as far as can be seen; keep one by --feature NAME")
    holdout = plan.split.holdout if plan.split.kind == "time" else 0
    plan = replace(plan, trial=run_trial(plan.contract, labelled, features, leaf, holdout, plan.recipe.period))
    if plan.trial.model_type != tfidf.NAME and (unused := [name for name in features if name in texts]):
        plan = plan.leave_out(unused).warn(f"texts in {shorten(unused)} do not make a trial better; not used")
    return replace(plan, slices=_choose_slices(plan), example=_choose_example(plan, labelled))


def _sort(rows: pd.DataFrame, time: str) -> pd.DataFrame:
    return (rows.sort_values(time) if time else rows).reset_index(drop=True)


def _set_aside(plan: Plan, name: str, why: str, warning: str, choices: Choices, ask: Ask) -> Plan:
    """The plan with a column as an outcome, unless somebody keeps it or no other feature is left."""
    source = plan.recipe.find(name).sources[0]
    if source in choices.features:
        return plan.warn(f"{name!r} {why}, and stays a feature as you said")
    if plan.names_of("feature", "time") == [name]:
        return plan.warn(f"{name!r} {why}, and stays, since no other feature is left: is it known only afterwards?")
    question = f"{name!r} {why}: is it known only afterwards?"
    if ask(question, ["yes", "no"], f"--outcome or --feature {source!r}") == "no":
        return plan
    return plan.set_aside(name).warn(
        f"{warning}; it is set aside as an outcome, which no model sees. --feature {source!r} keeps it"
    )


def _warn_of_dates(plan: Plan, rows: pd.DataFrame) -> list[str]:
    time, warnings = plan.recipe.time, []
    for name in plan.names_of("feature") if time else []:
        if not plan.dtypes[name].startswith("datetime"):
            continue
        later = share_later(rows, name, time)
        if later >= LATER_SHARE:
            warnings.append(
                f"{name!r} lies after {time!r} in {later:.0%} of the rows: is it known then? If not, --outcome {name!r}"
            )
    return warnings


def _choose_slices(plan: Plan) -> list[str]:
    return [
        column.name
        for column in plan.columns
        if column.role == "feature" and column.categories in SLICE_VALUES and column.name != "hour"
    ][:MAX_SLICES]


def _choose_example(plan: Plan, rows: pd.DataFrame) -> dict[str, Any]:
    """The row with the fewest gaps, as JSON can hold it."""
    row = rows.loc[int(rows.isna().sum(axis=1).idxmin())]
    names = plan.names_of("time", "key", "feature")
    return {name: _to_json(row.get(name, 1), plan.dtypes[name]) for name in names}  # the number of a row is no column


def _to_json(value: Any, dtype: str) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, str):
        return value
    return int(value) if dtype == "int64" else float(value)
