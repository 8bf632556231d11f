"""XGBoost's estimators in a pipeline: columns of categories, classes without rows, and training on Spark."""

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone, is_regressor

if TYPE_CHECKING:
    from xgboost import Booster

NOT_FOR_SPARK = {"objective", "n_jobs", "enable_categorical"}
"""Follow from Spark's estimator, from `spark.task.cpus` and from the types of the columns."""


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
        self.estimator_ = self.with_types(X.shape[1]).fit(X, y)
        return self

    def fit_on_spark(
        self, rows: Any, features: str, label: str, n_columns: int, classes: np.ndarray, n_workers: int
    ) -> "TypedColumns":
        """The same from a data frame of Spark; the trees become those of an estimator that needs no Spark.

        Parameters
        ----------
        rows : in as many partitions as there are workers, none of them empty
        features, label : columns of the matrix, an array a row, and of the target, whose classes are 0, 1, ...
        classes : the target's encoded classes that have rows; none of a number
        """
        unfitted = self.with_types(n_columns)
        self.estimator_ = take_over(unfitted, train_on_spark(unfitted, rows, features, label, n_workers).get_booster())
        return self

    def with_types(self, n_columns: int) -> Any:
        """The unfitted estimator, once the number of columns is known."""
        self.n_features_in_ = n_columns
        types = ["c" if at < self.n_categorical else "q" for at in range(n_columns)]
        return clone(self.estimator).set_params(feature_types=types)


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

    def fit_on_spark(
        self, rows: Any, features: str, label: str, n_columns: int, classes: np.ndarray, n_workers: int
    ) -> "TypedClassifier":
        self.classes_ = classes.astype("int64")
        super().fit_on_spark(rows, features, label, n_columns, classes, n_workers)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        probability = self.estimator_.predict_proba(X).astype("float64")
        return probability / probability.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.classes_[self.estimator_.predict_proba(X).argmax(axis=1)]


def train_on_spark(unfitted: Any, rows: Any, features: str, label: str, n_workers: int) -> Any:
    """Spark's model, whose trees its workers grow together, with the parameters of an estimator."""
    from xgboost.spark import SparkXGBClassifier, SparkXGBRegressor

    given = {name: value for name, value in unfitted.get_params().items() if value is not None}
    parameters = {name: value for name, value in given.items() if name not in NOT_FOR_SPARK}
    kind = SparkXGBRegressor if is_regressor(unfitted) else SparkXGBClassifier
    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)
    estimator = kind(features_col=features, label_col=label, num_workers=n_workers, verbose=False, **parameters)
    kept = rows.persist()  # the classes are counted first, and reading and encoding takes longer than storing
    try:
        return estimator.fit(kept)
    finally:
        kept.unpersist()


def take_over(unfitted: Any, booster: "Booster") -> Any:
    """An estimator that was not fitted, with trees that somebody else has grown with its parameters."""
    unfitted.load_model(booster.save_raw("ubj"))
    return unfitted
