import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from modelworks.evaluation.bootstrap import BlockBootstrap


@pytest.fixture
def forecast() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days, targets and rounded probabilities (so that there are ties) of 2,000 rows."""
    random = np.random.default_rng(0)
    probability = random.random(2000).round(2)
    return random.integers(0, 30, 2000), (random.random(2000) < probability).astype("int64"), probability


def test_values_are_those_of_scikit_learn(forecast) -> None:
    days, target, probability = forecast
    draws = BlockBootstrap(days, 200, 0.95, seed=0)
    assert draws.roc_auc(target, probability).value == pytest.approx(roc_auc_score(target, probability))
    assert draws.average_precision(target, probability).value == pytest.approx(
        average_precision_score(target, probability)
    )
    assert draws.mean((target - probability) ** 2).value == pytest.approx(brier_score_loss(target, probability))


def test_interval_surrounds_the_value_and_repeats_with_the_seed(forecast) -> None:
    days, target, probability = forecast
    first, second = (BlockBootstrap(days, 200, 0.95, seed=1).roc_auc(target, probability) for _ in range(2))
    assert first == second
    assert first.low < first.value < first.high


def test_draws_of_one_day_have_no_spread() -> None:
    estimate = BlockBootstrap(np.zeros(4), 100, 0.9, seed=0).mean(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (estimate.low, estimate.value, estimate.high) == (2.5, 2.5, 2.5)


def test_days_that_differ_widen_the_interval() -> None:
    values = np.repeat([0.0, 1.0], 50)
    by_row = BlockBootstrap(np.arange(100), 500, 0.95, seed=0).mean(values)
    by_day = BlockBootstrap(np.repeat([0, 1], 50), 500, 0.95, seed=0).mean(values)
    assert by_day.high - by_day.low > 3 * (by_row.high - by_row.low)


def test_mean_over_marked_rows() -> None:
    draws = BlockBootstrap(np.array([0, 0, 1, 1]), 100, 0.95, seed=0)
    marked = np.array([True, False, True, False])
    assert draws.mean(np.array([1.0, 9.0, 3.0, 9.0]), marked).value == 2.0


def test_calibration_error_of_a_constant_forecast() -> None:
    # 0.5 is forecast, 0.25 happens: the gap is 0.25 whatever the bins.
    target = np.array([1, 0, 0, 0])
    assert BlockBootstrap(np.arange(4), 100, 0.95, seed=0).calibration_error(
        target, np.full(4, 0.5), n_bins=2
    ).value == pytest.approx(0.25)


@pytest.mark.parametrize("seed", range(8))
def test_interval_of_the_calibration_error_contains_it(seed: int) -> None:
    """Draws of a forecast that is right lie above the error of the sample, since distances grow with noise."""
    random = np.random.default_rng(seed)
    probability = random.random(600)
    target = (random.random(600) < probability).astype("float64")
    draws = BlockBootstrap(np.arange(600), 200, 0.95, seed=0)
    found = draws.calibration_error(target, probability, n_bins=10)
    assert 0 <= found.low < found.value < found.high < 3 * found.value
    twice = draws.calibration_error(target, 1 - probability, n_bins=10)  # all wrong: the error is large, and certain
    assert twice.low > 0.4


def test_roc_auc_of_many_classes_is_the_mean_of_each_against_the_rest() -> None:
    random = np.random.default_rng(0)
    probability = random.dirichlet([1, 1, 1, 1], 500)
    target = np.array([random.choice(4, p=row) for row in probability])
    draws = BlockBootstrap(np.arange(500), 100, 0.95, seed=0)
    expected = roc_auc_score(target, probability, multi_class="ovr", average="macro")
    assert draws.macro_roc_auc(target.astype("float64"), probability).value == pytest.approx(expected)


def test_class_that_does_not_occur_does_not_count() -> None:
    random = np.random.default_rng(0)
    probability = random.dirichlet([1, 1, 1], 200)
    target = (random.random(200) < probability[:, 1]).astype("float64")
    draws = BlockBootstrap(np.arange(200), 100, 0.95, seed=0)
    by_class = [roc_auc_score(target == each, probability[:, each]) for each in (0, 1)]
    assert draws.macro_roc_auc(target, probability).value == pytest.approx(np.mean(by_class))


def test_figure_that_no_draw_has_is_no_number() -> None:
    found = BlockBootstrap(np.arange(4), 100, 0.95, seed=0).roc_auc(np.zeros(4), np.linspace(0, 1, 4))
    assert np.isnan([found.value, found.low, found.high]).all()
