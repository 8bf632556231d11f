"""What a period is, and how rows are held out: by time where they span enough periods, else a fraction of them."""

from dataclasses import dataclass
from statistics import median
from typing import Literal

import pandas as pd

from modelworks.adopt.statistics import ColumnStatistics
from modelworks.calendar import Frequency, count_between, first_day, frequency_of, shift_period
from modelworks.data.periods import number_periods
from modelworks.wording import count

MIN_ROWS, MIN_SHARE, MAX_SHARE = 100, 0.15, 0.6
"""Of the held-out periods: rows where possible, and shares of all."""
MAX_PERIODS = 600
ENOUGH_PERIODS, ENOUGH_ROWS = 3, 4
"""With fewer months a period is shorter, and with fewer rows in each it is longer."""
ENOUGH_DATES = 4
"""To say that all dates have the same place in their year, quarter, month or week."""
STRAY_SHARE = 0.01
RECENT_PERIODS = 3


@dataclass(frozen=True)
class Split:
    """The hold-out.

    Attributes
    ----------
    first, last : periods of the source
    held_out : rows; 0 where a fraction of all is held out
    holdout : periods
    gaps : there are periods without rows between
    """

    kind: Literal["time", "random", "grouped"]
    first: str
    last: str
    held_out: int = 0
    holdout: int = 1
    gaps: bool = False


def choose_frequency(times: pd.Series) -> tuple[Frequency, str]:
    """What a period is by the times of rows, and why.

    Parameters
    ----------
    times : of a sample of all rows
    """
    at = times.dropna().to_numpy()
    kinds: tuple[Frequency, ...] = ("week", "month", "quarter", "year")
    counts = {each: len(set(number_periods(at, each).tolist())) for each in kinds}
    series = _find_series(times)
    if series in {"year", "quarter"}:
        return series, f"there is one date in each {series}"
    if counts["month"] > MAX_PERIODS or (series != "month" and len(at) < ENOUGH_ROWS * counts["month"]):
        for longer in kinds[2:]:
            if ENOUGH_PERIODS <= counts[longer] <= MAX_PERIODS and len(at) >= ENOUGH_ROWS * counts[longer]:
                return longer, f"there are {counts['month']:,} months, with few rows in each"
    if counts["month"] >= ENOUGH_PERIODS or series == "month":
        return "month", f"there are {counts['month']:,} months"
    if counts["week"] > ENOUGH_PERIODS or series == "week":
        return "week", f"there are {counts['week']} weeks, and too few months"
    return "day", f"there are {counts['week']} weeks only"


def _find_series(times: pd.Series) -> Frequency:
    """The longest period in which all dates have the same place, or are the last of a month; "day" if there is none."""
    days = pd.DatetimeIndex(times.dropna().dt.normalize().unique())
    if len(days) < ENOUGH_DATES:
        return "day"
    if _is_one(days.day) or days.is_month_end.all():
        if _is_one(days.month):
            return "year"
        return "quarter" if _is_one(days.month % 3) else "month"
    return "week" if _is_one(days.day_of_week) else "day"


def _is_one(values: pd.Index) -> bool:
    return bool((values == values[0]).all())


def choose_split(statistics: ColumnStatistics, this_period: str) -> tuple[Split, list[str]]:
    """By time, if the rows span enough periods; else by rows. With warnings.

    Parameters
    ----------
    this_period : of the delivery, where it is not by time
    """
    found, warnings = _by_time(statistics) if statistics.periods else (None, [])
    return found or Split("random", this_period, this_period), warnings


def _by_time(statistics: ColumnStatistics) -> tuple[Split | None, list[str]]:
    periods, no_split = statistics.periods, "there is no split by time, and the time is a feature like others"
    names, warnings = _without_strays(periods)
    if len(names) > 1 and is_partial(names[-1], statistics):
        *names, stub = names
        warnings.append(
            f"{stub} is not complete: it has {count(periods[stub], 'row')}, up to {statistics.ends[stub]:%Y-%m-%d}; "
            f"[source] last is {names[-1]}, and `import` of its other rows completes it"
        )
    if len(names) == 1:
        return None, [*warnings, f"all rows are of {names[0]}: with one period {no_split}"]
    if len(names) > MAX_PERIODS:
        return None, [f"{len(names):,} periods from {names[0]} to {names[-1]} are too many for files: {no_split}"]
    holdout, held_out = _choose_holdout([periods[name] for name in names])
    if not holdout:
        return None, [*warnings, f"more than half of the rows are of {names[-1]}: {no_split}"]
    gaps = count_between(names[0], names[-1]) + 1 - len(names)
    if gaps:
        unit = frequency_of(names[0])
        warnings.append(f"{count(gaps, unit)} without rows from {names[0]} to {names[-1]}: [source] gaps is true")
    return Split("time", names[0], names[-1], held_out, holdout, bool(gaps)), warnings


def is_partial(period: str, statistics: ColumnStatistics) -> bool:
    """Whether a period has only begun: it has half of the usual rows at most, and they end long before it does."""
    before = [each for each in statistics.periods if each < period][-RECENT_PERIODS:]
    if not before or period not in statistics.ends:
        return False
    usual_rows = median(statistics.periods[each] for each in before)
    usual_end = median(_place_end(each, statistics.ends[each]) for each in before)
    ends_early = usual_end > 0 and _place_end(period, statistics.ends[period]) <= usual_end / 2
    return ends_early and statistics.periods[period] <= usual_rows / 2


def _place_end(period: str, end: pd.Timestamp) -> float:
    """Where the last time of a period is in it, from 0 to 1."""
    start, following = pd.Timestamp(first_day(period)), pd.Timestamp(first_day(shift_period(period, 1)))
    return float((end - start) / (following - start))


def _choose_holdout(counts: list[int]) -> tuple[int, int]:
    """How many of the newest periods are held out, and their rows.

    Parameters
    ----------
    counts : rows of each period, the oldest first
    """
    rows = sum(counts)
    wanted = max(MIN_SHARE * rows, min(MIN_ROWS, rows / 3))
    holdout, held_out = 0, 0
    for n_rows in reversed(counts[1:]):
        # The newest period may have only begun.
        if held_out >= wanted or held_out + n_rows > rows * (MAX_SHARE if held_out < MIN_ROWS else 0.5):
            break
        holdout, held_out = holdout + 1, held_out + n_rows
    return holdout, held_out


def _without_strays(periods: dict[str, int]) -> tuple[list[str], list[str]]:
    """The periods without a few rows that are farther from all others than those are from each other; with warnings."""
    names, warnings = list(periods), []
    for is_older in (False, True):
        ordered = names[::-1] if is_older else names
        for at in range(1, len(ordered)):
            strays, others = ordered[at:], ordered[:at]
            rows, distance = sum(periods[each] for each in strays), abs(count_between(others[-1], strays[0]))
            if rows <= STRAY_SHARE * sum(periods.values()) and distance > abs(count_between(others[0], others[-1])) + 1:
                warnings.append(
                    f"{count(rows, 'row')} of {strays[-1]} to {strays[0]}, far from all others: converted, and not used"
                    if is_older
                    else f"{count(rows, 'row')} of {strays[0]} and later, far from all others: converted, and not used"
                )
                names = others[::-1] if is_older else others
                break
    return names, warnings
