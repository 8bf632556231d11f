from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import performance
from {{ cookiecutter.__package_name }}.config import Evaluation

SETTINGS = Evaluation(bootstrap_resamples=200)


def batch(rate: float, probability: float, days: int = 30, rows: int = 100) -> performance.Batch:
    """Days that are all alike: a share of positives, and one probability for every row."""
    frame = pd.DataFrame({"scheduled_departure": np.repeat(pd.date_range("2013-05-01", periods=days), rows)})
    positives = round(rate * rows)
    return frame, np.tile([1] * positives + [0] * (rows - positives), days), np.full(days * rows, probability)


def test_loss_gain_and_skill_of_a_forecast_that_is_too_high_throughout() -> None:
    """A quarter is positive and a half is said: ln 2 = 0.693 instead of 0.562, which recalibration would give."""
    by_block = performance.tally([batch(rate=0.25, probability=0.5)])
    found = performance.measure(by_block, None, SETTINGS, seed=1)
    assert (found.rows, found.blocks, found.observed, found.expected) == (3000, 30, 0.25, 0.5)
    assert found.loss.value == pytest.approx(0.6931, abs=1e-4)
    assert found.gain.value == pytest.approx(0.6931 - 0.5623, abs=2e-3)
    assert found.skill.value == pytest.approx(0.6931 - 0.5623, abs=1e-4)
    assert found.decay is None
    assert not performance.is_alarm(found, margin=0)


def test_forecast_that_fits_gains_nothing_and_has_not_decayed() -> None:
    by_block = performance.tally([batch(rate=0.25, probability=0.25)])
    found = performance.measure(by_block, by_block, SETTINGS, seed=1)
    assert found.gain.value == pytest.approx(0, abs=1e-3)
    assert found.decay is not None
    assert found.decay.value == pytest.approx(0, abs=1e-6)
    assert not performance.is_alarm(found, margin=0)


def test_forecast_that_fitted_at_release_and_does_not_now_has_decayed() -> None:
    then = performance.tally([batch(rate=0.25, probability=0.25)])
    now = performance.measure(performance.tally([batch(rate=0.5, probability=0.25)]), then, SETTINGS, seed=1)
    assert now.decay is not None
    assert now.decay.value == pytest.approx(0.837 - 0.693, abs=3e-3)  # -(ln 0.25 + ln 0.75) / 2, and ln 2
    assert performance.is_alarm(now, margin=0.1)
    assert not performance.is_alarm(now, margin=0.2)


def test_one_bad_day_among_good_ones_is_no_decay() -> None:
    then = performance.tally([batch(rate=0.25, probability=0.25)])
    storm = batch(rate=0.9, probability=0.25, days=1)
    calm = batch(rate=0.25, probability=0.25, days=29)
    month = performance.tally([(calm[0] + pd.Timedelta(days=1), *calm[1:]), storm])
    found = performance.measure(month, then, SETTINGS, seed=1)
    assert found.decay is not None
    assert found.decay.value > 0
    assert not performance.is_alarm(found, margin=0)


def test_figures_do_not_depend_on_how_rows_are_batched() -> None:
    frame, target, probability = batch(rate=0.25, probability=0.3)
    probability = np.linspace(0.05, 0.6, len(target))
    whole = performance.tally([(frame, target, probability)])
    parts = performance.tally([
        (frame[:50], target[:50], probability[:50]),
        (frame[50:], target[50:], probability[50:]),
    ])
    assert replace(parts, loss=[], gain=[], expected=[]) == replace(whole, loss=[], gain=[], expected=[])
    assert parts.loss == pytest.approx(whole.loss)
    assert parts.gain == pytest.approx(whole.gain)


def test_predictions_that_are_certain_keep_the_figures_finite() -> None:
    frame, target, _ = batch(rate=0.5, probability=0.5)
    found = performance.measure(performance.tally([(frame, target, 1.0 - target)]), None, SETTINGS, seed=1)
    assert np.isfinite([found.loss.value, found.gain.value]).all()
    assert found.loss.value > 10


def test_labels_of_one_class_cannot_be_recalibrated_to() -> None:
    with pytest.raises(ValueError, match="the labels are all the same"):
        performance.tally([batch(rate=0.0, probability=0.3)])
