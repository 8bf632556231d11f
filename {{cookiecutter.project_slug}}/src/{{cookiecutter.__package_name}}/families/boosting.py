"""Boosted trees of scikit-learn: the default, as they take gaps and categories as they are."""

from typing import TYPE_CHECKING

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from .. import task
from ..config import Training
from . import Family, Parameters

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
    """Slow learners with many trees against fast ones with few, and how far each tree may go."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "max_iter": trial.suggest_int("max_iter", 30, 400, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 63, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 5, 300, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 0.01, 100, log=True),
        "max_features": trial.suggest_float("max_features", 0.3, 1.0),
    }


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
    complexity=3,
    trusted_types=["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
)
