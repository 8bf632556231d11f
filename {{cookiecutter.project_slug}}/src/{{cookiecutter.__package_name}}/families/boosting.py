"""Boosted trees of scikit-learn: the default, as they take gaps and categories as they are."""

from typing import TYPE_CHECKING

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from .. import task
from ..config import Training
from . import LEAF_ROWS, Family, Parameters, _trees

if TYPE_CHECKING:
    from optuna import Trial


def build(
    parameters: Parameters, n_categorical: int, training: Training
) -> HistGradientBoostingClassifier | HistGradientBoostingRegressor:
    """The threads are limited from outside, see `training.limit_threads`."""
    kind = HistGradientBoostingRegressor if task.IS_REGRESSION else HistGradientBoostingClassifier
    return kind(
        **parameters,
        categorical_features=list(range(n_categorical)),
        early_stopping=False,
        random_state=training.seed,
    )


def suggest(trial: "Trial") -> Parameters:
    """What boosted trees have in common, and how many rows a leaf needs."""
    return {**_trees.suggest(trial), "min_samples_leaf": trial.suggest_int("min_samples_leaf", *LEAF_ROWS, log=True)}


FAMILY = Family(
    title="gradient boosting of scikit-learn",
    build=build,
    suggest=suggest,
    defaults={
        "learning_rate": 0.08,
        "max_iter": 120,
        "max_leaf_nodes": 31,
        "min_samples_leaf": 100,
        "l2_regularization": 5.0,
        "max_features": 1.0,
    },
    points=_trees.POINTS,
    complexity=3,
    trusted_types=["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
)
