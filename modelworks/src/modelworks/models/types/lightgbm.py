"""Boosted trees of LightGBM: quick on many rows, with native categories and gaps."""

from typing import TYPE_CHECKING, Any

from modelworks.models.model_type import LEAF_ROWS, ModelType, Parameters
from modelworks.models.types import _trees
from modelworks.settings import Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial


def build(target: Target, parameters: Parameters, n_categorical: int, training: Training) -> Any:
    """Parameters mean the same as in scikit-learn's boosting, as far as both have them."""
    import lightgbm

    kind = lightgbm.LGBMRegressor if target.is_regression else lightgbm.LGBMClassifier
    return kind(
        learning_rate=parameters["learning_rate"],
        n_estimators=parameters["max_iter"],
        num_leaves=parameters["max_leaf_nodes"],
        min_child_samples=parameters["min_samples_leaf"],
        reg_lambda=parameters["l2_regularization"],
        colsample_bytree=parameters["max_features"],
        subsample=parameters["max_samples"],
        subsample_freq=1,
        # LightGBM's own name has to be passed to `fit`, which a pipeline cannot do; this alias need not.
        categorical_column=list(range(n_categorical)),
        n_jobs=training.threads or -1,
        random_state=training.seed,
        deterministic=True,
        force_row_wise=True,  # otherwise LightGBM measures which way is quicker, and the sums differ
        verbosity=-1,
    )


def search_space(trial: "Trial") -> Parameters:
    """The search space of boosted trees, the rows of a leaf, and the share of the rows that a tree sees."""
    return {
        **_trees.search_space(trial),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", *LEAF_ROWS, log=True),
        "max_samples": trial.suggest_float("max_samples", 0.4, 1.0),
    }


MODEL_TYPE = ModelType(
    title="gradient boosting of LightGBM",
    build=build,
    search_space=search_space,
    defaults={
        "learning_rate": 0.08,
        "max_iter": 120,
        "max_leaf_nodes": 31,
        "min_samples_leaf": 100,
        "l2_regularization": 5.0,
        "max_features": 1.0,
        "max_samples": 1.0,
    },
    initial_points=[{**each, "max_samples": 0.8} for each in _trees.INITIAL_POINTS],
    complexity=3,
    trusted_types=[
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
    ],
    packages=["lightgbm"],
)
