"""Drift: how far the columns and predictions of a period are from those that the champion was trained on.

The threshold comes from the reference itself, since a fixed one raises false alarms: periods differ by chance and by
season. Days drawn from the reference show the first, windows of consecutive days against the rest show the second; the
threshold allows for both together. Rows without a time have blocks in place of days, as many in each period.

References
----------
Lin, Divergence Measures Based on the Shannon Entropy, IEEE Transactions on Information Theory 37, 1991.
Davison and Hinkley, Bootstrap Methods and their Application, section 8.2.3 (block resampling).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon

from modelworks.contract import Contract
from modelworks.data.blocks import number_blocks
from modelworks.monitoring.binning import Binning, to_numbers

PREDICTION = "prediction"
NUMBER_BINS = 10
MAX_CATEGORIES = 20
SAMPLE_ROWS = 100_000
DRAWS = 500
SEED = 1
MIN_WINDOWS = 2  # periods in a reference; a shorter one cannot be compared with itself


@dataclass(frozen=True)
class Profile:
    """How often each bin occurs in each block of rows.

    Attributes
    ----------
    blocks : in order, such as days
    counts : of each column, shape (n_blocks, n_bins)
    constant : columns with one value only
    """

    blocks: list[str]
    counts: dict[str, np.ndarray]
    constant: list[str]

    def to_json(self) -> dict[str, Any]:
        """The profile as JSON's types."""
        counts = {name: table.tolist() for name, table in self.counts.items()}
        return {"blocks": self.blocks, "counts": counts, "constant": self.constant}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Profile":
        """The profile that `to_json` gave."""
        counts = {name: np.asarray(table) for name, table in content["counts"].items()}
        return cls(content["blocks"], counts, content["constant"])


@dataclass(frozen=True)
class ColumnDrift:
    """Distance of a column from the reference, in bits: 0 is the same distribution, 1 nothing in common.

    Attributes
    ----------
    threshold : how far blocks drawn from the reference, and windows of it, lie from it
    """

    column: str
    distance: float
    threshold: float

    @property
    def ratio(self) -> float:
        """Distance divided by the threshold; above 1 the column drifted."""
        return self.distance / self.threshold if self.threshold > 0 else float(self.distance > 0)

    @property
    def drifted(self) -> bool:
        """Whether the distance exceeds the threshold."""
        return self.distance > self.threshold


