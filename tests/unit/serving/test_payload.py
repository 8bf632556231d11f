"""What the API reads: each mistake is refused under the name of its field."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from pydantic import TypeAdapter, ValidationError

from flights import FLIGHTS
from modelworks.contract import Contract, Rule, between, column, identifier, matches, multiclass, one_of, regression
from modelworks.data import frames
from modelworks.data.columnar import Columns
from modelworks.serving import problems
from modelworks.serving.categories import check_categories
from modelworks.serving.payload import AnswerWriter, RequestReader
from modelworks.serving.problems import Refusal
from modelworks.serving.row_schema import find_pandas_checks, to_constraints
from modelworks.targets import Target

READER = RequestReader(FLIGHTS.contract, max_rows=3)
WRITER = AnswerWriter(FLIGHTS.contract.target, threshold=0.5)


def with_rules(**rules: tuple[Rule, ...]) -> Contract:
    """The flights' contract with other rules for some of its columns."""
    flights = FLIGHTS.contract
    columns = [
        replace(each, rules=rules.get(each.name, each.rules))
        for each in flights.columns.values()
        if each.role != "target"
    ]
    return Contract(target=flights.target, columns=columns, key=flights.key, time=flights.time, example=flights.example)


def body(**changes: object) -> bytes:
    """The contract's example with some values changed; NaN and infinity are written as Python writes them."""
    return json.dumps({**FLIGHTS.contract.example, **changes}).encode()


def refused(content: bytes, reader: RequestReader = READER) -> Refusal:
    refusals = []
    for read in (reader.read, reader.read_columns):
        with pytest.raises(Refusal) as raised:
            read(content)
        refusals.append(raised.value)
    assert refusals[0].errors == refusals[1].errors
    return refusals[1]


def test_example_keeps_the_contract() -> None:
    [row], is_many = READER.read(body())
    assert not is_many
    outcomes = dict.fromkeys(FLIGHTS.contract.names_of("outcome")) | {FLIGHTS.contract.target.column: 0}
    frame = frames.to_frame(FLIGHTS.contract, [{**row, **outcomes}])
    assert frames.schema_of(FLIGHTS.contract).validate(frame) is not None


def test_integer_may_be_written_with_a_point() -> None:
    [row], _ = READER.read(body(distance=2475.0))
    assert (row["distance"], type(row["distance"])) == (2475, int)


def test_many_rows_keep_their_order() -> None:
    rows, is_many = READER.read(json.dumps([{**FLIGHTS.contract.example, "distance": at} for at in (3, 1, 2)]).encode())
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


@pytest.mark.parametrize("name", FLIGHTS.contract.features)
def test_every_feature_is_required_and_null_only_where_the_contract_says(name: str) -> None:
    without = json.dumps({key: value for key, value in FLIGHTS.contract.example.items() if key != name}).encode()
    assert refused(without).errors == ((name, "Field required"),)
    if FLIGHTS.contract.columns[name].nullable:
        [row], _ = READER.read(body(**{name: None}))
        assert row[name] is None
    else:
        assert refused(body(**{name: None})).errors[0][0] == name


