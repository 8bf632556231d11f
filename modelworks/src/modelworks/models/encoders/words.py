"""Texts as the hashes of their words, for a model type that weights words itself."""

import re
import unicodedata

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import murmurhash3_32

WORD = re.compile(r"\w+|[!?€$£%]")
LONG_WORD = 7.0  # letters, about twice an English word; only a scale


class WordEncoder(TransformerMixin, BaseEstimator):
    """A column of texts as hashes of words, in their order; gaps after the last one, and for a null.

    Monitoring compares what `embed` measures of a text: its length, its letters, and how many of its words are new.

    Parameters
    ----------
    max_words : of a text; the rest is cut off
    """

    def __init__(self, max_words: int) -> None:
        self.max_words = max_words

    @property
    def size(self) -> int:
        """Number of columns."""
        return self.max_words

    def fit(self, X: pd.Series, y: object = None) -> "WordEncoder":
        hashes = self.transform(X)
        self.known_ = np.unique(hashes[~np.isnan(hashes)])
        return self

    def transform(self, X: pd.Series) -> np.ndarray:
        """Shape (n_rows, max_words)."""
        encoded = np.full((len(X), self.max_words), np.nan)
        for row, text in enumerate(X.tolist()):
            if isinstance(text, str):
                words = split_words(text)[: self.max_words]
                encoded[row, : len(words)] = [murmurhash3_32(word, positive=True) for word in words]
        return encoded

    def embed(self, X: pd.Series) -> np.ndarray:
        """Numbers that describe each text, each of about the same scale; shape (n_rows, 5), NaN for a null.

        They are the logarithm of its words, the mean length of a word, and the shares of digits, of capitals and of
        words that the training rows do not have.
        """
        hashes = self.transform(X)
        n_words = (~np.isnan(hashes)).sum(axis=1)
        is_new = ~np.isin(hashes, self.known_) & ~np.isnan(hashes)
        texts = X.fillna("")
        letters = texts.str.len().clip(lower=1).to_numpy("float64")
        found = np.column_stack([
            np.log1p(n_words) / np.log1p(self.max_words),
            letters / np.maximum(n_words, 1) / LONG_WORD,
            texts.str.count(r"\d").to_numpy("float64") / letters,
            texts.str.count(r"[A-Z]").to_numpy("float64") / letters,
            is_new.sum(axis=1) / np.maximum(n_words, 1),
        ])
        found[X.isna().to_numpy()] = np.nan
        return found


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, without accents; a few marks are words too."""
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return WORD.findall("".join(letter for letter in decomposed if not unicodedata.combining(letter)))
