"""Boosted trees of XGBoost: quick on many rows, and at home with categories and gaps."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone

from .. import task
from ..config import PACKAGE, Training
from . import LEAF_ROWS, Family, Parameters, _trees, installed

if TYPE_CHECKING:
    from optuna import Trial

WEIGHT_OF_ROW = 1.0 if task.IS_REGRESSION else 0.15
"""What XGBoost measures a leaf by: the second derivative of a row's loss, of a class p (1 - p)."""


class TypedColumns(BaseEstimator):
    """An estimator of XGBoost that is told at fit which columns are categories.

    It wants a type for each column, and how many there are is known only then.

    Parameters
    ----------
    estimator : of XGBoost, unfitted
    n_categorical : so many of the first columns are codes of categories
    """

    def __init__(self, estimator: Any, n_categorical: int) -> None:
        self.estimator = estimator
        self.n_categorical = n_categorical

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TypedColumns":
        self.n_features_in_ = X.shape[1]
        types = ["c" if at < self.n_categorical else "q" for at in range(X.shape[1])]
        self.estimator_ = clone(self.estimator).set_params(feature_types=types).fit(X, y)
        return self


class TypedRegressor(RegressorMixin, TypedColumns):
    """The same for numbers."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.estimator_.predict(X).astype("float64")


class TypedClassifier(ClassifierMixin, TypedColumns):
    """The same for classes, which XGBoost wants to be 0, 1, ...; here one may be without any row."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TypedClassifier":
        self.classes_, numbers = np.unique(y, return_inverse=True)
        super().fit(X, numbers)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        probability = self.estimator_.predict_proba(X).astype("float64")
        return probability / probability.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.classes_[self.estimator_.predict_proba(X).argmax(axis=1)]


def build(parameters: Parameters, n_categorical: int, training: Training) -> TypedRegressor | TypedClassifier:
    """The same parameters mean the same as in scikit-learn's boosting, as far as both have them."""
    import xgboost  # takes a second, and only who fits needs it

    kind = xgboost.XGBRegressor if task.IS_REGRESSION else xgboost.XGBClassifier
    made = kind(
        learning_rate=parameters["learning_rate"],
        n_estimators=parameters["max_iter"],
        grow_policy="lossguide",
        max_depth=0,
        max_leaves=parameters["max_leaf_nodes"],
        min_child_weight=WEIGHT_OF_ROW * parameters["min_samples_leaf"],
        reg_lambda=parameters["l2_regularization"],
        colsample_bytree=parameters["max_features"],
        subsample=parameters["max_samples"],
        tree_method="hist",
        enable_categorical=True,
        n_jobs=training.threads or -1,
        random_state=training.seed,
        verbosity=0,
    )
    return (TypedRegressor if task.IS_REGRESSION else TypedClassifier)(made, n_categorical)


def suggest(trial: "Trial") -> Parameters:
    """What boosted trees have in common, how much a leaf needs, and how many rows a tree sees."""
    return {
        **_trees.suggest(trial),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", *LEAF_ROWS, log=True),
        "max_samples": trial.suggest_float("max_samples", 0.4, 1.0),
    }


FAMILY = Family(
    title="gradient boosting of XGBoost",
    build=build,
    suggest=suggest,
    defaults={
        "learning_rate": 0.08,
        "max_iter": 120,
        "max_leaf_nodes": 31,
        "min_samples_leaf": 100,
        "l2_regularization": 5.0,
        "max_features": 1.0,
        "max_samples": 1.0,
    },
    points=[{**each, "max_samples": 0.8} for each in _trees.POINTS],
    complexity=3,
    tolerance=1e-6,  # it computes in 32 bits
    trusted_types=[
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
        f"{PACKAGE}.families.xgboost.TypedClassifier",
        f"{PACKAGE}.families.xgboost.TypedRegressor",
    ],
    packages=[installed("xgboost-cpu", "xgboost")],
)