def test_rest_of_the_key_may_be_left_out() -> None:
    features = {name: FLIGHTS.contract.example[name] for name in FLIGHTS.contract.features}
    [row], _ = READER.read(json.dumps(features).encode())
    assert {name: row[name] for name in FLIGHTS.contract.names_of("key")} == dict.fromkeys(
        FLIGHTS.contract.names_of("key")
    )


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
    assert len(errors) == 3 * (len(FLIGHTS.contract.features) + 1)
    wide = json.dumps({f"spare{at}": at for at in range(1000)}).encode()
    errors = refused(wide).errors
    assert len(errors) == problems.MAX_ERRORS + 1


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {
            "distance": (Rule("greater_than", {"min_value": 0}), between(-5, 2475)),
            "flight": (Rule("less_than_or_equal_to", {"max_value": 2000}),),
            "temp": (Rule("less_than", {"max_value": 135}),),
        },
    ],
    ids=["its own", "other rules"],
)
def test_rows_read_by_column_are_those_that_pydantic_reads_whatever_is_written(rules: dict[str, Any]) -> None:
    """Three rows, half of them with another value, of 3,000 requests; half of them are refused."""
    drawn = random.Random(7)  # noqa: S311 - no secrets
    reader = RequestReader(with_rules(**rules), max_rows=3)
    numbers = ["0", "-0", "1", "2475.0", "5.5", "1e3", "1e-400", "1e999", "-1", "135", "135.00000000000001", "9" * 20]
    others = [
        "true",
        "null",
        "NaN",
        "Infinity",
        "[]",
        "{}",
        '""',
        '"1"',
        '"AA"',
        '"AA\\n"',
        '"\\u00c4"',
        '"\\ud800"',
        '"NA"',
    ]
    times = [
        '"2013-07-03"',
        '"2013-07-03 08:15"',
        '"2013-07-03T08:15:00.1234567"',
        '"2013-07-03T08:15:00Z"',
        '"0001-01-01"',
    ]
    quick = refusals = 0
    for _ in range(3000):
        rows = [{name: json.dumps(value) for name, value in FLIGHTS.contract.example.items()} for _ in range(3)]
        for row in rows:
            if drawn.random() < 0.5:
                row[drawn.choice([*row, "spare"])] = drawn.choice([*numbers, *others, *times])
            if drawn.random() < 0.02:
                del row[drawn.choice([*row])]
        texts = ["{" + ", ".join(f'"{name}": {value}' for name, value in row.items()) + "}" for row in rows]
        content = f"[{','.join(texts)}]".encode()
        expected = outcome(lambda body: Columns.from_records(reader.read(body)[0]), content)
        assert outcome(lambda body: reader.read_columns(body)[0], content) == expected
        refusals += isinstance(expected, tuple)
        quick += reader._quick.read(content, True) is not None
    assert refusals > 500
    assert quick > 500


def outcome(read: Callable[[bytes], Columns], content: bytes) -> object:
    """The rows, with the types of their values, or why there are none."""
    try:
        return {name: [*map(repr, values)] for name, values in read(content).by_name.items()}
    except Refusal as refusal:
        return refusal.errors


def test_contract_s_own_example_is_read_without_pydantic_s_rows_alone_and_in_an_array() -> None:
    one, many = READER._quick.read(body(), False), READER._quick.read(b"[" + body() + b"]", True)
    assert one == many
    assert {name: each[0] for name, each in one.by_name.items()} == READER.read(body())[0][0]


def test_unseen_category_is_named_with_the_known_ones() -> None:
    rows, _ = READER.read_columns(body(carrier="ZZ"))
    check_categories(rows, {"carrier": frozenset({"ZZ"})}, is_many=False)
    with pytest.raises(Refusal) as raised:
        check_categories(rows, {"carrier": frozenset({"UA", "AA"})}, is_many=True)
    assert raised.value.errors == (("[0].carrier", "'ZZ' is unknown to the model, which knows AA, UA"),)


def test_of_many_known_categories_some_are_named() -> None:
    known = frozenset(f"carrier {at:04d}" for at in range(1250))
    with pytest.raises(Refusal, match=r"carrier 0000, .*, carrier 0249 and 1,000 more"):
        check_categories(Columns({"carrier": ["ZZ"]}, 1), {"carrier": known}, is_many=False)


def test_pattern_that_pydantic_cannot_read_holds_all_the_same() -> None:
    contract = with_rules(carrier=(matches("^(?!ZZ)[A-Z]{2}$"),))
    assert list(find_pandas_checks(contract)) == ["carrier"]
    reader = RequestReader(contract, max_rows=3)
    assert reader.read(body(carrier="AA"))[0][0]["carrier"] == "AA"
    message = "breaks the contract: str_matches('^(?!ZZ)[A-Z]{2}$')"
    assert refused(body(carrier="ZZ"), reader).errors == (("carrier", message),)


def test_check_that_only_pandas_can_do_names_each_row_that_breaks_it() -> None:
    is_even = Rule("odd", {}, lambda values: values % 2 == 0)
    is_large = Rule("small", {}, lambda values: values > 2)
    reader = RequestReader(with_rules(visibility=(is_even,), distance=(is_even, is_large)), max_rows=3)
    rows = [{**FLIGHTS.contract.example, "distance": at, "visibility": None} for at in (4, 3, 1)]
    problem = refused(json.dumps(rows).encode(), reader)
    assert problem.status == 422
    assert problem.errors == (
        ("[1].distance", "breaks the contract: odd"),
        ("[2].distance", "breaks the contract: odd"),
        ("[2].distance", "breaks the contract: small"),
    )


