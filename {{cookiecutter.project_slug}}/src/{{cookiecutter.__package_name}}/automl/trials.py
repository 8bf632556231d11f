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
from scipy.stats import wilcoxon
from sklearn.pipeline import Pipeline

from .. import families, schema, split, task, training
from ..config import Model, Search, Training
from ..errors import ContractError, PipelineError
from ..families import LEAF_ROWS, Family
from ..intervals import number_blocks
from ..split import Fold

N_RANDOM_TRIALS = 5
PRUNING_P = 0.1
FRACTIONS = [1.0, 0.75, 0.5]
MIN_SELECTED_FROM = 4  # features, of which fewer need no selection
N_SEEDS = 2**32


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
    contents : the oldest first; of two with one name, which tasks side by side may have made, that one counts, unless
        it failed
    """
    found: dict[str, Trial] = {}
    for trial in (Trial(**content) for content in contents):
        if family in {"", trial.family} and (trial.name not in found or found[trial.name].state == "failed"):
            found[trial.name] = trial
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
    Of a family that cannot take these rows it is one that failed.

    Raises
    ------
    PipelineError
        If [model] itself cannot be tried.
    """
    # What a default failed by may be gone, such as weights that were not there.
    trials = sorted(
        (trial for trial in finished if trial.number or trial.state != "failed"), key=lambda each: each.number
    )
    if not trials:
        first = _try_default(rows, default, settings, is_compared_with, search.seconds)
        if first is None:
            return []
        trials.append(first)
        keep(first)
    while len(trials) < search.trials and trials[0].state != "failed":
        left = search.seconds - sum(trial.seconds for trial in trials)
        # As long as half of those before it have taken.
        if left < median(trial.seconds for trial in trials):
            break
        trial = _try_next(rows, default, settings, trials, left)
        if trial is None:
            break
        trials.append(trial)
        keep(trial)
    return trials


def open_study(trials: list[Trial]) -> optuna.Study:
    """The trials of one family as optuna has them; what failed is not among them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for trial in trials:
        if trial.state != "failed":
            study.add_trial(
                optuna.trial.create_trial(
                    value=trial.loss,
                    params=trial.tried,
                    distributions={name: json_to_distribution(text) for name, text in trial.choices.items()},
                )
            )
    return study


def _try_default(
    rows: Rows, default: Model, settings: Training, is_compared_with: bool, seconds: float
) -> Trial | None:
    """Trial 0; a failed one of a family that is only tried, as the others can go on without it."""
    left = math.inf if is_compared_with else seconds
    started = time.process_time()
    try:
        return _measure(rows, default, settings, 0, lambda losses, counts: False, left)
    except OSError:  # a full disk, or a connection: the task is tried again
        raise
    except Exception as error:  # of an estimator that cannot take these rows
        if is_compared_with:
            raise
        return _failed(default, 0, time.process_time() - started, error)


def _try_next(rows: Rows, default: Model, settings: Training, trials: list[Trial], left: float) -> Trial | None:
    """The next of the family's points, and then what optuna proposes; None if so many seconds are too few for it."""
    number = trials[-1].number + 1
    features = schema.select_features(settings.features)
    has_categories = any(schema.is_category(name) for name in features)
    # Study and sampler are made anew for each trial: a search that goes on proposes what it would have proposed.
    study = open_study(trials)
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=N_RANDOM_TRIALS, seed=(settings.seed + number) % N_SEEDS
    )
    points = _points(default, has_categories)
    if number <= len(points):
        study.enqueue_trial(points[number - 1])
    asked = study.ask()
    model = _propose(asked, default, len(features), has_categories)
    best = min((each for each in trials if each.state == "complete"), key=lambda each: each.loss)

    def falls_behind(losses: np.ndarray, counts: np.ndarray) -> bool:
        return _is_worse(losses, counts, best)

    started = time.process_time()
    try:
        trial = _measure(rows, model, settings, number, falls_behind, left)
    except OSError:
        raise
    except Exception as error:  # of an estimator that cannot take what was proposed
        return _failed(model, number, time.process_time() - started, error)
    if trial is None:
        return None
    if trial.state == "pruned":
        # Never better than the best, which it fell behind; else the next would be compared with what is half measured.
        trial = replace(trial, loss=max(_estimate(trial, trials[0]), best.loss))
    return replace(
        trial,
        tried=asked.params,
        choices={name: distribution_to_json(each) for name, each in asked.distributions.items()},
    )


def _failed(model: Model, number: int, seconds: float, error: Exception) -> Trial:
    told = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
    return Trial(model.family, number, model.model_dump(), "failed", seconds=seconds, error=told)


def _is_worse(losses: np.ndarray, counts: np.ndarray, best: Trial) -> bool:
    """Whether a trial is behind the best by more than chance, on the blocks of a fold.

    References
    ----------
    Wilcoxon, Individual Comparisons by Ranking Methods, Biometrics Bulletin 1 (1945).
    """
    found = counts > 0
    behind = losses[found] / counts[found] - np.array(best.block_losses)[found] / counts[found]
    if len(behind) < 2 or behind.mean() <= 0:
        return False
    return bool(wilcoxon(behind, alternative="greater", zero_method="zsplit").pvalue < PRUNING_P)


def _points(default: Model, has_categories: bool) -> list[dict[str, Any]]:
    """What is tried after the default; without a category an encoding would be none."""
    family = families.find(default.family)
    first = {key: allowed[0] for key, allowed in _choices(family, has_categories).items()}
    low, high = LEAF_ROWS
    own = {"selected_fraction": FRACTIONS[0], "min_samples_leaf": min(max(default.min_samples_leaf, low), high)}
    return [{**first, **own, **each} for each in family.points if has_categories or "encoding" not in each]


def _propose(asked: optuna.Trial, default: Model, n_features: int, has_categories: bool) -> Model:
    """A model of the family: its parameters, and what comes before it where there is a choice."""
    family = families.find(default.family)
    prepared: dict[str, str | float] = {
        key: asked.suggest_categorical(key, allowed)
        for key, allowed in _choices(family, has_categories).items()
        if len(allowed) > 1
    }
    if n_features >= MIN_SELECTED_FROM:
        prepared["selected_fraction"] = asked.suggest_categorical("selected_fraction", FRACTIONS)
    suggested = family.suggest(asked)
    keys = {name: value for name, value in suggested.items() if name in Model.SHARED}
    others = {name: value for name, value in {**default.parameters, **suggested}.items() if name not in keys}
    return Model.model_validate({**default.model_dump(), **prepared, **keys, "parameters": others})


def _choices(family: Family, has_categories: bool) -> dict[str, tuple[str, ...]]:
    encodings = {"encoding": family.encodings} if has_categories else {}
    return {**encodings, "imputation": family.imputations, "scaling": family.scalings}


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
    for number_of_fold, (fold, following) in enumerate(zip_longest(rows.folds, rows.folds[1:]), 1):
        before = time.process_time()
        pipeline = _fit(rows, fold, settings, model, number_of_fold)
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


def _fit(rows: Rows, fold: Fold, settings: Training, model: Model, number: int) -> Pipeline:
    try:
        with warnings.catch_warnings():
            # Of one that is odd for these rows, for each tree of it; its loss tells enough.
            warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
            return training.fit(rows.frame.iloc[fold.learned], settings, model)
    except ContractError as error:
        raise ContractError(
            f"fold {number} of [search] folds = {len(rows.folds)}: {error}; fewer folds learn from more rows, and "
            "[search] trials = 0 searches nothing"
        ) from None


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
