import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import contract
from {{ cookiecutter.__package_name }}.errors import ContractError


def test_no_outcome_is_a_feature() -> None:
    assert not set(contract.OUTCOMES) & set(contract.FEATURES)
    assert contract.TARGET in contract.OUTCOMES


@pytest.mark.parametrize("name", contract.OUTCOMES)
def test_outcome_as_a_feature_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match=f"'{name}' is an outcome"):
        contract.select_features(["temp", name])


def test_unknown_feature_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ContractError, match=r"'tmp' is no feature.*temp"):
        contract.select_features(["tmp"])


def test_selection_keeps_the_order_of_the_contract() -> None:
    assert contract.select_features(["temp", "carrier"]) == ["carrier", "temp"]
    assert contract.select_features([]) == contract.FEATURES


def test_key_and_slices_are_columns() -> None:
    assert set(contract.KEY + contract.SLICES) <= set(contract.SCHEMA.columns)


def test_version_follows_the_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    before = contract.version()
    assert before == contract.version()
    monkeypatch.setitem(contract.SCHEMA.columns, "temp", contract.SCHEMA.columns["humidity"])
    assert contract.version() != before


def test_labelled_rows_are_those_whose_target_is_known(rows) -> None:
    frame = rows(3, delayed=[1.0, None, 0.0], arr_delay=None)
    assert contract.labelled(frame)["delayed"].tolist() == [1.0, 0.0]
    assert contract.labelled(frame).index.tolist() == [0, 1]
    pd.testing.assert_frame_equal(contract.labelled(rows(3)), rows(3))


def test_file_of_labels_has_key_and_outcomes() -> None:
    assert sorted(contract.LABEL_COLUMNS) == sorted([*contract.KEY, *contract.OUTCOMES])


def test_value_that_does_not_parse_is_null() -> None:
    assert contract.parse("flight", pd.Series(["7", "x", None])).fillna(-1).tolist() == [7, -1, -1]
    times = contract.parse("scheduled_departure", pd.Series(["2013-05-01T06:00", "2013-05-01T06:00Z", "soon"]))
    assert times.isna().tolist() == [False, True, True]


def test_empty_frame_has_every_dtype() -> None:
    frame = contract.empty_frame()
    assert frame.dtypes.astype("str").to_dict() == contract.DTYPES
