"""How well a column of a sample predicts the target by itself."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import r2_score

FOLDS = 3
BINS = 50
SEED = 2013

LEAK = 0.98
"""ROC-AUC or R² from which a column by itself is too good, if the others together come nowhere near."""
SUSPECT = 0.8
"""The same, for a warning."""
CERTAIN_LEAK = 0.999
"""The same, whatever the others are."""
LATER_SHARE = 0.9
"""Share of rows in which a date lies after the row's own time, from which a warning asks how it can be known."""


def score(target: np.ndarray, prediction: np.ndarray, n_classes: int) -> float:
    """ROC-AUC, of more than two classes the mean over each against the rest; R² of numbers.

    Parameters
    ----------
    prediction : shape (n_rows,) of numbers, (n_rows, n_classes) of classes
    n_classes : 0 of numbers
    """
    if not n_classes:
        return float(r2_score(target, prediction))
    # A class that fills the fold, or is not in it, cannot be distinguished from the rest.
    present = [each for each in range(n_classes) if 0 < (target == each).sum() < len(target)]
    wanted = present[-1:] if n_classes == 2 else present
    areas = [_area(target == each, prediction[:, each]) for each in wanted]
    return float(np.mean(areas)) if areas else 0.5


def _area(is_positive: np.ndarray, prediction: np.ndarray) -> float:
    """ROC-AUC, by ranks: scikit-learn's own takes milliseconds, and tables may have a thousand columns."""
    n_positive = is_positive.sum()
    ranks = rankdata(prediction)[is_positive].sum() - n_positive * (n_positive + 1) / 2
    return float(ranks / (n_positive * (len(is_positive) - n_positive)))


def score_alone(column: pd.Series, target: np.ndarray, n_classes: int) -> float:
    """How well a column by itself predicts the target, by the mean of the target among similar rows of other folds."""
    bins = _bin(column)
    n_bins = int(bins.max()) + 1
    wanted = np.eye(n_classes)[target.astype("int64")] if n_classes else target[:, None]
    prediction = np.empty_like(wanted, dtype="float64")
    fold = np.random.default_rng(SEED).permutation(len(target)) % FOLDS
    for each in range(FOLDS):
        inside = fold != each
        counts = np.bincount(bins[inside], minlength=n_bins)[:, None]
        sums = np.stack([np.bincount(bins[inside], values, n_bins) for values in wanted[inside].T], axis=1)
        means = (sums + wanted[inside].mean(axis=0)) / (counts + 1)
        prediction[~inside] = means[bins[~inside]]
    found = score(target, prediction if n_classes else prediction[:, 0], n_classes)
    if not n_classes and str(column.dtype) != "str" and len(column.unique()) > 1:
        numbers = _to_numbers(column)
        known = ~np.isnan(numbers)
        if known.sum() > FOLDS and target[known].std() > 0 and numbers[known].std() > 0:
            share = known.mean()  # of the rows that it knows
            found = max(found, float(share * np.corrcoef(numbers[known], target[known])[0, 1] ** 2))
    return found


def _bin(column: pd.Series) -> np.ndarray:
    """Rows with similar values have the same number; those without a value have one too."""
    if str(column.dtype) == "str" or column.nunique() <= BINS:
        return pd.factorize(column, use_na_sentinel=False)[0]
    ranks = column.rank(method="average", pct=True).to_numpy("float64", na_value=np.nan)
    return np.where(np.isnan(ranks), BINS, np.minimum(np.floor(np.nan_to_num(ranks) * BINS), BINS - 1)).astype("int64")


def _to_numbers(column: pd.Series) -> np.ndarray:
    if str(column.dtype).startswith("datetime"):
        return np.where(column.isna(), np.nan, column.to_numpy("datetime64[s]").astype("float64"))
    return column.to_numpy("float64", na_value=np.nan)


def share_later(rows: pd.DataFrame, name: str, time: str) -> float:
    """Share of the rows with a date whose date lies after the row's own time; 0 if no row has a date."""
    known = rows[name].notna()
    return float((rows[name] > rows[time])[known].mean()) if known.any() else 0.0
