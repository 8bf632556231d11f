"""Logistic regression, or ridge regression for numbers: the simplest, which can be read."""

from typing import TYPE_CHECKING

from sklearn.linear_model import LogisticRegression, Ridge

from .. import task
from ..config import Training
from . import Family, Parameters

if TYPE_CHECKING:
    from optuna import Trial

MAX_ITER = 2000


def build(parameters: Parameters, n_categorical: int, training: Training) -> LogisticRegression | Ridge:
    """`l2_regularization` weighs the squared coefficients against the sum of the rows' losses."""
    weight = parameters["l2_regularization"]
    if task.IS_REGRESSION:
        return Ridge(alpha=weight)
    return LogisticRegression(C=1 / max(weight, 1e-10), max_iter=MAX_ITER)


def suggest(trial: "Trial") -> Parameters:
    """How small the coefficients are kept."""
    return {"l2_regularization": trial.suggest_float("l2_regularization", 1e-3, 1e3, log=True)}


FAMILY = Family(
    title="linear model of scikit-learn",
    build=build,
    suggest=suggest,
    defaults={"l2_regularization": 5.0},
    encodings=("onehot", "target"),
    imputations=("median", "mean"),
    scalings=("standard", "squashing"),
    complexity=1,
)
