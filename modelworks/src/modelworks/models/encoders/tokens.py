"""Texts as the numbers of their tokens, for a model type with a network of its own."""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from modelworks.models.encoders.folders import find_folder
from modelworks.models.encoders.transformer import TransformerEncoder, load_tokenizer
from modelworks.models.encoders.weights import check_same


class TokenEncoder(TransformerEncoder):
    """A column of texts as numbers of tokens; gaps after the last one, and for a null.

    The parameters are those of `TransformerEncoder`, whose numbers monitoring compares.
    """

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.max_tokens

    def transform(self, X: pd.Series) -> np.ndarray:
        """Shape (n_rows, max_tokens)."""
        numbers = np.full((len(X), self.max_tokens), np.nan)
        known = np.flatnonzero(X.notna().to_numpy())
        if len(known):
            texts = X.iloc[known].tolist()
            found = _load_same(self.weights, self.revision, self.sha256_)(
                texts, truncation=True, max_length=self.max_tokens
            )["input_ids"]
            for row, tokens in zip(known.tolist(), found, strict=True):
                numbers[row, : len(tokens)] = tokens
        return numbers

    def embed(self, X: pd.Series) -> np.ndarray:
        """The vectors of the network as it came, shape (n_rows, n_dimensions)."""
        encoder = TransformerEncoder(self.weights, self.revision, self.max_tokens, self.threads)
        encoder.sha256_ = self.sha256_
        return encoder.transform(X)


@lru_cache(maxsize=2)
def _load_same(weights: str, revision: str, sha256: str) -> Any:
    """The tokenizer, if the weights beside it are those of that hash."""
    check_same(find_folder(weights, revision), sha256)
    return load_tokenizer(weights, revision)