def test_check_of_a_column_as_a_whole_refuses_all_its_rows() -> None:
    is_near = Rule("far together", {}, lambda values: values.sum() < 4)
    reader = RequestReader(with_rules(distance=(is_near,)), max_rows=3)
    rows = [{**FLIGHTS.contract.example, "distance": at} for at in (3, 1)]
    errors = refused(json.dumps(rows).encode(), reader).errors
    assert [field for field, _ in errors] == ["[0].distance", "[1].distance"]


def test_decision_is_that_of_the_target_and_from_the_threshold_on() -> None:
    probability = np.array([0.2, 0.5, np.nextafter(0.5, 0), 0.9])
    decisions = WRITER.decide(probability)
    assert decisions == FLIGHTS.contract.target.decide(probability, 0.5).tolist() == [0, 1, 0, 1]
    assert WRITER.to_predictions(probability, decisions)[3] == {"probability": 0.9, "decision": 1}
    assert json.dumps(decisions) == "[0, 1, 0, 1]"


@pytest.mark.parametrize(
    ("target", "prediction", "expected"),
    [
        (
            multiclass("size", "how large", classes=["s", "m", "l"]),
            [[0.2, 0.5, 0.3]],
            {"decision": "m", "probabilities": {"s": 0.2, "m": 0.5, "l": 0.3}},
        ),
        (regression("price", "what it costs"), [12.5], {"prediction": 12.5}),
    ],
    ids=["multiclass", "regression"],
)
def test_answer_of_other_targets(target: Target, prediction: list[Any], expected: dict[str, Any]) -> None:
    writer = AnswerWriter(target, threshold=0.5)
    values = np.array(prediction)
    decided = target.decide(values, 0.5)
    assert writer.decide(values) == ([] if decided is None else decided.tolist())
    answer = json.loads(writer.write("mine", "7", values, writer.decide(values)))
    assert answer == {"request_id": "mine", "model_version": "7", "predictions": [expected]}
    assert writer.model.model_validate(answer)


def test_contracts_do_not_share_a_schema() -> None:
    boxes = Contract(
        target=regression("price", "what it costs"),
        columns=[
            identifier("id", "str", "box"),
            column("colour", "str", "colour of the box", one_of("red", "blue")),
            column("mass", "float64", "mass", unit="kg", nullable=True),
        ],
        key=["id"],
        example={"id": "a", "colour": "red", "mass": 1.5},
    )
    reader = RequestReader(boxes, max_rows=3)
    assert reader.read(b'{"colour": "blue", "mass": null}') == ([{"id": None, "colour": "blue", "mass": None}], False)
    message = "Value error, breaks the contract: isin(['red', 'blue'])"
    assert refused(b'{"colour": "green", "mass": 1}', reader).errors == (("colour", message),)
    assert refused(body(), reader).status == 422
    assert READER.read(body())[0][0]["carrier"] == "DL"
    assert (reader.row_schema()["required"], READER.row_schema()["required"]) == (
        ["colour", "mass"],
        FLIGHTS.contract.features,
    )


def test_specification_names_the_classes() -> None:
    described = WRITER.model.model_json_schema()["$defs"]["Prediction"]
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
    for constraint in to_constraints(check):
        kind = Annotated[kind, constraint]
    adapter = TypeAdapter(kind)
    assert adapter.validate_json(str(good)) == good
    with pytest.raises(ValidationError):
        adapter.validate_json(str(bad))


def test_schema_says_what_the_contract_says() -> None:
    described = READER.row_schema()
    assert described["required"] == FLIGHTS.contract.features
    assert described["additionalProperties"] is False
    assert described["properties"]["distance"] == {
        "description": "distance to fly, miles",
        "maximum": 10_000,
        "minimum": 1,
        "title": "Distance",
        "type": "integer",
    }
    assert described["examples"] == [FLIGHTS.contract.example]


def test_frame_is_what_the_pipeline_reads_elsewhere(rows) -> None:
    frame = rows(3)[FLIGHTS.contract.features]
    again = frames.to_frame(FLIGHTS.contract, frames.to_records(frame))
    pd.testing.assert_frame_equal(again, frame)
