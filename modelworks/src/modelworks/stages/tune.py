"""Tune: try other models than [model] on folds of the training rows; `train` fits the one that is chosen."""

from dataclasses import asdict

import pandas as pd

from modelworks.data import partitions
from modelworks.errors import PipelineError, ReleaseError
from modelworks.models import pipeline
from modelworks.models.parameters import logged_parameters
from modelworks.models.tuning import folds, plots, report
from modelworks.models.tuning.choice import Choice, choose
from modelworks.models.tuning.trial import Trial, collect
from modelworks.models.tuning.tune import tune_model_type
from modelworks.project import Project
from modelworks.registry.tracker import Tracker
from modelworks.settings import Model, Settings, Tuning
from modelworks.stages.common import log, run_tags, stage
from modelworks.stages.facts import Leaderboard, Tuned
from modelworks.stages.rows import check_same_run, read_training_rows
from modelworks.wording import count

LEADERBOARD_FILE = "leaderboard.md"


@stage
def tune(
    project: Project,
    settings: Settings,
    dataset_uri: str,
    run_name: str,
    model_type: str,
    n_trials: int | None = None,
) -> Tuned:
    """Try models of one model type; trials that are finished, before a kill or by a parallel task, are found.

    Parameters
    ----------
    n_trials : overrides [tuning] trials

    Raises
    ------
    ReleaseError
        If the run began with other settings or other data.
    """
    tuning = settings.tuning if n_trials is None else settings.tuning.model_copy(update={"trials": n_trials})
    tracker = Tracker(project, settings)
    dataset = partitions.load_dataset(dataset_uri)
    run_id = tracker.runs.open(run_name, dataset.periods[-1], run_tags(settings, None, ""))
    with tracker.runs.working_on(run_id), pipeline.limit_threads(settings.training):
        check_same_run(tracker.runs.tags(run_id), settings, dataset)
        frame = read_training_rows(project, settings, dataset).frame
        rows = folds.arrange(project, frame, tuning, settings.training, settings.source.period)
        tracker.runs.end_killed_trials(run_id, model_type)
        finished = collect(tracker.runs.trials(run_id), model_type)
        losses = [each.loss for each in finished if each.state == "complete"]

        def keep(trial: Trial) -> None:
            _log_trial(project, tracker, run_id, trial)
            losses.extend([trial.loss] if trial.state == "complete" else [])
            _log_progress(project, tuning, trial, losses)

        trials = tune_model_type(project, rows, model_type, settings.model, settings.training, tuning, finished, keep)
    summary = _summarize(project, tuning, model_type, trials, len(finished))
    return Tuned(model_type=model_type, trials=len(trials), summary=summary)


def _log_trial(project: Project, tracker: Tracker, run_id: str, trial: Trial) -> None:
    params = logged_parameters(project, Model(**trial.model))
    metrics = {project.contract.target.loss: trial.loss, "fit_seconds": trial.fit_seconds, "seconds": trial.seconds}
    tracker.runs.log_trial(run_id, trial.name, asdict(trial), params, metrics)


def _log_progress(project: Project, tuning: Tuning, trial: Trial, losses: list[float]) -> None:
    """A line for people: the trial, its place, its loss, and the best so far."""
    loss = f"{project.contract.target.loss_name} {trial.loss:.4f}" + (", pruned" if trial.state == "pruned" else "")
    best = f"; best {min(losses):.4f}" if losses else ""
    place = f"{trial.number + 1} of at most {tuning.trials}"
    progress = f"{trial.name} ({place}): {trial.error if trial.state == 'failed' else loss}{best}"
    log.info("tune: %s", progress, extra={"stage": "tune", "event": "progress", "result": progress})


def _summarize(project: Project, tuning: Tuning, model_type: str, trials: list[Trial], n_found: int) -> str:
    if not trials:
        return f"{model_type}: no trial, since [tuning] seconds = {tuning.seconds} are too few for one"
    losses = [each.loss for each in trials if each.state == "complete"]
    if not losses:
        return f"{model_type}: cannot take these rows: {trials[0].error}"
    counts = {state: sum(each.state == state for each in trials) for state in ("complete", "pruned", "failed")}
    states = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    return (
        f"{model_type}: {count(len(trials), 'trial')} ({states}), {n_found} of them found; "
        f"best {project.contract.target.loss_name} {min(losses):.4f}, the first {trials[0].loss:.4f}"
    )


def conclude(project: Project, settings: Settings, tracker: Tracker, run_id: str, frame: pd.DataFrame) -> Choice | None:
    """The choice among the run's trials, with its report logged to the run; None where nothing was tuned.

    Parameters
    ----------
    frame : training rows

    Raises
    ------
    PipelineError
        If there is no trial of [model], which the others are compared with.
    """
    trials = collect(tracker.runs.trials(run_id))
    if not trials:
        return None
    default = next((each for each in trials if each.model_type == settings.model.type and each.number == 0), None)
    if default is None:
        raise PipelineError(f"run {run_id}: tuning has no trial of [model] type = {settings.model.type!r}")
    rows = folds.arrange(project, frame, settings.tuning, settings.training, settings.source.period)
    seed = settings.training.seed
    choice = choose(project, trials, default, settings.tuning, seed)
    baseline_loss = folds.measure_baseline(project, rows)
    text = report.leaderboard(project, trials, default, baseline_loss, choice)
    tracker.runs.log_text(run_id, text, LEADERBOARD_FILE)
    for file, figure in plots.plot_tuning(project, trials, default, baseline_loss, seed).items():
        tracker.runs.log_figure(run_id, figure, file)
    tracker.runs.set_tags(run_id, {"tuning": choice.summary})
    return choice


@stage
def leaderboard(project: Project, settings: Settings, dataset_uri: str, run_name: str) -> Leaderboard:
    """Compare the run's trials and train nothing: which model `train` would fit.

    Raises
    ------
    ReleaseError
        If the run has no trials.
    """
    tracker = Tracker(project, settings)
    dataset = partitions.load_dataset(dataset_uri)
    run_id = tracker.runs.open(run_name, dataset.periods[-1], run_tags(settings, None, ""))
    with tracker.runs.working_on(run_id):
        frame = read_training_rows(project, settings, dataset).frame
        choice = conclude(project, settings, tracker, run_id, frame)
        if choice is None:
            raise ReleaseError(f"run {run_id}: nothing has been tuned; run `tune` first")
    tracker.runs.end(run_id, "FINISHED")
    text = tracker.runs.load_text(run_id, LEADERBOARD_FILE)
    return Leaderboard(run_id=run_id, leaderboard=text, chosen=choice.trial.name, summary=choice.summary)


def find_trials(project: Project, settings: Settings, run_id: str) -> list[Trial]:
    """The finished trials of a run, by model type and number."""
    return collect(Tracker(project, settings).runs.trials(run_id))
