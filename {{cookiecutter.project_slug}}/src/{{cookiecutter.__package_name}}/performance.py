"""How well served predictions turned out, block by block, and whether that is worse than at the model's release.

Months differ in how hard they are, so losses of two months cannot be compared. What can be: how much a month's
predictions would have gained, on the same rows, by being recalibrated in hindsight. A model that still fits gains next
to nothing. Probabilities are recalibrated by intercept and slope of their logit, those of many classes each against
the rest; values by intercept and slope.

References
----------
Cox, Two Further Applications of a Model for Binary Regression, Biometrika 45, 1958 (calibration slope and intercept).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from . import schema, task
from .config import Evaluation
from .intervals import BlockBootstrap, Estimate, number_blocks

LOGIT_BINS = np.arange(-8.0, 8.05, 0.1)
N_BINS = len(LOGIT_BINS) + 1
Batch = tuple[pd.DataFrame, np.ndarray, np.ndarray]
"""Keys, coded target and prediction of some rows."""


@dataclass(frozen=True)
class BlockPerformance:
    """Sums of each block, such as a day, in the order of `blocks`; losses as `task.row_losses` has them.

    Attributes
    ----------
    observed, expected : of what `task.observe` and `task.expect` tell
    gain : what recalibration in hindsight would have gained
    constant_loss : mean loss of the one prediction for each row that would have been best
    """

    blocks: list[str]
    rows: list[int]
    observed: list[float]
    expected: list[float]
    loss: list[float]
    gain: list[float]
    constant_loss: float


@dataclass(frozen=True)
class Performance:
    """A month of served predictions against its labels; losses are means of rows.

    Attributes
    ----------
    observed, expected : means of what `task.observe` and `task.expect` tell
    skill : loss minus that of the best single prediction for each row; negative is good
    gain : what recalibration in hindsight would have gained
    decay : `gain` minus that of the evaluation at release; None where the latter is unknown
    """

    rows: int
    blocks: int
    observed: float
    expected: float
    loss: Estimate
    skill: Estimate
    gain: Estimate
    decay: Estimate | None


class PerformanceTally:
    """Adds up predictions and labels batch by batch; keeps a few hundred numbers for each block.

    Parameters
    ----------
    scale : what losses are divided by, of the baseline at release
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._sums: dict[str, np.ndarray] = {}  # by block: rows, observed, expected, loss
        self._values = _ValueTally(scale)
        self._classes = [_ClassTally() for _ in range(1 if task.IS_BINARY else len(schema.CLASSES))]

    def add(self, frame: pd.DataFrame, target: np.ndarray, prediction: np.ndarray, month: str = "") -> None:
        """Count rows.

        Parameters
        ----------
        frame : what `intervals.number_blocks` needs of each row
        target : coded, no nulls
        prediction : as `task` describes it
        """
        if not len(frame):
            return
        block_of_row, blocks = number_blocks(frame, month)
        figures = [
            np.ones(len(target)),
            task.observe(target, prediction),
            task.expect(prediction),
            task.row_losses(target, prediction, self._scale),
        ]
        _add(self._sums, blocks, np.column_stack([_sum(each, block_of_row, len(blocks)) for each in figures]))
        if task.IS_REGRESSION:
            self._values.add(block_of_row, blocks, target, prediction)
        elif task.IS_BINARY:
            self._classes[0].add(block_of_row, blocks, target, prediction)
        else:
            for number, tally in enumerate(self._classes):
                tally.add(block_of_row, blocks, target == number, prediction[:, number])

    @property
    def rows(self) -> int:
        """How many were added up."""
        return sum(int(sums[0]) for sums in self._sums.values())

    def by_block(self) -> BlockPerformance:
        """What was added up.

        Raises
        ------
        ValueError
            If the labels are all the same: nothing can be recalibrated to that.
        """
        blocks = sorted(self._sums)
        rows, observed, expected, loss = np.array([self._sums[block] for block in blocks]).reshape(len(blocks), 4).T
        if task.IS_REGRESSION:
            gain, constant_loss = self._values.gains(blocks), self._values.constant_loss()
        else:
            shares = np.array([tally.share for tally in self._classes])
            shares = np.array([1 - shares[0], shares[0]]) if task.IS_BINARY else shares
            if (shares > 0).sum() < 2:
                raise ValueError("the labels are all the same")
            gain = np.sum([tally.gains(blocks) for tally in self._classes if 0 < tally.share < 1], axis=0)
            constant_loss = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
        return BlockPerformance(
            blocks=blocks,
            rows=rows.astype("int64").tolist(),
            observed=observed.tolist(),
            expected=expected.tolist(),
            loss=loss.tolist(),
            gain=gain.tolist(),
            constant_loss=constant_loss,
        )


