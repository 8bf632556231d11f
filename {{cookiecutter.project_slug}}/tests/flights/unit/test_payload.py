"""What the API reads: each mistake is refused under the name of its field."""

import json
from typing import Annotated

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from pydantic import TypeAdapter, ValidationError

from {{ cookiecutter.__package_name }} import schema, task
from {{ cookiecutter.__package_name }}.serving import payload
from {{ cookiecutter.__package_name }}.serving.payload import Refusal, RequestReader

READER = RequestReader(max_rows=3)


def body(**changes: object) -> bytes:
    """The contract's example with some values changed; NaN and infinity are written as Python writes them."""
    return json.dumps({**schema.EXAMPLE, **changes}).encode()


def refused(content: bytes) -> Refusal:
    with pytest.raises(Refusal) as raised:
        READER.read(content)
    return raised.value


def test_example_keeps_the_contract() -> None:
    [row], is_many = READER.read(body())
    assert not is_many
    outcomes = {name: None for name in schema.columns("outcome")} | {schema.TARGET: 0}
    frame = schema.to_frame([{**row, **outcomes}])
    assert schema.SCHEMA.validate(frame) is not None


def test_integer_may_be_written_with_a_point() -> None:
    [row], _ = READER.read(body(distance=2475.0))
    assert (row["distance"], type(row["distance"])) == (2475, int)


def test_many_rows_keep_their_order() -> None:
    rows, is_many = READER.read(json.dumps([{**schema.EXAMPLE, "distance": at} for at in (3, 1, 2)]).encode())
    assert is_many
    assert [row["distance"] for row in rows] == [3, 1, 2]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("distance", "12"),
        ("distance", 5.5),
        ("distance", True),
        ("distance", 0),
        ("distance", 10**30),
        ("distance", 1e300),
        ("distance", float("inf")),
        ("distance", None),
        ("distance", [1]),
        ("carrier", 7),
        ("carrier", "aa"),
        ("carrier", "AA\n"),
        ("carrier", ""),
        ("carrier", None),
        ("temp", "60"),
        ("temp", True),
        ("temp", float("nan")),
        ("temp", float("inf")),
        ("temp", float("-inf")),
        ("temp", 136.0),
        ("temp", {}),
        ("flight", "1"),
        ("flight", 0),
        ("origin", "jfk"),
        ("scheduled_departure", 1370000000),
        ("scheduled_departure", "tomorrow"),
        ("scheduled_departure", "2013-02-30T08:00:00"),
        ("scheduled_departure", "2013-07-03T08:15:00Z"),
        ("scheduled_departure", "2013-07-03T08:15:00+02:00"),
        ("scheduled_departure", None),
        ("arr_delay", 0.0),
        ("delayed", 0),
        ("spare", 1),
    ],
)
def test_wrong_value_is_refused_with_its_field(field: str, value: object) -> None:
    refusal = refused(body(**{field: value}))
    assert (refusal.status, [name for name, _ in refusal.errors]) == (422, [field])
    refusal = refused(b"[" + body() + b"," + body(**{field: value}) + b"]")
    assert (refusal.status, [name for name, _ in refusal.errors]) == (422, [f"[1].{field}"])


@pytest.mark.parametrize("name", schema.FEATURES)
def test_every_feature_is_required_and_null_only_where_the_contract_says(name: str) -> None:
    without = json.dumps({key: value for key, value in schema.EXAMPLE.items() if key != name}).encode()
    assert refused(without).errors == ((name, "Field required"),)
    if schema.SCHEMA.columns[name].nullable:
        [row], _ = READER.read(body(**{name: None}))
        assert row[name] is None
    else:
        assert refused(body(**{name: None})).errors[0][0] == name


def test_rest_of_the_key_may_be_left_out() -> None:
    features = {name: schema.EXAMPLE[name] for name in schema.FEATURES}
    [row], _ = READER.read(json.dumps(features).encode())
    assert {name: row[name] for name in schema.columns("key")} == {name: None for name in schema.columns("key")}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"carrier": "\\ud800"}', 400),
        (b"[" * 10_000, 400),
        (b"1" * 10_000, 400),
        (b"null", 422),
        (b"7", 422),
        (b'"row"', 422),
        (b"[]", 422),
        (b"[[]]", 422),
        (b"[" + b",".join([body()] * 4) + b"]", 413),
    ],
)
def test_body_that_is_no_rows_is_refused(content: bytes, status: int) -> None:
    refusal = refused(content)
    assert refusal.status == status
    assert refusal.errors


def test_many_mistakes_are_cut_short() -> None:
    errors = refused(b"[" + b",".join([b'{"spare": 1}'] * 3) + b"]").errors
    assert len(errors) == 3 * (len(schema.FEATURES) + 1)
    wide = json.dumps({f"spare{at}": at for at in range(1000)}).encode()
    errors = refused(wide).errors
    assert len(errors) == payload.MAX_ERRORS + 1


