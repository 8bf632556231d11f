"""Fairness: whether rates of decisions and errors differ between the groups of a column, on the held-out rows.

References
----------
Hardt, Price and Srebro, Equality of Opportunity in Supervised Learning, NeurIPS 2016 (true and false positive rates).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modelworks.checks import Check
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.evaluation.slices import to_categories
from modelworks.settings import Limits
from modelworks.targets import Target

Shares = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""By rate, what is added up for each row, and what that is divided by; shape (n_rows,) each."""


@dataclass(frozen=True)
class FairnessGroup:
    """The rows with one value of a column.

    Attributes
    ----------
    rates : by name; one that fewer than `[evaluation] min_slice_rows` rows count for is left out
    """

    value: str
    rows: int
    rates: dict[str, float]


@dataclass(frozen=True)
class FairnessResult:
    """How far the rates of a column's groups lie apart.

    Attributes
    ----------
    groups : those of `[evaluation] min_slice_rows` rows or more
    small_groups, small_rows : how many others there are, and their rows; they are not compared
    disparities : by name, such as `selection_rate_ratio`; NaN where fewer than two groups have the rate
    """

    column: str
    groups: list[FairnessGroup]
    small_groups: int
    small_rows: int
    disparities: dict[str, Estimate]


def measure_fairness(
    target: Target,
    columns: pd.DataFrame,
    shares: Shares,
    draws: BlockBootstrap,
    min_rows: int,
) -> list[FairnessResult]:
    """The rates of each group of each column, and the difference and the ratio between the lowest and the highest.

    The difference of many groups is above 0, and their ratio below 1, by chance alone: so draws are centred on the
    sample's own figure.

    Parameters
    ----------
    columns : of the held-out rows
    shares : as `count_shares` has them
    draws : of the blocks of these rows
    min_rows : `[evaluation] min_slice_rows`
    """
    return [_compare(target, str(name), columns[name], shares, draws, min_rows) for name in columns]


def count_shares(
    target: Target, encoded: np.ndarray, prediction: np.ndarray, scale: float, decision_threshold: float
) -> Shares:
    """What rates are made of: the decisions of two classes, the right answers of more, the errors of numbers.

    Parameters
    ----------
    encoded : the target, shape (n_rows,)
    prediction : as `modelworks.targets` describes it
    scale : `Baseline.scale`; mean errors are in its root, as the metric `bias` is
    """
    one = np.ones(len(encoded))
    if target.is_regression:
        return {"mean_error": ((prediction - encoded) / np.sqrt(scale), one)}
    if target.is_multiclass:
        return {"accuracy": (target.observed(encoded, prediction), one)}
    is_selected = (prediction >= decision_threshold).astype("float64")
    return {
        "selection_rate": (is_selected, one),
        "true_positive_rate": (is_selected * encoded, encoded),
        "false_positive_rate": (is_selected * (1 - encoded), 1 - encoded),
    }


def judge_fairness(results: Iterable[FairnessResult], limits: Mapping[str, Limits]) -> list[Check]:
    """Whether each disparity keeps its limits, by its estimate; one that cannot be measured does not."""
    return [
        Check(f"{name} by {each.column}", _is_within(each.disparities[name].value, limit), _explain(each, name, limit))
        for each in results
        for name, limit in limits.items()
    ]


def find_uncertain(results: Iterable[FairnessResult], limits: Mapping[str, Limits]) -> list[str]:
    """Disparities that keep their limits by the estimate, with an interval that reaches beyond, in words."""
    return [
        f"{name} by {result.column} {found}: the interval reaches beyond the limit, {_describe_limits(limit)} required"
        for result in results
        for name, limit in limits.items()
        if _is_within((found := result.disparities[name]).value, limit)
        and not (_is_within(found.low, limit) and _is_within(found.high, limit))
    ]


def _compare(
    target: Target, name: str, column: pd.Series, shares: Shares, draws: BlockBootstrap, min_rows: int
) -> FairnessResult:
    labels = to_categories(column)
    rows = np.bincount(labels.codes, minlength=len(labels.categories))
    is_large = rows >= min_rows
    # Rows of small groups get the number -1, which does not count.
    numbers = np.where(is_large, np.cumsum(is_large) - 1, -1)[labels.codes.astype("int64")]
    values = [str(each) for each in labels.categories[is_large]]
    rates: list[dict[str, float]] = [{} for _ in values]
    disparities: dict[str, Estimate] = {}
    for rate, (part, whole) in shares.items():
        counted = np.bincount(numbers[numbers >= 0], whole[numbers >= 0], len(values))
        drawn = list(draws.ratios_by_group(part, whole, numbers, len(values)))
        kept = [at for at, count in enumerate(counted) if count >= min_rows]
        for at in kept:
            rates[at][rate] = float(drawn[at][0])
        disparities |= _measure_disparities(target, rate, [drawn[at] for at in kept], draws)
    groups = [FairnessGroup(*each) for each in zip(values, rows[is_large].tolist(), rates, strict=True)]
    small = rows[~is_large]
    return FairnessResult(name, groups, len(small), int(small.sum()), disparities)


def _measure_disparities(
    target: Target, rate: str, drawn: Sequence[np.ndarray], draws: BlockBootstrap
) -> dict[str, Estimate]:
    """Largest minus smallest rate of the groups; and, of shares, the smallest divided by the largest."""
    if len(drawn) < 2:
        most = least = np.full(2, np.nan)
    else:  # a draw may hold none of a group's blocks: the other groups are compared
        most, least = np.fmax.reduce(drawn), np.fmin.reduce(drawn)
    if target.is_regression:
        return {f"{rate}_difference": draws.estimate_centred(most - least)}
    # Where no group has any, the rates are equal.
    ratio = np.where(most == 0, 1.0, least / np.where(most == 0, 1.0, most))
    return {
        f"{rate}_difference": draws.estimate_centred(most - least, most=1.0),
        f"{rate}_ratio": draws.estimate_centred(ratio, most=1.0),
    }


def _is_within(value: float, limits: Limits) -> bool:
    """Whether a value keeps the limits; NaN keeps none."""
    return (limits.min is None or value >= limits.min) and (limits.max is None or value <= limits.max)


def _describe_limits(limits: Limits) -> str:
    words = [
        *([f"at least {limits.min:.3f}"] if limits.min is not None else []),
        *([f"at most {limits.max:.3f}"] if limits.max is not None else []),
    ]
    return " and ".join(words)


def _explain(result: FairnessResult, name: str, limits: Limits) -> str:
    """A disparity, the groups with the lowest and the highest rate, and what is allowed."""
    found, rate = result.disparities[name], name.rpartition("_")[0]
    if np.isnan(found.value):
        return "fewer than two groups have the rows that [evaluation] min_slice_rows asks for: not measured"
    least, *_, most = sorted((group.rates[rate], group.value) for group in result.groups if rate in group.rates)
    extremes = f"{least[1]} {least[0]:.3f}, {most[1]} {most[0]:.3f}"
    return f"{found} ({extremes}), {_describe_limits(limits)} required"
