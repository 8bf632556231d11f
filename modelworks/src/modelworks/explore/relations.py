"""How each feature is related to the target, on a sample of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from modelworks.contract import Contract
from modelworks.evaluation.single_column import score_alone
from modelworks.explore.columns import HOUR, WEEKDAY, ShownKind, name_category
from modelworks.explore.counts import sum_by_group
from modelworks.targets import Target

MIN_ROWS = 30
"""Labelled rows below which no mean of the target is shown."""
MAX_CATEGORIES = 8
SHOWN_CHARACTERS = 14
MAX_SINGLE_VALUES = 24
"""Different numbers up to which each has a bin of its own."""
NUMBER_BINS = 20
TAIL = 0.01
"""Share of the rows at either end of a number that the outermost bins hold as well."""
INNER = 0.02
"""Share of the bins at either end whose target the shared axis may leave out."""


@dataclass(frozen=True)
class Relation:
    """How well a column by itself predicts the target.

    Attributes
    ----------
    alone : ROC-AUC, or R² of a number, across folds; 0.5 or 0 is chance
    correlation : Spearman's, with the positive class or the number; None for categories and for more than two classes
    """

    column: str
    alone: float
    correlation: float | None


@dataclass(frozen=True)
class Binned:
    """Rows and target of a column by bin.

    Attributes
    ----------
    edges : of numbers and dates (in days since 1970), shape (n_bins + 1,); empty for categories
    labels : of categories; empty otherwise
    shares : of the rows, shape (n_bins,)
    target : mean, or share of each class, shape (n_bins, n_series); NaN where too few rows have a label
    """

    kind: ShownKind
    edges: np.ndarray
    labels: list[str]
    shares: np.ndarray
    target: np.ndarray


def features_of(contract: Contract, kinds: Mapping[str, ShownKind], sample: pd.DataFrame) -> dict[str, ShownKind]:
    """What each feature holds, derived ones included, with the parts of the time in place of the time itself."""
    names = [name for name in kinds if name not in contract.columns or name in contract.features]
    shown = {name: kinds[name] for name in names if name != contract.time}
    parts: dict[str, ShownKind] = {name: "number" for name in (HOUR, WEEKDAY) if name in sample and name not in kinds}
    return parts | shown


def relate(contract: Contract, features: Mapping[str, ShownKind], sample: pd.DataFrame) -> list[Relation]:
    """Relation of each feature that has more than one value, the strongest first; none with too few labels."""
    encoded = contract.target.encode(sample[contract.target.column])
    known = ~np.isnan(encoded)
    if known.sum() < MIN_ROWS or len(np.unique(encoded[known])) < 2:
        return []
    rows, target = sample[known].reset_index(drop=True), encoded[known]
    found = []
    for name, kind in features.items():
        if len(rows[name].unique()) > 1:
            has_sign = kind != "category" and not contract.target.is_multiclass
            correlation = _rank_correlation(_to_numbers(rows[name]), target) if has_sign else None
            found.append(Relation(name, score_alone(rows[name], target, len(contract.target.classes)), correlation))
    return sorted(found, key=lambda each: -each.alone)


def _to_numbers(values: pd.Series) -> np.ndarray:
    """Numbers as they are, dates as days since 1970; NaN for a missing value."""
    if values.dtype.kind != "M":
        return values.to_numpy("float64")
    return np.where(values.isna(), np.nan, values.to_numpy("datetime64[s]").astype("float64") / 86_400)


def _rank_correlation(numbers: np.ndarray, target: np.ndarray) -> float | None:
    """Spearman's correlation of the rows with a value; None if one side is constant."""
    known = ~np.isnan(numbers)
    ranks, target_ranks = rankdata(numbers[known]), rankdata(target[known])
    if known.sum() < MIN_ROWS or not ranks.std() or not target_ranks.std():
        return None
    return float(np.corrcoef(ranks, target_ranks)[0, 1])


def bin_column(target: Target, kind: ShownKind, values: pd.Series, encoded: np.ndarray) -> Binned:
    """Rows and target by category, by value if there are few, or else by spans of equal width.

    Parameters
    ----------
    values : of the sample
    encoded : target of the same rows, NaN where it is unknown
    """
    if kind == "category":
        edges, (labels, group) = np.array([]), _group_categories(values)
        n_bins = len(labels)
    else:
        numbers = _to_numbers(values)
        labels, edges = [], _choose_edges(numbers[~np.isnan(numbers)])
        n_bins = max(len(edges) - 1, 0)
        inside = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(n_bins - 1, 0))
        group = np.where(np.isnan(numbers), -1, inside)
    kept = group >= 0
    rows, sums = sum_by_group(target, encoded[kept], group[kept], n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(rows[:, None] >= MIN_ROWS, sums / rows[:, None], np.nan)
    return Binned(kind, edges, labels, np.bincount(group[kept], minlength=n_bins) / max(len(values), 1), means)


def target_limits(target: Target, columns: Sequence[Binned], series: Sequence[int]) -> tuple[float, float]:
    """The span of the target's axis that all columns share, so that they can be compared; extreme bins lie beyond it.

    Shares begin at 0.
    """
    means = np.concatenate([each.target[:, list(series)].ravel() for each in columns])
    known = means[~np.isnan(means)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.quantile(known, [INNER, 1 - INNER]).tolist()
    if not target.is_regression:
        return 0.0, min(1.1 * high or 1.0, 1.03)
    margin = 0.1 * (high - low) or 0.5
    return low - margin, high + margin


def _group_categories(values: pd.Series) -> tuple[list[str], np.ndarray]:
    """Labels of the most frequent categories, of all others and of none; and the position of each row's."""
    counts = values.value_counts()
    shown = counts.index[:MAX_CATEGORIES].tolist()
    position = {value: at for at, value in enumerate(shown)}
    labels = [name_category(each, SHOWN_CHARACTERS) for each in shown]
    if len(counts) > len(shown):
        labels.append(f"{len(counts) - len(shown):,} others")
    group = values.map(position).fillna(len(shown)).to_numpy("float64").astype("int64")
    if values.isna().any():
        labels.append("no value")
        group[values.isna().to_numpy()] = len(labels) - 1
    return labels, group


def _choose_edges(numbers: np.ndarray) -> np.ndarray:
    """Edges around each value if there are few whole numbers, else of spans of equal width between the tails."""
    if not len(numbers):
        return np.array([])
    different = np.unique(numbers)
    if len(different) == 1:
        return different[0] + np.array([-0.5, 0.5])
    if (different == np.round(different)).all() and different[-1] - different[0] < MAX_SINGLE_VALUES:
        return np.arange(different[0] - 0.5, different[-1] + 1)
    low, high = np.quantile(numbers, [TAIL, 1 - TAIL])
    if low == high:
        low, high = different[0], different[-1]
    return np.linspace(low, high, NUMBER_BINS + 1)
