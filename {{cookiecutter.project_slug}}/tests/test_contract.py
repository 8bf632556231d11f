"""Rows of the sample keep the contract, and each way to break it is found and named."""

import numpy as np
import pandas as pd
import pytest
from modelworks import load_project
from modelworks.data import validation

from conftest import HOME, Sample

CONTRACT = load_project(HOME).contract
RULES = {name: {rule.name: rule.arguments for rule in column.rules} for name, column in CONTRACT.columns.items()}
RANGES = {name: rules["in_range"]["max_value"] for name, rules in RULES.items() if "in_range" in rules}
CHOICES = [name for name, rules in RULES.items() if "isin" in rules]
NUMBERS = [name for name, dtype in CONTRACT.dtypes.items() if dtype in {"int64", "float64"}]
FILLED = [name for name, column in CONTRACT.columns.items() if not column.nullable]
SOME = 20
"""Columns that are tried; a table may have a thousand."""


@pytest.fixture
def rows(sample: Sample) -> tuple[str, pd.DataFrame]:
    """A period, and three rows of it."""
    period = min(sample)
    return period, sample[period].head(3).reset_index(drop=True)


def split(frame: pd.DataFrame, period: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return validation.split_rows(CONTRACT, frame, validation.find_duplicates(CONTRACT, frame), period)


def reasons(period: str, frame: pd.DataFrame) -> list[str]:
    """Why one row is quarantined, where the others are not."""
    clean, quarantined = split(frame, period)
    assert (len(clean), len(quarantined)) == (len(frame) - 1, 1)
    return quarantined["reason"].iloc[0].split("; ")


def changed(frame: pd.DataFrame, name: str, value: object) -> pd.DataFrame:
    """The same rows with another value in the first."""
    values = frame[name].astype("object")
    values.iloc[0] = value
    return frame.assign(**{name: values.infer_objects() if not isinstance(value, str) else values.astype("str")})


def test_sample_keeps_the_contract(sample: Sample) -> None:
    for period, frame in sample.items():
        clean, quarantined = split(frame, period)
        assert [reason for reason in quarantined["reason"] if "repeated" not in reason] == []
        assert len(clean) > 0.9 * len(frame)


def test_example_has_the_columns_of_a_request() -> None:
    assert set(CONTRACT.features) <= set(CONTRACT.example) <= set(CONTRACT.columns) - set(CONTRACT.outcomes)


@pytest.mark.parametrize("name", list(RANGES)[:SOME])
def test_value_outside_its_range_is_named(rows: tuple[str, pd.DataFrame], name: str) -> None:
    period, frame = rows
    found = reasons(period, changed(frame, name, type(frame[name].iloc[0].item())(2 * abs(RANGES[name]) + 1)))
    assert any(reason.startswith(f"{name}: in_range") for reason in found)


@pytest.mark.parametrize("name", CHOICES[:SOME])
def test_value_that_is_none_of_those_allowed_is_named(rows: tuple[str, pd.DataFrame], name: str) -> None:
    period, frame = rows
    found = reasons(period, changed(frame, name, "no such value" if CONTRACT.is_text(name) else 12_345.5))
    assert any(reason.startswith(f"{name}: isin") for reason in found)


@pytest.mark.parametrize("name", NUMBERS[:SOME])
def test_text_where_a_number_is_wanted_is_named(rows: tuple[str, pd.DataFrame], name: str) -> None:
    period, frame = rows
    assert f"{name}: not a {CONTRACT.dtypes[name]}: oops" in reasons(period, changed(frame, name, "oops"))


@pytest.mark.parametrize("name", FILLED[:SOME])
def test_gap_where_a_value_is_wanted_is_named(rows: tuple[str, pd.DataFrame], name: str) -> None:
    period, frame = rows
    assert f"{name}: null" in reasons(period, changed(frame, name, None if CONTRACT.is_text(name) else np.nan))


def test_repeated_key_is_named(rows: tuple[str, pd.DataFrame]) -> None:
    period, frame = rows
    found = reasons(period, pd.concat([frame, frame.head(1)], ignore_index=True))
    assert found == [f"key: {', '.join(CONTRACT.key)}: repeated"]


@pytest.mark.skipif(not CONTRACT.time, reason="rows have no time")
def test_row_of_another_period_is_named(rows: tuple[str, pd.DataFrame]) -> None:
    period, frame = rows
    later = changed(frame, CONTRACT.time, frame[CONTRACT.time].iloc[0] + pd.Timedelta(days=62))
    assert any(reason.startswith(f"{CONTRACT.time}: outside the period") for reason in reasons(period, later))
