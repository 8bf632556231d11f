"""The calendar of periods: days, ISO weeks, months, quarters and years, with their names and their order.

The name of a period says of what kind it is, and names of one kind sort by time.
"""

import re
from datetime import date, timedelta
from typing import Literal

Frequency = Literal["day", "week", "month", "quarter", "year"]

EXAMPLES: dict[Frequency, str] = {
    "day": "2024-02-29",
    "week": "2024-W09",
    "month": "2024-02",
    "quarter": "2024-Q1",
    "year": "2024",
}
"""How a period of each kind is written; a week is one of ISO 8601, which begins on Monday."""
PATTERNS: dict[Frequency, str] = {
    "day": r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])",
    "week": r"\d{4}-W(?:0[1-9]|[1-4]\d|5[0-3])",
    "month": r"\d{4}-(?:0[1-9]|1[0-2])",
    "quarter": r"\d{4}-Q[1-4]",
    "year": r"\d{4}",
}
"""Regular expressions of the names; days and weeks that a month or year does not have are refused besides."""
ANY_PATTERN = "|".join(PATTERNS.values())
CRONS: dict[Frequency, str] = {
    "day": "0 0 * * *",
    "week": "0 0 * * 1",
    "month": "0 0 1 * *",
    "quarter": "0 0 1 1,4,7,10 *",
    "year": "0 0 1 1 *",
}
"""The start of each period."""
MONTHS_IN: dict[Frequency, int] = {"month": 1, "quarter": 3, "year": 12}


def find_frequency(period: str) -> Frequency | None:
    """The kind of a period, by its name; None if it is the name of none, such as 2024-W53 or 2024-13."""
    found = next((kind for kind, pattern in PATTERNS.items() if re.fullmatch(pattern, period)), None)
    if found is None:
        return None
    try:
        return found if period_of(first_day(period), found) == period else None
    except ValueError:
        return None


def is_period(period: str, frequency: Frequency) -> bool:
    """Whether a text is the name of a period of that kind."""
    return find_frequency(period) == frequency


def first_day(period: str) -> date:
    """The day on which a period begins."""
    if "W" in period:
        return date.fromisocalendar(int(period[:4]), int(period[6:]), 1)
    if "Q" in period:
        return date(int(period[:4]), 3 * int(period[6:]) - 2, 1)
    return date.fromisoformat(f"{period}{'-01-01'[len(period) - 4 :]}")


def period_of(day: date, frequency: Frequency) -> str:
    """The period that a day is in."""
    if frequency == "week":
        year, week, _ = day.isocalendar()
        return f"{year:04d}-W{week:02d}"
    if frequency == "quarter":
        return f"{day.year:04d}-Q{(day.month + 2) // 3}"
    return day.isoformat()[: len(EXAMPLES[frequency])]


def shift_period(period: str, n_periods: int) -> str:
    """The period that comes so many later; earlier, if the number is negative."""
    frequency = frequency_of(period)
    return _name(_number(period, frequency) + n_periods, frequency)


def periods_between(first: str, last: str) -> list[str]:
    """Every period from `first` to `last`, both included."""
    frequency = frequency_of(first)
    return [_name(each, frequency) for each in range(_number(first, frequency), _number(last, frequency) + 1)]


def count_between(first: str, last: str) -> int:
    """How many periods `last` comes after `first`; negative if it comes before."""
    frequency = frequency_of(first)
    return _number(last, frequency) - _number(first, frequency)


def frequency_of(period: str) -> Frequency:
    """The kind of a period.

    Raises
    ------
    ValueError
        If it is the name of none.
    """
    found = find_frequency(period)
    if found is None:
        raise ValueError(f"{period!r}: no period; write it as one of {', '.join(EXAMPLES.values())}")
    return found


def _number(period: str, frequency: Frequency) -> int:
    """Periods of one kind that follow each other have numbers that follow each other."""
    day = first_day(period)
    if months := MONTHS_IN.get(frequency):
        return (12 * day.year + day.month - 1) // months
    return (day.toordinal() - 1) // 7 if frequency == "week" else day.toordinal()


def _name(number: int, frequency: Frequency) -> str:
    if months := MONTHS_IN.get(frequency):
        return period_of(date(number * months // 12, number * months % 12 + 1, 1), frequency)
    return period_of(date(1, 1, 1) + timedelta(days=7 * number if frequency == "week" else number - 1), frequency)
