import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.checks import failures
from modelworks.data.validation import PeriodAccumulator, PeriodFacts, check_period, find_duplicates, split_rows
from modelworks.settings import Validation
from tables import TWO_TEXTS_BY_GROUP


def split(frame: pd.DataFrame, period: str = "2013-05") -> tuple[pd.DataFrame, pd.DataFrame]:
    return split_rows(FLIGHTS.contract, frame, find_duplicates(FLIGHTS.contract, frame[FLIGHTS.contract.key]), period)


def facts(rows: int = 100, **fields: object) -> PeriodFacts:
    defaults: dict = {
        "quarantined": 0,
        "reasons": {},
        "null_fraction": {"temp": 0.0},
        "categories": {"carrier": ["AA"]},
    }
    return PeriodFacts(rows=rows, **(defaults | fields))


def test_good_rows_pass_unchanged(rows) -> None:
    frame = rows(3)
    clean, quarantined = split(frame)
    pd.testing.assert_frame_equal(clean, frame)
    assert quarantined.empty


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("wind_speed", [10.0, 1048.4], "wind_speed: in_range.*1048.4"),
        ("carrier", ["AA", "aa"], "carrier: str_matches.*: aa"),
        ("carrier", ["AA", None], "carrier: null"),
        ("distance", ["2475", "n/a"], "distance: not a int64: n/a"),
        ("distance", ["2475", "24.5"], "distance: not a int64: 24.5"),
        ("scheduled_departure", ["2013-05-01T06:00", "yesterday"], "scheduled_departure: not a datetime64"),
        ("scheduled_departure", ["2013-05-01T06:00", "2013-05-01T06:00Z"], "scheduled_departure: not a datetime64"),
        ("scheduled_departure", ["2013-05-01T06:00", "2013-06-01T06:00"], "outside the period: 2013-06-01"),
        ("delayed", [0.0, 2.0], "delayed: isin.*: 2"),
    ],
)
def test_row_that_breaks_the_contract_is_set_aside_with_its_reason(rows, column: str, values, reason: str) -> None:
    clean, quarantined = split(rows(2, **{column: values}))
    assert len(clean) == 1
    assert len(quarantined) == 1
    assert quarantined["reason"].str.contains(reason, regex=True).all()
    assert quarantined[column].iat[0] == str(values[1]) or pd.isna(values[1])


def test_row_with_two_faults_has_two_reasons(rows) -> None:
    _, quarantined = split(rows(1, temp=999.0, humidity=-1.0))
    assert quarantined["reason"].iat[0].count("; ") == 1


def test_clean_rows_of_a_file_read_as_text_get_their_dtypes_back(rows) -> None:
    text = rows(2).astype("str").assign(temp=["60.0", None], flight=["1", "x"])
    clean, quarantined = split(text)
    assert clean.dtypes.astype("str").to_dict() == FLIGHTS.contract.dtypes
    assert (len(clean), len(quarantined)) == (1, 1)


def test_second_of_two_rows_with_one_key_is_set_aside(rows) -> None:
    frame = rows(2, scheduled_departure=pd.Timestamp("2013-05-01T06:00"), temp=[60.0, 61.0])
    clean, quarantined = split(frame)
    assert clean["temp"].tolist() == [60.0]
    assert quarantined["reason"].str.contains("repeated").all()


def test_accumulator_counts_over_batches(rows) -> None:
    accumulator = PeriodAccumulator(FLIGHTS.contract)
    for frame in (rows(2, temp=[999.0, 60.0]), rows(2, temp=[None, 60.0], carrier="B6")):
        accumulator.add(*split_rows(FLIGHTS.contract, frame, np.zeros(2, bool), "2013-05"))
    found = accumulator.facts()
    assert (found.rows, found.quarantined) == (4, 1)
    assert list(found.reasons.values()) == [1]
    assert found.null_fraction["temp"] == pytest.approx(1 / 3, abs=1e-3)
    assert found.categories["carrier"] == ["AA", "B6"]


def test_rows_without_a_label_are_clean_and_counted(rows) -> None:
    accumulator = PeriodAccumulator(FLIGHTS.contract)
    for frame in (rows(2, delayed=[None, 1.0]), rows(2, delayed=[None, 7.0])):
        accumulator.add(*split_rows(FLIGHTS.contract, frame, np.zeros(2, bool), "2013-05"))
    found = accumulator.facts()
    assert (found.rows, found.quarantined, found.unlabelled) == (4, 1, 2)


def test_too_many_quarantined_rows_name_the_worst_reasons() -> None:
    period = facts(quarantined=2, reasons={"wind_speed: in_range(0, 200)": 2})
    [broken] = failures(check_period(FLIGHTS.contract, period, [], Validation(max_quarantined_fraction=0.01)))
    assert "2 of 100 rows" in broken.detail
    assert "wind_speed: in_range(0, 200): 2 rows" in broken.detail


def test_period_within_the_limits_passes() -> None:
    assert not failures(check_period(FLIGHTS.contract, facts(), [facts(), facts()], Validation()))


def test_half_of_the_usual_rows_is_refused() -> None:
    [broken] = failures(
        check_period(
            FLIGHTS.contract, facts(rows=40), [facts(), facts(), facts()], Validation(max_row_count_change=0.5)
        )
    )
    assert broken.name == "row count"
    assert "-60%" in broken.detail


def test_first_delivery_of_all_that_there_was_sets_no_expectation_of_rows() -> None:
    contract, few = TWO_TEXTS_BY_GROUP, Validation(max_row_count_change=0.5)
    assert not failures(check_period(contract, facts(rows=120), [facts(rows=344)], few))
    [broken] = failures(check_period(contract, facts(rows=20), [facts(rows=344), facts(rows=120)], few))
    assert "20 rows, -83% against the median of the last 1 period" in broken.detail


@pytest.mark.parametrize(
    ("period", "inside", "outside"),
    [
        ("2013-05-04", "2013-05-04T23:59", "2013-05-05T00:00"),
        ("2020-W53", "2021-01-03T23:00", "2021-01-04T00:00"),
        ("2013-Q2", "2013-06-30T23:00", "2013-07-01T00:00"),
        ("2013", "2013-12-31T23:00", "2014-01-01T00:00"),
    ],
)
def test_row_of_another_period_is_set_aside_whatever_a_period_is(rows, period: str, inside: str, outside: str) -> None:
    clean, quarantined = split(rows(2, scheduled_departure=[inside, outside]), period)
    assert clean["scheduled_departure"].tolist() == [pd.Timestamp(inside)]
    assert quarantined["reason"].str.contains("outside the period").tolist() == [True]


def test_jump_in_nulls_is_refused() -> None:
    [broken] = failures(check_period(FLIGHTS.contract, facts(null_fraction={"temp": 0.9}), [facts()], Validation()))
    assert "temp to 90.0%" in broken.detail


def test_outcomes_that_are_not_known_yet_are_no_jump_in_nulls() -> None:
    unknown = facts(null_fraction={"temp": 0.0, "delayed": 1.0, "arr_delay": 1.0}, unlabelled=100)
    assert not failures(check_period(FLIGHTS.contract, unknown, [facts()], Validation()))


def test_new_category_is_reported_and_stops_nothing() -> None:
    checks = check_period(FLIGHTS.contract, facts(categories={"carrier": ["AA", "ZZ"]}), [facts()], Validation())
    assert not failures(checks)
    assert [check.detail for check in checks if not check.passed] == ["carrier: ZZ"]
