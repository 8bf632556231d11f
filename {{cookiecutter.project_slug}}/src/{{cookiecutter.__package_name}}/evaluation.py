"""How good a model is on a month it has not seen, and whether it may be released."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import schema
from .checks import Check
from .config import Evaluation, Gates
from .intervals import DayBootstrap, Estimate

CALIBRATION_BINS = 10
PROBABILITY_FLOOR = 1e-15  # a certain and wrong forecast keeps a finite loss


@dataclass(frozen=True)
class SliceResult:
    """The rows with one value of a slicing column."""

    column: str
    value: str
    rows: int
    rate: float
    mean_probability: float
    log_loss: float
    loss_over_champion: Estimate | None

    @property
    def name(self) -> str:
        return f"{self.column} = {self.value}"


@dataclass(frozen=True)
class Report:
    """All that is measured on the held-out month; losses in nats a row.

    Attributes
    ----------
    unlabelled : rows of the month that are not measured, since their target is not known
    """

    rows: int
    days: int
    rate: float
    base_rate: float
    metrics: dict[str, Estimate]
    baseline_log_loss: float
    loss_over_baseline: Estimate
    loss_over_champion: Estimate | None
    slices: list[SliceResult]
    unlabelled: int = 0


def row_losses(target: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Log loss of each row, in nats; shape (n_rows,), lower is better."""
    inside = np.clip(probability, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return -np.where(target == 1, np.log(inside), np.log1p(-inside))


def evaluate(
    frame: pd.DataFrame,
    probability: np.ndarray,
    base_rate: float,
    champion_probability: np.ndarray | None,
    settings: Evaluation,
    seed: int,
    unlabelled: int = 0,
) -> Report:
    """Measure a model on the held-out month.

    Parameters
    ----------
    frame : the held-out rows whose target is known
    probability : the model's, shape (n_rows,)
    base_rate : share of positives in the training span, which the naive baseline predicts for every row
    champion_probability : the champion's on the same rows, shape (n_rows,); None where there is no champion
    unlabelled : how many rows the month has beside these
    """
    target = frame[schema.TARGET].to_numpy()
    days = frame[schema.TIME].dt.floor("D").to_numpy()
    draws = DayBootstrap(days, settings.bootstrap_resamples, settings.confidence, seed)
    losses = row_losses(target, probability)
    baseline = row_losses(target, np.full(len(target), base_rate))
    over_champion = None if champion_probability is None else losses - row_losses(target, champion_probability)
    slices = []
    for column, labels in slice_labels(frame).items():
        for value in sorted(labels.unique()):
            rows = (labels == value).to_numpy()
            slices.append(
                SliceResult(
                    column=str(column),
                    value=str(value),
                    rows=int(rows.sum()),
                    rate=float(target[rows].mean()),
                    mean_probability=float(probability[rows].mean()),
                    log_loss=float(losses[rows].mean()),
                    loss_over_champion=None if over_champion is None else draws.mean(over_champion, rows),
                )
            )
    return Report(
        rows=len(frame),
        days=draws.n_days,
        rate=float(target.mean()),
        base_rate=base_rate,
        metrics={
            "roc_auc": draws.roc_auc(target, probability),
            "average_precision": draws.average_precision(target, probability),
            "log_loss": draws.mean(losses),
            "brier_loss": draws.mean((target - probability) ** 2),
            "calibration_error": draws.calibration_error(target, probability, CALIBRATION_BINS),
        },
        baseline_log_loss=float(baseline.mean()),
        loss_over_baseline=draws.mean(losses - baseline),
        loss_over_champion=None if over_champion is None else draws.mean(over_champion),
        slices=slices,
        unlabelled=unlabelled,
    )


def slice_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that results are broken down by; shape (n_rows, n_slicing_columns)."""
    return frame[schema.SLICES].assign(hour=frame[schema.TIME].dt.hour)


def judge(report: Report, gates: Gates, settings: Evaluation) -> list[Check]:
    """The verdict: every release check with its figures.

    A model is not worse than the champion if the upper end of the paired interval stays below the margin; on a
    slice it is worse if it loses by more than the margin and the interval excludes no loss, since the many
    slices differ by chance.
    """
    auc = report.metrics["roc_auc"]
    calibration = report.metrics["calibration_error"]
    checks = [
        Check(
            "beats the baseline",
            report.loss_over_baseline.high < -gates.min_gain_over_baseline,
            f"log loss minus the base rate's: {report.loss_over_baseline}, all of it below "
            f"{0 - gates.min_gain_over_baseline:.3f} wanted",
        ),
        Check("roc_auc floor", auc.value >= gates.min_roc_auc, f"{auc}, at least {gates.min_roc_auc:.3f} wanted"),
        Check(
            "no leak",
            auc.value <= gates.max_roc_auc,
            f"roc_auc {auc}, at most {gates.max_roc_auc:.3f} wanted: more, and a feature knows the outcome",
        ),
        Check(
            "calibration",
            calibration.value <= gates.max_calibration_error,
            f"calibration error {calibration}, at most {gates.max_calibration_error:.3f} wanted",
        ),
    ]
    return checks + _judge_against_champion(report, gates, settings)


def _judge_against_champion(report: Report, gates: Gates, settings: Evaluation) -> list[Check]:
    overall = report.loss_over_champion
    if overall is None:
        return [Check("not worse than the champion", True, "there is no champion yet")]
    margin = gates.max_slice_loss_over_champion
    judged = [each for each in report.slices if each.rows >= settings.min_slice_rows and each.loss_over_champion]
    worse = [
        f"{each.name}: {each.loss_over_champion}"
        for each in judged
        if each.loss_over_champion and each.loss_over_champion.value > margin and each.loss_over_champion.low > 0
    ]
    return [
        Check(
            "not worse than the champion",
            overall.high <= gates.max_loss_over_champion,
            f"log loss minus the champion's on the same rows: {overall}, none of it above "
            f"{gates.max_loss_over_champion:.3f} wanted",
        ),
        Check(
            "no slice worse than the champion",
            not worse,
            "; ".join(worse) or f"none of {len(judged)} slices worse by more than {margin:.3f}",
        ),
    ]


def find_warnings(report: Report, gates: Gates, settings: Evaluation) -> list[str]:
    """What a person may want to know before an accepted model is released; it stops nothing by itself.

    A floor is passed by the estimate; here the far end of its interval counts, and a loss on a slice counts
    although the interval includes no loss.
    """
    auc, calibration = report.metrics["roc_auc"], report.metrics["calibration_error"]
    overall = report.loss_over_champion
    warnings = []
    if overall is None:
        warnings.append("this is the first release: there is no champion to compare with")
    elif overall.value > 0:
        warnings.append(f"log loss is above the champion's: {overall}")
    if auc.low < gates.min_roc_auc:
        warnings.append(f"roc_auc {auc}: the interval reaches below the floor of {gates.min_roc_auc:.3f}")
    if calibration.high > (limit := gates.max_calibration_error):
        warnings.append(f"calibration error {calibration}: the interval reaches above the limit of {limit:.3f}")
    for each in report.slices:
        loss = each.loss_over_champion
        if loss and each.rows >= settings.min_slice_rows and loss.value > gates.max_slice_loss_over_champion:
            warnings.append(f"{each.name}: log loss is above the champion's: {loss}")
    return warnings
