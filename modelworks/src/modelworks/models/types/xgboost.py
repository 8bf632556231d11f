"""Boosted trees of XGBoost: quick on many rows, with native categories and gaps."""

from typing import TYPE_CHECKING

from modelworks.models.model_type import LEAF_ROWS, ModelType, Parameters, installed
from modelworks.models.types import _trees
from modelworks.settings import Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial

    from modelworks.models.types._xgboost import TypedClassifier, TypedRegressor

WEIGHT_OF_ROW_IN_CLASSES = 0.15
"""XGBoost weighs a leaf by the second derivative of its rows' losses: p (1 - p) for a class, 1 for a number."""


def build(
    target: Target, parameters: Parameters, n_categorical: int, training: Training
) -> "TypedRegressor | TypedClassifier":
    """Parameters mean the same as in scikit-learn's boosting, as far as both have them."""
    import xgboost

    from modelworks.models.types._xgboost import TypedClassifier, TypedRegressor

    weight_of_row = 1.0 if target.is_regression else WEIGHT_OF_ROW_IN_CLASSES
    kind = xgboost.XGBRegressor if target.is_regression else xgboost.XGBClassifier
    estimator = kind(
        learning_rate=parameters["learning_rate"],
        n_estimators=parameters["max_iter"],
        grow_policy="lossguide",
        max_depth=0,
        max_leaves=parameters["max_leaf_nodes"],
        min_child_weight=weight_of_row * parameters["min_samples_leaf"],
        reg_lambda=parameters["l2_regularization"],
        colsample_bytree=parameters["max_features"],
        subsample=parameters["max_samples"],
        tree_method="hist",
        enable_categorical=True,
        n_jobs=training.threads or -1,
        random_state=training.seed,
        verbosity=0,
    )
    return (TypedRegressor if target.is_regression else TypedClassifier)(estimator, n_categorical)


def search_space(trial: "Trial") -> Parameters:
    """The search space of boosted trees, the rows of a leaf, and the share of the rows that a tree sees."""
    return {
        **_trees.search_space(trial),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", *LEAF_ROWS, log=True),
        "max_samples": trial.suggest_float("max_samples", 0.4, 1.0),
    }


MODEL_TYPE = ModelType(
    title="gradient boosting of XGBoost",
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
    tolerance=1e-6,  # it computes in 32 bits
    trusted_types=[
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRegressor",
        "modelworks.models.types._xgboost.TypedClassifier",
        "modelworks.models.types._xgboost.TypedRegressor",
    ],
    packages=[installed("xgboost-cpu", "xgboost")],
    trains_on_spark=True,
)
