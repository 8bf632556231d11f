"""What differs between the kinds of target: how it is coded, what an error costs, and how a prediction is told.

A prediction is the probability of the second class where there are two, shape (n_rows,); the probabilities of all
classes where there are more, shape (n_rows, n_classes); and a value where the target is a number, shape (n_rows,).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import schema

IS_BINARY = schema.TASK == "binary"
IS_MULTICLASS = schema.TASK == "multiclass"
IS_REGRESSION = schema.TASK == "regression"

PROBABILITY_FLOOR = 1e-15  # a certain and wrong forecast keeps a finite loss
UNSEEN_CLASS = 1e-4  # probability of a class that nothing was learned of

LOSS = "squared_error" if IS_REGRESSION else "log_loss"
LOSS_NAME = LOSS.replace("_", " ")
LOSS_UNIT = "variances" if IS_REGRESSION else "nats"
"""What a row's loss is measured in: the target's variance among the rows of training, or nats."""
HEADLINE, HEADLINE_NAME = ("r2", "R²") if IS_REGRESSION else ("roc_auc", "ROC-AUC")
"""The figure that says most by itself."""

if IS_REGRESSION:
    COLUMNS = ["prediction"]
elif IS_BINARY:
    COLUMNS = ["probability"]
else:
    COLUMNS = [f"probability_{label}" for label in schema.CLASSES]
"""A prediction in columns."""


_MEANING = f"`{schema.TARGET}`: {schema.SCHEMA.columns[schema.TARGET].description}"
PURPOSE = {
    "binary": f"Gives the probability that `{schema.TARGET}` is {(schema.CLASSES or [0, 1])[-1]} ({_MEANING})",
    "multiclass": f"Gives the probability of each of {len(schema.CLASSES)} classes ({_MEANING})",
    "regression": f"Predicts a value ({_MEANING})",
}[schema.TASK]
"""What a model is for, in one sentence without its point."""


@dataclass(frozen=True)
class Baseline:
    """What is predicted without any feature, from the target of the rows of training.

    Attributes
    ----------
    prediction : the one number that is the same for each row, or one for each class
    scale : what losses are divided by; the variance of a target that is a number, else 1
    """

    prediction: list[float]
    scale: float = 1.0

    def predict(self, n_rows: int) -> np.ndarray:
        """The same prediction for each row."""
        if IS_MULTICLASS:
            return np.tile(self.prediction, (n_rows, 1))
        return np.full(n_rows, self.prediction[0])


def code(target: pd.Series) -> np.ndarray:
    """The target as numbers, shape (n_rows,): the position of its class, or its value; NaN where it is not known."""
    if IS_REGRESSION:
        return target.to_numpy("float64")
    positions = pd.Index(schema.CLASSES).get_indexer(target)
    return np.where(positions < 0, np.nan, positions)


def label(codes: np.ndarray) -> pd.Series:
    """Classes by their position."""
    return pd.Series(schema.CLASSES).take(codes.astype("int64")).reset_index(drop=True)


def fit_baseline(target: np.ndarray) -> Baseline:
    """The baseline of a coded target without gaps."""
    if IS_REGRESSION:
        return Baseline([float(target.mean())], float(target.var()) or 1.0)
    shares = np.bincount(target.astype("int64"), minlength=len(schema.CLASSES)) / len(target)
    return Baseline([float(shares[1])] if IS_BINARY else spread(shares, shares > 0).tolist())


def spread(probability: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """Probabilities with some left for each class that is not known; the last axis is that of the classes."""
    if is_known.all():
        return probability
    return np.where(is_known, probability * (1 - UNSEEN_CLASS * (~is_known).sum()), UNSEEN_CLASS)


def row_losses(target: np.ndarray, prediction: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Log loss of each row in nats, or squared error over `scale`; shape (n_rows,), lower is better.

    Parameters
    ----------
    target : coded, shape (n_rows,)
    """
    if IS_REGRESSION:
        return (target - prediction) ** 2 / scale
    if IS_BINARY:
        inside = np.clip(prediction, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
        return -np.where(target == 1, np.log(inside), np.log1p(-inside))
    own = prediction[np.arange(len(target)), target.astype("int64")]
    return -np.log(np.clip(own, PROBABILITY_FLOOR, 1))


OBSERVED, EXPECTED = {
    "binary": ("observed share", "predicted share"),
    "multiclass": ("share right", "mean confidence"),
    "regression": ("observed mean", "predicted mean"),
}[schema.TASK]
"""What `observe` and `expect` tell on average."""


OBSERVED_MEANING = {
    "binary": f"of rows whose `{schema.TARGET}` is {(schema.CLASSES or [0, 1])[-1]}",
    "multiclass": f"of rows whose most likely class of `{schema.TARGET}` came true",
    "regression": f"of `{schema.TARGET}`",
}[schema.TASK]


def observe(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """What became of each row: whether it is of the second class or the most likely one came true, or its value."""
    if IS_MULTICLASS:
        return (prediction.argmax(axis=1) == target).astype("float64")
    return target


def expect(prediction: np.ndarray) -> np.ndarray:
    """What a prediction makes one expect of `observe`; shape (n_rows,)."""
    return prediction.max(axis=1) if IS_MULTICLASS else prediction


def decide(prediction: np.ndarray, threshold: float) -> pd.Series | None:
    """The class of each row; None where the target is a number.

    Parameters
    ----------
    threshold : probability from which it is the second of two classes
    """
    if IS_REGRESSION:
        return None
    return label(prediction.argmax(axis=1) if IS_MULTICLASS else prediction >= threshold)


def to_columns(prediction: np.ndarray) -> dict[str, np.ndarray]:
    """A prediction as `COLUMNS`."""
    return {name: prediction[:, at] if IS_MULTICLASS else prediction for at, name in enumerate(COLUMNS)}


def from_columns(frame: pd.DataFrame) -> np.ndarray:
    """A prediction from its `COLUMNS`."""
    return frame[COLUMNS].to_numpy("float64") if IS_MULTICLASS else frame[COLUMNS[0]].to_numpy("float64")
