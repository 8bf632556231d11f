"""How good a model is on rows it has not seen, and whether it may be released."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import schema, task
from .checks import Check
from .config import Evaluation, Gates
from .intervals import BlockBootstrap, Estimate, number_blocks
from .task import Baseline

CALIBRATION_BINS = 10
NO_VALUE = "no value"


@dataclass(frozen=True)
class SliceResult:
    """The rows with one value of a slicing column.

    Attributes
    ----------
    observed, expected : means of what `task.observe` and `task.expect` tell
    """

    column: str
    value: str
    rows: int
    observed: float
    expected: float
    loss: float
    loss_over_champion: Estimate | None

    @property
    def name(self) -> str:
        return f"{self.column} = {self.value}"


@dataclass(frozen=True)
class Report:
    """All that is measured on the held-out rows; losses as `task.row_losses` has them.

    Attributes
    ----------
    blocks : that are drawn for the intervals, such as days
    observed : mean of what `task.observe` tells
    unlabelled : rows that are not measured, since their target is not known
    """

    rows: int
    blocks: int
    observed: float
    metrics: dict[str, Estimate]
    baseline_loss: float
    loss_over_baseline: Estimate
    loss_over_champion: Estimate | None
    slices: list[SliceResult]
    unlabelled: int = 0

    @property
    def loss(self) -> Estimate:
        return self.metrics[task.LOSS]

    @property
    def in_short(self) -> str:
        """The two figures that say most."""
        return f"{task.HEADLINE_NAME} {self.metrics[task.HEADLINE]}, {task.LOSS_NAME} {self.loss}"


def evaluate(
    frame: pd.DataFrame,
    prediction: np.ndarray,
    baseline: Baseline,
    champion_prediction: np.ndarray | None,
    settings: Evaluation,
    seed: int,
    unlabelled: int = 0,
) -> Report:
    """Measure a model on the held-out rows.

    Parameters
    ----------
    frame : the held-out rows whose target is known
    prediction : the model's, as `task` describes it
    baseline : of the rows that the model learned from
    champion_prediction : the champion's on the same rows; None where there is no champion
    unlabelled : how many held-out rows there are beside these
    """
    target = task.code(frame[schema.TARGET])
    numbers, _ = number_blocks(frame)
    draws = BlockBootstrap(numbers, settings.bootstrap_resamples, settings.confidence, seed)
    losses, of_baseline = (
        task.row_losses(target, each, baseline.scale) for each in (prediction, baseline.predict(len(frame)))
    )
    over_champion = None
    if champion_prediction is not None:
        over_champion = losses - task.row_losses(target, champion_prediction, baseline.scale)
    observed, expected = task.observe(target, prediction), task.expect(prediction)
    slices = []
    for column, labels in slice_labels(frame).items():
        for value in labels.cat.categories:
            rows = (labels == value).to_numpy()
            slices.append(
                SliceResult(
                    column=str(column),
                    value=str(value),
                    rows=int(rows.sum()),
                    observed=float(observed[rows].mean()),
                    expected=float(expected[rows].mean()),
                    loss=float(losses[rows].mean()),
                    loss_over_champion=None if over_champion is None else draws.mean(over_champion, rows),
                )
            )
    return Report(
        rows=len(frame),
        blocks=draws.n_blocks,
        observed=float(observed.mean()),
        metrics=_measure(draws, target, prediction, losses, of_baseline, baseline.scale),
        baseline_loss=float(of_baseline.mean()),
        loss_over_baseline=draws.mean(losses - of_baseline),
        loss_over_champion=None if over_champion is None else draws.mean(over_champion),
        slices=slices,
        unlabelled=unlabelled,
    )


def _measure(
    draws: BlockBootstrap,
    target: np.ndarray,
    prediction: np.ndarray,
    losses: np.ndarray,
    of_baseline: np.ndarray,
    scale: float,
) -> dict[str, Estimate]:
    """The figures that are usual for the kind of target, by name."""
    if task.IS_REGRESSION:
        error = prediction - target
        squared = draws.ratios(error**2, np.ones(len(error)))
        return {
            "r2": draws.estimate(1 - draws.ratios(losses, of_baseline)),
            "squared_error": draws.mean(losses),
            "rmse": draws.estimate(np.sqrt(squared)),
            "mae": draws.mean(np.abs(error)),
            "bias": draws.mean(error / np.sqrt(scale)),
        }
    if task.IS_BINARY:
        return {
            "roc_auc": draws.roc_auc(target, prediction),
            "average_precision": draws.average_precision(target, prediction),
            "log_loss": draws.mean(losses),
            "brier_loss": draws.mean((target - prediction) ** 2),
            "calibration_error": draws.calibration_error(target, prediction, CALIBRATION_BINS),
        }
    is_right, confidence = task.observe(target, prediction), task.expect(prediction)
    own = np.eye(prediction.shape[1])[target.astype("int64")]
    return {
        "roc_auc": draws.macro_roc_auc(target, prediction),
        "accuracy": draws.mean(is_right),
        "log_loss": draws.mean(losses),
        "brier_loss": draws.mean(((own - prediction) ** 2).sum(axis=1)),
        "calibration_error": draws.calibration_error(is_right, confidence, CALIBRATION_BINS),
    }


def slice_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that results are broken down by, as texts whose order is that of their values.

    Returns
    -------
    shape (n_rows, n_slicing_columns)
    """
    labels = {name: frame[name] for name in schema.SLICES}
    if task.IS_MULTICLASS:
        labels[schema.TARGET] = frame[schema.TARGET]
    if schema.TIME and (hour := frame[schema.TIME].dt.hour).min() < hour.max():
        labels["hour"] = hour
    return pd.DataFrame({name: _in_order(column) for name, column in labels.items()}, index=frame.index)


