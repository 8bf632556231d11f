"""A project's own data checks, as a team writes them."""

import pandas as pd
import pytest

from modelworks.checks import Check
from modelworks.data.own_checks import run_data_checks
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
