"""Texts by a pipeline of spaCy: smaller and faster than a transformer, and less accurate about meaning."""

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from modelworks.errors import WeightsError
from modelworks.models.encoders.folders import find_folder
from modelworks.models.encoders.weights import check_same, first_line, identify, name_setting

CONFIG_FILE = "config.cfg"
MAX_CHARACTERS = 100_000  # of a text; spaCy itself takes no more than a million
UNUSED = ["tagger", "parser", "senter", "attribute_ruler", "lemmatizer", "ner"]


class SpacyEncoder(TransformerMixin, BaseEstimator):
    """A column of texts as numbers: the mean vector of its tokens; zeros of a text without tokens.

    It keeps no weights, but the SHA-256 of those that it was fitted with; other ones are refused. A null is NaN.

    Parameters
    ----------
    weights : the folder of a pipeline, as `find_folder` takes it
    """

    def __init__(self, weights: str) -> None:
        self.weights = weights

    @property
    def size(self) -> int:
        """Number of columns."""
        sha256 = getattr(self, "sha256_", "") or identify(find_folder(self.weights, "", CONFIG_FILE))
        return len(_vector(_load_same(self.weights, sha256)("word")))

    def fit(self, X: pd.Series, y: object = None) -> "SpacyEncoder":
        self.sha256_ = identify(find_folder(self.weights, "", CONFIG_FILE))
        return self

    def transform(self, X: pd.Series) -> np.ndarray:
        """Shape (n_rows, size)."""
        pipeline = _load_same(self.weights, self.sha256_)
        encoded = np.full((len(X), self.size), np.nan)
        known = np.flatnonzero(X.notna().to_numpy())
        texts = [text[:MAX_CHARACTERS] for text in X.iloc[known].tolist()]
        for row, document in zip(known.tolist(), pipeline.pipe(texts), strict=True):
            encoded[row] = _vector(document) if len(document) else 0.0
        return encoded


def _vector(document: Any) -> np.ndarray:
    # A small pipeline has no table of word vectors, only the output of its network.
    return document.vector if document.vocab.vectors_length else document.tensor.mean(axis=0)


@lru_cache(maxsize=2)
def _load_same(weights: str, sha256: str) -> Any:
    """The pipeline, if it is that of the hash; once it is in memory, its folder may go."""
    import spacy  # takes seconds to import

    folder = find_folder(weights, "", CONFIG_FILE)
    check_same(folder, sha256)
    try:
        return spacy.load(folder, exclude=UNUSED)
    except Exception as error:  # whatever spaCy raises of a folder that is damaged, or of another version
        raise WeightsError(f"{name_setting(weights)}: spaCy cannot load {folder}: {first_line(error)}") from None
