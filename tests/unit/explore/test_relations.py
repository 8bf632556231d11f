"""Features against the target, on rows whose relation is known."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from modelworks.contract import Contract, binary, column, identifier, multiclass, regression
from modelworks.evaluation.single_column import score_alone, share_later
from modelworks.explore import plots
from modelworks.explore.columns import HOUR, WEEKDAY, add_time_parts, find_kinds
from modelworks.explore.relations import bin_column, features_of, relate, target_limits
from modelworks.reporting.html import to_png

BINARY, CLASSES = binary("y", "-"), multiclass("y", "-", classes=["a", "b", "c"])


def contract_of(target, **columns: str) -> Contract:
    return Contract(
        target=target,
        key=["id"],
        columns=[identifier("id", "int64", "-"), *(column(name, dtype, "-") for name, dtype in columns.items())],
    )


def test_categories_are_the_most_frequent_ones_the_others_and_none() -> None:
    values = pd.Series([letter for at, letter in enumerate("abcdefghij") for _ in range(20 - at)] + [None], dtype="str")
    binned = bin_column(BINARY, "category", values, np.zeros(len(values)))
    assert binned.labels == [*"abcdefgh", "2 others", "no value"]
    assert binned.shares == pytest.approx(np.array([*range(20, 12, -1), 12 + 11, 1]) / 156)


def test_target_of_a_bin_needs_thirty_labels() -> None:
    values = pd.Series(["a"] * 31 + ["b"] * 30, dtype="str")
    encoded = np.array([1.0] * 10 + [0.0] * 20 + [np.nan] + [1.0] * 29 + [np.nan])
    binned = bin_column(BINARY, "category", values, encoded)
    assert binned.labels == ["a", "b"]
    assert binned.target[0].tolist() == [1 / 3]
    assert np.isnan(binned.target[1]).all()


def test_few_whole_numbers_have_a_bin_each_and_gaps_none() -> None:
    binned = bin_column(BINARY, "number", pd.Series([1.0, 1.0, 3.0, None]), np.zeros(4))
    assert binned.edges.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert binned.shares.tolist() == [0.5, 0, 0.25]


def test_outermost_bins_hold_the_tails() -> None:
    values = pd.Series([*np.linspace(0, 1, 999), 1e9])
    binned = bin_column(BINARY, "number", values, np.zeros(1000))
    assert binned.edges[[0, -1]] == pytest.approx([0.01, 0.99], abs=1e-3)
    assert binned.shares.sum() == pytest.approx(1)


def test_dates_are_days_and_a_constant_has_one_bin() -> None:
    days = pd.Series(pd.to_datetime(["1970-01-03T12:00"] * 3).astype("datetime64[us]"))
    binned = bin_column(BINARY, "date", days, np.zeros(3))
    assert binned.edges.tolist() == [2, 3]
    assert binned.shares.tolist() == [1]


@pytest.mark.parametrize("kind", ["number", "category", "date"])
def test_column_without_a_value_has_no_bin_of_a_value(kind) -> None:
    dtype = {"number": "float64", "category": "str", "date": "datetime64[us]"}[kind]
    binned = bin_column(BINARY, kind, pd.Series([None] * 3, dtype=dtype), np.zeros(3))
    assert binned.labels == (["no value"] if kind == "category" else [])
    assert len(binned.shares) == len(binned.labels)


def test_classes_have_a_share_each() -> None:
    binned = bin_column(CLASSES, "number", pd.Series([1.0] * 40), np.repeat([0.0, 2.0], [10, 30]))
    assert binned.target.tolist() == [[0.25, 0, 0.75]]


def test_strongest_feature_comes_first_with_the_sign_of_its_correlation() -> None:
    target = np.tile([0, 1], 1000)
    random = np.random.default_rng(3)
    letters = np.where(random.random(2000) < 0.8, target, 1 - target)
    frame = pd.DataFrame({
        "id": range(2000),
        "chance": random.random(2000),
        "against": -target * 1.0,
        "category": pd.Series(letters).map({0: "a", 1: "b"}).astype("str"),
        "constant": 1.0,
        "y": target * 1.0,
    })
    contract = contract_of(BINARY, chance="float64", against="float64", category="str", constant="float64")
    found = relate(contract, features_of(contract, find_kinds(contract, {}), frame), frame)
    assert [each.column for each in found] == ["against", "category", "chance"]
    assert [each.alone for each in found] == pytest.approx([1, 0.8, 0.5], abs=0.05)
    assert found[0].correlation == pytest.approx(-1)
    assert found[1].correlation is None
    assert relate(contract, {"against": "number"}, frame.assign(y=frame["y"].where(frame["id"] < 29))) == []
    assert relate(contract, {"against": "number"}, frame.assign(y=1.0)) == []


def test_number_is_related_by_ranks_and_classes_have_no_sign() -> None:
    frame = pd.DataFrame({"id": range(1000), "x": np.exp(np.arange(1000) / 100), "y": np.arange(1000.0)})
    contract = contract_of(regression("y", "-"), x="float64")
    [found] = relate(contract, {"x": "number"}, frame)
    assert found.correlation == pytest.approx(1)
    assert found.alone > 0.9
    named = frame.assign(y=pd.Series(np.repeat(["a", "b", "c", "a"], 250), dtype="str"))
    [found] = relate(contract_of(CLASSES, x="float64"), {"x": "number"}, named)
    assert found.correlation is None
    assert found.alone > 0.8


def test_time_is_related_by_its_hour_and_its_day_of_the_week() -> None:
    contract = Contract(
        target=BINARY, key=["at"], time="at", columns=[column("at", "datetime64[us]", "-"), column("x", "float64", "-")]
    )
    frame = pd.DataFrame({"at": pd.to_datetime(["2024-01-01T05:30"]).astype("datetime64[us]"), "x": 1.0, "y": 0.0})
    sample = add_time_parts(contract, frame)
    assert (sample[HOUR].tolist(), sample[WEEKDAY].tolist()) == ([5], [0])  # the first of January 2024 was a Monday
    assert list(features_of(contract, find_kinds(contract, {"d": "number"}), sample)) == [HOUR, WEEKDAY, "x", "d"]


def test_axis_of_the_target_is_shared_and_an_extreme_bin_lies_beyond() -> None:
    def binned_of(target, means: list[float]):
        encoded = np.concatenate([np.repeat([1.0, 0.0], [round(mean * 30), 30 - round(mean * 30)]) for mean in means])
        return bin_column(target, "number", pd.Series(np.repeat(np.arange(len(means)) * 1.0, 30)), encoded)

    usual = binned_of(BINARY, [0.1, 0.2] * 11)
    assert target_limits(BINARY, [usual, usual, usual, binned_of(BINARY, [1.0])], [0]) == (0, pytest.approx(0.22))
    low, high = target_limits(regression("y", "-"), [usual], [0])
    assert (low, high) == (pytest.approx(0.09), pytest.approx(0.21))
    assert target_limits(BINARY, [bin_column(BINARY, "number", pd.Series([1.0]), np.array([1.0]))], [0]) == (0, 1)


def test_column_alone_and_a_date_that_lies_later() -> None:
    target = np.tile([0.0, 1.0], 60)
    assert score_alone(pd.Series(target), target, 2) == 1
    assert score_alone(pd.Series(["a"] * 120, dtype="str"), target, 2) < 0.6
    times = pd.to_datetime(["2024-01-02", "2024-01-02", "2024-01-02", None])
    rows = pd.DataFrame({"at": pd.Timestamp("2024-01-01"), "paid": times})
    assert share_later(rows, "paid", "at") == 1
    assert share_later(rows, "at", "paid") == 0
    assert share_later(rows.assign(paid=pd.NaT), "paid", "at") == 0


@pytest.mark.parametrize("target", [BINARY, CLASSES, regression("y", "-", unit="euros")], ids=lambda each: each.kind)
@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("kind", ["number", "category", "date"])
def test_every_kind_of_column_is_drawn(target, labelled: bool, kind) -> None:
    values = {
        "number": pd.Series(np.arange(60) * 1e6),
        "category": pd.Series(["a", "$\\frac{$"] * 30, dtype="str"),
        "date": pd.Series(pd.date_range("2024-01-01", periods=60).astype("datetime64[us]")),
    }[kind]
    encoded = np.tile([0.0, 1.0], 30) if labelled else np.full(60, np.nan)
    binned = bin_column(target, kind, values, encoded)
    contract = contract_of(target, x={"number": "float64", "category": "str", "date": "datetime64[us]"}[kind])
    overall = {0: 0.5} if labelled else {}
    figure: Figure = plots.draw_column(contract, "x", binned, overall, target_limits(target, [binned], [*overall]))
    assert len(figure.axes) == (2 if labelled else 1)
    assert to_png(figure).startswith(b"\x89PNG")