class _ClassTally:
    """Counts of each block, of the rows of a class and of the others, by the logit of its probability."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}  # by block, shape (2, n_bins)
        self._logits = np.zeros(N_BINS)  # their sum in each bin

    def add(self, block_of_row: np.ndarray, blocks: list[str], is_class: np.ndarray, probability: np.ndarray) -> None:
        inside = np.clip(probability, 1e-9, 1 - 1e-9)
        logits = np.log(inside / (1 - inside))
        bins = np.searchsorted(LOGIT_BINS, logits, side="right")
        self._logits += np.bincount(bins, logits, minlength=N_BINS)
        cells = (2 * block_of_row + is_class.astype("int64")) * N_BINS + bins
        counts = np.bincount(cells, minlength=len(blocks) * 2 * N_BINS)
        _add(self._counts, blocks, counts.reshape(len(blocks), 2, N_BINS))

    @property
    def share(self) -> float:
        """Of the class among all rows; 0 if there are none."""
        others, own = np.sum([np.zeros((2, N_BINS)), *self._counts.values()], axis=0).sum(axis=1)
        return float(own / max(own + others, 1))

    def gains(self, blocks: list[str]) -> np.ndarray:
        """What each block would have gained, shape (n_blocks,)."""
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


class _ValueTally:
    """Sums of each block that squared errors can be made of: 1, y, p, y y, y p, p p."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._origin: float | None = None  # sums of large numbers that differ little would lose their digits
        self._sums: dict[str, np.ndarray] = {}

    def add(self, block_of_row: np.ndarray, blocks: list[str], target: np.ndarray, prediction: np.ndarray) -> None:
        if self._origin is None:
            self._origin = float(target.mean())
        y, p = target - self._origin, prediction - self._origin
        sums = [_sum(each, block_of_row, len(blocks)) for each in (np.ones(len(y)), y, p, y * y, y * p, p * p)]
        _add(self._sums, blocks, np.column_stack(sums))

    def gains(self, blocks: list[str]) -> np.ndarray:
        """What each block would have gained, shape (n_blocks,)."""
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


def _sum(values: np.ndarray, block_of_row: np.ndarray, n_blocks: int) -> np.ndarray:
    return np.bincount(block_of_row, values, minlength=n_blocks)


def _add(sums: dict[str, np.ndarray], blocks: list[str], more: np.ndarray) -> None:
    for block, each in zip(blocks, more, strict=True):
        sums[block] = sums[block] + each if block in sums else each


def tally(batches: Iterable[Batch], scale: float = 1.0) -> BlockPerformance:
    """Add up batches; see `PerformanceTally`."""
    adding = PerformanceTally(scale)
    for frame, target, prediction in batches:
        adding.add(frame, target, prediction)
    return adding.by_block()


def measure(
    found: BlockPerformance, at_release: BlockPerformance | None, settings: Evaluation, seed: int
) -> Performance:
    """Estimates with intervals; blocks are drawn, and those of the release independently of the month's."""
    rows = np.asarray(found.rows, dtype="float64")
    draws = BlockBootstrap(np.array(found.blocks), settings.bootstrap_resamples, settings.confidence, seed)
    loss, gain = np.asarray(found.loss), draws.ratios(np.asarray(found.gain), rows)
    decay = None
    if at_release:
        then = BlockBootstrap(np.array(at_release.blocks), settings.bootstrap_resamples, settings.confidence, seed + 1)
        decay = draws.estimate(gain - then.ratios(np.asarray(at_release.gain), np.asarray(at_release.rows, float)))
    return Performance(
        rows=int(rows.sum()),
        blocks=len(found.blocks),
        observed=sum(found.observed) / rows.sum(),
        expected=sum(found.expected) / rows.sum(),
        loss=draws.estimate(draws.ratios(loss, rows)),
        skill=draws.estimate(draws.ratios(loss - found.constant_loss * rows, rows)),
        gain=draws.estimate(gain),
        decay=decay,
    )


def is_alarm(found: Performance, margin: float) -> bool:
    """Whether the model lost more than the margin since its release, the interval's near end included."""
    return found.decay is not None and found.decay.low > margin
