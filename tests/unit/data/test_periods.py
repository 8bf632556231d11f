from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from modelworks.calendar import EXAMPLES, Frequency, period_of
from modelworks.data.periods import choose_periods, last_complete_period, name_periods, newest_labelled, number_periods
from modelworks.errors import SourceError
from modelworks.settings import Source

SOURCE = Source(uri="flights-{period}.csv", first="2013-01", last="2013-12")
TODAY = date(2026, 3, 15)


def test_last_complete_period_in_january_is_december() -> None:
    assert last_complete_period(date(2026, 1, 31), "month") == "2025-12"


def test_periods_end_at_the_wanted_one_and_keep_the_window() -> None:
    assert choose_periods(SOURCE, "2013-06", 2, TODAY) == ["2013-04", "2013-05", "2013-06"]
    assert choose_periods(SOURCE, "2013-03", 0, TODAY) == ["2013-01", "2013-02", "2013-03"]


@pytest.mark.parametrize(
    ("frequency", "first", "expected"),
    [
        ("day", "2026-03-12", ["2026-03-12", "2026-03-13", "2026-03-14"]),
        ("week", "2026-W08", ["2026-W08", "2026-W09", "2026-W10"]),
        ("quarter", "2025-Q2", ["2025-Q2", "2025-Q3", "2025-Q4"]),
        ("year", "2023", ["2023", "2024", "2025"]),
    ],
)
def test_source_of_another_period_ends_with_its_last_complete_one(
    frequency: Frequency, first: str, expected: list[str]
) -> None:
    living = Source(uri="{period}", first=first, period=frequency)
    assert choose_periods(living, None, 0, TODAY) == expected
    assert choose_periods(living, None, 1, TODAY) == expected[1:]
    assert choose_periods(living, None, 0, TODAY, delay_periods=1) == expected[:-1]
    with pytest.raises(SourceError, match=rf"'2026-01-1': not a {frequency} .*; write it as {EXAMPLES[frequency]}"):
        choose_periods(living, "2026-01-1", 0, TODAY)


def test_window_of_a_source_with_gaps_reaches_back_to_its_first() -> None:
    """Which periods have rows is known once they are opened."""
    with_gaps = Source(uri="{period}", first="2013-01", last="2013-06", gaps=True)
    assert choose_periods(with_gaps, "2013-05", 1, TODAY) == ["2013-01", "2013-02", "2013-03", "2013-04", "2013-05"]


@pytest.mark.parametrize("frequency", EXAMPLES)
def test_times_are_in_the_periods_of_their_days(frequency: Frequency) -> None:
    times = np.arange("2019-12-20", "2021-01-10", 7, dtype="datetime64[h]").astype("datetime64[us]")
    days: list[Any] = times.astype("datetime64[D]").tolist()
    names = name_periods(times, frequency).tolist()
    assert names == [period_of(day, frequency) for day in days]
    steps = np.diff(number_periods(times, frequency))
    assert set(steps.tolist()) <= {0, 1}
    assert (steps == 1).tolist() == [before != after for before, after in pairwise(names)]
    assert name_periods(times[:0], frequency).tolist() == []


def test_living_source_ends_with_the_last_complete_period() -> None:
    living = Source(uri="{period}", first="2025-12")
    assert choose_periods(living, None, 0, TODAY) == ["2025-12", "2026-01", "2026-02"]


@pytest.mark.parametrize(("delay_periods", "period"), [(0, "2013-02"), (1, "2013-01"), (2, "2012-12"), (14, "2011-12")])
def test_newest_labelled_period_is_the_delay_before(delay_periods: int, period: str) -> None:
    assert newest_labelled("2013-02", delay_periods) == period


def test_periods_end_the_delay_before_the_last_unless_one_is_named() -> None:
    assert choose_periods(SOURCE, None, 1, TODAY, delay_periods=2) == ["2013-09", "2013-10"]
    assert choose_periods(SOURCE, "2013-12", 1, TODAY, delay_periods=2) == ["2013-11", "2013-12"]


def test_periods_not_for_training_end_with_the_last_and_reach_back_to_labels_that_may_have_come() -> None:
    assert choose_periods(SOURCE, None, 1, TODAY, 2, for_training=False) == ["2013-09", "2013-10", "2013-11", "2013-12"]
    assert choose_periods(SOURCE, "2013-01", 1, TODAY, 2, for_training=False) == ["2013-01"]
    assert len(choose_periods(SOURCE, None, 0, TODAY, 2, for_training=False)) == 12


@pytest.mark.parametrize(("delay_periods", "message"), [(11, "the first of the source"), (12, "outside the source")])
def test_delay_that_leaves_nothing_is_named(delay_periods: int, message: str) -> None:
    with pytest.raises(SourceError, match=rf"newest whose labels are known, .*{delay_periods}\): {message}"):
        choose_periods(SOURCE, None, 0, TODAY, delay_periods)


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ("2013-1", "not a month .*; write it as 2013-12"),
        ("2014-01", "outside the source, which has 2013-01 to 2013-12"),
        ("2013-01", "no period before it to train on"),
    ],
)
def test_impossible_period_is_refused(period: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        choose_periods(SOURCE, period, 0, TODAY)
