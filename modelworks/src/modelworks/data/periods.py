"""Periods, their order, and the ones that a run covers."""

import re
from datetime import date

from modelworks.errors import SourceError
from modelworks.settings import Source


def periods_between(first: str, last: str) -> list[str]:
    """Every period from `first` to `last`, both included, as `YYYY-MM`."""
    start, end = (int(period[:4]) * 12 + int(period[5:]) - 1 for period in (first, last))
    return [f"{index // 12:04d}-{index % 12 + 1:02d}" for index in range(start, end + 1)]


def last_complete_period(today: date) -> str:
    """The period before the one that `today` is in."""
    return periods_between("0001-01", f"{today:%Y-%m}")[-2]


def newest_labelled(period: str, delay_periods: int) -> str:
    """The newest period whose outcomes are known when `period` is the last complete one."""
    index = int(period[:4]) * 12 + int(period[5:]) - 1 - delay_periods
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def choose_periods(
    source: Source,
    period: str | None,
    window: int,
    today: date,
    delay_periods: int = 0,
    holdout: int = 1,
    *,
    for_training: bool = True,
) -> list[str]:
    """The periods of one run: up to `period`, and no further back than the window.

    Parameters
    ----------
    period : the newest period; None: the last that there can be; for training, the last whose labels are known
    window : number of periods to train on, before those held out; 0: all
    delay_periods : number of periods from the end of a period until its labels are known
    holdout : number of periods held out; 0 if rows are held out, so that one period is enough
    for_training : if not, one period is enough, and the window reaches back to all whose labels may have come since

    Raises
    ------
    SourceError
        If `period` is no period, lies outside the source, or leaves nothing to train on.
    """
    newest = source.last or last_complete_period(today)
    why = ""
    if not period and for_training and delay_periods:
        why = f" (the newest whose labels are known, by [labels] delay_periods = {delay_periods})"
    period = period or newest_labelled(newest, delay_periods if for_training else 0)
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
        raise SourceError(f"period {period!r}: not a period; write it as {newest}")
    if not source.first <= period <= newest:
        raise SourceError(f"period {period}{why}: outside the source, which has {source.first} to {newest}")
    periods = periods_between(source.first, period)
    if for_training and len(periods) < 1 + holdout:
        of_many = f"one of the first {holdout}, and [training] holdout holds out as many"
        which = of_many if holdout > 1 else "the first of the source"
        raise SourceError(f"period {period}{why}: {which}; there is no period before it to train on")
    wanted = window + holdout if for_training else window + 1 + delay_periods
    return periods[-wanted:] if window else periods
