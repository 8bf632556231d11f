"""How rows are held out: by time, where the rows span enough of it, else by a fraction of them."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from .converting import Measures

MIN_ROWS, MIN_SHARE, MAX_SHARE = 100, 0.15, 0.6
"""Of the held-out months: rows where possible, and shares of all."""
MAX_MONTHS = 600


@dataclass(frozen=True)
class Split:
    """What is held out; `first_month` and `last_month` are those of the source.

    Attributes
    ----------
    held_out : rows; 0 where a fraction of all is
    """

    kind: Literal["time", "random", "grouped"]
    first_month: str
    last_month: str
    held_out: int = 0
    holdout_months: int = 1


def choose_split(measures: Measures, this_month: str, doubts: list[str]) -> Split:
    """By time, if the rows span enough months without a gap; else by rows.

    Parameters
    ----------
    this_month : of the delivery, where it is not by time
    """
    found = _by_time(measures, doubts) if measures.months else None
    return found or Split("random", this_month, this_month)


def _by_time(measures: Measures, doubts: list[str]) -> Split | None:
    months, no_split = measures.months, "there is no split by time, and the time is a feature like others"
    names = _without_gap(list(months))
    rows = sum(months[name] for name in names)
    if len(months) == 1:
        doubts.append(f"all rows are of {names[0]}: with one month {no_split}")
        return None
    if rows < measures.rows / 2 or not 2 <= len(names) <= MAX_MONTHS:
        span = f"{min(months)} to {max(months)}"
        doubts.append(f"{len(months)} months from {span} are no unbroken row of months: {no_split}")
        return None
    if older := measures.rows - rows:
        doubts.append(f"the month before {names[0]} has no row: {older:,} older rows are converted, and not used")
    wanted = max(MIN_SHARE * rows, min(MIN_ROWS, rows / 3))
    held_out, count = 0, 0
    for name in reversed(names[1:]):
        # The first month may be one that has only begun.
        if held_out >= wanted or held_out + months[name] > rows * (MAX_SHARE if held_out < MIN_ROWS else 0.5):
            break
        held_out, count = held_out + months[name], count + 1
    if not count:
        doubts.append(f"more than half of the rows are of {names[-1]}: {no_split}")
        return None
    return Split("time", names[0], names[-1], held_out, count)


def _without_gap(months: list[str]) -> list[str]:
    """The newest months that follow each other."""
    ordinals = [pd.Period(month, "M").ordinal for month in months]
    start = max((at for at in range(1, len(months)) if ordinals[at] > ordinals[at - 1] + 1), default=0)
    return months[start:]
