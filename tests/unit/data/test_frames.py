import json

import pandas as pd

from flights import FLIGHTS
from modelworks.contract import Contract, column, identifier, regression
from modelworks.data import frames


def test_value_that_does_not_parse_is_null() -> None:
    assert frames.parse(FLIGHTS.contract, "flight", pd.Series(["7", "x", None])).fillna(-1).tolist() == [7, -1, -1]
    times = frames.parse(
        FLIGHTS.contract, "scheduled_departure", pd.Series(["2013-05-01T06:00", "2013-05-01T06:00Z", "soon"])
    )
    assert times.isna().tolist() == [False, True, True]


def test_empty_frame_has_every_dtype() -> None:
    frame = frames.empty_frame(FLIGHTS.contract)
    assert frame.dtypes.astype("str").to_dict() == FLIGHTS.contract.dtypes


def test_rows_survive_json_to_the_last_digit(rows) -> None:
    frame = rows(2, temp=[0.1 + 0.2, None], carrier=["AA", "B6"])
    records = json.loads(json.dumps(frames.to_records(frame)))
    pd.testing.assert_frame_equal(frames.to_frame(FLIGHTS.contract, records), frame, check_exact=True)


def test_integers_with_gaps_are_floats_as_in_a_partition() -> None:
    contract = Contract(
        target=regression("price", "what was paid"),
        columns=[identifier("id", "int64", "number"), column("seats", "int64", "seats", nullable=True)],
        key=["id"],
    )
    frame = frames.to_frame(contract, [{"id": 1, "seats": None}, {"id": 2, "seats": 3}])
    assert frame.dtypes.astype("str").to_dict() == {"id": "int64", "seats": "float64"}
    assert frame["seats"].isna().tolist() == [True, False]
    assert frame["seats"][1] == 3
