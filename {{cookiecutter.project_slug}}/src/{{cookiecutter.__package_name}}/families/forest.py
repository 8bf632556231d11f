"""A random forest of scikit-learn: categories as numbers or by their mean of the target."""

from typing import TYPE_CHECKING

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from .. import task
from ..config import Training
from . import Family, Parameters

if TYPE_CHECKING:
    from optuna import Trial


def build(
    parameters: Parameters, n_categorical: int, training: Training
) -> RandomForestClassifier | RandomForestRegressor:
    """Codes of categories are numbers to it."""
    kind = RandomForestRegressor if task.IS_REGRESSION else RandomForestClassifier
    return kind(**parameters, n_jobs=training.threads or -1, random_state=training.seed)


def suggest(trial: "Trial") -> Parameters:
    """How small the leaves are, and how different the trees."""
    return {
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 100, log=True),
        "max_features": trial.suggest_float("max_features", 0.1, 1.0),
        "max_samples": trial.suggest_float("max_samples", 0.2, 0.99),
    }


FAMILY = Family(
    title="random forest of scikit-learn",
    build=build,
    suggest=suggest,
    defaults={"n_estimators": 100, "min_samples_leaf": 100, "max_features": 0.4, "max_samples": 0.99},
    complexity=2,
    trusted_types=["sklearn.tree._tree.Tree"],
)
