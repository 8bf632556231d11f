"""The choice among all trials: the default, unless another one is better after a multiple-comparison correction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modelworks.errors import PipelineError
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.models.tuning.trial import Trial
from modelworks.project import Project
from modelworks.settings import Model, Tuning

RESAMPLES = 2000
TINY = 1e-12  # of the standard error of a trial that predicts what the default does
MIN_BLOCKS = 30
"""Fewer blocks make draws look too sure: of 20 trials of noise, one was better on 15 blocks in 21 % of cases."""

Difference = Callable[[Trial, Trial], np.ndarray]
"""Loss of the one minus that of the other, as measured and in each draw; shape (1 + resamples,)."""


@dataclass(frozen=True)
class Choice:
    """The model to train.

    Attributes
    ----------
    trial : the chosen one
    candidate : the one that was compared with the default
    gain_over_default : loss of the default minus the candidate's, on the same rows; positive is better
    p_value : of the max-T test, adjusted for the number of compared trials
    n_compared, n_blocks : trials beside the default, and blocks of rows that all were measured on
    loss_name, block_unit : for the summary
    is_simpler : the candidate is as good as the best, within one standard error, and simpler than the default
    """

    trial: Trial
    candidate: Trial
    gain_over_default: Estimate
    p_value: float
    n_compared: int
    n_blocks: int
    loss_name: str
    block_unit: str
    is_simpler: bool = False
    is_default: bool = False

    @property
    def model(self) -> Model:
        """The section [model] of the chosen trial."""
        return Model(**self.trial.model)

    @property
    def summary(self) -> str:
        """What was chosen and why, in a sentence."""
        if self.n_compared == 0:
            return "the default stands: no other trial is complete"
        if self.is_default:
            return f"the default stands: none of {self.n_compared} other trials is preferred to it"
        gain = f"gain over the default in {self.loss_name}: {self.gain_over_default}"
        if self.is_simpler:
            return f"{self.trial.name} is chosen: simpler, and as good within one standard error ({gain})"
        figures = f"{gain}, p = {self.p_value:.3f} for the best of {self.n_compared}"
        if self.trial is self.candidate:
            return f"{self.trial.name} is chosen: {figures}"
        is_short = self.n_blocks < MIN_BLOCKS
        few = f"; on {self.n_blocks} {self.block_unit} only, and {MIN_BLOCKS} are needed" if is_short else ""
        return f"the default stands: {self.candidate.name}: {figures}{few}"


def choose(project: Project, trials: Sequence[Trial], default: Trial, tuning: Tuning, seed: int) -> Choice:
    """The best trial, if it beats the default after a multiple-comparison correction.

    With `prefer = "simplest"`, the simplest of those within one standard error of the best; one that is simpler than
    the default need not be better than it.

    Parameters
    ----------
    trials : of all model types, on the same rows
    default : that of [model]

    References
    ----------
    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., section 7.10 (one standard error).
    """
    others = [trial for trial in trials if trial.state == "complete" and trial.name != default.name]
    names = project.contract.target.loss_name, project.contract.block_unit
    if not others:
        return Choice(default, default, Estimate(0.0, 0.0, 0.0), 1.0, 0, 0, *names)
    if any(trial.block_rows != default.block_rows for trial in others):
        raise PipelineError(
            f"trials were measured on other {project.contract.block_unit} than {default.name}; start a new run"
        )
    rows = np.array(default.block_rows, "float64")
    n_blocks = int(np.count_nonzero(rows))
    draws = BlockBootstrap(np.arange(n_blocks), RESAMPLES, 1 - tuning.significance, seed)

    def minus(trial: Trial, other: Trial) -> np.ndarray:
        difference = np.array(trial.block_losses) - np.array(other.block_losses)
        return draws.ratios(difference[rows > 0], rows[rows > 0])

    over_default = np.array([minus(trial, default) for trial in others])
    candidate = others[int(over_default[:, 0].argmin())]
    if tuning.prefer == "simplest":
        candidate = _find_simplest(project, [default, *others], minus)
    found = minus(candidate, default)
    p_value = _correct_for_many(found, over_default)
    is_simpler = tuning.prefer == "simplest" and _complexity(project, candidate) < _complexity(project, default)
    is_better = found[0] < 0 and p_value < tuning.significance and n_blocks >= MIN_BLOCKS
    chosen = candidate if is_simpler or is_better else default
    figures = draws.estimate(-found), p_value, len(others), n_blocks
    return Choice(chosen, candidate, *figures, *names, is_simpler, candidate is default)


def _correct_for_many(found: np.ndarray, over_default: np.ndarray) -> float:
    """Multiple-comparison correction: the p-value of a candidate that is the best of many trials.

    Parameters
    ----------
    found : loss of the candidate minus the default's, as measured and in each draw; shape (1 + resamples,)
    over_default : the same of all trials, shape (n_trials, 1 + resamples)

    References
    ----------
    White, A Reality Check for Data Snooping, Econometrica 68 (2000), and Hansen, A Test for Superior Predictive
    Ability, Journal of Business and Economic Statistics 23 (2005), for the standard errors: the best of many is
    compared with the best of as many that differ by chance only.
    """
    # In standard errors; otherwise the best would be compared with the most variable of all.
    error = np.maximum(over_default[:, 1:].std(axis=1, keepdims=True), TINY)
    by_chance = ((over_default[:, 1:] - over_default[:, :1]) / error).min(axis=0)
    return float((by_chance <= found[0] / max(found[1:].std(), TINY)).mean())


def _find_simplest(project: Project, trials: Sequence[Trial], minus: Difference) -> Trial:
    """The simplest of those within one standard error of the best; of several the quickest to fit."""
    best = min(trials, key=lambda trial: trial.loss)
    differences = [(trial, minus(trial, best)) for trial in trials]
    as_good = [trial for trial, each in differences if trial is best or each[0] <= each[1:].std()]
    return min(as_good, key=lambda trial: (_complexity(project, trial), trial.fit_seconds))


def _complexity(project: Project, trial: Trial) -> int:
    return project.find_model_type(trial.model_type).complexity
