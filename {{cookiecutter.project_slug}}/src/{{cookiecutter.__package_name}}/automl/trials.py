"""The trials of a search: what is tried next, and how good it is on folds of the rows of training.

The same rows, settings and seed give the same trials, also when a search goes on after it was killed.
"""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from statistics import median
from typing import Any, Literal

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import distribution_to_json, json_to_distribution
from sklearn.pipeline import Pipeline

from .. import families, schema, split, task, training
from ..config import Model, Search, Training
from ..errors import PipelineError
from ..families import Family
from ..intervals import number_blocks
from ..split import Fold

N_RANDOM_TRIALS = 5
PRUNING_P = 0.1
FRACTIONS = [1.0, 0.75, 0.5]
MIN_SELECTED_FROM = 4  # features, of which fewer need no selection


@dataclass(frozen=True)
class Trial:
    """One model on the folds.

    Attributes
    ----------
    number : in its family; 0 is the family's default, or [model] where that is of the family
    model : the section [model] that it is made by
    state : "pruned" if it was given up after some of the folds, as it fell behind
    loss : mean over the measured rows; of a pruned trial what the rest was worth to the default is assumed, but
        nothing better than the best that it fell behind; NaN of one that failed
    fit_seconds, seconds : of all fits, and of the whole trial, on a processor: of this process and all its threads
    block_losses, block_rows : sums of losses and numbers of measured rows, by the blocks of `intervals`
    tried, choices : values by the name that optuna knows them by, and what they were chosen from
    error : why it failed
    """

    family: str
    number: int
    model: dict[str, Any]
    state: Literal["complete", "pruned", "failed"]
    loss: float = math.nan
    fit_seconds: float = 0.0
    seconds: float = 0.0
    block_losses: list[float] = field(default_factory=list)
    block_rows: list[int] = field(default_factory=list)
    tried: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def name(self) -> str:
        return f"{self.family} {self.number}"


def collect(contents: list[dict[str, Any]], family: str = "") -> list[Trial]:
    """Trials as they were kept, of one family or of all, by family and number.

    Parameters
    ----------
    contents : the oldest first; of two with one name, which tasks side by side may have made, that one counts
    """
    found: dict[str, Trial] = {}
    for trial in (Trial(**content) for content in contents):
        if family in {"", trial.family}:
            found.setdefault(trial.name, trial)
    return sorted(found.values(), key=lambda trial: (trial.family, trial.number))


@dataclass(frozen=True)
class Rows:
    """The rows of training as a search uses them.

    Attributes
    ----------
    blocks : number of each row's block, shape (n_rows,)
    scale : what losses are divided by, see `task.Baseline`
    """

    frame: pd.DataFrame
    folds: list[Fold]
    blocks: np.ndarray
    scale: float


def arrange(frame: pd.DataFrame, search: Search) -> Rows:
    """Rows with their folds and blocks.

    Raises
    ------
    ContractError
        If they are too few for the folds.
    """
    scale = task.fit_baseline(task.code(frame[schema.TARGET])).scale
    return Rows(frame, split.make_folds(frame, search.folds), number_blocks(frame)[0], scale)


def default_model(family: str, model: Model) -> Model:
    """What trial 0 of a family is: [model], without what only its own family can take."""
    return (
        model if family == model.family else Model(family=family, **{key: getattr(model, key) for key in Model.SHARED})
    )


def search_family(
    rows: Rows,
    default: Model,
    settings: Training,
    search: Search,
    finished: list[Trial],
    keep: Callable[[Trial], None],
    is_compared_with: bool = True,
) -> list[Trial]:
    """All trials of a family, those that are finished already and those that are made now.

    Parameters
    ----------
    default : trial 0
    keep : is given each trial as soon as it is finished
    is_compared_with : trial 0 is [model] itself, which is measured whatever it takes

    Returns
    -------
    Those that are finished in time: one that will not be is left, and none begins. Of a slow family that may be none.

    Raises
    ------
    PipelineError
        If the default itself cannot be tried.
    """
    trials = sorted(finished, key=lambda trial: trial.number)
    if not trials:
        left = math.inf if is_compared_with else search.seconds
        first = _measure(rows, default, settings, 0, lambda losses, counts: False, left)
        if first is None:
            return []
        trials.append(first)
        keep(first)
    study = open_study(trials)
    while len(trials) < search.trials:
        left = search.seconds - sum(trial.seconds for trial in trials)
        # As long as half of those before it have taken.
        if left < median(trial.seconds for trial in trials):
            break
        trial = _try_next(study, rows, default, settings, trials, left)
        if trial is None:
            break
        trials.append(trial)
        keep(trial)
    return trials


