"""The pre-trained transformer itself, which learns in all its layers: slower to fit than what comes after it."""

from typing import TYPE_CHECKING, Any

from .. import task
from ..config import PACKAGE, Training
from ..errors import ConfigError
from . import Family, Parameters

if TYPE_CHECKING:
    from optuna import Trial


def build(parameters: Parameters, n_categorical: int, training: Training) -> Any:
    """It begins with the weights that [model] names."""
    if task.IS_REGRESSION:
        raise ConfigError("[model] family = 'fine_tuned' is for classes, and the target is a number")
    from ..pretrained._fine_tuning import FineTunedClassifier  # takes seconds, and only who fits or loads one needs it

    return FineTunedClassifier(**parameters, threads=training.threads, random_state=training.seed)


def suggest(trial: "Trial") -> Parameters:
    """How far it goes from what it was."""
    return {
        "epochs": trial.suggest_int("epochs", 1, 5),
        "step_size": trial.suggest_float("step_size", 1e-5, 2e-4, log=True),
    }


FAMILY = Family(
    title="a fine-tuned transformer",
    build=build,
    suggest=suggest,
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
    trusted_types=[f"{PACKAGE}.pretrained._fine_tuning.FineTunedClassifier"],
    packages=["torch", "transformers", "safetensors"],
    encoder="tokens",
)
