"""Contracts are declared here as a team declares its own; the flights' is that of the template."""

import subprocess
import sys
from typing import Any

import pytest

from flights import FLIGHTS
from modelworks.contract import (
    Column,
    Contract,
    between,
    binary,
    column,
    identifier,
    multiclass,
    outcome,
    regression,
    unused,
)
from modelworks.errors import ContractError
from modelworks.targets import Target

TIME = column("at", "datetime64[us]", "when the parcel was sent")
PARCEL = identifier("parcel", "str", "number of the parcel")
WEIGHT = column("weight", "float64", "weight", between(0, 30), unit="kg")
DEPOT = column("depot", "str", "where it starts")
LETTER = column("letter", "str", "what the sender wrote", content="text")
ARRIVED = outcome("arrived", "datetime64[us]", "when it arrived")
LATE = binary("late", "whether it came late")


def declare(*columns: Column, target: Target = LATE, **others: Any) -> Contract:
    given: dict[str, Any] = {"time": "at", "key": ["parcel"], "slices": ["depot"], **others}
    return Contract(target=target, columns=columns or [TIME, PARCEL, WEIGHT, DEPOT, LETTER, ARRIVED], **given)


def test_no_outcome_is_a_feature() -> None:
    assert not set(FLIGHTS.contract.outcomes) & set(FLIGHTS.contract.features)
    assert FLIGHTS.contract.target.column in FLIGHTS.contract.outcomes


def test_columns_have_the_roles_that_they_are_declared_with() -> None:
    contract = declare(TIME, PARCEL, WEIGHT, DEPOT, LETTER, ARRIVED, unused("note", "str", "for people"))
    assert contract.features == ["at", "weight", "depot", "letter"]
    assert contract.outcomes == ["arrived", "late"]
    assert contract.identity == ["at", "parcel"]
    assert contract.label_columns == ["parcel", "arrived", "late"]
    assert (contract.documents, contract.document_features) == (["letter"], ["letter"])
    assert contract.dtypes["late"] == "float64"  # null until it is known


def test_kinds_of_columns_are_distinguished() -> None:
    contract = declare()
    assert [name for name in contract.columns if contract.is_category(name)] == ["parcel", "depot"]
    assert [name for name in contract.columns if contract.is_text(name)] == ["parcel", "depot", "letter"]
    assert [name for name in contract.columns if contract.is_time(name)] == ["at", "arrived"]


@pytest.mark.parametrize("name", FLIGHTS.contract.outcomes)
def test_outcome_as_a_feature_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match=f"'{name}' is an outcome"):
        FLIGHTS.contract.select_features(["temp", name])


def test_unknown_feature_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ContractError, match=r"'tmp' is no feature.*temp"):
        FLIGHTS.contract.select_features(["tmp"])


def test_selection_keeps_the_order_of_the_contract() -> None:
    assert FLIGHTS.contract.select_features(["temp", "carrier"]) == ["carrier", "temp"]
    assert FLIGHTS.contract.select_features([]) == FLIGHTS.contract.features


def test_key_and_slices_are_columns() -> None:
    assert set(FLIGHTS.contract.key + FLIGHTS.contract.slices) <= set(FLIGHTS.contract.columns)


@pytest.mark.parametrize(
    "other",
    [
        declare(TIME, PARCEL, column("weight", "float64", "weight", between(0, 31), unit="kg"), DEPOT, LETTER, ARRIVED),
        declare(TIME, PARCEL, column("weight", "float64", "weight", between(0, 30), unit="lb"), DEPOT, LETTER, ARRIVED),
        declare(TIME, PARCEL, column("weight", "int64", "weight", between(0, 30), unit="kg"), DEPOT, LETTER, ARRIVED),
        declare(TIME, PARCEL, WEIGHT, DEPOT, column("letter", "str", "what the sender wrote"), ARRIVED),
        declare(TIME, PARCEL, WEIGHT, DEPOT, LETTER),
        declare(key=["parcel", "depot"]),
        declare(time=""),
        declare(target=multiclass("late", "how late it came", classes=["no", "a day", "more"])),
    ],
    ids=["range", "unit", "dtype", "content", "column", "key", "time", "target"],
)
def test_version_follows_what_a_row_is(other: Contract) -> None:
    assert declare().version == declare().version != other.version
    assert len(other.version) == 12


