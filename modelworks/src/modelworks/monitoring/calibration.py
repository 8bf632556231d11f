"""Performance of served predictions, block by block, and calibration drift: whether it is worse than at release.

Periods differ in how hard they are, so the losses of two periods cannot be compared. The recalibration gain can: how
much lower the loss of the same rows would be with predictions recalibrated in hindsight. A model that still fits gains
next to nothing. Probabilities are recalibrated by intercept and slope of their logit, those of many classes each
against the rest; values by intercept and slope.

References
----------
Cox, Two Further Applications of a Model for Binary Regression, Biometrika 45, 1958 (calibration slope and intercept).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from modelworks.contract import Contract
from modelworks.data.blocks import number_blocks
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.settings import Evaluation
from modelworks.targets import Target

LOGIT_BINS = np.arange(-8.0, 8.05, 0.1)
MIN_BLOCKS = 5  # of a period: fewer, as of a period that is a day, say nothing of chance
N_BINS = len(LOGIT_BINS) + 1
Batch = tuple[pd.DataFrame, np.ndarray, np.ndarray]
"""Keys, encoded target and prediction of some rows."""


@dataclass(frozen=True)
class BlockPerformance:
    """Sums over the rows of each block, such as a day, in the order of `blocks`; losses by `Target.row_losses`.

    Attributes
    ----------
    observed, expected : of `Target.observed` and `Target.expected`
    gain : loss that recalibration in hindsight would have saved
    constant_loss : mean loss of the best single prediction for all rows
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
    """A period of served predictions against its labels; losses are means over rows.

    Attributes
    ----------
    observed, expected : means of `Target.observed` and `Target.expected`
    skill : gain over the best single prediction for all rows: its loss minus the model's; above 0 is better
    gain : loss that recalibration in hindsight would have saved
    calibration_drift : `gain` minus the gain in the evaluation at release; None where that one is unknown
    """

    rows: int
    blocks: int
    observed: float
    expected: float
    loss: Estimate
    skill: Estimate
    gain: Estimate
    calibration_drift: Estimate | None


class PerformanceAccumulator:
    """Adds up predictions and labels batch by batch; keeps a few hundred numbers for each block.

    Parameters
    ----------
    scale : what losses are divided by: `Baseline.scale` of the evaluation at release
    """

    def __init__(self, contract: Contract, scale: float = 1.0) -> None:
        self._contract = contract
        self._target: Target = contract.target
        self._scale = scale
        self._sums: dict[str, np.ndarray] = {}  # by block: rows, observed, expected, loss
        self._values = _ValueAccumulator(scale)
        n_accumulators = 1 if self._target.is_binary else len(self._target.classes)
        self._classes = [_ClassAccumulator() for _ in range(n_accumulators)]

    def add(self, frame: pd.DataFrame, target: np.ndarray, prediction: np.ndarray, period: str = "") -> None:
        """Count rows.

        Parameters
        ----------
        frame : has the columns that `number_blocks` needs
        target : encoded, no nulls
        prediction : as `modelworks.targets` describes it
        """
        if not len(frame):
            return
        block_of_row, blocks = number_blocks(self._contract, frame, period)
        figures = [
            np.ones(len(target)),
            self._target.observed(target, prediction),
            self._target.expected(prediction),
            self._target.row_losses(target, prediction, self._scale),
        ]
        _add(self._sums, blocks, np.column_stack([_sum(each, block_of_row, len(blocks)) for each in figures]))
        if self._target.is_regression:
            self._values.add(block_of_row, blocks, target, prediction)
        elif self._target.is_binary:
            self._classes[0].add(block_of_row, blocks, target, prediction)
        else:
            for number, accumulator in enumerate(self._classes):
                accumulator.add(block_of_row, blocks, target == number, prediction[:, number])

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(int(sums[0]) for sums in self._sums.values())

    def by_block(self) -> BlockPerformance:
        """The sums of all rows counted so far.

        Raises
        ------
        ValueError
            If the labels are all the same: no recalibration can be fitted to them.
        """
        blocks = sorted(self._sums)
        rows, observed, expected, loss = np.array([self._sums[block] for block in blocks]).reshape(len(blocks), 4).T
        if self._target.is_regression:
            gain, constant_loss = self._values.gains(blocks), self._values.constant_loss()
        else:
            gain, constant_loss = self._class_gains(blocks)
        return BlockPerformance(
            blocks=blocks,
            rows=rows.astype("int64").tolist(),
            observed=observed.tolist(),
            expected=expected.tolist(),
            loss=loss.tolist(),
            gain=gain.tolist(),
            constant_loss=constant_loss,
        )

    def _class_gains(self, blocks: list[str]) -> tuple[np.ndarray, float]:
        """The gain of each block, shape (n_blocks,), and the loss of predicting the shares of the classes."""
        shares = np.array([accumulator.share for accumulator in self._classes])
        shares = np.array([1 - shares[0], shares[0]]) if self._target.is_binary else shares
        present = shares[shares > 0]
        if len(present) < 2:
            raise ValueError("the labels are all the same")
        gains = [accumulator.gains(blocks) for accumulator in self._classes if 0 < accumulator.share < 1]
        return np.sum(gains, axis=0), float(-(present * np.log(present)).sum())


