"""A project's own data checks, as a team writes them."""

import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.checks import Check, on_columns
from modelworks.data.own_checks import columns_to_read, run_data_checks
from modelworks.errors import ContractError

ROWS = pd.DataFrame({"temp": [60.0, None, 61.0]})


def temperature_is_there(rows: pd.DataFrame) -> Check:
    share = rows["temp"].notna().mean()
    return Check("temperature", share > 0.5, f"{share:.0%} of rows")


def wants_another_column(rows: pd.DataFrame) -> Check:
    return Check("humidity", bool(rows["humidity"].notna().all()), "")


def answers_yes(rows: pd.DataFrame) -> bool:
    return True


def adds_a_column(rows: pd.DataFrame) -> Check:
    rows["temp"] = 0.0
    rows["other"] = 1
    return Check("own copy", True, "")


def test_verdicts_come_in_order() -> None:
    checks = run_data_checks([temperature_is_there, adds_a_column], ROWS, "raw/2013-05/v1")
    assert checks == [Check("temperature", True, "67% of rows"), Check("own copy", True, "")]


def test_check_that_assigns_columns_changes_nothing_for_the_next() -> None:
    assert run_data_checks([adds_a_column, temperature_is_there], ROWS, "here")[1].detail == "67% of rows"
    assert list(ROWS.columns) == ["temp"]


def test_check_that_raises_is_named_with_its_file_and_the_cause() -> None:
    message = r"^raw/2013-05/v1: data check wants_another_column of checks.py: KeyError: 'humidity'$"
    with pytest.raises(ContractError, match=message) as refused:
        run_data_checks([wants_another_column], ROWS, "raw/2013-05/v1")
    assert isinstance(refused.value.__cause__, KeyError)


def test_check_that_returns_something_else_is_named() -> None:
    with pytest.raises(ContractError, match=r"data check answers_yes of checks.py: returned True, which is no Check"):
        run_data_checks([answers_yes], ROWS, "here")


@on_columns("temp", "carrier")
def asks_for_two(rows: pd.DataFrame) -> Check:
    return Check("columns", True, ", ".join(rows.columns))


@on_columns("origin")
def asks_for_one(rows: pd.DataFrame) -> Check:
    return Check("columns", True, ", ".join(rows.columns))


def test_only_columns_that_checks_ask_for_are_read_and_each_check_gets_its_own() -> None:
    assert columns_to_read(FLIGHTS.contract, [asks_for_two, asks_for_one]) == ["carrier", "origin", "temp"]
    rows = pd.DataFrame({"carrier": ["AA"], "origin": ["JFK"], "temp": [60.0]})
    checks = run_data_checks([asks_for_two, asks_for_one, temperature_is_there], rows, "here")
    assert [check.detail for check in checks] == ["temp, carrier", "origin", "100% of rows"]


def test_all_columns_are_read_where_one_check_says_nothing() -> None:
    assert columns_to_read(FLIGHTS.contract, [asks_for_two, temperature_is_there]) is None


def test_column_that_the_contract_does_not_have_is_named_with_its_check() -> None:
    with pytest.raises(ContractError, match=r"data check asks_for_snow of checks.py: asks for column 'snow', which"):
        columns_to_read(FLIGHTS.contract, [asks_for_snow])


@on_columns("snow")
def asks_for_snow(rows: pd.DataFrame) -> Check:
    return Check("snow", bool(rows["snow"].all()), "")
