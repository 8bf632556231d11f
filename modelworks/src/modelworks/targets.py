"""What is predicted: two classes, many classes or a number. All that differs between them is here.

A prediction is the probability of the positive class where there are two, shape (n_rows,); the probabilities of all
classes where there are more, shape (n_rows, n_classes); and a value where the target is a number, shape (n_rows,).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from modelworks.errors import ContractError

if TYPE_CHECKING:  # parsing a DAG imports this module, and no numpy
    import numpy as np
    import pandas as pd

PROBABILITY_FLOOR = 1e-15  # keeps the loss of a certain and wrong forecast finite
UNSEEN_CLASS = 1e-4  # probability of a class that no training row has
Kind = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True)
class Baseline:
    """A prediction that uses no feature, from the target of the training rows.

    Attributes
    ----------
    prediction : one number for all rows, or one for each class
    rows : which rows it is of, in words
    scale : what losses are divided by: the variance of a numeric target in these rows, else 1
    """

    prediction: list[float]
    scale: float = 1.0
    rows: str = ""

    def predict(self, n_rows: int) -> "np.ndarray":
        """The same prediction for each row."""
        import numpy as np

        shape = (n_rows, len(self.prediction)) if len(self.prediction) > 1 else n_rows
        return np.full(shape, self.prediction)


@dataclass(frozen=True)
class Target:
    """The target column and how its predictions are encoded, measured and named.

    Attributes
    ----------
    column : its name
    classes : its values; of two, the second is the positive one; empty for a number
    rules : conditions on its values, of `modelworks.contract`
    """

    column: str
    description: str
    classes: list[Any] = field(default_factory=list)
    dtype: str = "float64"
    unit: str = ""
    rules: tuple[Any, ...] = ()

    kind: ClassVar[Kind]
    loss: ClassVar[str] = "log_loss"
    loss_unit: ClassVar[str] = "nats"
    headline: ClassVar[str] = "roc_auc"  # the metric that leads reports
    headline_name: ClassVar[str] = "ROC-AUC"
    observed_name: ClassVar[str]
    expected_name: ClassVar[str]
    n_classes: ClassVar[tuple[int, int | None]]  # from and to; None: no upper bound

    def __post_init__(self) -> None:
        least, most = self.n_classes
        count = len(self.classes)
        if count < least or (most is not None and count > most):
            wanted = f"{least}" if most else f"{least} or more"
            raise ContractError(f"target {self.column!r}: a {self.kind} target has {wanted} classes, not {count}")
        if len({*self.classes}) < count:
            raise ContractError(f"target {self.column!r}: a class is named twice")

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes."""
        return self.kind == "binary"

    @property
    def is_multiclass(self) -> bool:
        """Whether there are three classes or more."""
        return self.kind == "multiclass"

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number."""
        return self.kind == "regression"

    @property
    def loss_name(self) -> str:
        """The loss in words."""
        return self.loss.replace("_", " ")

    @property
    def prediction_columns(self) -> list[str]:
        """Names of the columns that hold a prediction."""
        return ["probability"]

    @property
    def observed_meaning(self) -> str:
        """What the mean of `observed` is the mean of."""
        raise NotImplementedError

    @property
    def purpose(self) -> str:
        """What a model is for, in one sentence without its full stop."""
        raise NotImplementedError

    @property
    def _meaning(self) -> str:
        return f"`{self.column}`: {self.description}"

    def encode(self, target: "pd.Series") -> "np.ndarray":
        """The target as numbers, shape (n_rows,): the position of its class; NaN where it is unknown."""
        return target.map({value: float(at) for at, value in enumerate(self.classes)}).to_numpy("float64")

    def decode(self, codes: "np.ndarray") -> "pd.Series":
        """Classes by their position."""
        import pandas as pd

        return pd.Series(self.classes).take(codes.astype("int64")).reset_index(drop=True)

    def fit_baseline(self, target: "np.ndarray") -> Baseline:
        """The baseline of an encoded target without gaps."""
        raise NotImplementedError

    def row_losses(self, target: "np.ndarray", prediction: "np.ndarray", scale: float = 1.0) -> "np.ndarray":
        """Loss of each row in `loss_unit`, shape (n_rows,); lower is better.

        Parameters
        ----------
        target : encoded, shape (n_rows,)
        scale : `Baseline.scale`
        """
        raise NotImplementedError

    def observed(self, target: "np.ndarray", prediction: "np.ndarray") -> "np.ndarray":
        """The outcome of each row that `expected` is compared with, shape (n_rows,)."""
        return target

    def expected(self, prediction: "np.ndarray") -> "np.ndarray":
        """The mean of `observed` that a prediction implies, shape (n_rows,)."""
        return prediction

    def decide(self, prediction: "np.ndarray", threshold: float) -> "pd.Series | None":
        """The class of each row, the positive of two from the probability `threshold` on; None for a number."""
        raise NotImplementedError

    def to_columns(self, prediction: "np.ndarray") -> "dict[str, np.ndarray]":
        """A prediction as `prediction_columns`."""
        return {self.prediction_columns[0]: prediction}

    def from_columns(self, frame: "pd.DataFrame") -> "np.ndarray":
        """A prediction from its `prediction_columns`."""
        return frame[self.prediction_columns[0]].to_numpy("float64")


class BinaryTarget(Target):
    """Two classes; a prediction is the probability of the second."""

    kind = "binary"
    observed_name, expected_name = "observed share", "predicted share"
    n_classes = 2, 2

    @property
    def observed_meaning(self) -> str:
        return f"of rows whose `{self.column}` is {self.classes[-1]}"

    @property
    def purpose(self) -> str:
        return f"Gives the probability that `{self.column}` is {self.classes[-1]} ({self._meaning})"

    def fit_baseline(self, target: "np.ndarray") -> Baseline:
        return Baseline([float(target.mean())])

    def row_losses(self, target: "np.ndarray", prediction: "np.ndarray", scale: float = 1.0) -> "np.ndarray":
        import numpy as np

        inside = np.clip(prediction, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
        return -np.where(target == 1, np.log(inside), np.log1p(-inside))

    def decide(self, prediction: "np.ndarray", threshold: float) -> "pd.Series | None":
        return self.decode(prediction >= threshold)


class MulticlassTarget(Target):
    """Three classes or more; a prediction is the probability of each."""

    kind = "multiclass"
    observed_name, expected_name = "share right", "mean confidence"
    n_classes = 3, None

    @property
    def prediction_columns(self) -> list[str]:
        return [f"probability_{each}" for each in self.classes]

    @property
    def observed_meaning(self) -> str:
        return f"of rows whose most likely class of `{self.column}` came true"

    @property
    def purpose(self) -> str:
        return f"Gives the probability of each of {len(self.classes)} classes ({self._meaning})"

    def fit_baseline(self, target: "np.ndarray") -> Baseline:
        import numpy as np

        shares = np.bincount(target.astype("int64"), minlength=len(self.classes)) / len(target)
        return Baseline(reserve_unseen(shares, shares > 0).tolist())

    def row_losses(self, target: "np.ndarray", prediction: "np.ndarray", scale: float = 1.0) -> "np.ndarray":
        import numpy as np

        own = prediction[np.arange(len(target)), target.astype("int64")]
        return -np.log(np.clip(own, PROBABILITY_FLOOR, 1))

    def observed(self, target: "np.ndarray", prediction: "np.ndarray") -> "np.ndarray":
        return (prediction.argmax(axis=1) == target).astype("float64")

    def expected(self, prediction: "np.ndarray") -> "np.ndarray":
        return prediction.max(axis=1)

    def decide(self, prediction: "np.ndarray", threshold: float) -> "pd.Series | None":
        return self.decode(prediction.argmax(axis=1))

    def to_columns(self, prediction: "np.ndarray") -> "dict[str, np.ndarray]":
        return {name: prediction[:, at] for at, name in enumerate(self.prediction_columns)}

    def from_columns(self, frame: "pd.DataFrame") -> "np.ndarray":
        return frame[self.prediction_columns].to_numpy("float64")


class RegressionTarget(Target):
    """A number; a prediction is its value."""

    kind = "regression"
    loss, loss_unit = "squared_error", "variances"
    headline, headline_name = "r2", "R²"
    observed_name, expected_name = "observed mean", "predicted mean"
    n_classes = 0, 0

    @property
    def prediction_columns(self) -> list[str]:
        return ["prediction"]

    @property
    def observed_meaning(self) -> str:
        return f"of `{self.column}`"

    @property
    def purpose(self) -> str:
        return f"Predicts a value ({self._meaning})"

    def encode(self, target: "pd.Series") -> "np.ndarray":
        return target.to_numpy("float64")

    def fit_baseline(self, target: "np.ndarray") -> Baseline:
        return Baseline([float(target.mean())], float(target.var()) or 1.0)

    def row_losses(self, target: "np.ndarray", prediction: "np.ndarray", scale: float = 1.0) -> "np.ndarray":
        return (target - prediction) ** 2 / scale

    def decide(self, prediction: "np.ndarray", threshold: float) -> "pd.Series | None":
        return None


def binary(column: str, description: str, *, negative: Any = 0, positive: Any = 1, dtype: str = "") -> BinaryTarget:
    """A target of two classes, the probability of whose `positive` one is predicted."""
    return BinaryTarget(column, description, [negative, positive], dtype or _dtype_of([negative, positive]))


def multiclass(column: str, description: str, *, classes: Sequence[Any], dtype: str = "") -> MulticlassTarget:
    """A target of three classes or more."""
    return MulticlassTarget(column, description, list(classes), dtype or _dtype_of(classes))


def regression(column: str, description: str, *rules: Any, unit: str = "") -> RegressionTarget:
    """A target that is a number."""
    return RegressionTarget(column, description, [], "float64", unit, tuple(rules))


def reserve_unseen(probability: "np.ndarray", is_seen: "np.ndarray") -> "np.ndarray":
    """Probabilities with `UNSEEN_CLASS` reserved for each class that was not seen; the last axis is the classes."""
    import numpy as np

    if is_seen.all():
        return probability
    return np.where(is_seen, probability * (1 - UNSEEN_CLASS * (~is_seen).sum()), UNSEEN_CLASS)


def _dtype_of(classes: Sequence[Any]) -> str:
    # Nullable, so numbers are floats: a label is null until it is known.
    return "str" if any(isinstance(each, str) for each in classes) else "float64"
