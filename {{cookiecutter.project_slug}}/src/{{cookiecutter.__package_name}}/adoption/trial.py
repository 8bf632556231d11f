"""What a sample tells of a target: how far each column alone predicts it, and what a model may reach."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from ..features import Features

FOLDS = 3
BINS = 50
TRIAL_ROWS = 10_000
TRIAL_VALUES = 1_000_000
TREES = 60
SEED = 2013

LEAK = 0.98
"""ROC-AUC or R² from which a column by itself is too good, if the others together come nowhere near."""
SUSPECT = 0.8
"""The same, for a column to be told of."""
CERTAIN_LEAK = 0.999
"""The same, whatever the others are."""


def code_target(target: pd.Series, classes: list[object]) -> np.ndarray:
    """Positions in `classes`, or numbers; no gaps."""
    if not classes:
        return target.to_numpy("float64")
    return pd.Index(classes).get_indexer(target).astype("float64")


def score(target: np.ndarray, prediction: np.ndarray, n_classes: int) -> float:
    """ROC-AUC, of more than two classes the mean over each against the rest; R² of numbers.

    Parameters
    ----------
    prediction : shape (n_rows,) of numbers, (n_rows, n_classes) of classes
    n_classes : 0 of numbers
    """
    if not n_classes:
        return float(r2_score(target, prediction))
    # A class that fills the fold, or is not in it, cannot be told from the rest.
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
            share = known.mean()  # of the rows of which it says anything
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


def try_model(
    features: pd.DataFrame,
    target: np.ndarray,
    n_classes: int,
    min_samples_leaf: int,
    groups: pd.Series | None = None,
    time: str = "",
) -> float:
    """What gradient boosting reaches on rows that it has not seen: ROC-AUC or R², by cross-validation.

    Parameters
    ----------
    groups : rows that belong together, by their value
    time : a feature by which the rows are in order, and folds are spans of it
    """
    rows = min(len(target), TRIAL_ROWS, max(TRIAL_VALUES // features.shape[1], 500))
    at = np.sort(np.random.default_rng(SEED).permutation(len(target))[:rows])
    matrix, n_categories = _to_matrix(features.iloc[at], time)
    target = target[at]
    options: dict[str, Any] = {
        "max_iter": TREES,
        "min_samples_leaf": min_samples_leaf,
        "l2_regularization": 5.0,
        "random_state": SEED,
    }
    options |= {"early_stopping": False}
    folds: KFold | GroupKFold | StratifiedKFold = KFold(FOLDS, shuffle=not time, random_state=None if time else SEED)
    labels = None
    if groups is not None and groups.iloc[at].nunique() >= FOLDS:
        folds, labels = GroupKFold(FOLDS), groups.iloc[at].astype("str").to_numpy()
    elif n_classes and not time and np.unique(target, return_counts=True)[1].min() >= FOLDS:
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    found = []
    with threadpool_limits(1):
        for inside, outside in folds.split(matrix, target, labels):
            kept = ~np.isnan(matrix[inside]).all(axis=0)  # a column without any value cannot be binned
            options["categorical_features"] = list(range(int(kept[:n_categories].sum())))  # they come first
            if n_classes and len(np.unique(target[inside])) < 2:
                continue
            if n_classes:
                model = HistGradientBoostingClassifier(**options).fit(matrix[inside][:, kept], target[inside])
                prediction = np.zeros((len(outside), n_classes))
                prediction[:, model.classes_.astype("int64")] = model.predict_proba(matrix[outside][:, kept])
            else:
                model = HistGradientBoostingRegressor(**options).fit(matrix[inside][:, kept], target[inside])
                prediction = model.predict(matrix[outside][:, kept])
            found.append(score(target[outside], prediction, n_classes))
    return float(np.mean(found)) if found else (0.5 if n_classes else 0.0)


def _to_matrix(frame: pd.DataFrame, time: str) -> tuple[np.ndarray, int]:
    """Rows as the project's own model sees them, and how many of the columns are categories."""
    dtypes = frame.dtypes.astype("str")
    texts = [name for name in frame if dtypes[name] == "str"]
    times = [name for name in frame if name == time]
    dates = [name for name in frame if dtypes[name].startswith("datetime") and name != time]
    numbers = [name for name in frame if name not in {*texts, *times, *dates}]
    step = Features(texts, times, dates, numbers)
    return step.fit_transform(frame.astype(dict.fromkeys(numbers, "float64"))), len(texts)


def find_leaks(
    features: pd.DataFrame, target: np.ndarray, n_classes: int, min_samples_leaf: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Columns that know the target, and all that predict it well, each with what it reaches by itself.

    A strong feature is no leak: it is one if it is all but certain, or is twice as near to certainty as a model of all
    the others.
    """
    alone = {name: score_alone(features[name], target, n_classes) for name in features}
    strong = {name: value for name, value in alone.items() if value >= LEAK}
    leaks = {name: value for name, value in strong.items() if value >= CERTAIN_LEAK}

    def is_far_ahead(name: str) -> bool:
        others = features.drop(columns=[*leaks, name], errors="ignore")
        return others.empty or 1 - alone[name] < (1 - try_model(others, target, n_classes, min_samples_leaf)) / 2

    leaks |= {name: value for name, value in strong.items() if name not in leaks and is_far_ahead(name)}
    best = max(set(alone) - set(leaks), key=lambda name: alone[name], default="")
    if best and alone[best] >= SUSPECT and is_far_ahead(best):
        strong[best] = alone[best]
    return leaks, strong
