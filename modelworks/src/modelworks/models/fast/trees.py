"""Fitted trees by treelite, which predicts one row after the other in a single call.

The libraries' own `predict` goes from tree to tree, with a call for each: for one row that takes ten times as long, and
for thousands of rows a fifth.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import treelite
from scipy.special import expit, softmax
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.pipeline import Pipeline

Predict = Callable[[np.ndarray], np.ndarray]
"""From a matrix, shape (n_rows, n_columns), to probabilities, shape (n_rows, n_classes), or values, shape (n_rows,)."""


def import_estimator(estimator: Any) -> Predict:
    """What a fitted estimator predicts, by treelite: its `predict_proba`, or `predict` where it predicts a number.

    Raises
    ------
    TypeError
        If treelite has nothing for such an estimator. What treelite itself raises is raised as well.
    """
    # By name, since these libraries may not be installed.
    library = type(estimator).__module__.partition(".")[0]
    if isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        with np.errstate(invalid="ignore"):  # treelite casts the list of known categories to int, a gap among them
            return _sum_trees(treelite.sklearn.import_model(estimator), estimator)
    if isinstance(estimator, RandomForestClassifier | RandomForestRegressor):
        return _average_trees(treelite.sklearn.import_model(estimator), estimator)
    if isinstance(estimator, VotingClassifier | VotingRegressor):
        return _import_voting(estimator)
    if isinstance(estimator, Pipeline):
        return _import_pipeline(estimator)
    if library == "lightgbm":
        return _sum_trees(treelite.frontend.from_lightgbm(estimator.booster_), estimator)
    if type(estimator).__name__ in {"TypedClassifier", "TypedRegressor"}:
        return _sum_trees(treelite.frontend.from_xgboost(estimator.estimator_.get_booster()), estimator)
    raise TypeError(f"treelite imports no {type(estimator).__name__}")


def _sum_trees(model: treelite.Model, estimator: Any) -> Predict:
    """Boosted trees: the sum of their leaves is the value, or the log-odds of two classes, or the logits of more."""

    def predict(matrix: np.ndarray) -> np.ndarray:
        # Treelite's own softmax computes in 32 bits. A model has one target, which is the second axis.
        margin = treelite.gtil.predict(model, matrix, nthread=1, pred_margin=True)[:, 0].astype("float64", copy=False)
        if not hasattr(estimator, "classes_"):
            return margin[:, 0]
        if margin.shape[1] > 1:
            return softmax(margin, axis=1)
        positive = expit(margin)
        return np.hstack([1 - positive, positive])

    return predict


def _average_trees(model: treelite.Model, estimator: Any) -> Predict:
    """A forest, whose trees compare numbers in 32 bits."""

    def predict(matrix: np.ndarray) -> np.ndarray:
        mean = treelite.gtil.predict(model, matrix.astype("float32"), nthread=1)[:, 0]
        return mean if hasattr(estimator, "classes_") else mean[:, 0]

    return predict


def _import_voting(estimator: VotingClassifier | VotingRegressor) -> Predict:
    """The weighted mean of its members."""
    members = [import_estimator(each) for each in estimator.estimators_]

    def predict(matrix: np.ndarray) -> np.ndarray:
        return np.average([member(matrix) for member in members], axis=0, weights=estimator.weights)

    return predict


def _import_pipeline(estimator: Pipeline) -> Predict:
    """Its last step, of the columns that the steps before make."""
    before, last = estimator[:-1], import_estimator(estimator[-1])
    return lambda matrix: last(np.asarray(before.transform(matrix)))
