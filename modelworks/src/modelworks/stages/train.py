"""Train: fit the candidate on every row but the held-out ones."""

import json
from dataclasses import asdict

from sklearn.pipeline import Pipeline

from modelworks.data import partitions, splits
from modelworks.data.partitions import Dataset
from modelworks.evaluation.baseline import choose_baseline
from modelworks.models import pipeline
from modelworks.models.parameters import logged_parameters
from modelworks.project import Project
from modelworks.registry.files import RECIPE_FILE
from modelworks.registry.lineage import recipe
from modelworks.registry.tracker import Tracker
from modelworks.reporting.markdown import count_rows
from modelworks.settings import Model, Settings
from modelworks.stages.common import run_tags, span, stage
from modelworks.stages.facts import Trained
from modelworks.stages.fit import Fitted, fit
from modelworks.stages.rows import TrainingRows, check_same_run, read_training_rows
from modelworks.stages.tune import conclude
from modelworks.wording import count

CANDIDATE = "candidate"
"""Name of the model that is fitted without the held-out rows: the one that is measured."""


@stage
def train(project: Project, settings: Settings, dataset_uri: str, run_name: str) -> Trained:
    """Fit the candidate on all rows but the held-out ones, which stay unseen.

    Raises
    ------
    ReleaseError
        If the run began with other settings or other data.
    """
    tracker = Tracker(project, settings)
    dataset = partitions.load_dataset(dataset_uri)
    run_id = tracker.runs.open(run_name, dataset.periods[-1], run_tags(settings, None, ""))
    with tracker.runs.working_on(run_id), pipeline.limit_threads(settings.training):
        check_same_run(tracker.runs.tags(run_id), settings, dataset)
        rows = read_training_rows(project, settings, dataset)
        choice = conclude(project, settings, tracker, run_id, rows.frame)
        chosen = choice.model if choice else settings.model
        fitted = fit(project, settings, chosen, rows.training, rows.frame, rows.unlabelled, held_out=False)
        model = fitted.model
        _log(project, settings, tracker, run_id, chosen, model, rows)
        packages = pipeline.packages(project, chosen)
        candidate_uri = tracker.models.save(run_id, CANDIDATE, model, rows.frame.head(), packages)
        tags = describe_run(project, settings, dataset, rows) | {"candidate_uri": candidate_uri}
        tracker.runs.set_tags(run_id, tags)
    trained = _describe(settings, rows, fitted)
    tuned = f"; {choice.summary}" if choice else ""
    return Trained(run_id=run_id, summary=f"{trained}; {tags['held_out']} held out{tuned}")


def _log(
    project: Project,
    settings: Settings,
    tracker: Tracker,
    run_id: str,
    chosen: Model,
    model: Pipeline,
    rows: TrainingRows,
) -> None:
    used = {"features": ", ".join(pipeline.used_features(model)), "training_periods": span(rows.training)}
    tracker.runs.log_params(
        run_id, {**settings.training.model_dump(exclude_none=True), **logged_parameters(project, chosen), **used}
    )
    tracker.runs.log_json(run_id, recipe(project, settings, chosen), RECIPE_FILE)
    tracker.runs.log_dataset(run_id, rows.training, "training")
    tracker.runs.log_dataset(run_id, rows.holdout, "holdout")


def describe_run(project: Project, settings: Settings, dataset: Dataset, rows: TrainingRows) -> dict[str, str]:
    """Tags that `evaluate`, `deploy` and later runs look up; `held_out` and `trained_on` are for people."""
    contract, held_out = project.contract, rows.holdout.periods
    n_held_out = splits.holdout_periods(contract, settings.training)
    baseline = choose_baseline(contract, rows.frame, n_held_out, settings.source.period)
    return {
        "dataset_uri": settings.relative(dataset.uri),
        "data_digest": dataset.digest,
        "contract_version": contract.version,
        "first_period": dataset.periods[0],
        "last_period": dataset.periods[-1],
        "holdout_from": held_out[0] if contract.time else "",
        "holdout_period": held_out[-1],
        "held_out": splits.describe(contract, held_out, settings.training),
        "trained_on": span(rows.training),
        "baseline": json.dumps(asdict(baseline)),
    }


def _describe(settings: Settings, rows: TrainingRows, fitted: Fitted) -> str:
    """Features, rows and periods of the model, and why the rows are not all, or what has fitted it."""
    is_sampled = 0 < settings.training.max_rows < rows.training.rows and not fitted.trained_by
    sampled = f" (of {rows.training.rows:,}, by [training] max_rows)" if is_sampled else ""
    features = count(len(pipeline.used_features(fitted.model)), "feature")
    by = f", by {fitted.trained_by}" if fitted.trained_by else ""
    return f"{features}, {count_rows(fitted.rows, fitted.unlabelled)}{sampled} of {span(rows.training)}{by}"
