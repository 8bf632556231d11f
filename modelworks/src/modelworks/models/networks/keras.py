"""A network for tables in Keras, on PyTorch or TensorFlow."""

import os
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

# Keras chooses its backend at its import. PyTorch is first, since it predicts single rows faster.
os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else TensorFlow warns of each GPU that is not there

import keras
import numpy as np

from modelworks.models.networks.table import Rows, Shape, TableClassifier, TableNetwork, TableRegressor, Weights


def make_layers(shape: Shape, settings: TableNetwork) -> keras.Model:
    """Embeddings of all categories in one table, beside the numbers before the hidden layers."""
    seed = settings.random_state
    inputs, parts = [], []
    if shape.n_categorical:
        inputs.append(keras.Input((shape.n_categorical,), dtype="int32", name="codes"))
        uniform = keras.initializers.RandomUniform(-1, 1, seed=seed)
        embedding = keras.layers.Embedding(shape.n_codes, settings.embedding_width, uniform, name="embedding")
        parts.append(keras.layers.Flatten(name="flat")(embedding(inputs[-1])))
    if shape.n_numbers:
        inputs.append(keras.Input((shape.n_numbers,), name="numbers"))
        parts.append(inputs[-1])
    hidden = parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="beside")(parts)
    for at in range(settings.hidden_layers):
        initial = keras.initializers.HeUniform(seed=seed + at)
        dense = keras.layers.Dense(settings.hidden_width, "relu", kernel_initializer=initial, name=f"hidden_{at}")
        hidden = keras.layers.Dropout(settings.dropout, seed=seed + at, name=f"dropout_{at}")(dense(hidden))
    initial = keras.initializers.GlorotUniform(seed=seed)
    output = keras.layers.Dense(shape.n_outputs, kernel_initializer=initial, name="output")(hidden)
    return keras.Model(inputs, output)


class KerasNetwork:
    """The layers with AdamW; Keras itself takes a GPU where there is one."""

    def __init__(self, shape: Shape, settings: TableNetwork, loss: keras.losses.Loss) -> None:
        _limit_threads(settings.threads)
        self._layers = make_layers(shape, settings)
        self._layers.compile(keras.optimizers.AdamW(weight_decay=settings.weight_decay), loss, jit_compile=False)

    def learn(self, rows: Rows, target: np.ndarray, step_size: float) -> None:
        """One step of the optimiser; see `Network.learn`."""
        self._layers.optimizer.learning_rate = step_size
        self._layers.train_on_batch(_to_inputs(rows), target)

    def forward(self, rows: Rows) -> np.ndarray:
        """Logits of each class, or a value; shape (n_rows, n_outputs)."""
        # `predict` takes fifty times as long for a single row.
        return _to_array(self._layers(_to_inputs(rows), training=False))

    def get_weights(self) -> Weights:
        """Copies of the weights, by name."""
        return {each.path: _to_array(each.value).copy() for each in self._layers.weights}

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, by name."""
        for each in self._layers.weights:
            each.assign(weights[each.path])


def _to_inputs(rows: Rows) -> list[np.ndarray]:
    return [each for each in (rows.codes.astype("int32"), rows.numbers) if each.shape[1]]


def _to_array(tensor: Any) -> np.ndarray:
    """By the tensor's own method, as Keras' makes NumPy warn of PyTorch."""
    return (tensor.detach().cpu() if hasattr(tensor, "detach") else tensor).numpy()


def _limit_threads(threads: int) -> None:
    if not threads:
        return
    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow

        with suppress(RuntimeError):  # it cannot be changed after TensorFlow has started
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)


class KerasClassifier(TableClassifier):
    """A classifier whose network is Keras'."""

    def make_network(self, shape: Shape) -> KerasNetwork:
        return KerasNetwork(shape, self, keras.losses.SparseCategoricalCrossentropy(from_logits=True))


class KerasRegressor(TableRegressor):
    """A regressor whose network is Keras'."""

    def make_network(self, shape: Shape) -> KerasNetwork:
        return KerasNetwork(shape, self, keras.losses.MeanSquaredError())
