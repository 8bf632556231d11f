"""The periods that a run covers, and the periods of rows; what a period is says `modelworks.calendar`."""

from datetime import date

import numpy as np

from modelworks.calendar import EXAMPLES, MONTHS_IN, Frequency, is_period, period_of, periods_between, shift_period
from modelworks.errors import SourceError
from modelworks.settings import Source

DAYS_TO_1970, MONTHS_TO_1970 = date(1970, 1, 1).toordinal(), 12 * 1970
"""Where numpy begins to count."""


def last_complete_period(today: date, frequency: Frequency) -> str:
    """The period before the one that `today` is in."""
    return shift_period(period_of(today, frequency), -1)


def newest_labelled(period: str, delay_periods: int) -> str:
    """The newest period whose outcomes are known when `period` is the last complete one."""
    return shift_period(period, -delay_periods)


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

    Where the source may have gaps, all up to `period`: only who opens them sees which have rows.

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
    newest = source.last or last_complete_period(today, source.period)
    why = ""
    if not period and for_training and delay_periods:
        why = f" (the newest whose labels are known, by [labels] delay_periods = {delay_periods})"
    period = period or newest_labelled(newest, delay_periods if for_training else 0)
    check_form(period, source)
    if not source.first <= period <= newest:
        raise SourceError(f"period {period}{why}: outside the source, which has {source.first} to {newest}")
    periods = periods_between(source.first, period)
    if for_training:
        check_enough(periods, period, holdout, why)
    wanted = count_wanted(window, delay_periods, holdout, for_training=for_training)
    return periods[-wanted:] if wanted and not source.gaps else periods


def check_form(period: str, source: Source) -> None:
    """Make sure that a text is the name of a period of the source's kind.

    Raises
    ------
    SourceError
        If it is not.
    """
    if not is_period(period, source.period):
        raise SourceError(
            f'period {period!r}: not a {source.period} ([source] period = "{source.period}"); write it as '
            f"{source.last or EXAMPLES[source.period]}"
        )


def check_enough(periods: list[str], period: str, holdout: int, why: str = "") -> None:
    """Make sure that there is something to train on before the periods that are held out.

    Raises
    ------
    SourceError
        If there is not.
    """
    if len(periods) < 1 + holdout:
        of_many = f"one of the first {holdout}, and [training] holdout holds out as many"
        which = of_many if holdout > 1 else "the first of the source"
        raise SourceError(f"period {period}{why}: {which}; there is no period before it to train on")


def count_wanted(window: int, delay_periods: int, holdout: int, *, for_training: bool) -> int:
    """How many periods a run takes at most; 0: all. Parameters as of `choose_periods`."""
    if not window:
        return 0
    return window + holdout if for_training else window + 1 + delay_periods


def number_periods(times: np.ndarray, frequency: Frequency) -> np.ndarray:
    """The number of the period of each time, shape (n_rows,): those of periods that follow each other do so too.

    Parameters
    ----------
    times : shape (n_rows,), datetime64, none missing
    """
    if months := MONTHS_IN.get(frequency):
        return (times.astype("datetime64[M]").astype("int64") + MONTHS_TO_1970) // months
    days = times.astype("datetime64[D]").astype("int64") + DAYS_TO_1970
    return (days - 1) // 7 if frequency == "week" else days


def name_periods(times: np.ndarray, frequency: Frequency) -> np.ndarray:
    """The name of the period of each time, shape (n_rows,), str. Parameters as of `number_periods`."""
    numbers, first, of_row = np.unique(number_periods(times, frequency), return_index=True, return_inverse=True)
    days = times[first].astype("datetime64[D]").astype(object)
    return np.array([period_of(day, frequency) for day in days], "object")[of_row] if len(numbers) else times[:0]
