"""The trials of one model type: the default first, then proposals, until their number or the time is used up.

The same rows, settings and seed give the same trials, also when tuning is continued after it was killed.
"""

import math
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np

from modelworks.errors import PipelineError
from modelworks.models import derived
from modelworks.models.spark_training import restrict_to_spark
from modelworks.models.tuning import pruning
from modelworks.models.tuning.folds import FoldedRows, measure
from modelworks.models.tuning.proposals import SearchSpace, propose
from modelworks.models.tuning.trial import Trial, default_model, find_best
from modelworks.project import Project
from modelworks.settings import Model, Training, Tuning


def tune_model_type(
    project: Project,
    rows: FoldedRows,
    model_type: str,
    model: Model,
    training: Training,
    tuning: Tuning,
    finished: Sequence[Trial],
    keep: Callable[[Trial], None],
) -> list[Trial]:
    """All trials of a model type: the finished ones, and those that are made now.

    Parameters
    ----------
    model : the section [model], which all model types are compared with
    finished : of earlier calls
    keep : is given each trial as soon as it is finished

    Returns
    -------
    The trials that are finished in time; of a slow model type that may be none. A model type that cannot take these
    rows has one failed trial.

    Raises
    ------
    PipelineError
        If [model] itself cannot be measured.
    """
    default = default_model(project, model_type, model)
    # The cause of a failed default may be gone, such as missing weights.
    trials = sorted((each for each in finished if each.number or each.state != "failed"), key=lambda each: each.number)
    if not trials:
        is_reference = model_type == model.type
        first_trial = _measure_reference if is_reference else _measure_default
        first = first_trial(project, rows, default, training, tuning)
        if first.state == "abandoned":
            return []
        trials.append(first)
        keep(first)
    if len(trials) >= tuning.trials or trials[0].state == "failed":
        return trials
    space = _find_search_space(project, rows, default, training)
    while len(trials) < tuning.trials:
        left = tuning.seconds - sum(each.seconds for each in trials)
        # Half of the trials have taken longer than the median.
        if left < median(each.seconds for each in trials):
            break
        trial = _measure_next(project, rows, space, training, trials, left)
        if trial.state == "abandoned":
            break
        trials.append(trial)
        keep(trial)
    return trials


def _measure_reference(project: Project, rows: FoldedRows, model: Model, training: Training, tuning: Tuning) -> Trial:
    """The trial of [model] itself: without it there is nothing to compare, so it may take any time, and not fail."""
    return measure(project, rows, model, training, 0, math.inf)


def _measure_default(project: Project, rows: FoldedRows, model: Model, training: Training, tuning: Tuning) -> Trial:
    """The default of another model type; the others are tuned without it if it fails or is too slow."""
    return _or_failed(model, 0, lambda: measure(project, rows, model, training, 0, tuning.seconds))


def _measure_next(
    project: Project, rows: FoldedRows, space: SearchSpace, training: Training, trials: list[Trial], seconds: float
) -> Trial:
    """The next proposal, measured; abandoned if the seconds are too few."""
    proposal, best, number = propose(space, trials, training.seed), find_best(trials), trials[-1].number + 1

    def is_behind(losses: np.ndarray, counts: np.ndarray) -> bool:
        return pruning.is_behind(losses, counts, best)

    trial = _or_failed(
        proposal.model,
        number,
        lambda: measure(project, rows, proposal.model, training, number, seconds, is_behind),
    )
    if trial.state == "failed":
        return trial
    if trial.state == "pruned":
        trial = pruning.with_estimated_loss(trial, trials[0], best)
    return proposal.keep_with(trial)


def _find_search_space(project: Project, rows: FoldedRows, default: Model, training: Training) -> SearchSpace:
    found = derived.derive(project, rows.frame, training)
    model_type = project.find_model_type(default.type)
    if training.spark_workers:  # what is chosen has to be trained there
        model_type = restrict_to_spark(model_type)
    return SearchSpace(model_type, default, len(found.features), found.has_categories(project.contract))


def _or_failed(model: Model, number: int, make: Callable[[], Trial]) -> Trial:
    """A trial, or a failed one of an estimator that cannot take these rows or parameters."""
    started = time.process_time()
    try:
        return make()
    except OSError:  # a full disk, or a dropped connection: the task is retried
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        seconds = time.process_time() - started
        return Trial(model.type, number, model.model_dump(), "failed", seconds=seconds, error=reason)