def open_study(trials: list[Trial]) -> optuna.Study:
    """The trials of one family as optuna has them; what failed is not among them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=PRUNING_P)
    study = optuna.create_study(pruner=pruner)
    for trial in trials:
        if trial.state != "failed":
            study.add_trial(
                optuna.trial.create_trial(
                    value=trial.loss,
                    params=trial.tried,
                    distributions={name: json_to_distribution(text) for name, text in trial.choices.items()},
                    intermediate_values=_mean_by_block(np.array(trial.block_losses), np.array(trial.block_rows)),
                )
            )
    return study


def _mean_by_block(losses: np.ndarray, rows: np.ndarray) -> dict[int, float]:
    """Mean losses of the blocks that have been measured: the steps that a trial is judged by on its way."""
    return {int(at): float(losses[at] / rows[at]) for at in np.flatnonzero(rows)}


def _try_next(
    study: optuna.Study, rows: Rows, default: Model, settings: Training, trials: list[Trial], left: float
) -> Trial | None:
    """The next of the family's points, and then what optuna proposes; None if so many seconds are too few for it."""
    number = trials[-1].number + 1
    family = families.find(default.family)
    if number <= len(family.points):
        study.enqueue_trial(_first_choices(family) | family.points[number - 1])
    # A sampler of its own for each trial: a search that goes on proposes what it would have proposed.
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=N_RANDOM_TRIALS, seed=settings.seed + number)
    asked = study.ask()
    model = _propose(asked, default, len(schema.select_features(settings.features)))

    def falls_behind(losses: np.ndarray, counts: np.ndarray) -> bool:
        for step, value in _mean_by_block(losses, counts).items():
            asked.report(value, step)
        return asked.should_prune()

    started = time.process_time()
    try:
        trial = _measure(rows, model, settings, number, falls_behind, left)
    except Exception as error:  # of an estimator that cannot take what was proposed
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
        took, told = time.process_time() - started, f"{type(error).__name__}: {error}"
        return Trial(model.family, number, model.model_dump(), "failed", seconds=took, error=told)
    if trial is None:
        return None
    if trial.state == "pruned":
        # Never better than the best, which it fell behind; else the next would be compared with what is half measured.
        best = min(each.loss for each in trials if each.state == "complete")
        trial = replace(trial, loss=max(_estimate(trial, trials[0]), best))
    study.tell(asked, trial.loss)
    return replace(
        trial,
        tried=asked.params,
        choices={name: distribution_to_json(each) for name, each in asked.distributions.items()},
    )


def _propose(asked: optuna.Trial, default: Model, n_features: int) -> Model:
    """A model of the family: its parameters, and what comes before it where there is a choice."""
    family = families.find(default.family)
    prepared: dict[str, str | float] = {
        key: asked.suggest_categorical(key, allowed) for key, allowed in _choices(family).items() if len(allowed) > 1
    }
    if n_features >= MIN_SELECTED_FROM:
        prepared["selected_fraction"] = asked.suggest_categorical("selected_fraction", FRACTIONS)
    suggested = family.suggest(asked)
    keys = {name: value for name, value in suggested.items() if name in Model.SHARED}
    others = {name: value for name, value in {**default.parameters, **suggested}.items() if name not in keys}
    return Model.model_validate({**default.model_dump(), **prepared, **keys, "parameters": others})


def _choices(family: Family) -> dict[str, tuple[str, ...]]:
    return {"encoding": family.encodings, "imputation": family.imputations, "scaling": family.scalings}


def _first_choices(family: Family) -> dict[str, Any]:
    return {key: allowed[0] for key, allowed in _choices(family).items()} | {"selected_fraction": FRACTIONS[0]}


def _measure(
    rows: Rows,
    model: Model,
    settings: Training,
    number: int,
    falls_behind: Callable[[np.ndarray, np.ndarray], bool],
    left: float,
) -> Trial | None:
    """Fit and measure a model on each fold, unless it falls behind before the last; None if the seconds do not suffice.

    Parameters
    ----------
    left : seconds for all folds; the next is expected to take as long as the last for each row that it learns from
    falls_behind : is told the sums of losses and the numbers of rows of each block of a fold, shape (n_blocks,) each
    """
    # On the processor: a machine that is busy with something else tries as much as one that is not.
    started, fitted = time.process_time(), 0.0
    losses, counts = np.zeros(rows.blocks.max() + 1), np.zeros(rows.blocks.max() + 1, "int64")
    state: Literal["complete", "pruned"] = "complete"
    for fold, following in zip_longest(rows.folds, rows.folds[1:]):
        before = time.process_time()
        pipeline = training.fit(rows.frame.iloc[fold.learned], settings, model)
        took = time.process_time() - before
        fitted += took
        of_fold, rows_of_fold = _measure_fold(rows, fold, pipeline, len(losses))
        losses, counts = losses + of_fold, counts + rows_of_fold
        if following is None:
            break
        if falls_behind(of_fold, rows_of_fold):
            state = "pruned"
            break
        expected = took * len(following.learned) / len(fold.learned)
        if time.process_time() - started + expected > left:
            return None
    return Trial(
        model.family,
        number,
        model.model_dump(),
        state,
        float(losses.sum() / counts.sum()),
        fitted,
        time.process_time() - started,
        losses.tolist(),
        counts.tolist(),
    )


def _measure_fold(rows: Rows, fold: Fold, pipeline: Pipeline, n_blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of losses and numbers of rows of each block, shape (n_blocks,) each."""
    measured = rows.frame.iloc[fold.measured]
    found = task.row_losses(task.code(measured[schema.TARGET]), training.predict(pipeline, measured), rows.scale)
    if not np.isfinite(found).all():
        raise PipelineError("it predicts what is no number")
    blocks = rows.blocks[fold.measured]
    return np.bincount(blocks, found, n_blocks), np.bincount(blocks, minlength=n_blocks)


def _estimate(trial: Trial, default: Trial) -> float:
    """The loss of a trial on all folds, from how far it is from the default on those that it was measured on."""
    is_measured = np.array(trial.block_rows) > 0
    rows = np.array(trial.block_rows)[is_measured].sum()
    difference = (np.array(trial.block_losses) - np.array(default.block_losses))[is_measured].sum() / rows
    return float(default.loss + difference)


def measure_baseline(rows: Rows, target: np.ndarray) -> float:
    """Loss of the baseline on the folds.

    Parameters
    ----------
    target : coded, shape (n_rows,)
    """
    losses = [
        task.row_losses(
            target[fold.measured], task.fit_baseline(target[fold.learned]).predict(len(fold.measured)), rows.scale
        )
        for fold in rows.folds
    ]
    return float(np.concatenate(losses).mean())
