import pandas as pd
import pytest

from {{ cookiecutter.__package_name }}.errors import ConfigError
from {{ cookiecutter.__package_name }}.replay.outcome import MonthOutcome, mean_loss
from {{ cookiecutter.__package_name }}.replay.perturbation import Kind, Perturbation, perturb
from {{ cookiecutter.__package_name }}.replay.policies import parse_policy

from example import Rows

MONTH = "2013-05"


def changed(rows: pd.DataFrame, column: str, kind: Kind, amount: float) -> list[object]:
    return perturb(rows, Perturbation(MONTH, column, kind, amount), seed=1)[column].tolist()


def test_numbers_are_shifted_scaled_and_set(rows: Rows) -> None:
    three = rows(3, temp=[10.0, 20.0, 30.0], distance=[100, 200, 301])
    assert changed(three, "temp", "shift", 5) == [15, 25, 35]
    assert changed(three, "temp", "constant", 7) == [7, 7, 7]
    assert changed(three, "distance", "scale", 0.5) == [50, 100, 150]  # integers stay so


def test_share_of_rows_is_emptied_flipped_or_shuffled(rows: Rows) -> None:
    many = rows(1000, temp=[float(row) for row in range(1000)])
    emptied = perturb(many, Perturbation(MONTH, "temp", "nulls", 0.3), seed=1)["temp"]
    assert 250 < emptied.isna().sum() < 350
    flipped = perturb(many, Perturbation(MONTH, "delayed", "flip", 1.0), seed=1)["delayed"]
    assert flipped.tolist() == (1 - many["delayed"]).tolist()
    shuffled = changed(many, "temp", "shuffle", 1.0)
    assert shuffled != many["temp"].tolist()
    assert sorted(map(float, map(str, shuffled))) == many["temp"].tolist()


def test_rows_given_are_not_changed(rows: Rows) -> None:
    given = rows(3, temp=1.0)
    perturb(given, Perturbation(MONTH, "temp", "shift", 5), seed=1)
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
        Perturbation(MONTH, column, kind, amount)


def test_policies_are_names_settings_or_both() -> None:
    assert parse_policy("configured").overrides == {}
    assert parse_policy("frozen").overrides["retraining.every_months"] == "0"
    both = parse_policy("always+training.window_months=3")
    assert (both.overrides["retraining.every_months"], both.overrides["training.window_months"]) == ("1", "3")
    assert parse_policy("retraining.every_months=1, training.window_months=3").overrides == {
        "retraining.every_months": "1",
        "training.window_months": "3",
    }
    assert both.folder == "always-training-window-months-3"


@pytest.mark.parametrize("text", ["sometimes", "window_months=3", "training.window_months", ""])
def test_policy_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is neither one of configured, frozen, always nor a setting such as"):
        parse_policy(text)


def test_served_loss_counts_rows_and_leaves_out_what_was_not_measured() -> None:
    def month(name: str, rows: int, loss: float | None) -> MonthOutcome:
        return MonthOutcome(name, "1", rows, loss, None, [], "", "", None, [])

    months = [
        month("2013-04", 9, 0.9),
        month("2013-05", 100, 0.4),
        month("2013-06", 300, 0.6),
        month("2013-07", 9, None),
    ]
    assert mean_loss(months, "2013-05", "2013-07") == pytest.approx(0.55)
    with pytest.raises(ValueError, match="nothing was served and measured from 2013-07 to 2013-07"):
        mean_loss(months, "2013-07", "2013-07")
