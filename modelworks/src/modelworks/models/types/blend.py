"""The mean of the predictions of three models with different errors: boosted trees, smaller ones, and a forest."""

from typing import TYPE_CHECKING, Any

from modelworks.models.model_type import ModelType, Parameters
from modelworks.models.types import _encoding, _trees, boosting, forest
from modelworks.settings import Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.ensemble import VotingClassifier, VotingRegressor


def build(
    target: Target, parameters: Parameters, n_categorical: int, training: Training
) -> "VotingClassifier | VotingRegressor":
    """The smaller trees get categories by target encoding, where there are any."""
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    own = {name: parameters[name] for name in boosting.MODEL_TYPE.defaults}
    smaller = own | {
        "max_leaf_nodes": max(own["max_leaf_nodes"] // 2, 2),
        "max_features": parameters["max_features"] / 2,
    }
    of_forest = {name: parameters[f"forest_{name}"] for name in ("n_estimators", "max_samples", "max_features")}
    of_forest["min_samples_leaf"] = own["min_samples_leaf"]
    members: list[tuple[str, Any]] = [
        ("boosting", boosting.build(target, own, n_categorical, training)),
        ("smaller", _encode(target, boosting.build(target, smaller, 0, training), n_categorical, training.seed)),
        ("forest", forest.build(target, of_forest, n_categorical, training)),
    ]
    weight = parameters["forest_weight"]
    weights = [(1 - weight) / 2, (1 - weight) / 2, weight]
    if target.is_regression:
        return VotingRegressor(members, weights=weights)
    return VotingClassifier(members, voting="soft", weights=weights)


def _encode(target: Target, estimator: Any, n_categorical: int, seed: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    if not n_categorical:
        return estimator
    categories = ("categories", _encoding.make_target_encoder(target, seed), list(range(n_categorical)))
    encoded = ColumnTransformer([categories], remainder="passthrough")
    return Pipeline([("encoding", encoded), ("estimator", estimator)])


def search_space(trial: "Trial") -> Parameters:
    """Parameters of the boosted trees, and the weight of the forest."""
    return {**_trees.search_space(trial), "forest_weight": trial.suggest_float("forest_weight", 0.1, 0.6)}


MODEL_TYPE = ModelType(
    title="the mean of boosted trees, smaller ones and a forest",
    build=build,
    search_space=search_space,
    defaults={
        **boosting.MODEL_TYPE.defaults,
        "forest_weight": 1 / 3,
        "forest_n_estimators": 40,
        "forest_max_samples": 0.2,
        "forest_max_features": 0.3,
    },
    initial_points=[{**each, "forest_weight": 1 / 3} for each in _trees.INITIAL_POINTS if "encoding" not in each],
    encodings=("native",),
    imputations=("native",),
    complexity=4,
    trusted_types=[
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
    ],
)
