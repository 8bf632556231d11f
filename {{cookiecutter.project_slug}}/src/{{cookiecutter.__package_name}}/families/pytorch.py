"""A network in PyTorch, with embeddings of the categories."""

from typing import Any

from .. import networks, task
from ..config import PACKAGE, Training
from . import Family, Parameters


def build(parameters: Parameters, n_categorical: int, training: Training) -> Any:
    """It stops early on a part of the rows that it draws by the seed."""
    from ..networks import pytorch  # takes seconds, and only who fits or loads one needs it

    kind = pytorch.PyTorchRegressor if task.IS_REGRESSION else pytorch.PyTorchClassifier
    return kind(n_categorical, **parameters, threads=training.threads, random_state=training.seed)


FAMILY = Family(
    title="a network in PyTorch",
    build=build,
    suggest=networks.suggest,
    defaults=networks.DEFAULTS,
    encodings=("native", "target"),
    scalings=("none", "squashing"),
    complexity=4,
    trusted_types=[f"{PACKAGE}.networks.pytorch.PyTorchClassifier", f"{PACKAGE}.networks.pytorch.PyTorchRegressor"],
    packages=["torch"],
)
