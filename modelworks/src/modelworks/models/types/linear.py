"""Logistic regression, or ridge regression for numbers: the simplest model type, with readable coefficients."""

from typing import TYPE_CHECKING

from modelworks.models.model_type import ModelType, Parameters
from modelworks.settings import Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial
    from sklearn.linear_model import LogisticRegression, Ridge

MAX_ITER = 2000


def build(
    target: Target, parameters: Parameters, n_categorical: int, training: Training
) -> "LogisticRegression | Ridge":
    """`l2_regularization` weighs the squared coefficients against the sum of the rows' losses."""
    from sklearn.linear_model import LogisticRegression, Ridge

    weight = parameters["l2_regularization"]
    if target.is_regression:
        return Ridge(alpha=weight)
    return LogisticRegression(C=1 / max(weight, 1e-10), max_iter=MAX_ITER)


def search_space(trial: "Trial") -> Parameters:
    """How small the coefficients are kept."""
    return {"l2_regularization": trial.suggest_float("l2_regularization", 1e-3, 1e3, log=True)}


MODEL_TYPE = ModelType(
    title="linear model of scikit-learn",
    build=build,
    search_space=search_space,
    defaults={"l2_regularization": 5.0},
    encodings=("onehot", "target"),
    imputations=("median", "mean"),
    scalings=("standard", "squashing"),
    complexity=1,
)
