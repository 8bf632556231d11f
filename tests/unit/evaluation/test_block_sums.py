"""Draws weigh sums by block; the plain computation counts each row as often as its block is drawn."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, mean_absolute_error, roc_auc_score

from modelworks.evaluation import bootstrap
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate

RESAMPLES, LEVEL, SEED = 100, 0.9, 5
Metric = Callable[..., float]


def make_forecast(n_rows: int, n_days: int, base_rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days that differ, targets, and probabilities without ties."""
    random = np.random.default_rng(1)
    days, of_day = random.integers(0, n_days, n_rows), random.normal(0, 0.5, n_days)
    logit = random.normal(np.log(base_rate / (1 - base_rate)), 1.2, n_rows)
    target = random.random(n_rows) < 1 / (1 + np.exp(-logit - of_day[days]))
    return days, target.astype("float64"), 1 / (1 + np.exp(-logit))


def plain(metric: Metric, days: np.ndarray, *columns: np.ndarray) -> Estimate:
    """A metric of scikit-learn on each draw of the same days, every row of it weighed."""
    n_days = days.max() + 1
    drawn = np.random.default_rng(SEED).multinomial(n_days, np.full(n_days, 1 / n_days), size=RESAMPLES)
    draws = [metric(*columns, sample_weight=weights[days]) for weights in drawn]
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(metric(*columns), float(low), float(high))


def ends(estimate: Estimate) -> list[float]:
    return [estimate.value, estimate.low, estimate.high]


@pytest.mark.parametrize("n_days", [7, 40])
def test_intervals_of_a_ranking_are_those_of_the_plain_computation(n_days: int) -> None:
    days, target, probability = make_forecast(2000, n_days, 0.2)
    probability = probability.round(2)  # with ties
    draws = BlockBootstrap(days, RESAMPLES, LEVEL, SEED)
    expected = plain(roc_auc_score, days, target, probability)
    assert ends(draws.roc_auc(target, probability)) == pytest.approx(ends(expected), abs=1e-12)
    expected = plain(average_precision_score, days, target, probability)
    assert ends(draws.average_precision(target, probability)) == pytest.approx(ends(expected), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("base_rate", [0.01, 0.2])
def test_bins_of_scores_move_an_interval_by_less_than_a_hundredth_of_its_width(
    base_rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 bins are for millions of rows; 400 for 8,000 rows are coarser."""
    monkeypatch.setattr(bootstrap, "MAX_BINS", 400)
    days, target, probability = make_forecast(8000, 30, base_rate)
    draws = BlockBootstrap(days, RESAMPLES, LEVEL, SEED)
    for found, metric in (
        (draws.roc_auc(target, probability), roc_auc_score),
        (draws.average_precision(target, probability), average_precision_score),
    ):
        expected = plain(metric, days, target, probability)
        assert found.value == pytest.approx(expected.value, abs=1e-12)
        assert ends(found) == pytest.approx(ends(expected), abs=(expected.high - expected.low) / 100)


def test_perfect_ranking_is_one_in_few_bins_and_no_draw_exceeds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "MAX_BINS", 7)
    target, score = np.repeat([0.0, 1.0], 50), np.linspace(0, 1, 100)
    draws = BlockBootstrap(np.arange(100) % 10, RESAMPLES, LEVEL, SEED)
    for found in (draws.roc_auc(target, score), draws.average_precision(target, score)):
        assert ends(found) == pytest.approx([1, 1, 1], abs=0.02)
        assert found.low <= found.value == found.high == 1


@pytest.mark.parametrize("cells", [40, 4_000_000])
def test_figure_of_each_group_is_that_of_its_rows(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether all groups are added up at once or one after the other."""
    monkeypatch.setattr(bootstrap, "MAX_CELLS", cells)
    random = np.random.default_rng(2)
    days, group, error = random.integers(0, 9, 300), random.integers(-1, 4, 300), random.normal(size=300)
    draws = BlockBootstrap(days, RESAMPLES, LEVEL, SEED)
    found = [draws.estimate(each) for each in draws.ratios_by_group(np.abs(error), np.ones(300), group, 4)]
    assert len(found) == 4
    for number, estimate in enumerate(found):
        assert ends(estimate) == pytest.approx(ends(draws.mean(np.abs(error), group == number)), abs=1e-12)
    of_first = group == 0
    expected = plain(mean_absolute_error, days[of_first], np.zeros(of_first.sum()), error[of_first])
    assert ends(found[0]) == pytest.approx(ends(expected), abs=1e-12)


def test_cost_does_not_grow_with_rows_times_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every array that a draw weighs has a cell for each block and bin, however many rows there are."""
    monkeypatch.setattr(bootstrap, "MAX_BINS", 50)
    shapes: set[tuple[int, ...]] = set()

    def measure(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        shapes.update({positives.shape, negatives.shape})
        return positives[:, -1]

    days, target, probability = make_forecast(5000, 20, 0.3)
    BlockBootstrap(days, RESAMPLES, LEVEL, SEED)._rank(target, probability, measure)
    assert shapes == {(1, 5000), (1 + RESAMPLES, 50)}  # the sample's own figure is exact


@pytest.mark.parametrize(("samples", "low", "high"), [([0.5, 0.6, 0.7], 0.5, 0.7), ([0.5, 0.1, 0.2], 0.1, 0.5)])
def test_interval_reaches_to_its_figure_where_all_draws_lie_beside_it(
    samples: list[float], low: float, high: float
) -> None:
    found = BlockBootstrap(np.arange(2), RESAMPLES, 0.999, SEED).estimate(np.array(samples))
    assert ends(found) == pytest.approx([0.5, low, high], abs=1e-3)


def test_draws_of_a_distance_are_centred_within_its_bounds() -> None:
    draws = BlockBootstrap(np.arange(2), RESAMPLES, 0.999, SEED)
    assert ends(draws.estimate_centred(np.array([0.1, 0.2, 0.4]))) == pytest.approx([0.1, 0, 0.2], abs=1e-3)
    assert ends(draws.estimate_centred(np.array([0.9, 0.5, 0.9]), most=1.0)) == pytest.approx([0.9, 0.7, 1], abs=1e-3)
