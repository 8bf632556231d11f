"""How well served predictions turned out, day by day, and whether that is worse than at the model's release.

Months differ in how hard they are, so losses of two months cannot be compared. What can be: how much a month's
predictions would have gained, on the same rows, by being recalibrated in hindsight. A model that still fits gains next
to nothing.

References
----------
Cox, Two Further Applications of a Model for Binary Regression, Biometrika 45, 1958 (calibration slope and intercept).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from .config import Evaluation
from .evaluation import row_losses
from .intervals import DayBootstrap, Estimate, number_days

LOGIT_BINS = np.arange(-8.0, 8.05, 0.1)
N_BINS = len(LOGIT_BINS) + 1
Batch = tuple[pd.Series, np.ndarray, np.ndarray]
"""Time, target and probability of some rows."""


@dataclass(frozen=True)
class DailyPerformance:
    """Sums of each day, in the order of `days`; losses in nats.

    Attributes
    ----------
    gain : what recalibration in hindsight would have gained
    """

    days: list[str]
    rows: list[int]
    positives: list[int]
    probability: list[float]
    loss: list[float]
    gain: list[float]


@dataclass(frozen=True)
class Performance:
    """A month of served predictions against its labels; losses in nats a row.

    Attributes
    ----------
    skill : loss minus that of predicting the month's own share of positives for each row; negative is good
    gain : what recalibration in hindsight would have gained
    decay : `gain` minus that of the evaluation at release; None where the latter is unknown
    """

    rows: int
    days: int
    rate: float
    mean_probability: float
    log_loss: Estimate
    skill: Estimate
    gain: Estimate
    decay: Estimate | None


class PerformanceTally:
    """Adds up predictions and labels batch by batch; keeps a count for each day and bin of the logit."""

    def __init__(self) -> None:
        self._counts: dict[str, np.ndarray] = {}  # by day, shape (2 classes, n_bins)
        self._sums: dict[str, np.ndarray] = {}  # by day: probability and loss
        self._logits = np.zeros(N_BINS)  # their sum in each bin

    def add(self, time: pd.Series, target: np.ndarray, probability: np.ndarray) -> None:
        """Count rows.

        Parameters
        ----------
        time, target, probability : shape (n_rows,) each; no nulls
        """
        inside = np.clip(probability, 1e-9, 1 - 1e-9)
        logits = np.log(inside / (1 - inside))
        bins = np.searchsorted(LOGIT_BINS, logits, side="right")
        self._logits += np.bincount(bins, logits, minlength=N_BINS)
        day_of_row, days = number_days(time)
        cells = (2 * day_of_row + target.astype("int64")) * N_BINS + bins
        counts = np.bincount(cells, minlength=len(days) * 2 * N_BINS).reshape(len(days), 2, N_BINS)
        both = (probability, row_losses(target, probability))
        sums = np.column_stack([np.bincount(day_of_row, each, minlength=len(days)) for each in both])
        for at, day in enumerate(days):
            self._counts[day] = self._counts.get(day, 0) + counts[at]
            self._sums[day] = self._sums.get(day, 0) + sums[at]

    @property
    def rows(self) -> int:
        """How many were added up."""
        return sum(int(counts.sum()) for counts in self._counts.values())

    def daily(self) -> DailyPerformance:
        """What was added up.

        Raises
        ------
        ValueError
            If the labels are of one class only: nothing can be recalibrated to that.
        """
        days = sorted(self._counts)
        counts = np.array([self._counts[day] for day in days]).reshape(len(days), 2, N_BINS)
        in_all = counts.sum(axis=0)
        logits = self._logits / np.maximum(in_all.sum(axis=0), 1)
        gained = _losses(logits) - _losses(_recalibrate(logits, in_all))
        return DailyPerformance(
            days=days,
            rows=counts.sum(axis=(1, 2)).tolist(),
            positives=counts[:, 1].sum(axis=1).tolist(),
            probability=[float(self._sums[day][0]) for day in days],
            loss=[float(self._sums[day][1]) for day in days],
            gain=(counts * gained).sum(axis=(1, 2)).tolist(),
        )


def tally(batches: Iterable[Batch]) -> DailyPerformance:
    """Add up batches; see `PerformanceTally`."""
    adding = PerformanceTally()
    for time, target, probability in batches:
        adding.add(time, target, probability)
    return adding.daily()


def _losses(logits: np.ndarray) -> np.ndarray:
    """Log loss in nats of each logit for both classes, shape (2, n)."""
    return np.array([np.logaddexp(0, logits), np.logaddexp(0, -logits)])


def _recalibrate(logits: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The logits that the bins should have had, by intercept and slope; shape (n_bins,)."""
    if not counts.sum(axis=1).all():
        raise ValueError("the labels are all the same")
    labels = np.repeat([0, 1], len(logits))
    fitted = LogisticRegression(C=np.inf).fit(np.tile(logits, 2).reshape(-1, 1), labels, sample_weight=counts.ravel())
    return fitted.decision_function(logits.reshape(-1, 1))


def measure(
    daily: DailyPerformance, at_release: DailyPerformance | None, settings: Evaluation, seed: int
) -> Performance:
    """Estimates with intervals; days are drawn, and those of the release independently of the month's."""
    rows = np.asarray(daily.rows, dtype="float64")
    rate = sum(daily.positives) / rows.sum()
    entropy = _entropy(rate)
    draws = DayBootstrap(np.array(daily.days), settings.bootstrap_resamples, settings.confidence, seed)
    loss, gain = np.asarray(daily.loss), draws.ratios(np.asarray(daily.gain), rows)
    decay = None
    if at_release:
        then = DayBootstrap(np.array(at_release.days), settings.bootstrap_resamples, settings.confidence, seed + 1)
        decay = draws.estimate(gain - then.ratios(np.asarray(at_release.gain), np.asarray(at_release.rows, float)))
    return Performance(
        rows=int(rows.sum()),
        days=len(daily.days),
        rate=float(rate),
        mean_probability=sum(daily.probability) / rows.sum(),
        log_loss=draws.estimate(draws.ratios(loss, rows)),
        skill=draws.estimate(draws.ratios(loss - entropy * rows, rows)),
        gain=draws.estimate(gain),
        decay=decay,
    )


def _entropy(rate: float) -> float:
    return float(-(rate * np.log(rate) + (1 - rate) * np.log1p(-rate)))


def is_alarm(found: Performance, margin: float) -> bool:
    """Whether the model lost more than the margin since its release, the interval's near end included."""
    return found.decay is not None and found.decay.low > margin
