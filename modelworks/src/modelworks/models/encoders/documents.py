"""Columns as one matrix, where some of them are documents."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from modelworks.models.columns import CLOCK, ColumnEncoder

N_PROJECTIONS = 5


class DocumentEncoder(ColumnEncoder):
    """The matrix of `ColumnEncoder`, followed by the numbers of each document.

    Monitoring compares a few projections of these numbers: on the principal components of the training rows, which are
    kept here.

    Parameters
    ----------
    texts, times, dates, numbers, time_parts : see `ColumnEncoder`
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
        time_parts: Sequence[str] = CLOCK,
    ) -> None:
        super().__init__(texts, times, dates, numbers, time_parts)
        self.documents = documents
        self.encoders = encoders

    def fit(self, X: pd.DataFrame, y: pd.Series | None = None) -> "DocumentEncoder":
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
        """Numbers only, the documents' last; NaN for a null document."""
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
        """The rows with a few numbers in place of each document, as monitoring compares periods."""
        projected: dict[str, np.ndarray] = {}
        for name, encoder, mean, directions in zip(
            self.documents, self.encoders_, self.means_, self.directions_, strict=True
        ):
            values = (_embed(encoder, X[name]) - mean) @ directions.T
            projected |= {f"{name} ({number})": column for number, column in enumerate(values.T, 1)}
        return X.drop(columns=self.documents).assign(**projected)


def _embed(encoder: Any, documents: pd.Series) -> np.ndarray:
    """The numbers by which documents are compared: the encoder's `embed`, or else its output."""
    embed = getattr(encoder, "embed", encoder.transform)
    return np.asarray(embed(documents))


def _principal_directions(centred: np.ndarray) -> np.ndarray:
    """Directions of the largest variance, shape (at most `N_PROJECTIONS`, n_columns); the same for the same rows."""
    covariance = centred.T @ centred
    _, vectors = np.linalg.eigh(covariance)
    directions = vectors.T[::-1][:N_PROJECTIONS]
    # The sign of a direction is arbitrary; the largest part is made positive.
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
    return np.asarray(directions * signs[:, None])
