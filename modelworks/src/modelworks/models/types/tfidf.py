"""A linear model of the words of texts: thousands of them in seconds, without a network or a package of its own."""

from typing import TYPE_CHECKING, Any

from modelworks.models.model_type import ModelType, Parameters
from modelworks.settings import Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial

NAME = "tfidf"
"""By which `adopt` writes it into [model] type."""


def build(target: Target, parameters: Parameters, n_categorical: int, training: Training) -> Any:
    """Logistic regression, or ridge regression for numbers."""
    from modelworks.models.encoders.word_weights import WordClassifier, WordRegressor

    return WordRegressor(**parameters) if target.is_regression else WordClassifier(**parameters)


def search_space(trial: "Trial") -> Parameters:
    """How small the coefficients are kept."""
    return {"l2_regularization": trial.suggest_float("l2_regularization", 1e-2, 1e2, log=True)}


MODEL_TYPE = ModelType(
    title="linear model of words, by TF-IDF",
    build=build,
    search_space=search_space,
    defaults={"max_words": 256, "l2_regularization": 0.2},
    encodings=("onehot",),
    imputations=("native",),
    complexity=1,
    trusted_types=[
        "modelworks.models.encoders.word_weights.WordClassifier",
        "modelworks.models.encoders.word_weights.WordRegressor",
    ],
    encoder="words",
)
