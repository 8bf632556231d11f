"""Bootstrap intervals by blocks of rows: rows of one day depend on each other, so whole days are resampled.

Without a time column, the blocks are groups of rows that belong together, or random blocks of rows.

No draw goes through the rows. They are added up once, by block, and a draw weighs these sums; so the cost is that of
the rows plus that of draws times blocks. Metrics of a ranking need counts by block and score: of each distinct score,
or of `MAX_BINS` bins of scores where there are more. Then the interval is approximate, the figure itself is exact.

References
----------
Davison and Hinkley, Bootstrap Methods and their Application, section 8.2.3 (block resampling).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from modelworks.progress import track

MAX_BINS = 20_000  # of scores; a metric of a ranking with fewer distinct ones is exact in each draw
MAX_CELLS = 4_000_000  # of blocks or draws times bins or groups at once, to bound the memory

RankMetric = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A figure of each draw from its positives and negatives at or above each score, shape (n_draws, n_scores) each."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its percentile interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """The value and the ends of its interval."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class BlockBootstrap:
    """Draws blocks with replacement, and computes metrics on every draw.

    Parameters
    ----------
    blocks : shape (n_rows,); the block of each row, of any type that can be compared
    resamples : number of draws
    level : confidence level of the intervals, such as 0.95
    seed : the same seed gives the same draws
    """

    def __init__(self, blocks: np.ndarray, resamples: int, level: float, seed: int) -> None:
        unique, self._block_of_row = np.unique(blocks, return_inverse=True)
        self.n_blocks = len(unique)
        drawn = np.random.default_rng(seed).multinomial(
            self.n_blocks, np.full(self.n_blocks, 1 / self.n_blocks), size=resamples
        )
        # How often each block counts, shape (1 + resamples, n_blocks); the first draw is the sample itself.
        self._weights = np.vstack([np.ones((1, self.n_blocks)), drawn])
        self._tails = [(1 - level) / 2, (1 + level) / 2]

    def mean(self, values: np.ndarray, rows: np.ndarray | None = None) -> Estimate:
        """Mean of a figure per row, over all rows or those marked in `rows` (shape (n_rows,), bool)."""
        counted = np.ones(len(values)) if rows is None else rows.astype("float64")
        return self.estimate(self.ratios(values * counted, counted))

    def ratios(self, numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
        """Sum of the one over sum of the other, shape (n_rows,) each, of each draw; the first is the sample itself."""
        with np.errstate(invalid="ignore"):  # a draw may hold none of a slice's blocks
            return (self._weights @ self._by_block(numerators)) / (self._weights @ self._by_block(denominators))

    def ratios_by_group(
        self, numerators: np.ndarray, denominators: np.ndarray, group_of_row: np.ndarray, n_groups: int
    ) -> Iterator[np.ndarray]:
        """The same as `ratios` for the rows of each group in turn, shape (1 + resamples,); the rows are read once.

        Parameters
        ----------
        group_of_row : shape (n_rows,), from 0 to `n_groups` - 1, or -1 for a row that does not count
        """
        at_once = max(MAX_CELLS // max(self.n_blocks, len(self._weights)), 1)
        for start in range(0, n_groups, at_once):
            width = min(at_once, n_groups - start)
            rows = (group_of_row >= start) & (group_of_row < start + width)
            block, group = self._block_of_row[rows], group_of_row[rows] - start
            sums = [self._weights @ self._cross(block, group, width, each[rows]) for each in (numerators, denominators)]
            with np.errstate(invalid="ignore"):  # a draw may hold none of a group's blocks
                yield from (sums[0] / sums[1]).T

    def roc_auc(self, target: np.ndarray, probability: np.ndarray) -> Estimate:
        """Area under the ROC curve, as scikit-learn's `roc_auc_score`; higher is better."""
        return self.estimate(self._rank(target, probability, _roc_auc))

    def macro_roc_auc(self, target: np.ndarray, probability: np.ndarray) -> Estimate:
        """Mean over the classes of the area under the ROC curve of each against the rest; absent ones do not count.

        Parameters
        ----------
        target : numbers of classes, shape (n_rows,)
        probability : shape (n_rows, n_classes)
        """
        present = np.unique(target).astype("int64")
        by_class = [self._rank(target == each, probability[:, each], _roc_auc) for each in present]
        is_measured = ~np.isnan(by_class)
        with np.errstate(invalid="ignore"):  # of a draw in which no class can be measured
            return self.estimate(np.nansum(by_class, axis=0) / is_measured.sum(axis=0))

    def average_precision(self, target: np.ndarray, probability: np.ndarray) -> Estimate:
        """Area under the precision-recall curve, as scikit-learn's `average_precision_score`; higher is better."""
        return self.estimate(self._rank(target, probability, _average_precision))

    def calibration_error(self, target: np.ndarray, probability: np.ndarray, n_bins: int) -> Estimate:
        """Expected calibration error over bins with equal numbers of rows; lower is better.

        A sum of distances grows with the noise of resampling, so the draws lie above the sample's own figure. They are
        centred on it; otherwise the interval need not contain the figure.

        References
        ----------
        Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
        """
        edges = np.quantile(probability, np.linspace(0, 1, n_bins + 1)[1:-1])
        bin_of_row = np.searchsorted(edges, probability)
        gaps = self._weights @ self._cross(self._block_of_row, bin_of_row, n_bins, target - probability)
        return self.estimate_centred(np.abs(gaps).sum(axis=1) / (self._weights @ self._by_block(np.ones(len(target)))))

    def estimate(self, samples: np.ndarray) -> Estimate:
        """The sample's own figure, and an interval of the draws that contains it.

        Draws of few blocks may all lie on one side of the figure, if only by rounding: then it ends the interval.

        Parameters
        ----------
        samples : shape (1 + resamples,), the sample's own figure first; a draw without a value is NaN, and left out
        """
        value, draws = float(samples[0]), samples[1:][~np.isnan(samples[1:])]
        if np.isnan(value) or not len(draws):
            return Estimate(value, np.nan, np.nan)
        low, high = np.quantile(draws, self._tails)
        return Estimate(value, min(float(low), value), max(float(high), value))

    def estimate_centred(self, samples: np.ndarray, most: float = np.inf) -> Estimate:
        """The same of a figure from 0 to `most` that grows or falls with noise, such as a distance or a maximum.

        The draws of such a figure lie beside it, so they are moved by the difference of their mean.
        """
        draws = samples[1:]
        if np.isnan(draws).all():
            return self.estimate(samples)
        centred = np.clip(draws - (np.nanmean(draws) - samples[0]), 0, most)
        return self.estimate(np.append(samples[0], centred))

    def _rank(self, target: np.ndarray, score: np.ndarray, measure: RankMetric) -> np.ndarray:
        """A metric of the ranking by a score, shape (1 + resamples,); the first is the sample's own, and exact."""
        is_positive = target == 1
        step = _number_steps(score)
        n_bins, n_steps = max(min(MAX_BINS, MAX_CELLS // self.n_blocks), 1), int(step.max()) + 1
        if n_steps <= n_bins:
            return self._rank_draws(is_positive, step, n_steps, measure)
        above, below = (np.cumsum(_count(step, n_steps, rows)) for rows in (is_positive, ~is_positive))
        exact = measure(above[np.newaxis], below[np.newaxis])
        binned = self._rank_draws(is_positive, _share_bins(above, below, n_bins)[step], n_bins, measure)
        # What the bins change is the same in all draws, but for the noise of the draws.
        return np.append(exact, np.clip(binned[1:] + (exact - binned[0]), 0, 1))

    def _rank_draws(
        self, is_positive: np.ndarray, step_of_row: np.ndarray, n_steps: int, measure: RankMetric
    ) -> np.ndarray:
        positives, negatives = (
            np.cumsum(self._cross(self._block_of_row[rows], step_of_row[rows], n_steps), axis=1)
            for rows in (is_positive, ~is_positive)
        )
        at_once = max(MAX_CELLS // n_steps, 1)
        parts = [self._weights[start : start + at_once] for start in range(0, len(self._weights), at_once)]
        tracked = track(parts, "bootstrap", "resamples", len(self._weights), size=len)
        return np.concatenate([measure(part @ positives, part @ negatives) for part in tracked])

    def _by_block(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._block_of_row, weights=values, minlength=self.n_blocks)

    def _cross(
        self, block: np.ndarray, group: np.ndarray, n_groups: int, values: np.ndarray | None = None
    ) -> np.ndarray:
        """Sums of values, or else rows, by block and group; shape (n_blocks, n_groups)."""
        cells = np.bincount(block * n_groups + group, weights=values, minlength=self.n_blocks * n_groups)
        return cells.astype("float64", copy=False).reshape(self.n_blocks, n_groups)


def _number_steps(score: np.ndarray) -> np.ndarray:
    """Number of each row's score among the distinct ones, the highest first; shape (n_rows,)."""
    order = np.argsort(-score, kind="stable")
    step = np.empty(len(score), "int64")
    step[order] = np.cumsum(np.diff(score[order], prepend=score[order[:1]]) != 0)
    return step


def _share_bins(positives: np.ndarray, negatives: np.ndarray, n_bins: int) -> np.ndarray:
    """The bin of each score from the positives and negatives at or above it, shape (n_scores,) each.

    Bins have equal shares of the rows and, as much, of the positives: where these are few, they decide about precision.
    """
    rows = positives + negatives
    share = (rows / rows[-1] + positives / max(positives[-1], 1)) / 2
    return np.minimum((np.append(0, share[:-1]) * n_bins).astype("int64"), n_bins - 1)


def _count(step: np.ndarray, n_steps: int, rows: np.ndarray) -> np.ndarray:
    return np.bincount(step[rows], minlength=n_steps).astype("float64")


def _roc_auc(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    area = np.diff(negatives, prepend=0) * (positives + np.diff(positives, prepend=0) * -0.5)
    with np.errstate(invalid="ignore"):  # of a draw of one class only
        return area.sum(axis=1) / (positives[:, -1] * negatives[:, -1])


def _average_precision(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    precision = positives / np.maximum(positives + negatives, 1)
    with np.errstate(invalid="ignore"):  # of a draw without positives
        return (np.diff(positives, prepend=0) * precision).sum(axis=1) / positives[:, -1]
