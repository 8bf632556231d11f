"""Linear models of the words of texts, weighted by TF-IDF, and of the other columns."""

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression, Ridge

from modelworks.errors import ConfigError

MAX_TERMS = 50_000
MIN_TEXTS = 2
"""Training texts that a term has to be in, where there are enough texts."""
PAIR = np.uint64(0x9E3779B97F4A7C15)  # an odd number with well mixed bits
MAX_ITER = 2000
Terms = tuple[np.ndarray, np.ndarray, int]
"""Hashes of terms, the row of each, and the number of rows."""


class _WordWeights(BaseEstimator):
    """What both models share: the matrix of terms and other columns.

    The last `n_documents` times `max_words` columns are hashes of words, as `WordEncoder` makes them. A term is a word
    or a pair of words that follow each other; that of each document is a term of its own.

    Parameters
    ----------
    max_words : of a document
    l2_regularization : weight of the squared coefficients, against the sum of the rows' losses
    n_documents : how many of the features are documents; the pipeline sets it
    """

    def __init__(self, max_words: int = 256, l2_regularization: float = 0.2, n_documents: int = 1) -> None:
        self.max_words = max_words
        self.l2_regularization = l2_regularization
        self.n_documents = n_documents

    def _fit_columns(self, X: np.ndarray) -> csr_matrix:
        if not self.n_documents:
            raise ConfigError("[model] type = 'tfidf' needs a text, and no feature is one")
        others, terms = self._split(X)
        known = ~np.isnan(others).all(axis=0)
        self.means_ = np.where(known, np.nanmean(np.where(known, others, 0), axis=0), 0.0)
        scales = np.nanstd(np.where(known, others, 0), axis=0)
        self.scales_ = np.where(scales > 0, scales, 1.0)
        self.terms_ = self._choose_terms(terms)
        self.weights_ = TfidfTransformer(sublinear_tf=True).fit(self._count(terms))
        return self._transform_columns(X)

    def _transform_columns(self, X: np.ndarray) -> csr_matrix:
        others, terms = self._split(X)
        # An unknown value is an average one.
        scaled = np.nan_to_num((others - self.means_) / self.scales_)
        return hstack([csr_matrix(scaled), self.weights_.transform(self._count(terms))], format="csr")

    def _split(self, X: np.ndarray) -> tuple[np.ndarray, Terms]:
        """The other columns, and the terms of the documents."""
        n_words = self.n_documents * self.max_words
        others, words = X[:, : X.shape[1] - n_words], X[:, X.shape[1] - n_words :]
        found, rows = [], []
        for number, document in enumerate(np.hsplit(words, self.n_documents)):
            is_word = ~np.isnan(document)
            hashes = np.nan_to_num(document).astype("uint64") + (np.uint64(number) << np.uint64(32))
            is_pair = is_word[:, :-1] & is_word[:, 1:]
            pairs = hashes[:, :-1] * PAIR + hashes[:, 1:]  # overflows, as a hash may
            found += [hashes[is_word], pairs[is_pair]]
            rows += [np.nonzero(is_word)[0], np.nonzero(is_pair)[0]]
        return others, (np.concatenate(found), np.concatenate(rows), len(X))

    def _choose_terms(self, terms: Terms) -> np.ndarray:
        """The terms that count, sorted: those of most texts."""
        hashes, rows, n_rows = terms
        order = np.lexsort((rows, hashes))
        ordered, of_row = hashes[order], rows[order]
        is_first = np.ones(len(order), dtype="bool")  # of its term and text
        is_first[1:] = (ordered[1:] != ordered[:-1]) | (of_row[1:] != of_row[:-1])
        unique, n_texts = np.unique(ordered[is_first], return_counts=True)
        is_kept = n_texts >= min(MIN_TEXTS, n_rows)
        if not is_kept.any():
            is_kept[:] = True
        unique, n_texts = unique[is_kept], n_texts[is_kept]
        most = np.argsort(-n_texts, kind="stable")[:MAX_TERMS]
        return np.sort(unique[most])

    def _count(self, terms: Terms) -> csr_matrix:
        hashes, rows, n_rows = terms
        if not len(self.terms_):
            return csr_matrix((n_rows, 1))
        at = np.minimum(np.searchsorted(self.terms_, hashes), len(self.terms_) - 1)
        is_known = self.terms_[at] == hashes
        ones = np.ones(int(is_known.sum()))
        return csr_matrix((ones, (rows[is_known], at[is_known])), shape=(n_rows, len(self.terms_)))


class WordClassifier(ClassifierMixin, _WordWeights):
    """Logistic regression of terms and other columns; the parameters are those of both models."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "WordClassifier":
        weight = 1 / max(self.l2_regularization, 1e-10)
        self.model_ = LogisticRegression(C=weight, max_iter=MAX_ITER).fit(self._fit_columns(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Shape (n_rows, n_classes)."""
        return np.asarray(self.model_.predict_proba(self._transform_columns(X)))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The most likely class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class WordRegressor(RegressorMixin, _WordWeights):
    """Ridge regression of terms and other columns; the parameters are those of both models."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "WordRegressor":
        # The solver that needs no dense matrix and centres nothing but the target.
        self.model_ = Ridge(alpha=self.l2_regularization, solver="sparse_cg").fit(self._fit_columns(X), y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Shape (n_rows,)."""
        return np.asarray(self.model_.predict(self._transform_columns(X)))
