"""The mean of what three models predict, which err in different rows: boosted trees, smaller ones, and a forest."""

from typing import TYPE_CHECKING, Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.pipeline import Pipeline

from .. import task
from ..config import Training
from . import Family, Parameters, _encoding, _trees, boosting, forest

if TYPE_CHECKING:
    from optuna import Trial


def build(parameters: Parameters, n_categorical: int, training: Training) -> VotingClassifier | VotingRegressor:
    """The smaller trees get categories as their mean of the target, where there are any."""
    own = {name: parameters[name] for name in boosting.FAMILY.defaults}
    smaller = own | {
        "max_leaf_nodes": max(own["max_leaf_nodes"] // 2, 2),
        "max_features": parameters["max_features"] / 2,
    }
    of_forest = {name: parameters[f"forest_{name}"] for name in ("n_estimators", "max_samples", "max_features")}
    members: list[tuple[str, Any]] = [
        ("boosting", boosting.build(own, n_categorical, training)),
        ("smaller", _encode(boosting.build(smaller, 0, training), n_categorical, training.seed)),
        ("forest", forest.build({**of_forest, "min_samples_leaf": own["min_samples_leaf"]}, n_categorical, training)),
    ]
    weight = parameters["forest_weight"]
    weights = [(1 - weight) / 2, (1 - weight) / 2, weight]
    if task.IS_REGRESSION:
        return VotingRegressor(members, weights=weights)
    return VotingClassifier(members, voting="soft", weights=weights)


def _encode(estimator: Any, n_categorical: int, seed: int) -> Any:
    if not n_categorical:
        return estimator
    categories = ("categories", _encoding.make_target_encoder(seed), list(range(n_categorical)))
    encoded = ColumnTransformer([categories], remainder="passthrough")
    return Pipeline([("encoding", encoded), ("estimator", estimator)])


def suggest(trial: "Trial") -> Parameters:
    """The boosted trees, and how much the forest counts."""
    return {**_trees.suggest(trial), "forest_weight": trial.suggest_float("forest_weight", 0.1, 0.6)}


FAMILY = Family(
    title="the mean of boosted trees, smaller ones and a forest",
    build=build,
    suggest=suggest,
    defaults={
        **boosting.FAMILY.defaults,
        "forest_weight": 1 / 3,
        "forest_n_estimators": 40,
        "forest_max_samples": 0.2,
        "forest_max_features": 0.3,
    },
    points=[{**each, "forest_weight": 1 / 3} for each in _trees.POINTS if "encoding" not in each],
    encodings=("native",),
    imputations=("native",),
    complexity=4,
    trusted_types=[
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
    ],
)
