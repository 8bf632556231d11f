"""Monitor: a new month against the champion's past, its predictions against the labels, and what follows from it."""

import json
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from sklearn.pipeline import Pipeline

from .. import (
    drift,
    ingestion,
    monitoring,
    monitoring_report,
    performance,
    releases,
    retraining,
    schema,
    scoring,
    storage,
    task,
    training,
    validation,
)
from ..config import Settings, load_settings
from ..drift import Binning, Counted, Findings, Profile
from ..errors import PipelineError
from ..monitoring import MonthPerformance, Record
from ..performance import BlockPerformance
from ..storage import Partition
from ..task import Baseline
from ..tracking import PERFORMANCE_FILE, PROFILE_FILE, Tracker, Version, metric_name
from ..validation import MonthFacts
from .common import Facts, newest_clean, now, run_tags, stage
from .scores import find_scores, score_batches
from .served import join_labels

RECORD_FILE = "record.json"
REPORT_FILE = "report.html"


@stage
def monitor(pipeline_run: str, month: str | None = None, *, by: str | None = None) -> Facts:
    """Compare a clean month, by default the newest, with the champion's past, and say whether a new model is wanted.

    A month that was monitored already, with the same rows and labels, is found.

    Raises
    ------
    PartitionError
        If there is no such month, or it is damaged.
    """
    settings = load_settings()
    clean = newest_clean(settings, month)
    registry = Tracker(settings)
    records = monitoring.read_records(settings)
    labelled = _labelled_months(settings, clean.month)
    fresh = [(each, served) for each in labelled if (served := _find_unmeasured(settings, registry, records, each))]
    found = monitoring.find_record(records, clean)
    if found is None or fresh:
        found = _monitor(settings, registry, pipeline_run, by, clean, fresh, len(labelled), records)
    alarms = ", ".join(found.alarms) or "no alarm"
    asked = f"a new model is wanted: {found.reason}" if found.retrain else f"no new model: {found.reason}"
    return {
        "month": found.month,
        "run_id": found.run_id,
        "report": Tracker(settings, settings.monitoring_experiment).link_to(found.run_id, file=REPORT_FILE),
        "alarms": found.alarms,
        "retrain": found.retrain and monitoring.find_claimant(settings, found) is None,
        "reason": found.reason,
        "result": f"{found.month}: {alarms}; {asked}",
    }


def claim_retraining(month: str, pipeline_run: str) -> Facts | None:
    """Take up what monitoring asked for in a month: the newest month to learn from, and why.

    Returns
    -------
    None if nothing was asked for, or if another run acts on it: one cause has one retraining.
    """
    settings = load_settings()
    record = monitoring.claim(settings, month, pipeline_run)
    if record is None:
        return None
    newest = ingestion.newest_labelled(month, settings.labels.delay_months)
    return {"month": newest, "reason": f"monitoring of {record.month}: {record.reason}"}


def _labelled_months(settings: Settings, month: str) -> list[Partition]:
    """The newest partition of each clean month whose labels are due when `month` has come."""
    newest = ingestion.newest_labelled(month, settings.labels.delay_months)
    months = [each for each in storage.list_months(settings.storage_uri, "clean") if each <= newest]
    return [storage.find_partitions(settings.storage_uri, "clean", each)[-1] for each in months]


def _find_unmeasured(settings: Settings, tracker: Tracker, records: list[Record], clean: Partition) -> Partition | None:
    """The scores that were served in a month, if they have not been compared with its present labels."""
    if monitoring.is_measured(records, clean):
        return None
    return monitoring.find_served(settings, tracker, clean.month)


