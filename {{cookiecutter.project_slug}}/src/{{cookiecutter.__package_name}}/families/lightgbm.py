"""Boosted trees of LightGBM: quick on many rows, and at home with categories and gaps."""

from typing import TYPE_CHECKING, Any

from .. import task
from ..config import Training
from . import LEAF_ROWS, Family, Parameters, _trees

if TYPE_CHECKING:
    from optuna import Trial


def build(parameters: Parameters, n_categorical: int, training: Training) -> Any:
    """The same parameters mean the same as in scikit-learn's boosting, as far as both have them."""
    import lightgbm  # takes a second, and only who fits needs it

    kind = lightgbm.LGBMRegressor if task.IS_REGRESSION else lightgbm.LGBMClassifier
    return kind(
        learning_rate=parameters["learning_rate"],
        n_estimators=parameters["max_iter"],
        num_leaves=parameters["max_leaf_nodes"],
        min_child_samples=parameters["min_samples_leaf"],
        reg_lambda=parameters["l2_regularization"],
        colsample_bytree=parameters["max_features"],
        subsample=parameters["max_samples"],
        subsample_freq=1,
        # By LightGBM's own name it has to come with the rows, which a pipeline cannot do; by this alias it need not.
        categorical_column=list(range(n_categorical)),
        n_jobs=training.threads or -1,
        random_state=training.seed,
        deterministic=True,
        force_row_wise=True,  # which way is quicker would otherwise be measured, and the sums differ
        verbosity=-1,
    )


def suggest(trial: "Trial") -> Parameters:
    """What boosted trees have in common, how much a leaf needs, and how many rows a tree sees."""
    return {
        **_trees.suggest(trial),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", *LEAF_ROWS, log=True),
        "max_samples": trial.suggest_float("max_samples", 0.4, 1.0),
    }


FAMILY = Family(
    title="gradient boosting of LightGBM",
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
    trusted_types=[
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
    ],
    packages=["lightgbm"],
)
