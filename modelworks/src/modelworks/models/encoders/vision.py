"""Images by a network of Keras, whose weights stay as they are: the estimator after it is trained."""

import hashlib
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin

from modelworks.data.images import decode
from modelworks.errors import ConfigError, WeightsError
from modelworks.models.encoders.memory import Memory
from modelworks.models.encoders.weights import (
    PACKAGE_MARK,
    find_in_package,
    first_line,
    identify,
    name_setting,
    refuse_others,
)
from modelworks.settings import find_home

APPLICATION_MARK = "application:"
APPLICATIONS = {
    "ConvNeXtTiny": 224,
    "ConvNeXtSmall": 224,
    "ConvNeXtBase": 224,
    "EfficientNetB0": 224,
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetV2B0": 224,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "MobileNetV3Large": 224,
    "MobileNetV3Small": 224,
}
"""Networks of keras.applications that take pixels as they are, with the side in pixels that they were trained on."""
BATCH_ROWS = 64

memory = Memory()


class VisionEncoder(TransformerMixin, BaseEstimator):
    """A column of images as the output of a network.

    It keeps no weights, but the SHA-256 of those that it was fitted with; other ones are refused. A null is NaN. A
    picture is brought to the size and the colours that the network reads, whatever its own are.

    Parameters
    ----------
    weights : as `load_network` takes them
    threads : of the network; 0: as many as there are cores
    """

    def __init__(self, weights: str, threads: int = 1) -> None:
        self.weights = weights
        self.threads = threads

    @property
    def size(self) -> int:
        """Number of columns."""
        return self._load().output_shape[-1]

    def fit(self, X: pd.Series, y: object = None) -> "VisionEncoder":
        self.sha256_ = _identify(self.weights, self.threads)
        return self

    def transform(self, X: pd.Series) -> np.ndarray:
        """Shape (n_rows, size)."""
        encoded = np.full((len(X), self.size), np.nan)
        known = X.notna().to_numpy()
        if known.any():
            encoded[known] = memory.encode(self._run, self.sha256_, X[known].tolist(), BATCH_ROWS)
        return encoded

    def _load(self) -> Any:
        sha256 = getattr(self, "sha256_", "") or _identify(self.weights, self.threads)
        return _load_same(self.weights, sha256, self.threads)

    def _run(self, images: list[str]) -> np.ndarray:
        network = self._load()
        _, high, wide, channels = network.input_shape
        pixels = np.stack([_to_pixels(image, high, wide, channels) for image in images])
        made = network(pixels, training=False)
        # By the tensor's own method, as Keras' makes NumPy warn of PyTorch.
        return (made.detach().cpu() if hasattr(made, "detach") else made).numpy().astype("float64")


def _to_pixels(text: str, high: int, wide: int, channels: int) -> np.ndarray:
    """Numbers from 0 to 255, shape (high, wide, channels)."""
    image = decode(text).convert("L" if channels == 1 else "RGB").resize((wide, high), Image.Resampling.BILINEAR)
    return np.asarray(image, "float32").reshape(high, wide, channels)


def _identify(weights: str, threads: int) -> str:
    if not weights.startswith(APPLICATION_MARK):
        return identify(_find_file(weights))
    return _hash_arrays(load_network(weights, threads))


@lru_cache(maxsize=2)
def _hash_arrays(network: Any) -> str:
    found = hashlib.sha256()
    for each in network.get_weights():
        found.update(np.ascontiguousarray(each).tobytes())
    return found.hexdigest()


def _find_file(weights: str) -> Path:
    is_packed = weights.startswith(PACKAGE_MARK)
    file = find_in_package(weights) if is_packed else find_home() / Path(weights).expanduser()
    if not weights or not file.is_file() or file.suffix != ".keras":
        raise WeightsError(
            f"{name_setting(weights)}: no such file of the format .keras, and not {APPLICATION_MARK} with one of "
            f"{', '.join(APPLICATIONS)}"
        )
    return file


@lru_cache(maxsize=2)
def _load_same(weights: str, sha256: str, threads: int) -> Any:
    """The network, if it is that of the hash; once it is in memory, its file may go."""
    refuse_others(weights, _identify(weights, threads), sha256)
    return load_network(weights, threads)


def load_network(weights: str, threads: int = 1) -> Any:
    """A network of Keras with its weights, frozen: from pixels 0 to 255 to a row of numbers for each picture.

    Parameters
    ----------
    weights : a file of the format .keras, relative to pipeline.toml, or `package:NAME/FILE` in
        an installed package; or `application:NAME`, of keras.applications with weights trained on ImageNet, which
        Keras downloads once, checks by their hash, and keeps in its own folder (KERAS_HOME)

    Raises
    ------
    WeightsError
        If there are no such weights, they cannot be loaded without running code of their own, or the network is not of
        that kind.
    ConfigError
        If there is no such application.
    ConnectionError
        If they cannot be downloaded.
    """
    name = weights.removeprefix(APPLICATION_MARK)
    if name == weights:
        return _load_file(weights, _find_file(weights), threads)
    if name not in APPLICATIONS:
        raise ConfigError(f"{name_setting(weights)}: no such application; there are {', '.join(APPLICATIONS)}")
    return _load_application(name, threads)


def _load_file(weights: str, file: Path, threads: int) -> Any:
    keras = _import_keras(threads)
    try:
        network = keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras raises of a file that holds something else, or code
        raise WeightsError(f"{name_setting(weights)}: Keras cannot load {file}: {first_line(error)}") from None
    taken: Any = getattr(network, "input_shape", None)
    made: Any = getattr(network, "output_shape", None)
    if not _is_shape(taken, 4) or not _is_shape(made, 2) or taken[-1] not in {1, 3}:
        raise WeightsError(
            f"{name_setting(weights)}: the network takes {taken} and makes {made}; wanted is one that takes "
            "(None, height, width, 1 or 3) and makes (None, numbers), as with include_top=False and pooling='avg'"
        )
    network.trainable = False
    return network


def _is_shape(shape: Any, length: int) -> bool:
    return isinstance(shape, tuple) and len(shape) == length and None not in shape[1:]


@lru_cache(maxsize=2)
def _load_application(name: str, threads: int) -> Any:
    keras = _import_keras(threads)
    side = APPLICATIONS[name]
    try:
        network = getattr(keras.applications, name)(
            include_top=False, weights="imagenet", input_shape=(side, side, 3), pooling="avg"
        )
    except Exception as error:  # whatever the network, a proxy or the disk makes of a download
        # A connection may come back, so the task is retried.
        raise ConnectionError(
            f"{name_setting(APPLICATION_MARK + name)}: neither downloaded before nor available now: "
            f"{first_line(error)}; where there is a network, `KERAS_BACKEND={keras.backend.backend()} .venv/bin/python "
            f"-c 'import keras; keras.applications.{name}(include_top=False)'` downloads them into KERAS_HOME"
        ) from None
    network.trainable = False
    return network


def _import_keras(threads: int) -> Any:
    """Keras, on PyTorch if that is there, or else on TensorFlow; takes seconds."""
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "tensorflow")
    import keras

    if threads and keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)
    return keras
