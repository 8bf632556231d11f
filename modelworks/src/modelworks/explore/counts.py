"""What is counted of all rows, batch by batch; memory grows with the columns and the days, not with the rows."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from modelworks.contract import Contract
from modelworks.data.blocks import number_blocks
from modelworks.explore.columns import ShownKind
from modelworks.targets import Target

MAX_DISTINCT = 10_000
MAX_DISTINCT_IN_ALL = 2_000_000


@dataclass
class ColumnCounts:
    """Counts of one column.

    Attributes
    ----------
    missing : rows without a value, by period
    low, high : of numbers and dates; None if no row has a value
    frequencies : rows by value; None where there are more values than could be kept
    """

    kind: ShownKind
    max_distinct: int = MAX_DISTINCT
    known: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    low: Any = None
    high: Any = None
    mean: float = 0.0
    squares: float = 0.0
    frequencies: Counter[Any] | None = field(default_factory=Counter)

    @property
    def n_missing(self) -> int:
        """Rows without a value."""
        return self.missing.total()

    @property
    def missing_share(self) -> float:
        """Share of the rows without a value."""
        return self.n_missing / max(self.known + self.n_missing, 1)

    @property
    def deviation(self) -> float:
        """Standard deviation of the population."""
        return float(np.sqrt(self.squares / self.known)) if self.known else 0.0

    @property
    def is_constant(self) -> bool:
        """Whether all rows with a value have the same one."""
        if self.low is not None:
            return bool(self.low == self.high)
        return self.frequencies is not None and len(self.frequencies) == 1

    def add(self, period: str, values: pd.Series) -> None:
        """Add the values of a batch."""
        present = values.dropna()
        self.missing[period] += len(values) - len(present)
        if present.empty:
            return
        if self.kind != "category":
            low, high = present.min(), present.max()
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)
        if self.kind not in {"category", "date"}:
            self._add_moments(present.to_numpy("float64"))
        self.known += len(present)
        if self.frequencies is not None:
            self.frequencies.update(present.value_counts().to_dict())
            if len(self.frequencies) > self.max_distinct:
                self.frequencies = None

    def _add_moments(self, numbers: np.ndarray) -> None:
        """Mean and sum of squared deviations of all so far and these together (Chan, Golub and LeVeque, 1983)."""
        n_all, mean = self.known + len(numbers), float(numbers.mean())
        gap = mean - self.mean
        self.squares += float(((numbers - mean) ** 2).sum()) + gap**2 * self.known * len(numbers) / n_all
        self.mean += gap * len(numbers) / n_all


@dataclass
class TargetCounts:
    """Labelled rows, and the target among them, of each period or day.

    Attributes
    ----------
    sums : by period or day, shape (1 + n_series,): labelled rows, then the sum of the target or the rows of each class
    """

    target: Target
    sums: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, names: list[str], group: np.ndarray, encoded: np.ndarray) -> None:
        """Add rows.

        Parameters
        ----------
        names : of the groups
        group : number of each row's group, shape (n_rows,)
        encoded : target, NaN where it is unknown, shape (n_rows,)
        """
        rows, sums = sum_by_group(self.target, encoded, group, len(names))
        for name, row in zip(names, np.column_stack([rows, sums]), strict=True):
            self.sums[name] = self.sums.get(name, 0) + row

    def means(self) -> dict[str, np.ndarray]:
        """Mean of the target, or share of each class, by period or day in order; without those that have no label."""
        return {name: row[1:] / row[0] for name, row in sorted(self.sums.items()) if row[0]}

    def mean(self) -> np.ndarray:
        """Mean of the target, or share of each class, over all labelled rows."""
        total = np.sum(list(self.sums.values()), axis=0)
        mean: np.ndarray = total[1:] / max(total[0], 1)
        return mean

    @property
    def labelled(self) -> int:
        """Rows whose target is known."""
        return int(sum(row[0] for row in self.sums.values()))


def sum_by_group(
    target: Target, encoded: np.ndarray, group: np.ndarray, n_groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labelled rows of each group, shape (n_groups,), and their sums, shape (n_groups, n_series).

    The sum of a number; the rows of the positive class of two, and of each class of more.
    """
    known = ~np.isnan(encoded)
    group, encoded = group[known], encoded[known]
    if target.is_multiclass:
        n_classes = len(target.classes)
        cells = group * n_classes + encoded.astype("int64")
        sums = np.bincount(cells, minlength=n_groups * n_classes).reshape(n_groups, n_classes)
        return sums.sum(axis=1), sums
    return np.bincount(group, minlength=n_groups), np.bincount(group, encoded, n_groups)[:, None]


@dataclass
class TableCounts:
    """Counts of all rows.

    Attributes
    ----------
    periods : rows by period
    by_day : only if rows have a time
    """

    contract: Contract
    columns: dict[str, ColumnCounts]
    by_period: TargetCounts
    by_day: TargetCounts
    periods: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def rows(self) -> int:
        """Rows of all periods."""
        return sum(self.periods.values())

    def add(self, period: str, frame: pd.DataFrame) -> None:
        """Add rows of a period, in the columns that are shown."""
        self.periods[period] += len(frame)
        for name, column in self.columns.items():
            column.add(period, frame[name])
        encoded = self.contract.target.encode(frame[self.contract.target.column])
        self.by_period.add([period], np.zeros(len(frame), "int64"), encoded)
        if self.contract.time:
            group, days = number_blocks(self.contract, frame)
            self.by_day.add(days, group, encoded)


def new_counts(contract: Contract, kinds: Mapping[str, ShownKind]) -> TableCounts:
    """Counts of no rows."""
    distinct = min(MAX_DISTINCT, MAX_DISTINCT_IN_ALL // len(kinds))
    columns = {name: ColumnCounts(kind, distinct) for name, kind in kinds.items()}
    return TableCounts(contract, columns, TargetCounts(contract.target), TargetCounts(contract.target))