def test_unseen_category_is_named_with_the_known_ones() -> None:
    rows, _ = READER.read(body(carrier="ZZ"))
    payload.check_categories(rows, {"carrier": frozenset({"ZZ"})}, is_many=False)
    with pytest.raises(Refusal) as raised:
        payload.check_categories(rows, {"carrier": frozenset({"UA", "AA"})}, is_many=True)
    assert raised.value.errors == (("[0].carrier", "'ZZ' is unknown to the model, which knows AA, UA"),)


def test_of_many_known_categories_some_are_named() -> None:
    known = frozenset(f"carrier {at:04d}" for at in range(1250))
    with pytest.raises(Refusal, match=r"carrier 0000, .*, carrier 0249 and 1,000 more"):
        payload.check_categories([{"carrier": "ZZ"}], {"carrier": known}, is_many=False)


def test_pattern_that_pydantic_cannot_read_holds_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    check = pa.Check.str_matches("^(?!ZZ)[A-Z]{2}$")
    assert payload._constraints(check) == []
    monkeypatch.setitem(payload.CHECKS, "carrier", [check])
    assert READER.read(body(carrier="AA"))[0][0]["carrier"] == "AA"
    assert refused(body(carrier="ZZ")).errors == (("carrier", "breaks the contract: str_matches('^(?!ZZ)[A-Z]{2}$')"),)


def test_check_that_only_pandas_can_do_names_each_row_that_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check = pa.Check(lambda values: values % 2 == 0, error="odd")
    monkeypatch.setitem(payload.CHECKS, "visibility", [check])
    monkeypatch.setitem(payload.CHECKS, "distance", [check, pa.Check(lambda values: values > 2, error="small")])
    rows = [{**schema.EXAMPLE, "distance": at, "visibility": None} for at in (4, 3, 1)]
    problem = refused(json.dumps(rows).encode())
    assert problem.status == 422
    assert problem.errors == (
        ("[1].distance", "breaks the contract: odd"),
        ("[2].distance", "breaks the contract: odd"),
        ("[2].distance", "breaks the contract: small"),
    )


def test_check_of_a_column_as_a_whole_refuses_all_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(payload.CHECKS, "distance", [pa.Check(lambda values: values.sum() < 4, error="far together")])
    rows = [{**schema.EXAMPLE, "distance": at} for at in (3, 1)]
    assert [field for field, _ in refused(json.dumps(rows).encode()).errors] == ["[0].distance", "[1].distance"]


def test_decision_is_that_of_the_task_and_from_the_threshold_on() -> None:
    probability = np.array([0.2, 0.5, np.nextafter(0.5, 0), 0.9])
    decisions = payload.decide(probability, 0.5)
    assert decisions == task.decide(probability, 0.5).tolist() == [0, 1, 0, 1]
    assert payload.to_predictions(probability, decisions)[3] == {"probability": 0.9, "decision": 1}
    assert json.dumps(decisions) == "[0, 1, 0, 1]"


def test_specification_names_the_classes() -> None:
    described = payload.Prediction.model_json_schema()
    assert described["required"] == ["probability", "decision"]
    assert (described["properties"]["decision"]["type"], described["properties"]["decision"]["enum"]) == (
        "integer",
        [0, 1],
    )


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (pa.Check.gt(1), 2, 1),
        (pa.Check.ge(1), 1, 0),
        (pa.Check.lt(1), 0, 1),
        (pa.Check.le(1), 1, 2),
        (pa.Check.in_range(1, 2, include_max=False), 1, 2),
        (pa.Check.isin([1, 3]), 3, 2),
    ],
)
def test_every_check_of_the_contract_holds_for_the_api(check: pa.Check, good: int, bad: int) -> None:
    kind = int
    for constraint in payload._constraints(check):
        kind = Annotated[kind, constraint]
    adapter = TypeAdapter(kind)
    assert adapter.validate_json(str(good)) == good
    with pytest.raises(ValidationError):
        adapter.validate_json(str(bad))


def test_schema_says_what_the_contract_says() -> None:
    described = payload.ROW.json_schema()
    assert described["required"] == schema.FEATURES
    assert described["additionalProperties"] is False
    assert described["properties"]["distance"] == {
        "description": "distance to fly, miles",
        "maximum": 10_000,
        "minimum": 1,
        "title": "Distance",
        "type": "integer",
    }
    assert described["examples"] == [schema.EXAMPLE]


def test_frame_is_what_the_pipeline_reads_elsewhere(rows) -> None:
    frame = rows(3)[schema.FEATURES]
    again = schema.to_frame(schema.to_records(frame))
    pd.testing.assert_frame_equal(again, frame)
