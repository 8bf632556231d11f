import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.monitoring import drift
from modelworks.monitoring.drift import Binning

DAY_ROWS = 50


def frame(days: pd.DatetimeIndex, shift: float = 0.0, seed: int = 1) -> pd.DataFrame:
    """Fifty rows a day with a temperature that has weather of its own every day, a carrier and a prediction."""
    random = np.random.default_rng(seed)
    n_rows = len(days) * DAY_ROWS
    weather = np.repeat(random.normal(60, 8, len(days)), DAY_ROWS)
    return pd.DataFrame({
        "scheduled_departure": np.repeat(days, DAY_ROWS),
        "temp": weather + random.normal(0, 3, n_rows) + shift,
        "carrier": random.choice(["AA", "DL", "B6"], n_rows),
        "prediction": random.uniform(0.1, 0.4, n_rows),
    })


REFERENCE = pd.date_range("2013-01-01", "2013-03-31")
PERIOD = pd.date_range("2013-04-01", "2013-04-30")


def count(frames: list[pd.DataFrame], binning: Binning) -> drift.Profile:
    return drift.count(FLIGHTS.contract, [("2013-04", each) for each in frames], binning)


def measured(period: pd.DataFrame, confidence: float = 0.99) -> dict[str, drift.ColumnDrift]:
    reference = frame(REFERENCE)
    binning = drift.choose_binning(FLIGHTS.contract, reference)
    found = drift.measure(FLIGHTS.contract, count([reference], binning), count([period], binning), confidence)
    return {each.column: each for each in found}


def test_values_are_counted_between_edges_and_nulls_apart() -> None:
    binning = Binning(edges={"temp": [10.0, 20.0]}, categories={"carrier": ["AA"]})
    assert binning.encode("temp", pd.Series([9.9, 10.0, 25.0, None])).tolist() == [0, 1, 2, 3]
    assert binning.encode("carrier", pd.Series(["AA", "ZZ", None], dtype="str")).tolist() == [0, 1, 2]
    assert (binning.size("temp"), binning.size("carrier")) == (4, 3)


def test_value_that_most_rows_have_has_a_bin_of_its_own() -> None:
    binning = drift.choose_binning(FLIGHTS.contract, pd.DataFrame({"precip": [0.0] * 95 + [0.5] * 5}))
    codes = binning.encode("precip", pd.Series([0.0, 0.01, 0.5, None]))
    assert len(set(codes.tolist())) == 3
    assert codes[1] == codes[2]


def test_counts_do_not_depend_on_how_rows_are_batched() -> None:
    rows = frame(PERIOD)
    binning = drift.choose_binning(FLIGHTS.contract, rows)
    whole = count([rows], binning)
    parts = count([rows.iloc[:777], rows.iloc[777:]], binning)
    assert whole.blocks == parts.blocks
    assert all(np.array_equal(whole.counts[name], parts.counts[name]) for name in binning.columns)
    assert whole.counts["temp"].sum(axis=1).tolist() == [DAY_ROWS] * 30


def test_predictions_may_come_after_the_features_and_in_another_order() -> None:
    rows = frame(PERIOD)
    binning = drift.choose_binning(FLIGHTS.contract, rows)
    together = count([rows], binning)
    predictions = rows[["scheduled_departure", "prediction"]].iloc[::-1]
    apart = count([rows.drop(columns="prediction"), predictions], binning)
    assert apart.blocks == together.blocks
    assert all(np.array_equal(apart.counts[name], together.counts[name]) for name in binning.columns)


def test_period_with_weather_of_its_own_is_no_drift() -> None:
    assert not any(each.drifted for each in measured(frame(PERIOD, seed=2)).values())


def test_period_that_is_warmer_throughout_is_drift_in_that_column_alone() -> None:
    found = measured(frame(PERIOD, shift=15, seed=2))
    assert [name for name, each in found.items() if each.drifted] == ["temp"]
    assert found["temp"].ratio > 2
    assert next(iter(found)) == "temp"  # the most drifted comes first


def test_category_that_is_new_is_drift() -> None:
    assert measured(frame(PERIOD, seed=2).assign(carrier="ZZ"))["carrier"].distance == pytest.approx(1)


def test_predictions_alone_are_an_alarm_and_one_feature_is_none() -> None:
    hot = list(measured(frame(PERIOD, shift=15, seed=2)).values())
    assert not drift.is_alarm(hot, max_fraction=0.5)
    assert drift.is_alarm(hot, max_fraction=0.4)
    other = list(measured(frame(PERIOD, seed=2).assign(prediction=0.9)).values())
    assert drift.is_alarm(other, max_fraction=1.0)


def test_column_that_has_gone_constant_is_named() -> None:
    rows = frame(PERIOD).assign(temp=60.0)
    binning = drift.choose_binning(FLIGHTS.contract, frame(REFERENCE))
    assert count([rows.iloc[:10], rows.iloc[10:]], binning).constant == ["temp"]


def test_reference_of_one_period_has_nothing_to_compare_within_itself() -> None:
    rows = frame(PERIOD)
    binning = drift.choose_binning(FLIGHTS.contract, rows)
    counted = count([rows], binning)
    with pytest.raises(ValueError, match="30 days cannot be compared with a reference of 30"):
        drift.measure(FLIGHTS.contract, counted, counted, 0.99)


def test_period_without_rows_is_said_not_to_be_comparable() -> None:
    binning = drift.choose_binning(FLIGHTS.contract, frame(REFERENCE))
    reference, nothing = count([frame(REFERENCE)], binning), count([frame(PERIOD).iloc[:0]], binning)
    with pytest.raises(ValueError, match="0 days"):
        drift.measure(FLIGHTS.contract, reference, nothing, 0.99)


def test_profile_survives_json() -> None:
    binning = drift.choose_binning(FLIGHTS.contract, frame(PERIOD))
    counted = count([frame(PERIOD)], binning)
    again = drift.Profile.from_json(counted.to_json())
    assert (again.blocks, again.constant) == (counted.blocks, counted.constant)
    assert np.array_equal(again.counts["temp"], counted.counts["temp"])


def test_sample_takes_rows_from_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "SAMPLE_ROWS", 5)
    rows = pd.DataFrame({"row": range(20)})
    taken = drift.take_sample([rows.iloc[:7], rows.iloc[7:]], 20)
    assert taken["row"].tolist() == [0, 4, 8, 12, 16]
