"""What recalibration in hindsight would have saved in each block of rows, from counts and sums of a fixed size.

References
----------
Cox, Two Further Applications of a Model for Binary Regression, Biometrika 45, 1958 (calibration slope and intercept).
"""

from collections.abc import Iterable

import numpy as np
from sklearn.linear_model import LogisticRegression

LOGIT_BINS = np.arange(-8.0, 8.05, 0.1)
N_BINS = len(LOGIT_BINS) + 1


class ClassAccumulator:
    """Counts of the rows of a class and of all others in each block, by the logit of the class's probability."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}  # by block, shape (2, n_bins)
        self._logits = np.zeros(N_BINS)  # their sum in each bin

    def add(self, block_of_row: np.ndarray, blocks: list[str], is_class: np.ndarray, probability: np.ndarray) -> None:
        """Count rows.

        Parameters
        ----------
        block_of_row, blocks : as `number_blocks` returns them
        """
        inside = np.clip(probability, 1e-9, 1 - 1e-9)
        logits = np.log(inside / (1 - inside))
        bins = np.searchsorted(LOGIT_BINS, logits, side="right")
        self._logits += np.bincount(bins, logits, minlength=N_BINS)
        cells = (2 * block_of_row + is_class.astype("int64")) * N_BINS + bins
        counts = np.bincount(cells, minlength=len(blocks) * 2 * N_BINS)
        add_sums(self._counts, blocks, counts.reshape(len(blocks), 2, N_BINS))

    def merge(self, other: "ClassAccumulator") -> None:
        """Add the counts of other rows."""
        self._logits += other._logits
        add_sums(self._counts, list(other._counts), other._counts.values())

    @property
    def share(self) -> float:
        """Share of the class among all rows; 0 if there are none."""
        others, own = np.sum([np.zeros((2, N_BINS)), *self._counts.values()], axis=0).sum(axis=1)
        return float(own / max(own + others, 1))

    def gains(self, blocks: list[str]) -> np.ndarray:
        """Loss that recalibration would have saved in each block, shape (n_blocks,)."""
        counts = np.array([self._counts[block] for block in blocks])
        in_all = counts.sum(axis=0)
        logits = self._logits / np.maximum(in_all.sum(axis=0), 1)
        labels = np.repeat([0, 1], N_BINS)
        fitted = LogisticRegression(C=np.inf).fit(
            np.tile(logits, 2).reshape(-1, 1), labels, sample_weight=in_all.ravel()
        )
        gained = _losses(logits) - _losses(fitted.decision_function(logits.reshape(-1, 1)))
        return (counts * gained).sum(axis=(1, 2))


def _losses(logits: np.ndarray) -> np.ndarray:
    """Log loss in nats of each logit for both classes, shape (2, n)."""
    return np.array([np.logaddexp(0, logits), np.logaddexp(0, -logits)])


class ValueAccumulator:
    """Sums of each block from which squared errors follow: 1, y, p, y y, y p, p p.

    Parameters
    ----------
    origin : near the values; it is subtracted, as sums of large numbers that differ little lose digits
    """

    def __init__(self, scale: float, origin: float) -> None:
        self._scale = scale
        self._origin = origin
        self._sums: dict[str, np.ndarray] = {}

    def add(self, block_of_row: np.ndarray, blocks: list[str], target: np.ndarray, prediction: np.ndarray) -> None:
        """Count rows.

        Parameters
        ----------
        block_of_row, blocks : as `number_blocks` returns them
        """
        y, p = target - self._origin, prediction - self._origin
        sums = [sum_by_block(each, block_of_row, len(blocks)) for each in (np.ones(len(y)), y, p, y * y, y * p, p * p)]
        add_sums(self._sums, blocks, np.column_stack(sums))

    def merge(self, other: "ValueAccumulator") -> None:
        """Add the sums of other rows, which have the same origin."""
        add_sums(self._sums, list(other._sums), other._sums.values())

    def gains(self, blocks: list[str]) -> np.ndarray:
        """Loss that recalibration would have saved in each block, shape (n_blocks,)."""
        n, y, p, yy, yp, pp = self._all()
        if not yy * n - y * y > 0:
            raise ValueError("the labels are all the same")
        spread = pp * n - p * p
        slope = (yp * n - y * p) / spread if spread > 0 else 0.0
        intercept = (y - slope * p) / n
        each = np.array([self._sums[block] for block in blocks]).T
        return (_squares(each, 0.0, 1.0) - _squares(each, intercept, slope)) / self._scale

    def constant_loss(self) -> float:
        """Mean loss of the mean."""
        n, y, _, yy, _, _ = self._all()
        return float((yy / n - (y / n) ** 2) / self._scale)

    def _all(self) -> np.ndarray:
        return np.sum([np.zeros(6), *self._sums.values()], axis=0)


def _squares(sums: np.ndarray, intercept: float, slope: float) -> np.ndarray:
    """Sum of squared errors of `intercept + slope p`."""
    n, y, p, yy, yp, pp = sums
    return yy - 2 * intercept * y - 2 * slope * yp + intercept**2 * n + 2 * intercept * slope * p + slope**2 * pp


def sum_by_block(values: np.ndarray, block_of_row: np.ndarray, n_blocks: int) -> np.ndarray:
    """The sum of the values in each block, shape (n_blocks,)."""
    return np.bincount(block_of_row, values, minlength=n_blocks)


def add_sums(sums: dict[str, np.ndarray], blocks: list[str], more: Iterable[np.ndarray]) -> None:
    """Add to the sums of each block, in place."""
    for block, each in zip(blocks, more, strict=True):
        sums[block] = sums[block] + each if block in sums else each
