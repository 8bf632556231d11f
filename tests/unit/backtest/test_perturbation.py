import pandas as pd
import pytest

from flights import FLIGHTS, Rows
from modelworks.backtest.perturbation import Kind, Perturbation, check, perturb
from modelworks.errors import ConfigError

PERIOD = "2013-05"


def changed(rows: pd.DataFrame, column: str, kind: Kind, amount: float) -> list[object]:
    return perturb(FLIGHTS.contract, rows, Perturbation(PERIOD, column, kind, amount), seed=1)[column].tolist()


def test_numbers_are_shifted_scaled_and_set(rows: Rows) -> None:
    three = rows(3, temp=[10.0, 20.0, 30.0], distance=[100, 200, 301])
    assert changed(three, "temp", "shift", 5) == [15, 25, 35]
    assert changed(three, "temp", "constant", 7) == [7, 7, 7]
    assert changed(three, "distance", "scale", 0.5) == [50, 100, 150]  # integers stay so


def test_share_of_rows_is_emptied_flipped_or_shuffled(rows: Rows) -> None:
    many = rows(1000, temp=[float(row) for row in range(1000)])
    emptied = perturb(FLIGHTS.contract, many, Perturbation(PERIOD, "temp", "nulls", 0.3), seed=1)["temp"]
    assert 250 < emptied.isna().sum() < 350
    flipped = perturb(FLIGHTS.contract, many, Perturbation(PERIOD, "delayed", "flip", 1.0), seed=1)["delayed"]
    assert flipped.tolist() == (1 - many["delayed"]).tolist()
    shuffled = changed(many, "temp", "shuffle", 1.0)
    assert shuffled != many["temp"].tolist()
    assert sorted(map(float, map(str, shuffled))) == many["temp"].tolist()


def test_rows_given_are_not_changed(rows: Rows) -> None:
    given = rows(3, temp=1.0)
    perturb(FLIGHTS.contract, given, Perturbation(PERIOD, "temp", "shift", 5), seed=1)
    assert given["temp"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("column", "kind", "amount", "message"),
    [
        ("tmp", "shift", 1, "column 'tmp': not in the contract, which has scheduled_departure, "),
        ("carrier", "scale", 2, "column 'carrier' holds no numbers"),
        ("temp", "flip", 1, "only labels of classes can be flipped; the target is 'delayed', binary"),
        ("temp", "nulls", 3, "nulls 3: a share of the rows is wanted"),
        ("carrier", "nulls", 0.5, "column 'carrier' may not be null by the contract"),
    ],
)
def test_change_that_cannot_be_is_refused(column: str, kind: Kind, amount: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(FLIGHTS.contract, Perturbation(PERIOD, column, kind, amount))
