"""How rows are held out: by time, where they span enough periods, else a fraction of them."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from modelworks.adopt.statistics import ColumnStatistics

MIN_ROWS, MIN_SHARE, MAX_SHARE = 100, 0.15, 0.6
"""Of the held-out periods: rows where possible, and shares of all."""
MAX_PERIODS = 600


@dataclass(frozen=True)
class Split:
    """The hold-out.

    Attributes
    ----------
    first, last : periods of the source
    held_out : rows; 0 where a fraction of all is held out
    holdout : periods
    """

    kind: Literal["time", "random", "grouped"]
    first: str
    last: str
    held_out: int = 0
    holdout: int = 1


def choose_split(statistics: ColumnStatistics, this_period: str) -> tuple[Split, list[str]]:
    """By time, if the rows span enough periods without a gap; else by rows. With warnings.

    Parameters
    ----------
    this_period : of the delivery, where it is not by time
    """
    found, warnings = _by_time(statistics) if statistics.periods else (None, [])
    return found or Split("random", this_period, this_period), warnings


def _by_time(statistics: ColumnStatistics) -> tuple[Split | None, list[str]]:
    periods, no_split = statistics.periods, "there is no split by time, and the time is a feature like others"
    names = _without_gap(list(periods))
    rows = sum(periods[name] for name in names)
    if len(periods) == 1:
        return None, [f"all rows are of {names[0]}: with one period {no_split}"]
    if rows < statistics.rows / 2 or not 2 <= len(names) <= MAX_PERIODS:
        span = f"{min(periods)} to {max(periods)}"
        return None, [f"{len(periods)} periods from {span} are no unbroken row of periods: {no_split}"]
    warnings = []
    if older := statistics.rows - rows:
        warnings.append(f"the period before {names[0]} has no row: {older:,} older rows are converted, and not used")
    holdout, held_out = _choose_holdout([periods[name] for name in names])
    if not holdout:
        return None, [*warnings, f"more than half of the rows are of {names[-1]}: {no_split}"]
    return Split("time", names[0], names[-1], held_out, holdout), warnings


def _choose_holdout(counts: list[int]) -> tuple[int, int]:
    """How many of the newest periods are held out, and their rows.

    Parameters
    ----------
    counts : rows of each period, the oldest first
    """
    rows = sum(counts)
    wanted = max(MIN_SHARE * rows, min(MIN_ROWS, rows / 3))
    holdout, held_out = 0, 0
    for count in reversed(counts[1:]):
        # The newest period may have only begun.
        if held_out >= wanted or held_out + count > rows * (MAX_SHARE if held_out < MIN_ROWS else 0.5):
            break
        holdout, held_out = holdout + 1, held_out + count
    return holdout, held_out


def _without_gap(periods: list[str]) -> list[str]:
    """The newest periods that follow each other."""
    ordinals = [pd.Period(period, "M").ordinal for period in periods]
    start = max((at for at in range(1, len(periods)) if ordinals[at] > ordinals[at - 1] + 1), default=0)
    return periods[start:]