def _in_order(column: pd.Series) -> pd.Categorical:
    values = sorted(column.dropna().unique())
    texts = pd.Categorical(column, categories=values).rename_categories([str(value) for value in values])
    return texts.add_categories(NO_VALUE).fillna(NO_VALUE) if column.isna().any() else texts


def judge(report: Report, gates: Gates, settings: Evaluation) -> list[Check]:
    """The verdict: every release check with its figures.

    A model is not worse than the champion if the upper end of the paired interval stays below the margin; on a
    slice it is worse if it loses by more than the margin and the interval excludes no loss, since the many
    slices differ by chance.
    """
    gains = report.loss_over_baseline.high < -gates.min_gain_over_baseline
    beats = Check(
        "beats the baseline",
        gains,
        f"{task.LOSS_NAME} minus the baseline's: {report.loss_over_baseline}, all of it below "
        f"{0 - gates.min_gain_over_baseline:.3f} wanted" + ("" if gains else f"; {_advise(report)}"),
    )
    return [beats, *_judge_by_itself(report, gates), *_judge_against_champion(report, gates, settings)]


def _advise(report: Report) -> str:
    """What to try where a model has learned too little to be told from the baseline."""
    if report.loss_over_baseline.value < 0:
        return (
            f"it is better by its estimate, and {report.rows:,} held-out rows are too few to be sure: hold out more "
            "([training] holdout_months or holdout_fraction), or gather more data"
        )
    return (
        "the features say nothing of the target, or the model has learned its rows by heart: look at "
        "permutation_importance.png, add features that are known beforehand, raise [model] min_samples_leaf, lower "
        "max_iter or learning_rate, or gather more data"
    )


def _judge_by_itself(report: Report, gates: Gates) -> list[Check]:
    """Good enough, not too good to be true, and right on average."""
    name, found = task.HEADLINE, report.metrics[task.HEADLINE]
    if task.IS_REGRESSION:
        floor, ceiling, bias = gates.min_r2, gates.max_r2, report.metrics["bias"]
        last = Check(
            "bias",
            abs(bias.value) <= gates.max_bias,
            f"mean error {bias} standard deviations, at most ±{gates.max_bias:.3f} wanted",
        )
    else:
        floor, ceiling, calibration = gates.min_roc_auc, gates.max_roc_auc, report.metrics["calibration_error"]
        last = Check(
            "calibration",
            calibration.value <= gates.max_calibration_error,
            f"calibration error {calibration}, at most {gates.max_calibration_error:.3f} wanted",
        )
    leak = f"{name} {found}, at most {ceiling:.3f} wanted: more, and a feature knows the outcome"
    return [
        Check(f"{name} floor", found.value >= floor, f"{found}, at least {floor:.3f} wanted"),
        Check("no leak", found.value <= ceiling, leak),
        last,
    ]


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
            f"{task.LOSS_NAME} minus the champion's on the same rows: {overall}, none of it above "
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
    overall = report.loss_over_champion
    warnings = []
    if overall is None:
        warnings.append("this is the first release: there is no champion to compare with")
    elif overall.value > 0:
        warnings.append(f"{task.LOSS_NAME} is above the champion's: {overall}")
    warnings += [
        f"{figure} {estimate}: the interval reaches {beyond} of {limit:.3f}"
        for figure, estimate, is_beyond, beyond, limit in _near_limits(report, gates)
        if is_beyond
    ]
    for each in report.slices:
        loss = each.loss_over_champion
        if loss and each.rows >= settings.min_slice_rows and loss.value > gates.max_slice_loss_over_champion:
            warnings.append(f"{each.name}: {task.LOSS_NAME} is above the champion's: {loss}")
    return warnings


def _near_limits(report: Report, gates: Gates) -> list[tuple[str, Estimate, bool, str, float]]:
    """Figure, estimate, whether its interval reaches beyond the limit, in words, and the limit."""
    below, above = "below the floor", "above the limit"
    if task.IS_REGRESSION:
        r2, bias = report.metrics["r2"], report.metrics["bias"]
        is_beyond = max(abs(bias.low), abs(bias.high)) > gates.max_bias
        return [
            ("r2", r2, r2.low < gates.min_r2, below, gates.min_r2),
            ("bias", bias, is_beyond, above, gates.max_bias),
        ]
    auc, error = report.metrics["roc_auc"], report.metrics["calibration_error"]
    limit = gates.max_calibration_error
    return [
        ("roc_auc", auc, auc.low < gates.min_roc_auc, below, gates.min_roc_auc),
        ("calibration error", error, error.high > limit, above, limit),
    ]
