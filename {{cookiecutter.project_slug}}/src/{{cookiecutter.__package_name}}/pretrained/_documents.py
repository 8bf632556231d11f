"""The features of the contract as one matrix, where some of them are documents."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from ..features import Features

N_PROJECTIONS = 5


class DocumentFeatures(Features):
    """What `Features` makes, and after it the numbers of each document.

    What is watched of documents when months are compared are a few projections of their numbers: the principal
    components of the rows that were learned from, which are kept here.

    Parameters
    ----------
    texts, times, dates, numbers : as `Features` has them
    documents : names of columns, which come last
    encoders : one for each of the documents
    """

    def __init__(
        self,
        texts: list[str],
        times: list[str],
        dates: list[str],
        numbers: list[str],
        documents: list[str],
        encoders: list[Any],
    ) -> None:
        super().__init__(texts, times, dates, numbers)
        self.documents = documents
        self.encoders = encoders

    def fit(self, X: pd.DataFrame, y: pd.Series | None = None) -> "DocumentFeatures":
        super().fit(X)
        self.encoders_ = [
            clone(encoder).fit(X[name]) for name, encoder in zip(self.documents, self.encoders, strict=True)
        ]
        self.means_, self.directions_ = [], []
        for name, encoder in zip(self.documents, self.encoders_, strict=True):
            encoded = _embed(encoder, X[name])
            known = encoded[~np.isnan(encoded).any(axis=1)]
            self.means_.append(known.mean(axis=0))
            self.directions_.append(_principal_directions(known - self.means_[-1]))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Numbers only, the documents' last; of one that is null they are NaN."""
        encoded = [encoder.transform(X[name]) for name, encoder in zip(self.documents, self.encoders_, strict=True)]
        return np.hstack([super().transform(X), *encoded])

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        own = [
            f"{name}_{number}"
            for name, encoder in zip(self.documents, self.encoders, strict=True)
            for number in range(encoder.size)
        ]
        return np.append(super().get_feature_names_out(), np.array(own, dtype=object))

    def project(self, X: pd.DataFrame) -> pd.DataFrame:
        """The same rows with a few numbers in place of each document, by which months can be compared."""
        projected: dict[str, np.ndarray] = {}
        for name, encoder, mean, directions in zip(
            self.documents, self.encoders_, self.means_, self.directions_, strict=True
        ):
            values = (_embed(encoder, X[name]) - mean) @ directions.T
            projected |= {f"{name} ({number})": column for number, column in enumerate(values.T, 1)}
        return X.drop(columns=self.documents).assign(**projected)


def _embed(encoder: Any, documents: pd.Series) -> np.ndarray:
    """The numbers by which documents are compared: those that an encoder has for it, or else what it makes."""
    embed = getattr(encoder, "embed", encoder.transform)
    return np.asarray(embed(documents))


def _principal_directions(centred: np.ndarray) -> np.ndarray:
    """Along which rows differ most, shape (at most `N_PROJECTIONS`, n_columns); of the same rows always the same."""
    covariance = centred.T @ centred
    _, vectors = np.linalg.eigh(covariance)
    directions = vectors.T[::-1][:N_PROJECTIONS]
    # Either end of a direction may come first; the largest part is made positive.
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
    return np.asarray(directions * signs[:, None])
