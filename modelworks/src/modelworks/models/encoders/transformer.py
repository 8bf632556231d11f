"""Texts by a sentence encoder of Hugging Face, whose weights stay as they are: the estimator after it is trained."""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from modelworks.errors import ConfigError, WeightsError
from modelworks.models.encoders.folders import find_folder
from modelworks.models.encoders.memory import Memory
from modelworks.models.encoders.weights import check_same, first_line, identify, name_setting

BATCH_ROWS = 64

memory = Memory()


class TransformerEncoder(TransformerMixin, BaseEstimator):
    """A column of texts as numbers: the mean of the network's last layer over the tokens, of length 1.

    It keeps no weights, but the SHA-256 of those that it was fitted with; other ones are refused. A null is NaN.

    Parameters
    ----------
    weights, revision : as `find_folder` takes them
    max_tokens : tokens of a text that are read
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
        return int(_read_config(self.weights, self.revision).hidden_size)

    def fit(self, X: pd.Series, y: object = None) -> "TransformerEncoder":
        longest = _find_longest(self.weights, self.revision)
        if self.max_tokens > longest:
            raise ConfigError(
                f"[model.parameters] max_tokens = {self.max_tokens}: {self.weights} reads at most {longest}"
            )
        self.sha256_ = identify(find_folder(self.weights, self.revision))
        return self

    def transform(self, X: pd.Series) -> np.ndarray:
        """Shape (n_rows, size)."""
        encoded = np.full((len(X), self.size), np.nan)
        known = X.notna().to_numpy()
        if known.any():
            texts = X[known].tolist()
            encoded[known] = memory.encode(self._run, (self.sha256_, self.max_tokens), texts, BATCH_ROWS)
        return encoded

    def _run(self, texts: list[str]) -> np.ndarray:
        """The vectors of a batch, shape (n_texts, size), each of length 1."""
        tokenizer, network = _load_same(self.weights, self.revision, self.sha256_, self.threads)
        return _run(tokenizer, network, texts, self.max_tokens)


def _run(tokenizer: Any, network: Any, texts: list[str], max_tokens: int) -> np.ndarray:
    import torch  # takes seconds

    with torch.inference_mode():
        tokens = tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=max_tokens,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        layer = network(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        mean = (layer * mask).sum(dim=1) / mask.sum(dim=1)
        return np.asarray(torch.nn.functional.normalize(mean, dim=1).numpy(), "float64")


@lru_cache(maxsize=2)
def _load_same(weights: str, revision: str, sha256: str, threads: int) -> tuple[Any, Any]:
    """Tokenizer and network, if they are those of that hash; once they are in memory, their folder may go."""
    import torch
    from transformers import AutoModel

    check_same(find_folder(weights, revision), sha256)
    if threads:
        torch.set_num_threads(threads)
    return load_tokenizer(weights, revision), load(AutoModel, weights, revision, use_safetensors=True).eval()


@lru_cache(maxsize=2)
def load_tokenizer(weights: str, revision: str) -> Any:
    """The tokenizer of a network."""
    from transformers import AutoTokenizer

    return load(AutoTokenizer, weights, revision)


@lru_cache
def _read_config(weights: str, revision: str) -> Any:
    from transformers import AutoConfig

    return load(AutoConfig, weights, revision)


def _find_longest(weights: str, revision: str) -> int:
    """How many tokens of a text the network can read."""
    positions = getattr(_read_config(weights, revision), "max_position_embeddings", None)
    of_tokenizer = int(load_tokenizer(weights, revision).model_max_length)
    return min(positions or of_tokenizer, of_tokenizer)


def load(kind: Any, weights: str, revision: str, **kwargs: Any) -> Any:
    """An object of a class of transformers, from a folder; no code of the folder is run, and nothing is downloaded.

    Raises
    ------
    WeightsError
        If there is no such folder, or it holds something else.
    """
    from transformers import utils

    untyped: Any = utils.logging
    untyped.disable_progress_bar()
    folder = find_folder(weights, revision)
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **kwargs)
    except Exception as error:  # whatever transformers raises of a file that is damaged
        raise WeightsError(f"{name_setting(weights)}: transformers cannot load {folder}: {first_line(error)}") from None
