from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.contract import Contract, column, identifier
from modelworks.monitoring import calibration
from modelworks.settings import Evaluation
from modelworks.targets import Target, binary, multiclass, regression

SETTINGS = Evaluation(bootstrap_resamples=200)


def batch(rate: float, probability: float, days: int = 30, rows: int = 100) -> calibration.Batch:
    """Days that are all alike: a share of positives, and one probability for every row."""
    frame = pd.DataFrame({"scheduled_departure": np.repeat(pd.date_range("2013-05-01", periods=days), rows)})
    positives = round(rate * rows)
    return frame, np.tile([1] * positives + [0] * (rows - positives), days), np.full(days * rows, probability)


def test_loss_gain_and_skill_of_a_forecast_that_is_too_high_throughout() -> None:
    """A quarter is positive and a half is said: ln 2 = 0.693 instead of 0.562, which recalibration would give."""
    by_block = calibration.accumulate(FLIGHTS.contract, [batch(rate=0.25, probability=0.5)])
    found = calibration.measure(by_block, None, SETTINGS, seed=1)
    assert (found.rows, found.blocks, found.observed, found.expected) == (3000, 30, 0.25, 0.5)
    assert found.loss.value == pytest.approx(0.6931, abs=1e-4)
    assert found.gain.value == pytest.approx(0.6931 - 0.5623, abs=2e-3)
    assert found.skill.value == pytest.approx(0.5623 - 0.6931, abs=1e-4)
    assert found.calibration_drift is None
    assert not calibration.is_alarm(found, max_calibration_drift=0)


def test_forecast_that_fits_gains_nothing_and_has_not_drifted() -> None:
    by_block = calibration.accumulate(FLIGHTS.contract, [batch(rate=0.25, probability=0.25)])
    found = calibration.measure(by_block, by_block, SETTINGS, seed=1)
    assert found.gain.value == pytest.approx(0, abs=1e-3)
    assert found.calibration_drift is not None
    assert found.calibration_drift.value == pytest.approx(0, abs=1e-6)
    assert not calibration.is_alarm(found, max_calibration_drift=0)


def test_forecast_that_fitted_at_release_and_does_not_now_has_drifted() -> None:
    then = calibration.accumulate(FLIGHTS.contract, [batch(rate=0.25, probability=0.25)])
    now = calibration.measure(
        calibration.accumulate(FLIGHTS.contract, [batch(rate=0.5, probability=0.25)]), then, SETTINGS, seed=1
    )
    assert now.calibration_drift is not None
    assert now.calibration_drift.value == pytest.approx(0.837 - 0.693, abs=3e-3)  # -(ln 0.25 + ln 0.75) / 2, and ln 2
    assert calibration.is_alarm(now, max_calibration_drift=0.1)
    assert not calibration.is_alarm(now, max_calibration_drift=0.2)


def test_one_bad_day_among_good_ones_is_no_alarm() -> None:
    then = calibration.accumulate(FLIGHTS.contract, [batch(rate=0.25, probability=0.25)])
    storm = batch(rate=0.9, probability=0.25, days=1)
    calm = batch(rate=0.25, probability=0.25, days=29)
    period = calibration.accumulate(FLIGHTS.contract, [(calm[0] + pd.Timedelta(days=1), *calm[1:]), storm])
    found = calibration.measure(period, then, SETTINGS, seed=1)
    assert found.calibration_drift is not None
    assert found.calibration_drift.value > 0
    assert not calibration.is_alarm(found, max_calibration_drift=0)


@pytest.mark.parametrize(
    ("days", "is_alarm", "words"), [(1, False, "too few days to judge calibration drift: 1,"), (5, True, "")]
)
def test_few_days_raise_no_alarm(days: int, is_alarm: bool, words: str) -> None:
    """The interval of a single day has no width, whatever its rows are."""
    then = calibration.accumulate(FLIGHTS.contract, [batch(rate=0.25, probability=0.25)])
    period = calibration.accumulate(FLIGHTS.contract, [batch(rate=0.5, probability=0.25, days=days)])
    found = calibration.measure(period, then, SETTINGS, seed=1)
    assert calibration.is_alarm(found, max_calibration_drift=0.1) == is_alarm
    assert calibration.describe_few(FLIGHTS.contract, found).startswith(words)


def test_figures_do_not_depend_on_how_rows_are_batched() -> None:
    frame, target, probability = batch(rate=0.25, probability=0.3)
    probability = np.linspace(0.05, 0.6, len(target))
    whole = calibration.accumulate(FLIGHTS.contract, [(frame, target, probability)])
    parts = calibration.accumulate(
        FLIGHTS.contract,
        [
            (frame[:50], target[:50], probability[:50]),
            (frame[50:], target[50:], probability[50:]),
        ],
    )
    assert replace(parts, loss=[], gain=[], expected=[]) == replace(whole, loss=[], gain=[], expected=[])
    assert parts.loss == pytest.approx(whole.loss)
    assert parts.gain == pytest.approx(whole.gain)


TARGETS = [
    binary("y", "y", negative=0.0, positive=1.0),
    multiclass("y", "y", classes=[0.0, 1.0, 2.0]),
    regression("y", "y"),
]


@pytest.mark.parametrize("target", TARGETS, ids=["binary", "multiclass", "regression"])
def test_figures_of_parts_that_are_merged_are_those_of_the_whole(target: Target) -> None:
    contract = Contract(
        target=target,
        columns=[column("at", "datetime64[us]", "when"), identifier("id", "int64", "row")],
        key=["id"],
        time="at",
    )
    random = np.random.default_rng(1)
    frame = pd.DataFrame({"at": pd.to_datetime("2013-05-01") + pd.to_timedelta(np.arange(900) % 30, unit="D")})
    values = 1e6 + random.normal(size=900) if target.is_regression else (random.random(900) < 0.3).astype("float64")
    predictions = random.dirichlet([1, 1, 1], 900) if target.is_multiclass else np.clip(values * 0.8, 0.1, None)
    whole, *parts = (calibration.PerformanceAccumulator(contract, 2.0, origin=1e6) for _ in range(4))
    whole.add(frame, values, predictions)
    for number, part in enumerate(parts):  # of some days each, and none
        mine = np.flatnonzero(frame.index % 2 == number)
        part.add(frame.iloc[mine], values[mine], predictions[mine])
    for part in parts[1:]:
        parts[0].merge(part)
    merged, expected = parts[0].by_block(), whole.by_block()
    assert (merged.blocks, merged.rows) == (expected.blocks, expected.rows)
    for name in ("observed", "expected", "loss", "gain", "constant_loss"):
        assert getattr(merged, name) == pytest.approx(getattr(expected, name), rel=1e-9), name


def test_predictions_that_are_certain_keep_the_figures_finite() -> None:
    frame, target, _ = batch(rate=0.5, probability=0.5)
    found = calibration.measure(
        calibration.accumulate(FLIGHTS.contract, [(frame, target, 1.0 - target)]), None, SETTINGS, seed=1
    )
    assert np.isfinite([found.loss.value, found.gain.value]).all()
    assert found.loss.value > 10


def test_labels_of_one_class_cannot_be_recalibrated_to() -> None:
    with pytest.raises(ValueError, match="the labels are all the same"):
        calibration.accumulate(FLIGHTS.contract, [batch(rate=0.0, probability=0.3)])