def test_version_does_not_follow_words() -> None:
    described = column("weight", "float64", "what it weighs", between(0, 30), unit="kg")
    assert declare(TIME, PARCEL, described, DEPOT, LETTER, ARRIVED, slices=[]).version == declare().version


def test_file_of_labels_has_key_and_outcomes() -> None:
    assert sorted(FLIGHTS.contract.label_columns) == sorted([*FLIGHTS.contract.key, *FLIGHTS.contract.outcomes])


@pytest.mark.parametrize(
    ("columns", "others", "message"),
    [
        ([], {"key": ["parcel", "arrived"]}, "key: 'arrived' is no column known at prediction time"),
        ([], {"key": ["percel"]}, "key: 'percel' is no column known at prediction time"),
        ([], {"key": []}, "key names no column"),
        ([], {"slices": ["depto"]}, "slices: no column 'depto'"),
        ([], {"slices": ["letter"]}, "'letter' is a document: no two rows share one"),
        ([], {"time": "on"}, "time: no column 'on'"),
        ([], {"time": "arrived"}, "time: 'arrived' is an outcome or unused"),
        ([], {"time": "weight"}, "time: 'weight' is no datetime64"),
        ([], {"group": "depot"}, "group is for data without a time column, and 'at' is one"),
        ([], {"time": "", "group": "depto"}, "group: no column 'depto'"),
        ([TIME, PARCEL, WEIGHT, WEIGHT, DEPOT], {}, "column 'weight' is declared twice"),
        ([TIME, PARCEL, DEPOT, column("late", "int64", "?")], {}, "'late' is the target, and declared as a column"),
        ([TIME, PARCEL, DEPOT, column("reason", "str", "?")], {}, "'reason' is a name of the engine's own; rename it"),
        ([PARCEL], {"time": "", "slices": []}, "no column is a feature"),
        (
            [TIME, PARCEL, DEPOT, column("page", "int64", "?", content="text")],
            {},
            "'page' has content, and is no str",
        ),
    ],
)
def test_contract_whose_parts_do_not_fit_is_refused(columns: list[Column], others: dict, message: str) -> None:
    with pytest.raises(ContractError, match=f"^contract: .*{message}"):
        declare(*columns, **others)


def test_name_of_a_probability_is_the_engines_own() -> None:
    size = multiclass("size", "of the parcel", classes=["S", "M", "L"])
    with pytest.raises(ContractError, match="'probability_M' is a name of the engine's own"):
        declare(TIME, PARCEL, DEPOT, column("probability_M", "float64", "?"), target=size)


def test_all_mistakes_of_a_contract_are_named_at_once() -> None:
    with pytest.raises(ContractError, match=r"time: no column 'on'; .*slices: no column 'depto'"):
        declare(time="on", slices=["depto"])


@pytest.mark.parametrize(
    ("target", "purpose"),
    [
        (LATE, "Gives the probability that `late` is 1 (`late`: whether it came late)"),
        (multiclass("size", "of it", classes="SML"), "Gives the probability of each of 3 classes (`size`: of it)"),
        (regression("days", "until it came"), "Predicts a value (`days`: until it came)"),
    ],
)
def test_purpose_is_a_sentence(target: Target, purpose: str) -> None:
    assert declare(target=target).purpose == purpose


def test_blocks_of_the_bootstrap_are_days_or_groups_or_rows() -> None:
    assert [declare(**given).block_unit for given in ({}, {"time": "", "group": "depot"}, {"time": ""})] == [
        "days",
        "blocks by depot",
        "blocks of rows",
    ]


def test_declaring_a_contract_imports_nothing_heavy() -> None:
    program = "import sys, modelworks.contract; print([n for n in ('pandas', 'pandera', 'mlflow') if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
