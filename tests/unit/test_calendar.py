"""Names and order of days, ISO weeks, months, quarters and years."""

from datetime import date, datetime, time, timedelta

import pytest
from croniter import croniter

from modelworks.calendar import (
    CRONS,
    EXAMPLES,
    Frequency,
    count_between,
    find_frequency,
    first_day,
    frequency_of,
    is_period,
    period_of,
    periods_between,
    shift_period,
)

EVERY_KIND = pytest.mark.parametrize("frequency", EXAMPLES)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2024-02-28", "2024-03-01", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        ("2023-12-31", "2024-01-01", ["2023-12-31", "2024-01-01"]),
        ("2020-W52", "2021-W01", ["2020-W52", "2020-W53", "2021-W01"]),  # 2020 has 53 weeks, and 2021 has 52
        ("2021-W52", "2022-W01", ["2021-W52", "2022-W01"]),
        ("2012-11", "2013-02", ["2012-11", "2012-12", "2013-01", "2013-02"]),
        ("2023-Q3", "2024-Q1", ["2023-Q3", "2023-Q4", "2024-Q1"]),
        ("1999", "2001", ["1999", "2000", "2001"]),
        ("2024-Q2", "2024-Q1", []),
    ],
)
def test_periods_follow_each_other_across_the_ends_of_years(first: str, last: str, expected: list[str]) -> None:
    assert periods_between(first, last) == expected


@pytest.mark.parametrize(
    ("day", "names"),
    [
        (date(2021, 1, 3), ["2021-01-03", "2020-W53", "2021-01", "2021-Q1", "2021"]),  # a Sunday
        (date(2018, 12, 31), ["2018-12-31", "2019-W01", "2018-12", "2018-Q4", "2018"]),  # a Monday
        (date(2024, 3, 31), ["2024-03-31", "2024-W13", "2024-03", "2024-Q1", "2024"]),
        (date(2024, 4, 1), ["2024-04-01", "2024-W14", "2024-04", "2024-Q2", "2024"]),
    ],
)
def test_day_is_in_a_period_of_each_kind(day: date, names: list[str]) -> None:
    assert [period_of(day, frequency) for frequency in EXAMPLES] == names


@EVERY_KIND
def test_each_day_of_years_is_in_the_period_that_begins_before_it_and_ends_after_it(frequency: Frequency) -> None:
    days = [date(2019, 12, 1) + timedelta(days=each) for each in range(800)]
    names = [period_of(day, frequency) for day in days]
    assert names == sorted(names), "the order of the names is that of time"
    for day, name in zip(days, names, strict=True):
        assert first_day(name) <= day < first_day(shift_period(name, 1))
    assert list(dict.fromkeys(names)) == periods_between(names[0], names[-1])


@EVERY_KIND
def test_kind_follows_from_the_name(frequency: Frequency) -> None:
    assert [find_frequency(each) for each in EXAMPLES.values()] == list(EXAMPLES)
    assert [each for each in EXAMPLES if is_period(EXAMPLES[frequency], each)] == [frequency]


@pytest.mark.parametrize(
    "name", ["2024-02-30", "2023-02-29", "2021-W53", "2024-W00", "2024-13", "2024-Q5", "2024-Q0", "2024Q1", "24", ""]
)
def test_what_no_calendar_has_is_no_period(name: str) -> None:
    assert find_frequency(name) is None
    with pytest.raises(ValueError, match="no period; write it as one of 2024-02-29, 2024-W09, 2024-02, 2024-Q1, 2024"):
        frequency_of(name)


@pytest.mark.parametrize(
    ("period", "shift", "expected"),
    [
        ("2024-03-01", -1, "2024-02-29"),
        ("2021-W01", -1, "2020-W53"),
        ("2013-02", -14, "2011-12"),
        ("2024-Q1", -5, "2022-Q4"),
        ("2024", 3, "2027"),
    ],
)
def test_shift_is_undone_by_the_opposite_one(period: str, shift: int, expected: str) -> None:
    assert shift_period(period, shift) == expected
    assert shift_period(expected, -shift) == period
    assert count_between(period, expected) == shift


@EVERY_KIND
def test_default_schedule_is_the_start_of_each_period(frequency: Frequency) -> None:
    start = datetime.combine(first_day(EXAMPLES[frequency]), time())
    ticks = croniter(CRONS[frequency], start - timedelta(seconds=1), ret_type=datetime)
    starts = [first_day(shift_period(EXAMPLES[frequency], each)) for each in range(9)]
    assert [next(ticks) for _ in starts] == [datetime.combine(each, time()) for each in starts]
