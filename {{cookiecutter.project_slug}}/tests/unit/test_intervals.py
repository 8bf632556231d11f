import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from {{ cookiecutter.__package_name }}.intervals import DayBootstrap, number_days


@pytest.fixture
def forecast() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days, targets and rounded probabilities (so that there are ties) of 2,000 rows."""
    random = np.random.default_rng(0)
    probability = random.random(2000).round(2)
    return random.integers(0, 30, 2000), (random.random(2000) < probability).astype("int64"), probability


def test_values_are_those_of_scikit_learn(forecast) -> None:
    days, target, probability = forecast
    draws = DayBootstrap(days, 200, 0.95, seed=0)
    assert draws.roc_auc(target, probability).value == pytest.approx(roc_auc_score(target, probability))
    assert draws.average_precision(target, probability).value == pytest.approx(
        average_precision_score(target, probability)
    )
    assert draws.mean((target - probability) ** 2).value == pytest.approx(brier_score_loss(target, probability))


def test_interval_surrounds_the_value_and_repeats_with_the_seed(forecast) -> None:
    days, target, probability = forecast
    first, second = (DayBootstrap(days, 200, 0.95, seed=1).roc_auc(target, probability) for _ in range(2))
    assert first == second
    assert first.low < first.value < first.high


def test_draws_of_one_day_have_no_spread() -> None:
    estimate = DayBootstrap(np.zeros(4), 100, 0.9, seed=0).mean(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (estimate.low, estimate.value, estimate.high) == (2.5, 2.5, 2.5)


def test_days_that_differ_widen_the_interval() -> None:
    values = np.repeat([0.0, 1.0], 50)
    by_row = DayBootstrap(np.arange(100), 500, 0.95, seed=0).mean(values)
    by_day = DayBootstrap(np.repeat([0, 1], 50), 500, 0.95, seed=0).mean(values)
    assert by_day.high - by_day.low > 3 * (by_row.high - by_row.low)


def test_mean_over_marked_rows() -> None:
    draws = DayBootstrap(np.array([0, 0, 1, 1]), 100, 0.95, seed=0)
    marked = np.array([True, False, True, False])
    assert draws.mean(np.array([1.0, 9.0, 3.0, 9.0]), marked).value == 2.0


def test_calibration_error_of_a_constant_forecast() -> None:
    # 0.5 is forecast, 0.25 happens: the gap is 0.25 whatever the bins.
    target = np.array([1, 0, 0, 0])
    assert DayBootstrap(np.arange(4), 100, 0.95, seed=0).calibration_error(
        target, np.full(4, 0.5), n_bins=2
    ).value == pytest.approx(0.25)


def test_days_are_numbered_as_they_come_whatever_the_hour() -> None:
    time = pd.Series(pd.to_datetime(["2013-05-02 23:59:59", "2013-05-01 00:00:00", "2013-05-02 00:00:00"]))
    numbers, days = number_days(time)
    assert (numbers.tolist(), days) == ([0, 1, 0], ["2013-05-02", "2013-05-01"])
