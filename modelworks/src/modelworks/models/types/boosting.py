"""Boosted trees of scikit-learn: the default, since they take gaps and categories as they are."""

from typing import TYPE_CHECKING

from modelworks.models.model_type import LEAF_ROWS, ModelType, Parameters
from modelworks.models.types import _trees
from modelworks.settings import Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor


def build(
    target: Target, parameters: Parameters, n_categorical: int, training: Training
) -> "HistGradientBoostingClassifier | HistGradientBoostingRegressor":
    """The caller limits the threads, see `modelworks.models.pipeline.limit_threads`."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if target.is_regression else HistGradientBoostingClassifier
    return kind(
        **parameters,
        categorical_features=list(range(n_categorical)),
        early_stopping=False,
        random_state=training.seed,
    )


def search_space(trial: "Trial") -> Parameters:
    """The search space of boosted trees, and the rows of a leaf."""
    return {
        **_trees.search_space(trial),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", *LEAF_ROWS, log=True),
    }


MODEL_TYPE = ModelType(
    title="gradient boosting of scikit-learn",
    build=build,
    search_space=search_space,
    defaults={
        "learning_rate": 0.08,
        "max_iter": 120,
        "max_leaf_nodes": 31,
        "min_samples_leaf": 100,
        "l2_regularization": 5.0,
        "max_features": 1.0,
    },
    initial_points=_trees.INITIAL_POINTS,
    complexity=3,
    trusted_types=["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
)
