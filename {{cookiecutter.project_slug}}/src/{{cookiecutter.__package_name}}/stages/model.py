"""Train and evaluate: from clean months to a verdict."""

import json
from contextlib import suppress
from dataclasses import asdict

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from .. import (
    deployment,
    evaluation,
    figures,
    performance,
    releases,
    reports,
    schema,
    split,
    storage,
    task,
    training,
)
from ..checks import explain, failures
from ..config import Settings, load_settings
from ..errors import ContractError, QualityGateError, WeightsError
from ..lineage import recipe
from ..storage import Dataset
from ..task import Baseline
from ..tracking import (
    DATA_WARNINGS_FILE,
    EVALUATION_FILE,
    PERFORMANCE_FILE,
    RECIPE_FILE,
    VERDICT_FILE,
    WARNINGS_FILE,
    Tracker,
    Version,
)
from .common import NOT_NEEDED, PENDING, Facts, run_tags, span, stage, stage_tag
from .rows import check_labelled, check_same_run, read_rows, read_training_rows, split_dataset
from .search import conclude

CANDIDATE = "candidate"  # fitted without the held-out rows: the one that is measured
MAX_PARAM = 5000  # characters of a value, of which MLflow takes 6,000


@stage
def train(dataset_uri: str, pipeline_run: str) -> Facts:
    """Fit the candidate on all rows but those held out, which stay unseen; returns the MLflow run."""
    settings = load_settings()
    tracker = Tracker(settings)
    dataset = storage.load_dataset(dataset_uri)
    run_id = tracker.open_run(pipeline_run, dataset.months[-1], run_tags(settings, None, ""))
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        check_same_run(tracker.tags(run_id), settings, dataset)
        frame, unlabelled, training_span, holdout = read_training_rows(settings, dataset)
        searched = conclude(settings, tracker, run_id, frame)
        chosen = searched.model if searched else settings.model
        model = training.fit(frame, settings.training, chosen)
        candidate_uri = tracker.save_model(run_id, CANDIDATE, model, frame.head(), training.packages(chosen))
        names = ", ".join(model.feature_names_in_)
        used = {"features": names[:MAX_PARAM], "training_months": span(training_span)}
        tracker.log_params(run_id, {**settings.training.model_dump(), **chosen.model_dump(), **used})
        tracker.log_json(run_id, recipe(settings, chosen), RECIPE_FILE)
        tracker.log_dataset(run_id, training_span, "training")
        tracker.log_dataset(run_id, holdout, "holdout")
        facts = {
            "dataset_uri": dataset.uri,
            "data_digest": dataset.digest,
            "months": f"{dataset.months[0]} to {dataset.months[-1]}",
            "contract_version": schema.version(),
            "holdout_month": holdout.months[-1],
            "holdout_from": holdout.months[0] if schema.TIME else "",
            "held_out": split.describe(holdout.months, settings.training),
            "trained_on": span(training_span),
            "candidate_uri": candidate_uri,
            "baseline": json.dumps(asdict(task.fit_baseline(task.code(frame[schema.TARGET])))),
        }
        tracker.set_tags(run_id, facts)
    return {
        "run_id": run_id,
        "result": f"{len(model.feature_names_in_)} features, "
        f"{_count(settings, training_span, len(frame), unlabelled)} of {span(training_span)}; "
        f"{facts['held_out']} held out" + (f"; {searched.in_short}" if searched else ""),
    }


@stage
def evaluate(run_id: str) -> Facts:
    """Measure the candidate on the held-out rows, against the baseline and the champion, and judge it.

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
        _, holdout = split_dataset(settings, dataset)
        for partition in holdout.partitions:
            check_labelled(settings, partition)
        frame, unlabelled = read_rows(settings, holdout, held_out=True)
        if frame.empty:
            raise ContractError(f"{dataset.uri}: none of {dataset.rows:,} rows is held out; more rows are wanted")
        candidate = tracker.load_model(tags["candidate_uri"])
        prediction = training.predict(candidate, frame)
        baseline = Baseline(**json.loads(tags["baseline"]))
        champion = releases.find_champion(tracker, releases.settle(settings, tracker))
        of_champion = _predict_as_champion(tracker, champion, tags, frame) if champion else None
        report = evaluation.evaluate(
            frame,
            prediction,
            baseline,
            of_champion,
            settings.evaluation,
            settings.training.seed,
            unlabelled=unlabelled,
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
            found = performance.tally([(frame, task.code(frame[schema.TARGET]), prediction)], baseline.scale)
            tracker.log_json(run_id, asdict(found), PERFORMANCE_FILE)
        tracker.log_json(run_id, [asdict(check) for check in checks], VERDICT_FILE)
        tracker.log_json(run_id, warnings, WARNINGS_FILE)
        seed, few = settings.training.seed, settings.evaluation.min_slice_rows
        for file, figure in figures.draw_figures(candidate, frame, report, few, seed).items():
            tracker.log_figure(run_id, figure, file)
        verdict = "refused" if broken else "accepted"
        note = f"{tags['held_out']}: {report.in_short}; {verdict}"
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
        "question": f"Release the model that was measured on {tags['held_out']}, {instead}?",
        "about": reports.approval_request(report, checks, warnings, champion.version if champion else None, links),
        "result": f"{report.in_short} on {tags['held_out']}; {passed}",
    }


def _predict_as_champion(
    tracker: Tracker, champion: Version, run_tags: dict[str, str], frame: pd.DataFrame
) -> np.ndarray:
    model = tracker.load_model(releases.find_comparable_model(champion, run_tags))
    if missing := [name for name in model.feature_names_in_ if name not in frame]:
        raise QualityGateError(
            f"the champion needs columns that the contract no longer has: {', '.join(missing)}; other data want "
            "another [tracking] model_name, where the first model is compared with the baseline only"
        )
    try:
        return training.predict(model, frame)
    except WeightsError as error:
        raise QualityGateError(
            f"the champion, version {champion.version}, cannot be compared with: {error}; without its weights start "
            "anew, with another [tracking] model_name"
        ) from None


def _count(settings: Settings, dataset: Dataset, rows: int, unlabelled: int) -> str:
    """The rows that were learned from, and why it is not all of them."""
    of_more = 0 < settings.training.max_rows < dataset.rows
    return reports.count_rows(rows, unlabelled) + (f" (of {dataset.rows:,}, by [training] max_rows)" if of_more else "")


def _metrics(report: evaluation.Report) -> dict[str, float]:
    """Every figure as an MLflow metric, with the ends of its interval beside it."""
    estimates = {**report.metrics, "loss_over_baseline": report.loss_over_baseline}
    if report.loss_over_champion:
        estimates["loss_over_champion"] = report.loss_over_champion
    metrics = {f"baseline_{task.LOSS}": report.baseline_loss, "holdout_rows": float(report.rows)}
    for name, estimate in estimates.items():
        metrics |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return metrics
