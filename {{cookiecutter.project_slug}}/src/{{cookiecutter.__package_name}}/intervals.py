"""Bootstrap intervals by days: rows of one day share their weather and their queues, so days are drawn, not rows.

References
----------
Davison and Hinkley, Bootstrap Methods and their Application, section 8.2.3 (block resampling).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

CHUNK = 100  # resamples at once, to bound the memory


@dataclass(frozen=True)
class Estimate:
    """A figure with its percentile interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def number_days(time: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The number of each row's day, shape (n_rows,), and the dates of the days, in the order in which they come."""
    numbers, days = pd.factorize(time.to_numpy("datetime64[D]"))
    return numbers, days.astype("datetime64[D]").astype("str").tolist()  # pandas has no days, and made seconds of them


class DayBootstrap:
    """Draws days with replacement, and computes metrics on every draw.

    Parameters
    ----------
    days : shape (n_rows,); the day of each row, in any form that can be compared
    resamples : how many draws
    confidence : of the intervals, such as 0.95
    seed : the same seed gives the same draws
    """

    def __init__(self, days: np.ndarray, resamples: int, confidence: float, seed: int) -> None:
        unique, self._day_of_row = np.unique(days, return_inverse=True)
        self.n_days = len(unique)
        drawn = np.random.default_rng(seed).multinomial(
            self.n_days, np.full(self.n_days, 1 / self.n_days), size=resamples
        )
        # How often each day counts, shape (1 + resamples, n_days); the first draw is the sample itself.
        self._weights = np.vstack([np.ones((1, self.n_days)), drawn])
        self._tails = [(1 - confidence) / 2, (1 + confidence) / 2]

    def mean(self, values: np.ndarray, rows: np.ndarray | None = None) -> Estimate:
        """Mean of a figure per row, over all rows or those marked in `rows` (shape (n_rows,), bool)."""
        counted = np.ones(len(values)) if rows is None else rows.astype("float64")
        return self.estimate(self.ratios(values * counted, counted))

    def ratios(self, numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
        """Sum of the one over sum of the other, shape (n_rows,) each, of each draw; the first is the sample itself."""
        with np.errstate(invalid="ignore"):  # a draw may hold none of a slice's days
            return (self._weights @ self._by_day(numerators)) / (self._weights @ self._by_day(denominators))

    def roc_auc(self, target: np.ndarray, probability: np.ndarray) -> Estimate:
        """Area under the ROC curve, as scikit-learn's `roc_auc_score`; higher is better."""
        samples = []
        for positives, negatives in self._cumulated(target, probability):
            area = np.diff(negatives, prepend=0) * (positives + np.diff(positives, prepend=0) * -0.5)
            samples.append(area.sum(axis=1) / (positives[:, -1] * negatives[:, -1]))
        return self.estimate(np.concatenate(samples))

    def average_precision(self, target: np.ndarray, probability: np.ndarray) -> Estimate:
        """Area under the precision-recall curve, as scikit-learn's `average_precision_score`; higher is better."""
        samples = []
        for positives, negatives in self._cumulated(target, probability):
            precision = positives / np.maximum(positives + negatives, 1)
            samples.append((np.diff(positives, prepend=0) * precision).sum(axis=1) / positives[:, -1])
        return self.estimate(np.concatenate(samples))

    def calibration_error(self, target: np.ndarray, probability: np.ndarray, n_bins: int) -> Estimate:
        """Expected calibration error over bins with equal numbers of rows; lower is better.

        References
        ----------
        Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
        """
        edges = np.quantile(probability, np.linspace(0, 1, n_bins + 1)[1:-1])
        bin_of_row = np.searchsorted(edges, probability)
        gaps = [np.abs(self._weights @ self._by_day((target - probability) * (bin_of_row == b))) for b in range(n_bins)]
        return self.estimate(np.sum(gaps, axis=0) / (self._weights @ self._by_day(np.ones(len(target)))))

    def _by_day(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._day_of_row, weights=values, minlength=self.n_days)

    def _cumulated(self, target: np.ndarray, probability: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positives and negatives at or above each distinct probability, shape (n_draws, n_distinct) each."""
        order = np.argsort(-probability, kind="stable")
        positive, day = target[order] == 1, self._day_of_row[order]
        last_of_ties = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))
        for start in range(0, len(self._weights), CHUNK):
            weights = self._weights[start : start + CHUNK, day]
            positives = np.cumsum(weights * positive, axis=1)[:, last_of_ties]
            yield positives, np.cumsum(weights, axis=1)[:, last_of_ties] - positives

    def estimate(self, samples: np.ndarray) -> Estimate:
        """The sample's own figure, and the interval of the draws."""
        # A draw without rows of a slice, or of one class only, has no value.
        low, high = np.nanquantile(samples[1:], self._tails)
        return Estimate(float(samples[0]), float(low), float(high))