def _monitor(
    settings: Settings,
    registry: Tracker,
    pipeline_run: str,
    by: str | None,
    clean: Partition,
    fresh: list[tuple[Partition, Partition]],
    labelled_months: int,
    records: list[Record],
) -> Record:
    tracker = Tracker(settings, settings.monitoring_experiment)
    champion = releases.find_champion(registry, releases.settle(settings, registry))
    run_id = tracker.open_run(pipeline_run, clean.month, run_tags(settings, by, ""))
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        by_month = [_measure_performance(settings, registry, each, served) for each, served in fresh]
        measured = [performance for performance, _ in by_month]
        found = _measure_drift(settings, registry, champion, clean)
        is_alarm = drift.is_alarm(found.columns, settings.monitoring.max_drifted_fraction) if found.columns else None
        situation = _describe(clean.month, champion, measured, is_alarm, labelled_months, records)
        decision = retraining.decide(situation, settings.retraining)
        record = Record(
            sequence=records[-1].sequence + 1 if records else 1,
            at=now(),
            month=clean.month,
            champion=champion.version if champion else None,
            clean_sha256=clean.sha256,
            drift=found.columns,
            drift_note=found.note,
            drift_alarm=is_alarm,
            health=_check_health(settings, clean, found.constant),
            performance=measured,
            retrain=decision.retrain,
            reason=decision.reason,
            pipeline_run=pipeline_run,
            run_id=run_id,
        )
        blocks = {performance.month: found for performance, found in by_month if found}
        learned_from = champion.tags["months"] if champion else ""
        page = monitoring_report.build_page(record, records, blocks, found.counted, learned_from, settings.monitoring)
        _log(tracker, record, page)
    tracker.end_run(run_id, "FINISHED")
    # Last, so that whoever is killed on the way leaves nothing that another would take for the result.
    return monitoring.append(settings, record)


def _log(tracker: Tracker, record: Record, page: str) -> None:
    """Keep the record with its run, for people and for programs."""
    tracker.log_metrics(record.run_id, _metrics(record))
    tracker.log_json(record.run_id, monitoring.to_json(record), RECORD_FILE)
    tracker.log_text(record.run_id, page, REPORT_FILE)
    note = f"{', '.join(record.alarms) or 'no alarm'}; {record.reason}"
    tracker.set_tags(record.run_id, {"mlflow.note.content": note})


def _describe(
    month: str,
    champion: Version | None,
    measured: list[MonthPerformance],
    drift_alarm: bool | None,
    labelled_months: int,
    records: list[Record],
) -> retraining.Situation:
    """What the policy looks at. What was found of a former champion says nothing of this one."""
    version = champion.version if champion else None
    latest = monitoring.latest_performance(records) | {each.month: each for each in measured}
    own = {name: bool(each.is_alarm) for name, each in latest.items() if each.model_version == version}
    is_new = any(each.model_version == version for each in measured)
    drifted = {each.month: bool(each.drift_alarm) for each in records if each.champion == version}
    asked = monitoring.last_asked(records)
    return retraining.Situation(
        month=month,
        labelled_months=labelled_months,
        learned_through=releases.learned_through(champion) if champion else None,
        decay=sorted(own.items()) if is_new else [],
        drift=sorted({**drifted, month: drift_alarm}.items()) if drift_alarm is not None else [],
        last_asked=asked.month if asked else None,
    )


def _measure_performance(
    settings: Settings, tracker: Tracker, clean: Partition, served: Partition
) -> tuple[MonthPerformance, BlockPerformance | None]:
    """Figures of the month, and of each of its blocks as far as there are labels."""
    version = tracker.get_version(served.facts["model_version"])
    tally = performance.PerformanceTally(_scale(tracker, version))
    for batch in join_labels(served, clean):
        tally.add(*batch, clean.month)
    by_block, figures, note = None, None, ""
    try:
        by_block = tally.by_block()
        if tally.rows < settings.labels.min_labelled_fraction * served.rows:
            note = f"only {tally.rows:,} of {served.rows:,} rows have a label"
        else:
            then = tracker.find_json(version.run_id, PERFORMANCE_FILE, None)
            at_release = TypeAdapter(BlockPerformance).validate_python(then) if then else None
            figures = performance.measure(by_block, at_release, settings.evaluation, settings.training.seed)
    except ValueError as error:
        note = str(error) if tally.rows else "no row has a label"
    found = MonthPerformance(
        month=clean.month,
        model_version=version.version,
        clean_sha256=clean.sha256,
        labelled=tally.rows,
        unlabelled=served.rows - tally.rows,
        figures=figures,
        is_alarm=performance.is_alarm(figures, settings.monitoring.max_decay) if figures else None,
        note=note,
    )
    return found, by_block


def _scale(tracker: Tracker, version: Version) -> float:
    """What the losses of a version were divided by when it was evaluated."""
    baseline = tracker.tags(version.run_id).get("baseline")
    return Baseline(**json.loads(baseline)).scale if baseline else 1.0


