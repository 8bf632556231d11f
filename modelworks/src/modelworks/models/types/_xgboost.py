"""XGBoost's estimators in a pipeline: columns of categories, and classes without rows."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone


class TypedColumns(BaseEstimator):
    """An estimator of XGBoost that gets at fit which columns are categories.

    XGBoost wants a type for each column, and their number is known only then.

    Parameters
    ----------
    estimator : of XGBoost, unfitted
    n_categorical : number of columns that are codes of categories; they come first
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
    """The same for classes: XGBoost wants 0, 1, ..., and here a class may have no row."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TypedClassifier":
        self.classes_, numbers = np.unique(y, return_inverse=True)
        super().fit(X, numbers)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        probability = self.estimator_.predict_proba(X).astype("float64")
        return probability / probability.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.classes_[self.estimator_.predict_proba(X).argmax(axis=1)]
