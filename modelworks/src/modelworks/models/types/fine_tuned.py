"""A pre-trained transformer that is fine-tuned in all its layers: slower to fit than a model on top of frozen ones."""

from typing import TYPE_CHECKING, Any

from modelworks.errors import ConfigError
from modelworks.models.model_type import ModelType, Parameters
from modelworks.settings import Training
from modelworks.targets import Target

if TYPE_CHECKING:
    from optuna import Trial


def build(target: Target, parameters: Parameters, n_categorical: int, training: Training) -> Any:
    """It starts from the weights that [model.parameters] names."""
    if target.is_regression:
        raise ConfigError("[model] type = 'fine_tuned' is for classes, and the target is a number")
    from modelworks.models.encoders.fine_tuning import FineTunedClassifier

    return FineTunedClassifier(**parameters, threads=training.threads, random_state=training.seed)


def search_space(trial: "Trial") -> Parameters:
    """How far the weights move from the pre-trained ones."""
    return {
        "epochs": trial.suggest_int("epochs", 1, 5),
        "step_size": trial.suggest_float("step_size", 1e-5, 2e-4, log=True),
    }


MODEL_TYPE = ModelType(
    title="a fine-tuned transformer",
    build=build,
    search_space=search_space,
    defaults={
        "weights": "",
        "weights_revision": "",
        "max_tokens": 128,
        "epochs": 3,
        "step_size": 5e-5,
        "batch_rows": 32,
    },
    encodings=("onehot",),
    imputations=("native",),
    complexity=6,
    trusted_types=["modelworks.models.encoders.fine_tuning.FineTunedClassifier"],
    packages=["torch", "transformers", "safetensors"],
    encoder="tokens",
)
