"""What networks for tables share: the encoding of the matrix, early stopping, and scikit-learn's form."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from modelworks.progress import track

VALIDATION_FRACTION = 0.1
STRETCHES = 50  # of neighbouring rows
MIN_GAIN = 1e-4  # of the validation loss; less does not count as a gain
HIDDEN_FRACTION = 0.02  # of the categories in training, so that the network is trained on "not known" as well
PREDICTION_ROWS = 16_384  # at once, for the memory's sake

Columns = dict[str, np.ndarray]
Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shape:
    """What goes into a network and what comes out.

    Attributes
    ----------
    n_codes : different codes of all categorical columns together
    n_categorical : columns of codes
    n_numbers : columns of numbers
    n_outputs : one of each class, or one
    """

    n_codes: int
    n_categorical: int
    n_numbers: int
    n_outputs: int


@dataclass(frozen=True)
class Rows:
    """Rows as a network takes them.

    Attributes
    ----------
    codes : shape (n_rows, n_categorical), int64, each column with codes of its own; its first is "not known"
    numbers : shape (n_rows, n_numbers), float32, about 0 and of size 1
    """

    codes: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray | slice) -> "Rows":
        """Some of the rows."""
        return Rows(self.codes[rows], self.numbers[rows])


class Network(Protocol):
    """A network of a framework, on its device, with its optimiser."""

    def learn(self, rows: Rows, target: np.ndarray, step_size: float) -> None:
        """A step of the optimiser; the target is as `TableNetwork` encodes it."""

    def forward(self, rows: Rows) -> np.ndarray:
        """Logits of each class, or a value; shape (n_rows, n_outputs)."""

    def get_weights(self) -> Weights:
        """Copies of the weights, by name."""

    def set_weights(self, weights: Weights) -> None:
        """Replace the weights, by name."""


def learn_columns(matrix: np.ndarray, n_categorical: int) -> Columns:
    """What `encode` needs of the columns; arrays only.

    Parameters
    ----------
    matrix : shape (n_rows, n_columns), the first `n_categorical` of them codes 0, 1, ... or NaN
    """
    codes, numbers = matrix[:, :n_categorical], matrix[:, n_categorical:]
    counts = np.array([np.nanmax(each, initial=-1) + 2 for each in codes.T], dtype="int64")  # one for "not known"
    is_known = np.isfinite(numbers)
    known = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, numbers, 0).sum(axis=0) / known
    scale = np.sqrt((np.where(is_known, numbers - mean, 0) ** 2).sum(axis=0) / known)
    return {
        "counts": counts,
        "first": np.cumsum(counts) - counts,
        "mean": mean,
        "scale": np.where(scale > 0, scale, 1.0),
        "has_gaps": ~is_known.all(axis=0),
    }


def encode(matrix: np.ndarray, columns: Columns) -> Rows:
    """Rows for a network: codes that no other column has, standardised numbers, and where there was a gap."""
    n_categorical = len(columns["counts"])
    codes, numbers = matrix[:, :n_categorical], matrix[:, n_categorical:]
    own = np.where(codes < columns["counts"] - 1, codes, -1).astype("int64") + 1  # NaN is not below anything
    standardised = (numbers - columns["mean"]) / columns["scale"]
    is_gap = ~np.isfinite(standardised)
    # Beyond a few standard deviations it hardly matters how far.
    bounded = np.arcsinh(np.where(is_gap, 0.0, standardised))
    return Rows(
        own + columns["first"],
        np.concatenate([bounded, is_gap[:, columns["has_gaps"]]], axis=1, dtype="float32", casting="same_kind"),
    )


def choose_validation(n_rows: int, random: np.random.Generator) -> np.ndarray:
    """The validation rows of early stopping; shape (n_rows,), bool.

    They are whole stretches of neighbours, which are often of one day: rows with neighbours in training would never
    stop it.
    """
    n_stretches = min(STRETCHES, n_rows)
    chosen = random.permutation(n_stretches)[: max(round(VALIDATION_FRACTION * n_stretches), 1)]
    return np.isin(np.arange(n_rows) * n_stretches // n_rows, chosen)


class TableNetwork(BaseEstimator, ABC):
    """A network with embeddings of the categories and hidden layers, with early stopping on a part of the rows.

    It keeps arrays only. The network is built from them at first use, on the device that is there.

    Parameters
    ----------
    n_categorical : so many of the first columns are codes 0, 1, ... or NaN
    embedding_width : numbers that stand for a category
    hidden_layers, hidden_width : how many, and of how many units each
    dropout : share of the units that a step leaves out
    step_size : of AdamW at the start; it falls to nothing in the course of `max_epochs`
    weight_decay : of AdamW
    batch_size : rows of a step
    max_epochs : passes over the rows, at most
    patience : epochs without a gain after which it ends
    threads : of the processor; 0 for as many as there are
    random_state : the same gives the same network on a processor
    """

    def __init__(
        self,
        n_categorical: int = 0,
        *,
        embedding_width: int = 8,
        hidden_layers: int = 2,
        hidden_width: int = 128,
        dropout: float = 0.3,
        step_size: float = 0.002,
        weight_decay: float = 0.01,
        batch_size: int = 1024,
        max_epochs: int = 10,
        patience: int = 4,
        threads: int = 1,
        random_state: int = 0,
    ) -> None:
        self.n_categorical = n_categorical
        self.embedding_width = embedding_width
        self.hidden_layers = hidden_layers
        self.hidden_width = hidden_width
        self.dropout = dropout
        self.step_size = step_size
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.threads = threads
        self.random_state = random_state

    @abstractmethod
    def make_network(self, shape: Shape) -> Network:
        """A network with new weights."""

    @abstractmethod
    def _encode_target(self, y: np.ndarray) -> tuple[np.ndarray, int]:
        """The target as the network is trained on it, and the number of outputs."""

    @abstractmethod
    def _row_losses(self, target: np.ndarray, output: np.ndarray) -> np.ndarray:
        """Loss of each row; shape (n_rows,)."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        X, y = validate_data(self, X, y, dtype="float64", ensure_all_finite=False)
        target, self.n_outputs_ = self._encode_target(y)
        self.columns_ = learn_columns(X, self.n_categorical)
        rows = encode(X, self.columns_)
        random = np.random.default_rng(self.random_state)
        is_validation = choose_validation(len(rows), random)
        trained, validation = np.flatnonzero(~is_validation), np.flatnonzero(is_validation)
        network = self.make_network(self._shape)
        self.weights_ = self._learn(network, rows, target, trained, validation, random)
        network.set_weights(self.weights_)
        self._network = network
        return self

    def _learn(
        self,
        network: Network,
        rows: Rows,
        target: np.ndarray,
        trained: np.ndarray,
        validation: np.ndarray,
        random: np.random.Generator,
    ) -> Weights:
        """The weights of the epoch with the lowest validation loss."""
        best, best_loss, best_epoch = network.get_weights(), np.inf, 0
        for epoch in track(range(self.max_epochs), "training the network", "epochs"):
            parts = batches(random.permutation(trained), self.batch_size)
            for at, batch in enumerate(parts):
                step_size = self.step_size * (1 - (epoch + at / len(parts)) / self.max_epochs)
                network.learn(self._hide_some(rows.take(batch), random), target[batch], step_size)
            loss = self._row_losses(target[validation], forward(network, rows.take(validation))).mean()
            if loss < best_loss - MIN_GAIN:
                best, best_loss, best_epoch = network.get_weights(), loss, epoch
            elif epoch - best_epoch >= self.patience:
                break
        return best

    def _hide_some(self, rows: Rows, random: np.random.Generator) -> Rows:
        """The rows with some categories replaced by "not known"."""
        is_hidden = random.random(rows.codes.shape) < HIDDEN_FRACTION
        return Rows(np.where(is_hidden, self.columns_["first"], rows.codes), rows.numbers)

    @property
    def _shape(self) -> Shape:
        counts, has_gaps = self.columns_["counts"], self.columns_["has_gaps"]
        return Shape(int(counts.sum()), len(counts), int(len(has_gaps) + has_gaps.sum()), self.n_outputs_)

    def _output(self, X: np.ndarray) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype="float64", ensure_all_finite=False, reset=False)
        if (network := getattr(self, "_network", None)) is None:
            network = self.make_network(self._shape)
            network.set_weights(self.weights_)
            self._network = network
        return forward(network, encode(X, self.columns_)).astype("float64")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_network"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class TableClassifier(ClassifierMixin, TableNetwork):
    """A network whose outputs are the logits of the classes."""

    def _encode_target(self, y: np.ndarray) -> tuple[np.ndarray, int]:
        self.classes_, numbers = np.unique(y, return_inverse=True)
        return numbers.astype("int64"), len(self.classes_)

    def _row_losses(self, target: np.ndarray, output: np.ndarray) -> np.ndarray:
        own = np.take_along_axis(output, target[:, None], axis=1)[:, 0]
        return np.logaddexp.reduce(output.astype("float64"), axis=1) - own

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        logits = self._output(X)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.classes_[self._output(X).argmax(axis=1)]


class TableRegressor(RegressorMixin, TableNetwork):
    """A network whose output is the standardised target."""

    def _encode_target(self, y: np.ndarray) -> tuple[np.ndarray, int]:
        self.target_mean_, self.target_scale_ = float(np.mean(y)), float(np.std(y)) or 1.0
        return ((y - self.target_mean_) / self.target_scale_).astype("float32"), 1

    def _row_losses(self, target: np.ndarray, output: np.ndarray) -> np.ndarray:
        return (output[:, 0] - target) ** 2

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self._output(X)[:, 0] * self.target_scale_ + self.target_mean_


def batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows in parts of about the same size, none above `size`."""
    return np.array_split(rows, -(-len(rows) // size))


def forward(network: Network, rows: Rows) -> np.ndarray:
    """The output for each row; shape (n_rows, n_outputs)."""
    if len(rows) <= PREDICTION_ROWS:
        return network.forward(rows)
    starts = range(0, len(rows), PREDICTION_ROWS)
    return np.concatenate([network.forward(rows.take(slice(at, at + PREDICTION_ROWS))) for at in starts])