def _measure_drift(settings: Settings, tracker: Tracker, champion: Version | None, clean: Partition) -> Findings:
    if champion is None:
        return Findings([], "there is no champion")
    if releases.learned_through(champion) >= clean.month:
        return Findings([], f"the champion has learned from {clean.month} itself")
    try:
        model = releases.load_version(tracker, champion)
        binning, reference = _find_reference(settings, tracker, champion, model)
        month = drift.count(_read_columns(settings, champion, model, [clean]), binning)
        columns = drift.measure(reference, month, settings.monitoring.drift_confidence)
    except (ValueError, PipelineError) as error:
        return Findings([], str(error))
    constant = [name for name in month.constant if name not in reference.constant]
    return Findings(columns, "", constant, Counted(binning, reference, month))


def _find_reference(
    settings: Settings, tracker: Tracker, champion: Version, model: Pipeline
) -> tuple[Binning, Profile]:
    """What the champion learned from, counted once and kept with its run."""
    if kept := tracker.find_json(champion.run_id, PROFILE_FILE, None):
        return Binning(**kept["binning"]), Profile.from_json(kept["profile"])
    dataset = storage.load_dataset(champion.tags["dataset_uri"])
    frames = (frame for _, frame in _read_features(model, dataset.partitions))
    sample = drift.take_sample(frames, dataset.rows)
    features = training.watched(model, sample[list(model.feature_names_in_)])
    predicted = _to_prediction(training.predict(model, sample))
    binning = drift.choose_binning(features.assign(**{drift.PREDICTION: predicted}))
    profile = drift.count(_read_columns(settings, champion, model, dataset.partitions), binning)
    tracker.log_json(champion.run_id, {"binning": asdict(binning), "profile": profile.to_json()}, PROFILE_FILE)
    return binning, profile


def _read_features(model: Pipeline, months: list[Partition]) -> Iterator[tuple[str, pd.DataFrame]]:
    names = list(dict.fromkeys([*scoring.KEY, *filter(None, [schema.GROUP]), *model.feature_names_in_]))
    for month in months:
        for frame in storage.read_batches(month, names):
            yield month.month, frame


def _read_columns(
    settings: Settings, champion: Version, model: Pipeline, months: list[Partition]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The features of all rows, then the champion's predictions; those that it has made already are found."""
    for name, frame in _read_features(model, months):
        yield name, training.watched(model, frame)
    for month in months:
        if scores := find_scores(settings, month, champion):
            frames = storage.read_batches(scores)
        else:
            frames = score_batches(settings, month, champion, model)
        for frame in frames:
            predicted = _to_prediction(task.from_columns(frame))
            yield month.month, frame[scoring.KEY].assign(**{drift.PREDICTION: predicted})


def _to_prediction(prediction: np.ndarray) -> pd.Series:
    """A prediction as one column: its number, or the most likely of many classes."""
    if task.IS_MULTICLASS:
        return task.label(prediction.argmax(axis=1)).astype("str")
    return pd.Series(prediction)


def _check_health(settings: Settings, clean: Partition, constant: list[str]) -> list[str]:
    """What is unusual about the data: volume, nulls, new categories, broken rows, features gone constant."""
    earlier = [
        MonthFacts(**storage.find_partitions(settings.storage_uri, "clean", month)[-1].facts)
        for month in storage.list_months(settings.storage_uri, "clean")
        if month < clean.month
    ]
    checks = validation.check_month(MonthFacts(**clean.facts), earlier, settings.validation)
    notes = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
    return notes + [f"{name}: has one value only, unlike before" for name in constant]


def _metrics(record: Record) -> dict[str, float]:
    metrics = {f"drift_{metric_name(each.column)}": each.ratio for each in record.drift}
    metrics["drifted_columns"] = float(sum(each.drifted for each in record.drift))
    for each in record.performance:
        metrics |= {"labelled": float(each.labelled), "unlabelled": float(each.unlabelled)}
        if each.figures:
            for name in ("loss", "skill", "gain", "decay"):
                if estimate := getattr(each.figures, name):
                    name = task.LOSS if name == "loss" else name
                    metrics |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return metrics
