"""Texts by a sentence encoder of Hugging Face, which stays as it is: what is learned comes after it."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from ..config import PACKAGE, Model, Training
from . import Encoder
from ._folders import find_folder
from ._memory import Memory
from ._weights import check_same, identify

BATCH_ROWS = 64

memory = Memory()


class TransformerEncoder(TransformerMixin, BaseEstimator):
    """A column of texts as numbers: the mean of the network's last layer over the tokens, of length 1.

    It keeps no weights, but the SHA-256 of those that it was fitted with; other ones are refused. A null is NaN.

    Parameters
    ----------
    weights, revision : as `find_folder` takes them
    max_tokens : what comes after so many is not read
    threads : of the network; 0: as many as there are cores
    """

    def __init__(self, weights: str, revision: str = "", max_tokens: int = 128, threads: int = 1) -> None:
        self.weights = weights
        self.revision = revision
        self.max_tokens = max_tokens
        self.threads = threads

    @property
    def size(self) -> int:
        """Number of columns."""
        return _read_config(find_folder(self.weights, self.revision))["hidden_size"]

    def fit(self, X: pd.Series, y: object = None) -> "TransformerEncoder":
        self.sha256_ = identify(find_folder(self.weights, self.revision))
        return self

    def transform(self, X: pd.Series) -> np.ndarray:
        """Shape (n_rows, size)."""
        folder = find_folder(self.weights, self.revision)
        check_same(folder, self.sha256_)
        encoded = np.full((len(X), self.size), np.nan)
        known = X.notna().to_numpy()
        if known.any():
            encoded[known] = _encode(folder, X[known].tolist(), self.max_tokens, self.threads)
        return encoded


def _encode(folder: Path, texts: list[str], max_tokens: int, threads: int) -> np.ndarray:
    def run(batch: list[str]) -> np.ndarray:
        return _run(folder, batch, max_tokens, threads)

    return memory.encode(run, (folder, max_tokens), texts, BATCH_ROWS)


def _run(folder: Path, texts: list[str], max_tokens: int, threads: int) -> np.ndarray:
    """The vectors of a batch, shape (n_texts, size), each of length 1."""
    import torch  # takes seconds to import, and only a project with an encoder has it

    tokenizer, network = load_network(folder, threads)
    with torch.inference_mode():
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
        layer = network(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        mean = (layer * mask).sum(dim=1) / mask.sum(dim=1)
        return np.asarray(torch.nn.functional.normalize(mean, dim=1).numpy(), "float64")


@lru_cache(maxsize=2)
def load_network(folder: Path, threads: int = 1) -> tuple[Any, Any]:
    """Tokenizer and network of a folder; nothing is run that lies in it, and nothing downloaded."""
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if threads:
        torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    network = AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_safetensors=True)
    return tokenizer, network.eval()


@lru_cache
def _read_config(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def build(model: Model, training: Training) -> TransformerEncoder:
    """The encoder that is configured."""
    return TransformerEncoder(model.weights, model.weights_revision, model.max_tokens, training.threads)


ENCODER = Encoder(
    title="sentence encoder of Hugging Face",
    build=build,
    trusted_types=[f"{PACKAGE}.pretrained.transformer.TransformerEncoder"],
    packages=["torch", "transformers", "safetensors"],
)