@dataclass(frozen=True)
class Counted:
    """Counts of a period and of the reference that it is compared with."""

    binning: Binning
    reference: Profile
    period: Profile

    def shares(self, name: str) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Label of each bin of a column, and its share of the reference's rows and of the period's."""
        reference, period = (each.counts[name].sum(axis=0) for each in (self.reference, self.period))
        return self.binning.labels(name), reference / reference.sum(), period / period.sum()


@dataclass(frozen=True)
class Findings:
    """How far a period is from the reference.

    Attributes
    ----------
    columns : the most drifted first; empty where `note` says why they were not measured
    constant : features that have one value only, unlike the reference
    counted : None where nothing was measured
    """

    columns: list[ColumnDrift]
    note: str = ""
    constant: list[str] = field(default_factory=list)
    counted: Counted | None = None


def choose_binning(contract: Contract, sample: pd.DataFrame) -> Binning:
    """Bins that hold about equally many rows of the sample.

    Parameters
    ----------
    sample : rows of the reference, features and `PREDICTION`
    """
    names = [name for name in sample.columns if name != contract.time]
    texts = [name for name in names if _is_category(contract, name)]
    steps = np.linspace(0, 1, NUMBER_BINS + 1)[1:-1]
    edges = {}
    for name in names:
        if name not in texts:
            values = to_numbers(sample[name].dropna())
            edges[name] = _choose_edges(np.quantile(values, steps)) if len(values) else []
    return Binning(edges, {name: sample[name].value_counts().index[:MAX_CATEGORIES].tolist() for name in texts})


def _is_category(contract: Contract, name: str) -> bool:
    return contract.target.is_multiclass if name == PREDICTION else contract.is_category(name)


def _choose_edges(quantiles: np.ndarray) -> list[float]:
    """The quantiles; a value that most rows have gets an edge on either side, and so a bin of its own."""
    values, repeats = np.unique(quantiles, return_counts=True)
    edges: list[float] = np.unique([*values, *np.nextafter(values[repeats > 1], np.inf)]).tolist()
    return edges


def take_sample(frames: Iterable[pd.DataFrame], rows: int, wanted: int | None = None) -> pd.DataFrame:
    """Evenly spaced rows of all `rows`, about as many as `wanted`, by default `SAMPLE_ROWS`."""
    step, start, taken = max(rows // (wanted or SAMPLE_ROWS), 1), 0, []
    for frame in frames:
        taken.append(frame.iloc[-start % step :: step].copy())  # a slice would keep the whole frame in memory
        start += len(frame)
    return pd.concat(taken, ignore_index=True)


class BinCounts:
    """Counts of rows by block and bin; those of several parts can be added."""

    def __init__(self, contract: Contract, binning: Binning) -> None:
        self._contract, self._binning = contract, binning
        self._counts: dict[str, dict[str, np.ndarray]] = {}  # by block and column
        self._seen: dict[str, set[Any]] = {name: set() for name in binning.columns}

    def add(self, period: str, frame: pd.DataFrame) -> None:
        """Count rows.

        Parameters
        ----------
        frame : has the columns that `number_blocks` needs and some of the binning's
        """
        block_of_row, blocks = number_blocks(self._contract, frame, period)
        for name in [each for each in self._binning.columns if each in frame]:
            size = self._binning.size(name)
            cells = block_of_row * size + self._binning.encode(name, frame[name])
            table = np.bincount(cells, minlength=len(blocks) * size).reshape(len(blocks), size)
            self._add(name, dict(zip(blocks, table, strict=True)), set(frame[name].dropna().unique()[:2].tolist()))

    def merge(self, other: "BinCounts") -> None:
        """Count what another one has counted."""
        for name in self._binning.columns:
            rows = {block: counts[name] for block, counts in other._counts.items() if name in counts}
            self._add(name, rows, other._seen[name])

    def _add(self, name: str, rows: dict[str, np.ndarray], seen: set[Any]) -> None:
        for block, row in rows.items():
            counts = self._counts.setdefault(block, {})
            counts[name] = counts.get(name, 0) + row
        if len(self._seen[name]) < 2:
            self._seen[name] |= seen

    def profile(self) -> Profile:
        """The counts of all rows; each column of a row has to be counted once."""
        ordered = sorted(self._counts)
        tables = {
            name: np.array([self._counts[block][name] for block in ordered]).reshape(
                len(ordered), self._binning.size(name)
            )
            for name in self._binning.columns
        }
        return Profile(ordered, tables, [name for name, values in self._seen.items() if len(values) == 1])


def count(contract: Contract, frames: Iterable[tuple[str, pd.DataFrame]], binning: Binning) -> Profile:
    """Count rows by block and bin, frame by frame.

    Parameters
    ----------
    frames : the period of each, and rows; all together hold each column of each row once
    """
    counts = BinCounts(contract, binning)
    for period, frame in frames:
        counts.add(period, frame)
    return counts.profile()


def measure(contract: Contract, reference: Profile, period: Profile, quantile: float) -> list[ColumnDrift]:
    """Distance and threshold of each column, the most drifted first.

    Parameters
    ----------
    quantile : share of the draws, and of the windows, that the threshold covers

    Raises
    ------
    ValueError
        If the period has no rows, or the reference is too short to be compared with itself.
    """
    n_blocks, n_reference = len(period.blocks), len(reference.blocks)
    if not n_blocks or n_reference < MIN_WINDOWS * n_blocks * 0.9:  # February and March are two of March's length
        raise ValueError(f"{n_blocks} {contract.block_unit} cannot be compared with a reference of {n_reference}")
    drawn = np.random.default_rng(SEED).multinomial(n_blocks, np.full(n_reference, 1 / n_reference), size=DRAWS)
    found = []
    for name, blocks in reference.counts.items():
        total = blocks.sum(axis=0)
        windows = _sum_windows(blocks, n_blocks)
        by_chance, by_season = _divergence(drawn @ blocks, total), _divergence(windows, total - windows)
        threshold = np.quantile(by_chance, quantile) + np.quantile(by_season, quantile)
        distance = _divergence(period.counts[name].sum(axis=0), total)
        found.append(ColumnDrift(name, float(distance), float(threshold)))
    return sorted(found, key=lambda each: -each.ratio)


def _sum_windows(blocks: np.ndarray, length: int) -> np.ndarray:
    """Counts of each window of consecutive blocks, shape (n_blocks, n_bins).

    A window that reaches the end continues at the beginning, so each block is in equally many windows.
    """
    sums = np.vstack([np.zeros_like(blocks[:1]), np.cumsum(np.vstack([blocks, blocks]), axis=0)])
    windows: np.ndarray = sums[length : length + len(blocks)] - sums[: len(blocks)]
    return windows


def _divergence(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of counts along the last axis, in bits."""
    divergence: np.ndarray = jensenshannon(one, np.broadcast_to(other, one.shape), base=2, axis=-1) ** 2
    return divergence


def is_alarm(columns: list[ColumnDrift], max_fraction: float) -> bool:
    """Whether the predictions drifted, or more than a share of the features."""
    features = [each for each in columns if each.column != PREDICTION]
    drifted = sum(each.drifted for each in features)
    return any(each.drifted for each in columns if each.column == PREDICTION) or drifted > max_fraction * len(features)