class _ClassAccumulator:
    """Counts of the rows of a class and of all others in each block, by the logit of the class's probability."""

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


class _ValueAccumulator:
    """Sums of each block from which squared errors follow: 1, y, p, y y, y p, p p."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._origin: float | None = None  # subtracted, as sums of large numbers that differ little lose digits
        self._sums: dict[str, np.ndarray] = {}

    def add(self, block_of_row: np.ndarray, blocks: list[str], target: np.ndarray, prediction: np.ndarray) -> None:
        if self._origin is None:
            self._origin = float(target.mean())
        y, p = target - self._origin, prediction - self._origin
        sums = [_sum(each, block_of_row, len(blocks)) for each in (np.ones(len(y)), y, p, y * y, y * p, p * p)]
        _add(self._sums, blocks, np.column_stack(sums))

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


def _sum(values: np.ndarray, block_of_row: np.ndarray, n_blocks: int) -> np.ndarray:
    return np.bincount(block_of_row, values, minlength=n_blocks)


def _add(sums: dict[str, np.ndarray], blocks: list[str], more: np.ndarray) -> None:
    for block, each in zip(blocks, more, strict=True):
        sums[block] = sums[block] + each if block in sums else each


def accumulate(contract: Contract, batches: Iterable[Batch], scale: float = 1.0) -> BlockPerformance:
    """Add up batches; see `PerformanceAccumulator`."""
    accumulator = PerformanceAccumulator(contract, scale)
    for frame, target, prediction in batches:
        accumulator.add(frame, target, prediction)
    return accumulator.by_block()


def measure(
    found: BlockPerformance, at_release: BlockPerformance | None, settings: Evaluation, seed: int
) -> Performance:
    """Estimates with intervals; the period's blocks and those of the release are drawn independently."""
    rows = np.asarray(found.rows, dtype="float64")
    draws = BlockBootstrap(np.array(found.blocks), settings.bootstrap_resamples, settings.interval_level, seed)
    loss, gain = np.asarray(found.loss), draws.ratios(np.asarray(found.gain), rows)
    calibration_drift = None
    if at_release:
        then = BlockBootstrap(
            np.array(at_release.blocks), settings.bootstrap_resamples, settings.interval_level, seed + 1
        )
        gain_then = then.ratios(np.asarray(at_release.gain), np.asarray(at_release.rows, dtype="float64"))
        calibration_drift = draws.estimate(gain - gain_then)
    return Performance(
        rows=int(rows.sum()),
        blocks=len(found.blocks),
        observed=sum(found.observed) / rows.sum(),
        expected=sum(found.expected) / rows.sum(),
        loss=draws.estimate(draws.ratios(loss, rows)),
        skill=draws.estimate(draws.ratios(found.constant_loss * rows - loss, rows)),
        gain=draws.estimate(gain),
        calibration_drift=calibration_drift,
    )


def describe_few(contract: Contract, found: Performance) -> str:
    """Why a period's calibration drift is not judged; "" where it is."""
    few = f"too few {contract.block_unit} to judge calibration drift: {found.blocks}, and {MIN_BLOCKS} are wanted"
    return few if found.blocks < MIN_BLOCKS else ""


def is_alarm(found: Performance, max_calibration_drift: float) -> bool:
    """Whether the whole interval of the calibration drift lies above the limit; never of very few blocks."""
    if found.calibration_drift is None or found.blocks < MIN_BLOCKS:
        return False
    return found.calibration_drift.low > max_calibration_drift
