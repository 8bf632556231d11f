"""Which of all trials is taken: the default, unless another is better than it by more than chance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import families, task
from ..config import Model, Search
from ..errors import PipelineError
from ..intervals import BLOCKS, BlockBootstrap, Estimate
from .trials import Trial

RESAMPLES = 2000
TINY = 1e-12  # of the standard error of a trial that predicts what the default does
MIN_BLOCKS = 30
"""Of fewer, draws tell less than they seem to: of 20 trials of noise, one was better on 15 blocks in 21 % of cases."""


@dataclass(frozen=True)
class Choice:
    """The model to take.

    Attributes
    ----------
    trial : the one that is taken
    candidate : the one that had a claim to it
    over_default : loss of the candidate minus the default's, on the same rows
    p_value : how often the best of so many trials would be better by as much, if none of them were
    n_compared, n_blocks : trials beside the default, and blocks of rows that all were measured on
    is_simpler : it is as good as the best, within one standard error, and simpler than the default
    is_default : the candidate is the default itself
    """

    trial: Trial
    candidate: Trial
    over_default: Estimate
    p_value: float
    n_compared: int
    n_blocks: int = 0
    is_simpler: bool = False
    is_default: bool = False

    @property
    def model(self) -> Model:
        return Model(**self.trial.model)

    @property
    def in_short(self) -> str:
        """What was taken, and why, in a sentence."""
        if self.n_compared == 0:
            return "the default stands: no other trial came to its end"
        if self.is_default:
            return f"the default stands: none of {self.n_compared} other trials is preferred to it"
        if self.is_simpler:
            return f"{self.trial.name} is taken: simpler, and as good within one standard error ({self.over_default})"
        figures = (
            f"{task.LOSS_NAME} minus the default's {self.over_default}, p = {self.p_value:.3f} "
            f"for the best of {self.n_compared}"
        )
        if self.trial is self.candidate:
            return f"{self.trial.name} is taken: {figures}"
        few = f"; on {self.n_blocks} {BLOCKS} only, and {MIN_BLOCKS} are wanted" if self.n_blocks < MIN_BLOCKS else ""
        return f"the default stands: {self.candidate.name}: {figures}{few}"


def choose(trials: list[Trial], default: Trial, search: Search, seed: int) -> Choice:
    """The best trial, if it is better than the default by more than chance.

    With `prefer = "simplest"`, the simplest of those that are within one standard error of the best; one that is
    simpler than the default need not be better than it.

    Parameters
    ----------
    trials : of all families, on the same rows
    default : that of [model]

    References
    ----------
    White, A Reality Check for Data Snooping, Econometrica 68 (2000), and Hansen, A Test for Superior Predictive
    Ability, Journal of Business and Economic Statistics 23 (2005), for the standard errors: the best of many is
    compared with the best of as many that differ by chance only.
    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., section 7.10 (one standard error).
    """
    others = [trial for trial in trials if trial.state == "complete" and trial.name != default.name]
    if not others:
        return Choice(default, default, Estimate(0.0, 0.0, 0.0), 1.0, 0)
    if any(trial.block_rows != default.block_rows for trial in others):
        raise PipelineError(f"trials were measured on other {BLOCKS} than {default.name}; start a new run")
    rows = np.array(default.block_rows, "float64")
    n_blocks = int(np.count_nonzero(rows))
    draws = BlockBootstrap(np.arange(n_blocks), RESAMPLES, search.confidence, seed)

    def over(trial: Trial, other: Trial) -> np.ndarray:
        """The difference in loss, as measured and in each draw; shape (1 + resamples,)."""
        difference = np.array(trial.block_losses) - np.array(other.block_losses)
        return draws.ratios(difference[rows > 0], rows[rows > 0])

    over_default = np.array([over(trial, default) for trial in others])
    candidate = others[int(over_default[:, 0].argmin())]
    if search.prefer == "simplest":
        candidate = _find_simplest([default, *others], over)
    found = over(candidate, default)
    # In standard errors, or else the most variable of all would be what the best is compared with.
    error = np.maximum(over_default[:, 1:].std(axis=1, keepdims=True), TINY)
    by_chance = ((over_default[:, 1:] - over_default[:, :1]) / error).min(axis=0)
    p_value = float((by_chance <= found[0] / max(found[1:].std(), TINY)).mean())
    is_simpler = _complexity(candidate) < _complexity(default) and search.prefer == "simplest"
    is_better = found[0] < 0 and p_value < 1 - search.confidence and n_blocks >= MIN_BLOCKS
    taken = candidate if is_simpler or is_better else default
    return Choice(
        taken, candidate, draws.estimate(found), p_value, len(others), n_blocks, is_simpler, candidate is default
    )


def _find_simplest(trials: list[Trial], over: Callable[[Trial, Trial], np.ndarray]) -> Trial:
    """The simplest of those within one standard error of the best; of several the quickest to fit."""
    best = min(trials, key=lambda trial: trial.loss)
    differences = [(trial, over(trial, best)) for trial in trials]
    as_good = [trial for trial, each in differences if trial is best or each[0] <= each[1:].std()]
    return min(as_good, key=lambda trial: (_complexity(trial), trial.fit_seconds))


def _complexity(trial: Trial) -> int:
    return families.find(trial.family).complexity
