import json
from pathlib import Path

import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import contract, schema
from {{ cookiecutter.__package_name }}.errors import ContractError

from other_contract import run_under


def test_no_outcome_is_a_feature() -> None:
    assert not set(schema.OUTCOMES) & set(schema.FEATURES)
    assert schema.TARGET in schema.OUTCOMES


@pytest.mark.parametrize("name", schema.OUTCOMES)
def test_outcome_as_a_feature_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match=f"'{name}' is an outcome"):
        schema.select_features(["temp", name])


def test_unknown_feature_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ContractError, match=r"'tmp' is no feature.*temp"):
        schema.select_features(["tmp"])


def test_selection_keeps_the_order_of_the_contract() -> None:
    assert schema.select_features(["temp", "carrier"]) == ["carrier", "temp"]
    assert schema.select_features([]) == schema.FEATURES


def test_key_and_slices_are_columns() -> None:
    assert set(schema.KEY + schema.SLICES) <= set(schema.SCHEMA.columns)


def test_version_follows_the_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    before = schema.version()
    assert before == schema.version()
    monkeypatch.setitem(schema.SCHEMA.columns, "temp", schema.SCHEMA.columns["humidity"])
    assert schema.version() != before


def test_file_of_labels_has_key_and_outcomes() -> None:
    assert sorted(schema.LABEL_COLUMNS) == sorted([*schema.KEY, *schema.OUTCOMES])


def test_value_that_does_not_parse_is_null() -> None:
    assert schema.parse("flight", pd.Series(["7", "x", None])).fillna(-1).tolist() == [7, -1, -1]
    times = schema.parse("scheduled_departure", pd.Series(["2013-05-01T06:00", "2013-05-01T06:00Z", "soon"]))
    assert times.isna().tolist() == [False, True, True]


def test_empty_frame_has_every_dtype() -> None:
    frame = schema.empty_frame()
    assert frame.dtypes.astype("str").to_dict() == schema.DTYPES


def test_rows_survive_json_to_the_last_digit(rows) -> None:
    frame = rows(2, temp=[0.1 + 0.2, None], carrier=["AA", "B6"])
    records = json.loads(json.dumps(schema.to_records(frame)))
    pd.testing.assert_frame_equal(schema.to_frame(records), frame, check_exact=True)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("KEY = ['flight', 'arr_delay']", "KEY: 'arr_delay' is no column known beforehand"),
        ("COLUMNS['reason'] = COLUMNS['temp']", "'reason' is a column that the pipeline adds itself; rename it"),
        ("SLICES = ['carier']", "SLICES: no column 'carier'"),
        ("CLASSES = [0, 1, 2]", "CLASSES: a binary target has two, not 3"),
        ("TASK = 'regression'", r"CLASSES: a target that is a number has none; write \[\]"),
        ("GROUP = 'carrier'", "GROUP is for data without a time column, and 'scheduled_departure' is one"),
    ],
)
def test_contract_whose_parts_do_not_fit_is_refused(tmp_path: Path, declared: str, message: str) -> None:
    own = Path(contract.__file__).read_text(encoding="utf-8").partition('"""\n\n')[2]
    with pytest.raises(AssertionError, match=f"ContractError: contract.py: .*{message}"):
        run_under(f"{own}\n{declared}\n", tmp_path, look_at_the_schema)


def look_at_the_schema() -> None:
    assert schema.TARGET == "delayed"
