"""Rows that keep the contract pass, and each way to break it is found and named."""

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import schema, validation

RANGES = {
    name: check.statistics["max_value"]
    for name, column in schema.SCHEMA.columns.items()
    for check in column.checks
    if check.name == "in_range"
}
CHOICES = [
    name for name, column in schema.SCHEMA.columns.items() if any(check.name == "isin" for check in column.checks)
]
NUMBERS = [name for name, dtype in schema.DTYPES.items() if dtype in {"int64", "float64"}]
FILLED = [name for name, column in schema.SCHEMA.columns.items() if not column.nullable]
SOME = 20
"""Columns that are tried; a table may have a thousand."""


@pytest.fixture
def rows(sample: dict[str, pd.DataFrame]) -> tuple[str, pd.DataFrame]:
    """A month, and three rows of it."""
    month = min(sample)
    return month, sample[month].head(3).reset_index(drop=True)


def reasons(month: str, frame: pd.DataFrame) -> list[str]:
    """Why the first row is set aside, where the others are not."""
    clean, quarantined = validation.split_rows(frame, validation.find_duplicates(frame), month)
    assert (len(clean), len(quarantined)) == (len(frame) - 1, 1)
    return quarantined["reason"].iloc[0].split("; ")


def changed(frame: pd.DataFrame, name: str, value: object) -> pd.DataFrame:
    """The same rows with another value in the first."""
    values = frame[name].astype("object")
    values.iloc[0] = value
    return frame.assign(**{name: values.infer_objects() if not isinstance(value, str) else values.astype("str")})


def test_sample_keeps_the_contract(sample: dict[str, pd.DataFrame]) -> None:
    for month, frame in sample.items():
        clean, quarantined = validation.split_rows(frame, validation.find_duplicates(frame), month)
        repeated = [reason for reason in quarantined["reason"] if "repeated" in reason]
        assert quarantined["reason"].tolist() == repeated
        assert len(clean) > 0.9 * len(frame)


@pytest.mark.parametrize("name", list(RANGES)[:SOME])
def test_value_outside_its_range_is_named(rows: tuple[str, pd.DataFrame], name: str) -> None:
    month, frame = rows
    found = reasons(month, changed(frame, name, type(frame[name].iloc[0].item())(2 * abs(RANGES[name]) + 1)))
    assert any(reason.startswith(f"{name}: in_range") for reason in found)


@pytest.mark.parametrize("name", CHOICES[:SOME])
def test_value_that_is_none_of_those_allowed_is_named(rows: tuple[str, pd.DataFrame], name: str) -> None:
    month, frame = rows
    found = reasons(month, changed(frame, name, "no such value" if schema.is_text(name) else 12_345.5))
    assert any(reason.startswith(f"{name}: isin") for reason in found)


@pytest.mark.parametrize("name", NUMBERS[:SOME])
def test_text_where_a_number_is_wanted_is_named(rows: tuple[str, pd.DataFrame], name: str) -> None:
    month, frame = rows
    assert f"{name}: not a {schema.DTYPES[name]}: oops" in reasons(month, changed(frame, name, "oops"))


@pytest.mark.parametrize("name", FILLED[:SOME])
def test_gap_where_a_value_is_wanted_is_named(rows: tuple[str, pd.DataFrame], name: str) -> None:
    month, frame = rows
    assert f"{name}: null" in reasons(month, changed(frame, name, None if schema.is_text(name) else np.nan))


def test_repeated_key_is_named(rows: tuple[str, pd.DataFrame]) -> None:
    month, frame = rows
    found = reasons(month, pd.concat([frame, frame.head(1)], ignore_index=True))
    assert found == [f"key: {', '.join(schema.KEY)}: repeated"]


@pytest.mark.skipif(not schema.TIME, reason="rows have no time")
def test_row_of_another_month_is_named(rows: tuple[str, pd.DataFrame]) -> None:
    month, frame = rows
    later = changed(frame, schema.TIME, frame[schema.TIME].iloc[0] + pd.Timedelta(days=62))
    assert any(reason.startswith(f"{schema.TIME}: outside the month") for reason in reasons(month, later))
