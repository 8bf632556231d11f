"""Statistics of the parsed columns, from a second pass over all rows."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modelworks.adopt.conversion import convert, group_by_period
from modelworks.adopt.profile import count_repeated
from modelworks.adopt.reading import read_batches
from modelworks.adopt.recipe import Recipe


@dataclass(frozen=True)
class ColumnStatistics:
    """Counts and ranges of the rows that parse.

    Attributes
    ----------
    rejected : rows that do not parse
    reasons : of rejected rows, with their number
    periods : rows by period, in order of time; empty where there is no time
    ends : by period, the last time
    nulls : by period, rows without a value by column
    lows, highs : of numbers and times
    targets : rows by period and class of the target
    repeated_keys : rows that repeat a key, by the key
    """

    rows: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    periods: dict[str, int] = field(default_factory=dict)
    ends: dict[str, pd.Timestamp] = field(default_factory=dict)
    nulls: dict[str, Counter[str]] = field(default_factory=dict)
    lows: dict[str, Any] = field(default_factory=dict)
    highs: dict[str, Any] = field(default_factory=dict)
    targets: Counter[tuple[str, Any]] = field(default_factory=Counter)
    repeated_keys: dict[tuple[str, ...], int] = field(default_factory=dict)


def compute_statistics(path: Path, recipe: Recipe, keys: list[list[str]], *, has_classes: bool) -> ColumnStatistics:
    """Read all rows once more.

    Parameters
    ----------
    keys : candidates, whose repeated rows are counted
    has_classes : of the target, which are counted by period
    """
    accumulator = _Accumulator(recipe, keys, has_classes)
    first = 1
    for batch in read_batches(path, recipe.layout, "computing statistics"):
        frame, rejected = convert(batch, recipe, first)
        first += batch.num_rows
        accumulator.add(frame, rejected)
    return accumulator.result()


class _Accumulator:
    def __init__(self, recipe: Recipe, keys: list[list[str]], has_classes: bool) -> None:
        self._recipe, self._has_classes = recipe, has_classes
        self._rows = self._rejected = 0
        self._reasons: Counter[str] = Counter()
        self._periods: Counter[str] = Counter()
        self._ends: dict[str, pd.Timestamp] = {}
        self._nulls: dict[str, Counter[str]] = {}
        self._lows: dict[str, Any] = {}
        self._highs: dict[str, Any] = {}
        self._targets: Counter[tuple[str, Any]] = Counter()
        self._hashes: dict[tuple[str, ...], list[np.ndarray]] = {tuple(key): [] for key in keys}

    def add(self, frame: pd.DataFrame, rejected: pd.DataFrame) -> None:
        self._rows += len(frame)
        self._rejected += len(rejected)
        if len(rejected):
            self._reasons.update(rejected["why"])
        for name in frame.columns:
            if str(frame[name].dtype) != "str" and frame[name].notna().any():
                low, high = frame[name].min(), frame[name].max()
                self._lows[name] = min(self._lows.get(name, low), low)
                self._highs[name] = max(self._highs.get(name, high), high)
        for period, rows in group_by_period(frame, self._recipe):
            self._add_period(period, rows)
        for key, parts in self._hashes.items():
            parts.append(pd.util.hash_pandas_object(frame[list(key)], index=False).to_numpy())

    def _add_period(self, period: str, rows: pd.DataFrame) -> None:
        self._periods[period] += len(rows)
        if self._recipe.time:
            end = rows[self._recipe.time].max()
            self._ends[period] = max(self._ends.get(period, end), end)
        self._nulls.setdefault(period, Counter()).update(rows.isna().sum().to_dict())
        if self._has_classes:
            counts = rows[self._recipe.target].value_counts()
            self._targets.update({(period, value): int(number) for value, number in counts.items()})

    def result(self) -> ColumnStatistics:
        repeated = {}
        for key, parts in self._hashes.items():
            hashes = np.concatenate(parts)
            repeated[key] = count_repeated(hashes)
        return ColumnStatistics(
            self._rows,
            self._rejected,
            self._reasons,
            dict(sorted(self._periods.items())) if self._recipe.time else {},
            self._ends,
            self._nulls,
            self._lows,
            self._highs,
            self._targets,
            repeated,
        )
