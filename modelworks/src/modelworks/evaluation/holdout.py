"""A candidate on the held-out rows: what release gates judge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
import pandas as pd

from modelworks.contract import Contract
from modelworks.data.blocks import number_blocks
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.evaluation.fairness import count_shares, measure_fairness
from modelworks.evaluation.metrics import Report, RowLosses, build_report
from modelworks.settings import Evaluation
from modelworks.targets import Baseline

RowReader = Callable[[Sequence[str] | None, np.ndarray | None], pd.DataFrame]
"""Held-out rows whose target is known; takes the columns to read and the numbers of the rows, None: all."""


@dataclass(frozen=True)
class HoldoutEvaluation:
    """The held-out rows, the predictions for them, and the metrics.

    Attributes
    ----------
    read : reads held-out rows, which are not in memory
    target : encoded as `Target.encode` does, shape (n_rows,)
    prediction : the candidate's, as `modelworks.targets` describes it
    champion_prediction : the champion's for the same rows; None where there is no champion
    baseline : of the training rows
    report : metrics over all rows, and by slice
    losses : of each row
    bootstrap : resamples blocks of rows, such as days; gives an interval to any figure of one's own
    """

    read: RowReader = field(repr=False)
    target: np.ndarray
    prediction: np.ndarray
    champion_prediction: np.ndarray | None
    baseline: Baseline
    report: Report
    losses: RowLosses = field(repr=False)
    bootstrap: BlockBootstrap = field(repr=False)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The held-out rows whose target is known, every column of the contract; they stay in memory."""
        return self.read(None, None)

    def select(self, columns: Sequence[str]) -> pd.DataFrame:
        """The held-out rows with some columns: of many rows, the others would take a lot of memory."""
        return self.rows[list(columns)] if "rows" in vars(self) else self.read(columns, None)

    def loss(self, mask: "np.ndarray | pd.Series | None" = None) -> Estimate:
        """Mean loss of the candidate; lower is better.

        Parameters
        ----------
        mask : shape (n_rows,), bool; marks the rows to take, by default all. NaN if it marks none
        """
        return self.bootstrap.mean(self.losses.model, _to_array(mask))

    def gain_over_champion(self, mask: "np.ndarray | pd.Series | None" = None) -> Estimate | None:
        """Mean loss of the champion minus the candidate's on the same rows: above 0, the candidate is better.

        Parameters
        ----------
        mask : as `loss` takes it

        Returns
        -------
        None where there is no champion
        """
        gain = self.losses.gain_over_champion
        return None if gain is None else self.bootstrap.mean(gain, _to_array(mask))


def evaluate_holdout(
    contract: Contract,
    rows: pd.DataFrame,
    prediction: np.ndarray,
    baseline: Baseline,
    champion_prediction: np.ndarray | None,
    settings: Evaluation,
    seed: int,
    unlabelled: int = 0,
    fairness_columns: Sequence[str] = (),
    read: RowReader | None = None,
) -> HoldoutEvaluation:
    """Measure a candidate on the held-out rows.

    Parameters
    ----------
    rows : the held-out rows whose target is known, at least their `measured_columns`; texts may be categories
    prediction : the candidate's, as `modelworks.targets` describes it
    baseline : of the training rows
    champion_prediction : the champion's for the same rows; None where there is no champion
    unlabelled : held-out rows beside these
    fairness_columns : `[gates.fairness] columns`
    read : reads the rows with their other columns; default: `rows` has them all
    """
    target = contract.target.encode(rows[contract.target.column])
    numbers, _ = number_blocks(contract, rows)
    draws = BlockBootstrap(numbers, settings.bootstrap_resamples, settings.interval_level, seed)

    def losses_of(predicted: np.ndarray) -> np.ndarray:
        return contract.target.row_losses(target, predicted, baseline.scale)

    losses = RowLosses(
        model=losses_of(prediction),
        baseline=losses_of(baseline.predict(len(rows))),
        champion=None if champion_prediction is None else losses_of(champion_prediction),
    )
    scale, threshold = baseline.scale, settings.decision_threshold
    report = build_report(contract, rows, prediction, losses, draws, baseline, threshold, unlabelled)
    if fairness_columns:
        shares = count_shares(contract.target, target, prediction, scale, threshold)
        groups = rows[list(fairness_columns)]
        fairness = measure_fairness(contract.target, groups, shares, draws, settings.min_slice_rows)
        report = replace(report, fairness=fairness)
    return HoldoutEvaluation(
        read=read or partial(_take, rows),
        target=target,
        prediction=prediction,
        champion_prediction=champion_prediction,
        baseline=baseline,
        report=report,
        losses=losses,
        bootstrap=draws,
    )


def measured_columns(contract: Contract, fairness_columns: Sequence[str]) -> list[str]:
    """The columns by which results are broken down, the time and the target; without a time, blocks need more."""
    wanted = {*contract.slices, *fairness_columns, contract.time, contract.target.column}
    return [name for name in contract.dtypes if name in wanted]


def _take(rows: pd.DataFrame, columns: Sequence[str] | None, at: np.ndarray | None) -> pd.DataFrame:
    found = rows if columns is None else rows[list(columns)]
    return found if at is None else found.iloc[at]


def _to_array(mask: "np.ndarray | pd.Series | None") -> np.ndarray | None:
    return None if mask is None else np.asarray(mask, bool)
