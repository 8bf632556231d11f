"""A network in Keras, with embeddings of the categories."""

from typing import Any

from .. import networks, task
from ..config import PACKAGE, Training
from . import Family, Parameters, installed


def build(parameters: Parameters, n_categorical: int, training: Training) -> Any:
    """It stops early on a part of the rows that it draws by the seed."""
    from ..networks import keras  # takes seconds, and only who fits or loads one needs it

    kind = keras.KerasRegressor if task.IS_REGRESSION else keras.KerasClassifier
    return kind(n_categorical, **parameters, threads=training.threads, random_state=training.seed)


FAMILY = Family(
    title="a network in Keras 3",
    build=build,
    suggest=networks.suggest,
    defaults=networks.DEFAULTS,
    encodings=("native", "target"),
    scalings=("none", "squashing"),
    complexity=4,
    trusted_types=[f"{PACKAGE}.networks.keras.KerasClassifier", f"{PACKAGE}.networks.keras.KerasRegressor"],
    packages=["keras", installed("torch", "tensorflow-cpu", "tensorflow")],
)
