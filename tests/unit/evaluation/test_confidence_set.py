import numpy as np
import pytest

from modelworks.evaluation.bootstrap import BlockBootstrap
from modelworks.evaluation.confidence_set import confidence_set

N_DAYS = 60


def p_values(losses: np.ndarray, seed: int = 0) -> np.ndarray:
    """Of models whose losses a day are the rows."""
    draws = BlockBootstrap(np.arange(losses.shape[1]), resamples=1000, level=0.95, seed=seed)
    return confidence_set(np.array([draws.ratios(each, np.ones(len(each))) for each in losses]))


def days(*shifts: float, n_days: int = N_DAYS, seed: int = 0) -> np.ndarray:
    """A loss a day of each model, around the same hard and easy days."""
    random = np.random.default_rng(seed)
    return random.normal(0.5, 0.3, n_days) + [random.normal(shift, 0.05, n_days) for shift in shifts]


def test_models_that_are_clearly_worse_are_out_however_hard_the_days_are() -> None:
    best, worse, worst = p_values(days(0.0, 0.1, 0.2))
    assert best == 1
    assert worse == worst == 0


def test_models_that_predict_the_same_are_both_in() -> None:
    losses = days(0.0, 0.1)
    assert p_values(np.array([losses[0], losses[0], losses[1]])).tolist() == [1.0, 1.0, 0.0]


def test_one_model_is_its_own_best() -> None:
    assert p_values(days(0.0)).tolist() == [1.0]


def test_two_models_are_tested_as_a_pair() -> None:
    """With two models the range statistic is the two-sided test of their difference."""
    losses = days(0.0, 0.012)
    draws = BlockBootstrap(np.arange(N_DAYS), resamples=1000, level=0.95, seed=0)
    difference = draws.ratios(losses[1] - losses[0], np.ones(N_DAYS))
    expected = (np.abs(difference[1:] - difference[0]) >= abs(difference[0])).mean()
    assert 0.01 < expected < 0.9
    assert p_values(losses).min() == pytest.approx(expected)


@pytest.mark.slow
def test_model_that_is_the_worst_of_several_by_chance_stays_in() -> None:
    """Of five equal models one is always the worst; uncorrected, the pair of worst and best differs in every third."""
    repeated = [days(*[0.0] * 5, n_days=240, seed=seed) for seed in range(60)]
    corrected = [p_values(losses, seed).min() for seed, losses in enumerate(repeated)]
    in_order = [losses[np.argsort(losses.mean(axis=1))] for losses in repeated]
    uncorrected = [p_values(losses[[0, -1]], seed).min() for seed, losses in enumerate(in_order)]
    assert np.mean([p < 0.05 for p in corrected]) <= 0.1
    assert np.mean([p < 0.05 for p in uncorrected]) >= 0.2


def test_model_that_is_dropped_later_never_has_the_smaller_p_value() -> None:
    losses = days(0.0, 0.01, 0.015, 0.02, 0.03)
    found = p_values(losses)
    in_order = found[np.argsort(losses.mean(axis=1))]
    assert (np.diff(in_order) <= 0).all()
    assert in_order[0] == 1
