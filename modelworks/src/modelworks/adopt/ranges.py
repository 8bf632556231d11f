"""Ranges of numbers that a later delivery may not leave."""

import math
import re

import pandas as pd

CALENDAR = {
    re.compile(r"month|monat|mois|mes", re.IGNORECASE): (1, 12),
    re.compile(r"week_?day|wochentag|day_?of_?week|dow", re.IGNORECASE): (0, 7),
    re.compile(r"day|tag", re.IGNORECASE): (1, 31),
    re.compile(r"hour|stunde", re.IGNORECASE): (0, 24),
    re.compile(r"minute", re.IGNORECASE): (0, 59),
    re.compile(r"quarter|quartal", re.IGNORECASE): (1, 4),
}
"""Whole numbers whose range the calendar gives, by the name of their column."""
MIN_TREND, MIN_TREND_ROWS = 0.95, 20
"""Rank correlation with the time from which a column grows with it, and rows that this takes."""


def choose_range(name: str, low: float, high: float, *, is_whole: bool) -> tuple[float, float] | None:
    """The range of a column, with slack; None of a column with one value, which says nothing of others.

    Parameters
    ----------
    low, high : of the values that are there
    """
    if low == high:
        return None
    if not is_whole:
        return widen(low, high)
    for pattern, (first, last) in CALENDAR.items():
        if pattern.fullmatch(name) and first <= low <= high <= last:
            return float(first), float(last)
    wide_low, wide_high = widen(low, high)
    return float(math.floor(wide_low)), float(math.ceil(wide_high))


def widen(low: float, high: float) -> tuple[float, float]:
    """A range with half its span of slack on both sides, in round numbers; it does not cross zero by that."""
    slack = (high - low) / 2 or abs(high) / 2 or 1.0
    step = 10.0 ** (math.floor(math.log10(slack)) - 1)
    digits = max(0, -math.floor(math.log10(step)))
    wide_low = round(math.floor((low - slack) / step) * step, digits)
    wide_high = round(math.ceil((high + slack) / step) * step, digits)
    return (max(wide_low, 0.0) if low >= 0 else wide_low), (min(wide_high, 0.0) if high <= 0 else wide_high)


def grows_with_time(values: pd.Series, times: pd.Series) -> bool:
    """Whether numbers only grow, or only fall, with time, such as those of a counter."""
    known = values.notna() & times.notna()
    if known.sum() < MIN_TREND_ROWS or values[known].nunique() < MIN_TREND_ROWS:
        return False
    # Of ranks, as Spearman's; pandas' own needs no more than this.
    return abs(float(values[known].rank().corr(times[known].rank()))) >= MIN_TREND
