"""Trials made up by hand: 60 days of 10 rows each, on which a trial's losses differ from the default's by day."""

from dataclasses import replace

import numpy as np
import pytest

from flights import FLIGHTS
from modelworks.errors import PipelineError
from modelworks.models.tuning.choice import Choice, choose
from modelworks.models.tuning.trial import Trial
from modelworks.settings import Model, Tuning

DAYS, ROWS = 60, 10
HARD_DAYS = np.random.default_rng(0).normal(0.5, 0.1, DAYS)


def trial(
    number: int, differences: np.ndarray | float = 0.0, model_type: str = "boosting", seconds: float = 1.0
) -> Trial:
    """A trial whose mean loss of each day is that of `HARD_DAYS` and the differences."""
    losses = ROWS * (HARD_DAYS + differences)
    model = Model(type=model_type, parameters={"max_iter": number + 1}).model_dump()
    mean = float(losses.sum() / DAYS / ROWS)
    return Trial(model_type, number, model, "complete", mean, seconds, seconds, losses.tolist(), [ROWS] * DAYS)


def noise(seed: int, size: float = 0.05) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, DAYS)


DEFAULT = trial(0)


def chosen(*others: Trial, **settings: object) -> Choice:
    return choose(FLIGHTS, [DEFAULT, *others], DEFAULT, Tuning(**settings), seed=1)


def test_trial_that_is_better_by_more_than_chance_is_chosen() -> None:
    choice = chosen(trial(1, noise(1)), trial(2, noise(2) - 0.05))
    assert choice.trial.number == 2
    assert choice.model == Model(parameters={"max_iter": 3})
    assert choice.gain_over_default.low > 0
    assert choice.p_value < 0.01
    assert choice.summary.startswith("boosting 2 is chosen: gain over the default in log loss: 0.0")


def test_default_stands_where_the_best_is_no_better_than_chance() -> None:
    choice = chosen(*(trial(number, noise(number)) for number in range(1, 20)))
    assert choice.trial is DEFAULT
    assert choice.candidate.loss < DEFAULT.loss
    assert choice.summary.startswith(
        f"the default stands: {choice.candidate.name}: gain over the default in log loss: 0.0"
    )


def test_best_of_many_that_differ_by_chance_is_seldom_chosen() -> None:
    """By its own interval the best of thirty looks better than the default nearly always."""
    n_chosen, n_tempting = 0, 0
    for repetition in range(60):
        choice = chosen(*(trial(number, noise(1000 * repetition + number)) for number in range(1, 31)))
        n_chosen += choice.trial is not DEFAULT
        n_tempting += choice.gain_over_default.low > 0
    assert n_chosen <= 12  # 6 are expected, at a significance level of 0.1
    assert n_tempting > 30


def test_hopeless_trials_do_not_hide_a_good_one() -> None:
    hopeless = [trial(number, noise(number, 0.5) + 0.5) for number in range(2, 30)]
    assert chosen(trial(1, noise(1) - 0.05), *hopeless).trial.number == 1


def of_days(trial: Trial, count: int) -> Trial:
    return replace(trial, block_losses=trial.block_losses[:count], block_rows=trial.block_rows[:count])


def test_default_stands_where_too_few_days_were_measured() -> None:
    """Draws of so few days say that it is better; of noise they say so as well, every third time."""
    better, default = of_days(trial(1, noise(1) - 0.05), 10), of_days(DEFAULT, 10)
    choice = choose(FLIGHTS, [default, better], default, Tuning(), seed=1)
    assert choice.p_value < 0.1
    assert choice.trial is default
    assert choice.summary.endswith("for the best of 1; on 10 days only, and 30 are needed")


def test_trial_that_is_the_default_again_changes_nothing() -> None:
    assert chosen(trial(1)).trial is DEFAULT


def test_simplest_of_those_that_are_as_good_is_chosen() -> None:
    others = [
        trial(1, noise(1) - 0.050),
        trial(1, noise(2) - 0.048, "forest"),
        trial(2, noise(3) - 0.048, "forest", seconds=0.5),
        trial(1, noise(4) + 0.05, "linear"),
    ]
    assert chosen(*others).trial.model_type == "boosting"
    simplest = chosen(*others, prefer="simplest")
    assert simplest.trial.name == "forest 2"  # as simple as the other, and quicker
    assert simplest.is_simpler
    assert simplest.summary.startswith("forest 2 is chosen: simpler, and as good within one standard error")


def test_simplest_that_is_as_good_as_the_default_is_chosen_though_it_is_not_better() -> None:
    as_good = trial(1, noise(1, 0.02) - noise(1, 0.02).mean() + 0.001, "linear")
    assert chosen(as_good).trial is DEFAULT
    assert chosen(as_good, prefer="simplest").trial is as_good


def test_nothing_that_is_more_complex_is_chosen_for_being_as_good() -> None:
    simple = trial(0, model_type="linear")
    choice = choose(FLIGHTS, [simple, trial(1, noise(1))], simple, Tuning(prefer="simplest"), seed=1)
    assert choice.trial is simple
    assert choice.summary == "the default stands: none of 1 other trials is preferred to it"


def test_default_stands_where_no_other_is_complete() -> None:
    pruned = Trial("boosting", 1, Model().model_dump(), "pruned", 0.1)
    choice = chosen(pruned)
    assert choice.trial is DEFAULT
    assert choice.summary == "the default stands: no other trial is complete"


def test_trials_on_other_rows_are_not_compared() -> None:
    other = Trial("boosting", 1, Model().model_dump(), "complete", 0.1, 1, 1, [1.0] * DAYS, [ROWS + 1] * DAYS)
    with pytest.raises(PipelineError, match="trials were measured on other days than boosting 0"):
        chosen(other)
