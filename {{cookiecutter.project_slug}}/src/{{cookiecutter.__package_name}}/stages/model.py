"""Train and evaluate: from clean months to a verdict."""

from contextlib import suppress
from dataclasses import asdict

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from sklearn.pipeline import Pipeline

from .. import deployment, evaluation, figures, performance, releases, reports, schema, storage, training
from ..checks import explain, failures
from ..config import Settings, load_settings
from ..errors import ContractError, QualityGateError, ReleaseError
from ..lineage import recipe
from ..storage import Dataset, Partition
from ..tracking import (
    DATA_WARNINGS_FILE,
    EVALUATION_FILE,
    PERFORMANCE_FILE,
    RECIPE_FILE,
    VERDICT_FILE,
    WARNINGS_FILE,
    Tracker,
)
from .common import NOT_NEEDED, PENDING, Facts, run_tags, span, stage, stage_tag

CANDIDATE = "candidate"  # fitted without the held-out month: the one that is measured


@stage
def train(dataset_uri: str, pipeline_run: str) -> Facts:
    """Fit the candidate on all months but the newest, which stays unseen; returns the MLflow run."""
    settings = load_settings()
    tracker = Tracker(settings)
    dataset = storage.load_dataset(dataset_uri)
    run_id = tracker.open_run(pipeline_run, dataset.months[-1], run_tags(settings, None, ""))
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        _check_same_run(tracker.tags(run_id), settings, dataset)
        training_span, holdout = _split_dataset(settings, dataset)
        _check_labelled(settings, holdout.partitions[0])
        frame = schema.labelled(storage.read_dataset(training_span))
        model = training.fit(frame, settings.training, settings.model)
        candidate_uri = tracker.save_model(run_id, CANDIDATE, model, frame.head())
        used = {"features": ", ".join(model.feature_names_in_), "training_months": span(training_span)}
        tracker.log_params(run_id, {**settings.training.model_dump(), **settings.model.model_dump(), **used})
        tracker.log_json(run_id, recipe(settings), RECIPE_FILE)
        tracker.log_dataset(run_id, training_span, "training")
        tracker.log_dataset(run_id, holdout, "holdout")
        facts = {
            "dataset_uri": dataset.uri,
            "data_digest": dataset.digest,
            "months": f"{dataset.months[0]} to {dataset.months[-1]}",
            "contract_version": schema.version(),
            "holdout_month": holdout.months[0],
            "candidate_uri": candidate_uri,
            "base_rate": repr(float(frame[schema.TARGET].mean())),
        }
        tracker.set_tags(run_id, facts)
    return {
        "run_id": run_id,
        "result": f"{len(model.feature_names_in_)} features, "
        f"{reports.count_rows(len(frame), training_span.rows - len(frame))} of {span(training_span)}; "
        f"{holdout.months[0]} held out",
    }


