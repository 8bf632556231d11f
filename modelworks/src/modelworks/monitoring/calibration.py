"""Performance of served predictions, block by block, and calibration drift: whether it is worse than at release.

Periods differ in how hard they are, so the losses of two periods cannot be compared. The recalibration gain can: how
much lower the loss of the same rows would be with predictions recalibrated in hindsight. A model that still fits gains
next to nothing. Probabilities are recalibrated by intercept and slope of their logit, those of many classes each
against the rest; values by intercept and slope.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modelworks.contract import Contract
from modelworks.data.blocks import number_blocks
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.monitoring.recalibration import ClassAccumulator, ValueAccumulator, add_sums, sum_by_block
from modelworks.settings import Evaluation
from modelworks.targets import Target

MIN_BLOCKS = 5  # of a period: fewer, as of a period that is a day, say nothing of chance
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
    origin : near the values of a regression, such as their mean; accumulators that are merged have the same one
    """

    def __init__(self, contract: Contract, scale: float = 1.0, origin: float = 0.0) -> None:
        self._contract = contract
        self._target: Target = contract.target
        self._scale = scale
        self._sums: dict[str, np.ndarray] = {}  # by block: rows, observed, expected, loss
        self._values = ValueAccumulator(scale, origin)
        n_accumulators = 1 if self._target.is_binary else len(self._target.classes)
        self._classes = [ClassAccumulator() for _ in range(n_accumulators)]

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
        add_sums(
            self._sums, blocks, np.column_stack([sum_by_block(each, block_of_row, len(blocks)) for each in figures])
        )
        if self._target.is_regression:
            self._values.add(block_of_row, blocks, target, prediction)
        elif self._target.is_binary:
            self._classes[0].add(block_of_row, blocks, target, prediction)
        else:
            for number, accumulator in enumerate(self._classes):
                accumulator.add(block_of_row, blocks, target == number, prediction[:, number])

    def merge(self, other: "PerformanceAccumulator") -> None:
        """Add what was counted in other rows."""
        add_sums(self._sums, list(other._sums), other._sums.values())
        self._values.merge(other._values)
        for own, its in zip(self._classes, other._classes, strict=True):
            own.merge(its)

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


def accumulate(contract: Contract, batches: Sequence[Batch], scale: float = 1.0) -> BlockPerformance:
    """Add up batches; see `PerformanceAccumulator`."""
    accumulator = PerformanceAccumulator(contract, scale, origin=float(batches[0][1].mean()))
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
