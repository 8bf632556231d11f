"""Search: other models than [model] are tried on folds of the rows of training, and `train` takes what is better."""

from dataclasses import asdict

import pandas as pd

from .. import schema, storage, task, training
from ..automl import report, trials
from ..automl.choice import Choice, choose
from ..automl.trials import Trial
from ..config import Settings, load_settings
from ..errors import PipelineError, ReleaseError
from ..tracking import Tracker
from .common import Facts, log, run_tags, stage
from .rows import check_same_run, read_training_rows

LEADERBOARD_FILE = "leaderboard.md"


@stage
def search(dataset_uri: str, pipeline_run: str, family: str, n_trials: int | None = None) -> Facts:
    """Try models of one family; what is tried already, before a kill or by a task beside this, is found.

    Parameters
    ----------
    n_trials : in place of [search] trials
    """
    settings = load_settings()
    budget = settings.search if n_trials is None else settings.search.model_copy(update={"trials": n_trials})
    tracker = Tracker(settings)
    dataset = storage.load_dataset(dataset_uri)
    run_id = tracker.open_run(pipeline_run, dataset.months[-1], run_tags(settings, None, ""))
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        check_same_run(tracker.tags(run_id), settings, dataset)
        frame, _, _, _ = read_training_rows(settings, dataset)
        rows = trials.arrange(frame, settings.search)
        default = trials.default_model(family, settings.model)
        tracker.end_killed_trials(run_id, family)
        finished = trials.collect(tracker.trials(run_id), family)
        best = [each.loss for each in finished if each.state == "complete"]

        def keep(trial: Trial) -> None:
            tracker.log_trial(run_id, trial.name, asdict(trial), _params(trial), _metrics(trial))
            if trial.state == "complete":
                best.append(trial.loss)
            place = f"{trial.number + 1} of at most {budget.trials}"
            told = f"{trial.name} ({place}): {_describe(trial)}" + (f"; best {min(best):.4f}" if best else "")
            log.info("search: %s", told, extra={"stage": "search", "event": "progress", "result": told})

        is_compared_with = family == settings.model.family
        done = trials.search_family(rows, default, settings.training, budget, finished, keep, is_compared_with)
    if not done:
        return {
            "family": family,
            "trials": 0,
            "result": f"{family}: no trial, as [search] seconds = {budget.seconds} are too few for one",
        }
    if not best:
        return {"family": family, "trials": len(done), "result": f"{family}: cannot take these rows: {done[0].error}"}
    counts = {state: sum(each.state == state for each in done) for state in ("complete", "pruned", "failed")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return {
        "family": family,
        "trials": len(done),
        "result": f"{family}: {len(done)} trials ({told}), {len(finished)} of them found; "
        f"best {task.LOSS_NAME} {min(best):.4f}, the first {done[0].loss:.4f}",
    }


def _describe(trial: Trial) -> str:
    if trial.state == "failed":
        return trial.error
    return f"{task.LOSS_NAME} {trial.loss:.4f}" + (", given up" if trial.state == "pruned" else "")


def _params(trial: Trial) -> dict[str, object]:
    return {**trial.model, **trial.model["parameters"]}


def _metrics(trial: Trial) -> dict[str, float]:
    return {task.LOSS: trial.loss, "fit_seconds": trial.fit_seconds, "seconds": trial.seconds}


def conclude(settings: Settings, tracker: Tracker, run_id: str, frame: pd.DataFrame) -> Choice | None:
    """What the run's search has found, and its report in the run; None where nothing was searched.

    Parameters
    ----------
    frame : rows of training
    """
    done = trials.collect(tracker.trials(run_id))
    if not done:
        return None
    default = next((each for each in done if each.family == settings.model.family and each.number == 0), None)
    if default is None:
        raise PipelineError(f"run {run_id}: the search has no trial of [model] family = {settings.model.family!r}")
    rows = trials.arrange(frame, settings.search)
    target = task.code(frame[schema.TARGET])
    choice = choose(done, default, settings.search, settings.training.seed)
    baseline_loss = trials.measure_baseline(rows, target)
    text = report.leaderboard(done, default, baseline_loss, choice)
    tracker.log_text(run_id, text, LEADERBOARD_FILE)
    for file, figure in report.draw_search(done, default, baseline_loss, settings.training.seed).items():
        tracker.log_figure(run_id, figure, file)
    tracker.set_tags(run_id, {"search": choice.in_short})
    return choice


@stage
def leaderboard(dataset_uri: str, pipeline_run: str) -> Facts:
    """Compare what was tried, and train nothing: which model `train` would take.

    Raises
    ------
    ReleaseError
        If the run has searched nothing.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    dataset = storage.load_dataset(dataset_uri)
    run_id = tracker.open_run(pipeline_run, dataset.months[-1], run_tags(settings, None, ""))
    with tracker.working_on(run_id):
        frame, _, _, _ = read_training_rows(settings, dataset)
        choice = conclude(settings, tracker, run_id, frame)
        if choice is None:
            raise ReleaseError(f"run {run_id}: nothing has been searched; run `search` first")
    tracker.end_run(run_id, "FINISHED")
    return {
        "run_id": run_id,
        "leaderboard": tracker.load_text(run_id, LEADERBOARD_FILE),
        "result": choice.in_short,
    }
