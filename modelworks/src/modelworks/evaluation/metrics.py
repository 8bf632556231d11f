"""Metrics of a model on the held-out rows, each with its bootstrap interval, overall and by slice."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.metrics import r2_score

from modelworks.contract import Contract
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.evaluation.fairness import FairnessResult
from modelworks.evaluation.slices import slice_labels
from modelworks.progress import track
from modelworks.targets import Baseline, Target

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class RowLosses:
    """Loss of each held-out row, shape (n_rows,) each, as `Target.row_losses` has it.

    Attributes
    ----------
    champion : None where there is no champion
    """

    model: np.ndarray
    baseline: np.ndarray
    champion: np.ndarray | None

    @property
    def gain_over_baseline(self) -> np.ndarray:
        """The baseline's minus the model's: above 0, the model is better."""
        return self.baseline - self.model

    @property
    def gain_over_champion(self) -> np.ndarray | None:
        """The champion's minus the model's: above 0, the model is better; None where there is no champion."""
        return None if self.champion is None else self.champion - self.model


@dataclass(frozen=True)
class SliceResult:
    """The rows with one value of a slicing column.

    Attributes
    ----------
    observed, expected : means of `Target.observed` and `Target.expected`
    gain_over_champion : the champion's loss minus this one; None where there is no champion
    """

    column: str
    value: str
    rows: int
    observed: float
    expected: float
    loss: float
    gain_over_champion: Estimate | None

    @property
    def name(self) -> str:
        """Column and value."""
        return f"{self.column} = {self.value}"


@dataclass(frozen=True)
class Report:
    """All metrics of a model on the held-out rows; losses as `Target.row_losses` has them.

    Attributes
    ----------
    blocks : how many the bootstrap resamples, such as days
    observed : mean of `Target.observed`
    baseline : which rows the baseline is of, in words
    metrics : by name, the target's loss and headline metric among them
    gain_over_baseline, gain_over_champion : loss of the other on the same rows minus the model's; above 0 is better
    unlabelled : held-out rows that are not measured, since their target is unknown
    fairness : of each column that [gates.fairness] names
    """

    rows: int
    blocks: int
    observed: float
    metrics: dict[str, Estimate]
    baseline_loss: float
    gain_over_baseline: Estimate
    gain_over_champion: Estimate | None
    slices: list[SliceResult]
    unlabelled: int = 0
    baseline: str = ""
    fairness: list[FairnessResult] = field(default_factory=list)


def summarise(contract: Contract, report: Report) -> str:
    """The headline metric and the loss in one line."""
    target = contract.target
    headline, loss = report.metrics[target.headline], report.metrics[target.loss]
    return f"{target.headline_name} {headline}, {target.loss_name} {loss}"


def build_report(
    contract: Contract,
    rows: pd.DataFrame,
    prediction: np.ndarray,
    losses: RowLosses,
    draws: BlockBootstrap,
    baseline: Baseline,
    decision_threshold: float,
    unlabelled: int = 0,
) -> Report:
    """All metrics of a prediction.

    Parameters
    ----------
    rows : the held-out rows whose target is known
    prediction : as `modelworks.targets` describes it
    draws : of the blocks of these rows
    baseline : of the training rows
    decision_threshold : probability from which the decision is the positive class
    unlabelled : held-out rows beside these
    """
    target = contract.target.encode(rows[contract.target.column])
    gain = losses.gain_over_champion
    return Report(
        rows=len(rows),
        blocks=draws.n_blocks,
        observed=float(contract.target.observed(target, prediction).mean()),
        metrics=_measure(contract.target, draws, target, prediction, losses, baseline.scale, decision_threshold),
        baseline_loss=float(losses.baseline.mean()),
        gain_over_baseline=draws.mean(losses.gain_over_baseline),
        gain_over_champion=None if gain is None else draws.mean(gain),
        slices=_measure_slices(contract, rows, target, prediction, losses, draws),
        unlabelled=unlabelled,
        baseline=baseline.rows,
    )


def _measure_slices(
    contract: Contract,
    rows: pd.DataFrame,
    target: np.ndarray,
    prediction: np.ndarray,
    losses: RowLosses,
    draws: BlockBootstrap,
) -> list[SliceResult]:
    observed, expected = contract.target.observed(target, prediction), contract.target.expected(prediction)
    gain = losses.gain_over_champion
    found = []
    for column, labels in slice_labels(contract, rows).items():
        value_of_row, values = labels.cat.codes.to_numpy("int64"), labels.cat.categories
        count, *means = _means_by_value(value_of_row, len(values), observed, expected, losses.model)
        gains = None
        if gain is not None:
            gains = draws.ratios_by_group(gain, np.ones(len(gain)), value_of_row, len(values))
        for at, value in enumerate(track(values, f"slices of {column}", "values")):
            found.append(
                SliceResult(
                    column=str(column),
                    value=str(value),
                    rows=int(count[at]),
                    observed=float(means[0][at]),
                    expected=float(means[1][at]),
                    loss=float(means[2][at]),
                    gain_over_champion=None if gains is None else draws.estimate(next(gains)),
                )
            )
    return found


def _means_by_value(value_of_row: np.ndarray, n_values: int, *figures: np.ndarray) -> list[np.ndarray]:
    """Rows of each value, and the mean of each figure over them; shape (n_values,) each."""
    count = np.bincount(value_of_row, minlength=n_values)
    return [count, *(np.bincount(value_of_row, each, n_values) / count for each in figures)]


def _measure(
    kind: Target,
    draws: BlockBootstrap,
    target: np.ndarray,
    prediction: np.ndarray,
    losses: RowLosses,
    scale: float,
    decision_threshold: float,
) -> dict[str, Estimate]:
    """The usual metrics for the kind of target, by name."""
    if kind.is_regression:
        error = prediction - target
        return {
            "r2": draws.estimate(_r_squared(draws, target, prediction)),
            "squared_error": draws.mean(losses.model),
            "rmse": draws.estimate(np.sqrt(draws.ratios(error**2, np.ones(len(error))))),
            "mae": draws.mean(np.abs(error)),
            "bias": draws.mean(error / np.sqrt(scale)),
        }
    if kind.is_binary:
        is_decided = (prediction >= decision_threshold).astype("float64")
        is_hit = is_decided * target
        return {
            "roc_auc": draws.roc_auc(target, prediction),
            "average_precision": draws.average_precision(target, prediction),
            "log_loss": draws.mean(losses.model),
            "brier_loss": draws.mean((target - prediction) ** 2),
            "calibration_error": draws.calibration_error(target, prediction, CALIBRATION_BINS),
            # 0 where no row is decided positive, as scikit-learn has it.
            "precision": draws.estimate(np.nan_to_num(draws.ratios(is_hit, is_decided))),
            "recall": draws.estimate(draws.ratios(is_hit, target)),
        }
    is_right, confidence = kind.observed(target, prediction), kind.expected(prediction)
    own = prediction[np.arange(len(target)), target.astype("int64")]  # probability of what happened
    return {
        "roc_auc": draws.macro_roc_auc(target, prediction),
        "accuracy": draws.mean(is_right),
        "log_loss": draws.mean(losses.model),
        "brier_loss": draws.mean(np.einsum("ij,ij->i", prediction, prediction) - 2 * own + 1),
        "calibration_error": draws.calibration_error(is_right, confidence, CALIBRATION_BINS),
    }


def _r_squared(draws: BlockBootstrap, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """R² of each draw as scikit-learn's `r2_score`: 1 minus squared error over that of the mean of the rows measured.

    Rows of one value have no variance: as scikit-learn has it, they give 1 for a perfect prediction, else 0; a draw of
    such rows has no value.
    """
    every, centred = np.ones(len(target)), target - target.mean()
    spread = draws.ratios(centred**2, every) - draws.ratios(centred, every) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(spread > 0, 1 - draws.ratios((prediction - target) ** 2, every) / spread, np.nan)
    return np.append(r2_score(target, prediction) if len(target) > 1 else found[0], found[1:])
