"""A random forest of scikit-learn: categories as numbers, or by target encoding."""

from typing import TYPE_CHECKING

from modelworks.models.model_type import ModelType, Parameters
from modelworks.settings import Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor


def build(
    target: Target, parameters: Parameters, n_categorical: int, training: Training
) -> "RandomForestClassifier | RandomForestRegressor":
    """It splits codes of categories as numbers."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if target.is_regression else RandomForestClassifier
    return kind(**parameters, n_jobs=training.threads or -1, random_state=training.seed)


def search_space(trial: "Trial") -> Parameters:
    """How small the leaves are, and how different the trees."""
    return {
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 100, log=True),
        "max_features": trial.suggest_float("max_features", 0.1, 1.0),
        "max_samples": trial.suggest_float("max_samples", 0.2, 0.99),
    }


MODEL_TYPE = ModelType(
    title="random forest of scikit-learn",
    build=build,
    search_space=search_space,
    defaults={"n_estimators": 100, "min_samples_leaf": 100, "max_features": 0.4, "max_samples": 0.99},
    complexity=2,
    trusted_types=["sklearn.tree._tree.Tree"],
)