@stage
def evaluate(run_id: str) -> Facts:
    """Measure the candidate on the held-out month, against the baseline and the champion, and judge it.

    Raises
    ------
    QualityGateError
        If it fails a check: it will not be released, and the run says so.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    tags = tracker.tags(run_id)
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        dataset = storage.load_dataset(stage_tag(tags, "dataset_uri", run_id))
        holdout = dataset.partitions[-1]
        _check_labelled(settings, holdout)
        frame = schema.labelled(storage.read_partition(holdout))
        candidate = tracker.load_model(tags["candidate_uri"])
        probability = training.predict(candidate, frame)
        champion = releases.find_champion(tracker, releases.settle(settings, tracker))
        champion_uri = releases.find_comparable_model(champion, tags["holdout_month"]) if champion else None
        report = evaluation.evaluate(
            frame,
            probability,
            float(tags["base_rate"]),
            _predict_as_champion(tracker.load_model(champion_uri), frame) if champion_uri else None,
            settings.evaluation,
            settings.training.seed,
            unlabelled=holdout.rows - len(frame),
        )
        checks = evaluation.judge(report, settings.gates, settings.evaluation)
        broken = failures(checks)
        tracker.log_metrics(run_id, _metrics(report))
        warnings = [
            *evaluation.find_warnings(report, settings.gates, settings.evaluation),
            *tracker.find_json(run_id, DATA_WARNINGS_FILE, []),
        ]
        tracker.log_json(run_id, TypeAdapter(evaluation.Report).dump_python(report), EVALUATION_FILE)
        with suppress(ValueError):  # of one class only, about which the checks say more
            daily = performance.tally([(frame[schema.TIME], frame[schema.TARGET].to_numpy(), probability)])
            tracker.log_json(run_id, asdict(daily), PERFORMANCE_FILE)
        tracker.log_json(run_id, [asdict(check) for check in checks], VERDICT_FILE)
        tracker.log_json(run_id, warnings, WARNINGS_FILE)
        seed, few = settings.training.seed, settings.evaluation.min_slice_rows
        for file, figure in figures.draw_figures(candidate, frame, report, few, seed).items():
            tracker.log_figure(run_id, figure, file)
        figures_in_short = f"ROC-AUC {report.metrics['roc_auc']}, log loss {report.metrics['log_loss']}"
        verdict = "refused" if broken else "accepted"
        note = f"{tags['holdout_month']}: {figures_in_short}; {verdict}"
        asked = deployment.needs_approval(settings.gates.approval, warnings)
        tracker.set_tags(
            run_id,
            {
                "verdict": verdict,
                "compared_with": releases.name_of(champion),
                "approval": PENDING if asked else NOT_NEEDED,
                "mlflow.note.content": note,
                "refusal": explain(broken)[:5000],
            },
        )
        if broken:
            raise QualityGateError(f"the model is refused, the champion stays: {explain(broken)}")
    passed = f"{len(checks)} of {len(checks)} checks passed"
    instead = f"instead of version {champion.version}" if champion else "the first of all"
    links = {"this run": tracker.link_to(run_id)}
    if champion:
        links["the champion's run"] = tracker.link_to(champion.run_id)
    return {
        "run_id": run_id,
        "asks_for_approval": asked,
        "question": f"Release the model that was measured on {tags['holdout_month']}, {instead}?",
        "about": reports.approval_request(report, checks, warnings, champion.version if champion else None, links),
        "result": f"{figures_in_short} on {tags['holdout_month']}; {passed}",
    }


def _predict_as_champion(model: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    if missing := [name for name in model.feature_names_in_ if name not in frame]:
        raise QualityGateError(
            f"the champion needs columns that the contract no longer has: {', '.join(missing)}; other data want "
            "another [tracking] model_name, where the first model is compared with the baseline only"
        )
    return training.predict(model, frame)


def _check_same_run(tags: dict[str, str], settings: Settings, dataset: Dataset) -> None:
    """Make sure that a run that is taken up again has the settings and the data that it began with."""
    same_settings = tags["config_digest"] == settings.digest
    same_data = tags.get("data_digest", dataset.digest) == dataset.digest
    if not (same_settings and same_data):
        changed = "the data" if same_settings else "[training] or [model]"
        raise ReleaseError(f"this run began before {changed} changed, and its model is of that time; start a new run")


def _split_dataset(settings: Settings, dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The months to learn from, and the newest month, which only `evaluate` reads."""
    *earlier, newest = dataset.partitions
    if not earlier:
        raise ContractError(f"{dataset.uri}: one month only, {newest.month}; there is none to train on")
    uri = settings.storage_uri
    return storage.save_dataset(uri, earlier), storage.save_dataset(uri, [newest])


def _check_labelled(settings: Settings, holdout: Partition) -> None:
    """Make sure that so many of the month's outcomes are known that a model can be measured on it."""
    rows, wanted = holdout.rows, settings.labels.min_labelled_fraction
    labelled = rows - holdout.facts.get("unlabelled", 0)
    if labelled < wanted * rows:
        uri = settings.labels.uri.replace("{month}", holdout.month)
        raise ContractError(
            f"month {holdout.month}: {labelled:,} of {rows:,} rows have a label, too few to measure a model on it "
            f"([labels] min_labelled_fraction = {wanted}); run again when its labels are there"
            + (f", in {settings.absolute(uri)}" if uri else "")
            + "; or hold out an earlier month, by --month or [labels] delay_months"
        )


def _metrics(report: evaluation.Report) -> dict[str, float]:
    """Every figure as an MLflow metric, with the ends of its interval beside it."""
    estimates = {**report.metrics, "loss_over_baseline": report.loss_over_baseline}
    if report.loss_over_champion:
        estimates["loss_over_champion"] = report.loss_over_champion
    metrics = {"baseline_log_loss": report.baseline_log_loss, "holdout_rows": float(report.rows)}
    for name, estimate in estimates.items():
        metrics |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return metrics
