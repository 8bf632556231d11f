"""A network in PyTorch, with embeddings of the categories."""

from typing import Any

from modelworks.models import networks
from modelworks.models.model_type import ModelType, Parameters
from modelworks.settings import Training
from modelworks.targets import Target


def build(target: Target, parameters: Parameters, n_categorical: int, training: Training) -> Any:
    """It stops early by the loss on a validation part of the rows, drawn by the seed."""
    from modelworks.models.networks import pytorch

    kind = pytorch.PyTorchRegressor if target.is_regression else pytorch.PyTorchClassifier
    return kind(n_categorical, **parameters, threads=training.threads, random_state=training.seed)


MODEL_TYPE = ModelType(
    title="a network in PyTorch",
    build=build,
    search_space=networks.search_space,
    defaults=networks.DEFAULTS,
    encodings=("native", "target"),
    scalings=("none", "squashing"),
    complexity=4,
    tolerance=1e-6,  # it computes in 32 bits
    trusted_types=[
        "modelworks.models.networks.pytorch.PyTorchClassifier",
        "modelworks.models.networks.pytorch.PyTorchRegressor",
    ],
    packages=["torch"],
)
