"""Bootstrap intervals by blocks of rows: rows of one day share their weather and their queues, so days are drawn.

Where there is no time column, the blocks are groups of rows that belong together, or rows by chance.

References
----------
Davison and Hinkley, Bootstrap Methods and their Application, section 8.2.3 (block resampling).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from . import schema

N_BLOCKS = 200  # by chance, of a delivery without days
BLOCKS = "days" if schema.TIME else f"blocks by {schema.GROUP}" if schema.GROUP else "blocks of rows"
"""What is drawn, in words."""
MAX_CELLS = 20_000_000  # of resamples times rows at once, to bound the memory


@dataclass(frozen=True)
class Estimate:
    """A figure with its percentile interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def number_blocks(frame: pd.DataFrame, month: str = "") -> tuple[np.ndarray, list[str]]:
    """The number of each row's block, shape (n_rows,), and the names of the blocks.

    Parameters
    ----------
    frame : has the time column, or else the group or the key
    month : that the rows came in; tells the blocks of one delivery from those of another where rows have no time
    """
    if schema.TIME:
        numbers, days = pd.factorize(frame[schema.TIME].to_numpy("datetime64[D]"))
        return numbers, days.astype("datetime64[D]").astype(
            "str"
        ).tolist()  # pandas has no days, and made seconds of them
    numbers, different = pd.factorize(hash_units(frame) % np.uint64(N_BLOCKS))
    return numbers, [f"{month} {number:03d}".strip() for number in different.tolist()]


def hash_units(frame: pd.DataFrame) -> np.ndarray:
    """A number for what may not be torn apart, shape (n_rows,), uint64: the group where there is one, else the row."""
    names = [schema.GROUP] if schema.GROUP else schema.KEY
    return pd.util.hash_pandas_object(frame[names], index=False).to_numpy()


class BlockBootstrap:
    """Draws blocks with replacement, and computes metrics on every draw.

    Parameters
    ----------
    blocks : shape (n_rows,); the block of each row, in any form that can be compared
    resamples : how many draws
    confidence : of the intervals, such as 0.95
    seed : the same seed gives the same draws
    """

    def __init__(self, blocks: np.ndarray, resamples: int, confidence: float, seed: int) -> None:
        unique, self._block_of_row = np.unique(blocks, return_inverse=True)
        self.n_blocks = len(unique)
        drawn = np.random.default_rng(seed).multinomial(
            self.n_blocks, np.full(self.n_blocks, 1 / self.n_blocks), size=resamples
        )
        # How often each block counts, shape (1 + resamples, n_blocks); the first draw is the sample itself.
        self._weights = np.vstack([np.ones((1, self.n_blocks)), drawn])
        self._tails = [(1 - confidence) / 2, (1 + confidence) / 2]

    def mean(self, values: np.ndarray, rows: np.ndarray | None = None) -> Estimate:
        """Mean of a figure per row, over all rows or those marked in `rows` (shape (n_rows,), bool)."""
        counted = np.ones(len(values)) if rows is None else rows.astype("float64")
        return self.estimate(self.ratios(values * counted, counted))

    def ratios(self, numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
        """Sum of the one over sum of the other, shape (n_rows,) each, of each draw; the first is the sample itself."""
        with np.errstate(invalid="ignore"):  # a draw may hold none of a slice's blocks
            return (self._weights @ self._by_block(numerators)) / (self._weights @ self._by_block(denominators))

    def roc_auc(self, target: np.ndarray, probability: np.ndarray) -> Estimate:
        """Area under the ROC curve, as scikit-learn's `roc_auc_score`; higher is better."""
        return self.estimate(self._roc_auc(target, probability))

    def macro_roc_auc(self, target: np.ndarray, probability: np.ndarray) -> Estimate:
        """Mean over the classes of the area under the ROC curve of each against the rest; absent ones do not count.

        Parameters
        ----------
        target : numbers of classes, shape (n_rows,)
        probability : shape (n_rows, n_classes)
        """
        present = np.unique(target).astype("int64")
        by_class = [self._roc_auc((target == each).astype("float64"), probability[:, each]) for each in present]
        is_measured = ~np.isnan(by_class)
        with np.errstate(invalid="ignore"):  # of a draw in which no class can be measured
            return self.estimate(np.nansum(by_class, axis=0) / is_measured.sum(axis=0))

    def average_precision(self, target: np.ndarray, probability: np.ndarray) -> Estimate:
        """Area under the precision-recall curve, as scikit-learn's `average_precision_score`; higher is better."""
        samples = []
        for positives, negatives in self._cumulated(target, probability):
            precision = positives / np.maximum(positives + negatives, 1)
            with np.errstate(invalid="ignore"):  # of a draw without positives
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
        gaps = [
            np.abs(self._weights @ self._by_block((target - probability) * (bin_of_row == b))) for b in range(n_bins)
        ]
        return self.estimate(np.sum(gaps, axis=0) / (self._weights @ self._by_block(np.ones(len(target)))))

    def _roc_auc(self, target: np.ndarray, probability: np.ndarray) -> np.ndarray:
        samples = []
        for positives, negatives in self._cumulated(target, probability):
            area = np.diff(negatives, prepend=0) * (positives + np.diff(positives, prepend=0) * -0.5)
            with np.errstate(invalid="ignore"):  # of a draw of one class only
                samples.append(area.sum(axis=1) / (positives[:, -1] * negatives[:, -1]))
        return np.concatenate(samples)

    def _by_block(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._block_of_row, weights=values, minlength=self.n_blocks)

    def _cumulated(self, target: np.ndarray, probability: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positives and negatives at or above each distinct probability, shape (n_draws, n_distinct) each."""
        order = np.argsort(-probability, kind="stable")
        positive, block = target[order] == 1, self._block_of_row[order]
        last_of_ties = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))
        chunk = max(MAX_CELLS // max(len(target), 1), 1)
        for start in range(0, len(self._weights), chunk):
            weights = self._weights[start : start + chunk, block]
            positives = np.cumsum(weights * positive, axis=1)[:, last_of_ties]
            yield positives, np.cumsum(weights, axis=1)[:, last_of_ties] - positives

    def estimate(self, samples: np.ndarray) -> Estimate:
        """The sample's own figure, and the interval of the draws."""
        # A draw without rows of a slice, or of one class only, has no value.
        if np.isnan(samples[1:]).all():
            return Estimate(float(samples[0]), np.nan, np.nan)
        low, high = np.nanquantile(samples[1:], self._tails)
        return Estimate(float(samples[0]), float(low), float(high))
