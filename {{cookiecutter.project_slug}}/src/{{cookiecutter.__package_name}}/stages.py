"""The stages, in order: load, decide, save. Each takes and returns URIs and small facts.

`flight-delays run`, the DAGs and the tests call these and nothing else. A stage may be killed and started again
at any point: what it had finished is found, not made twice.
"""

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from sklearn.pipeline import Pipeline

from . import (
    contract,
    deployment,
    evaluation,
    figures,
    ingestion,
    releases,
    reports,
    scoring,
    storage,
    training,
    validation,
)
from .checks import Check, explain, failures
from .config import PACKAGE, Settings, load_settings
from .errors import (
    ContractError,
    NoChampionError,
    PartitionError,
    PipelineError,
    QualityGateError,
    ReleaseError,
    SourceChangedError,
    SourceError,
)
from .lineage import code_commit, current_user
from .storage import Dataset, Partition
from .tracking import Tracker, Version
from .validation import MonthFacts

Facts = dict[str, Any]

log = logging.getLogger(__name__)

CANDIDATE = "candidate"  # fitted without the held-out month: the one that is measured
MODEL = "model"  # fitted on all months: the one that is released
SAMPLE_ROWS = 50

# What a version keeps of its run, so that it can be compared and made again without it.
VERSION_TAGS = [
    "holdout_month",
    "months",
    "dataset_uri",
    "data_digest",
    "contract_version",
    "candidate_uri",
    "config_digest",
    "code_commit",
]


def stage(function: Callable[..., Facts]) -> Callable[..., Facts]:
    """Log when a stage starts, how it ends and how long it took; `console` shows these lines to people."""
    name = function.__name__

    @functools.wraps(function)
    def logged(*arguments: Any, **options: Any) -> Facts:
        started = time.monotonic()
        log.info("%s: started", name, extra={"stage": name, "event": "started"})
        try:
            facts = function(*arguments, **options)
        except BaseException as error:
            about = {"stage": name, "event": "failed", "seconds": time.monotonic() - started, "result": str(error)}
            log.error("%s: failed: %s", name, error, extra=about)
            raise
        about = {"stage": name, "event": "done", "seconds": time.monotonic() - started, "result": facts["result"]}
        log.info("%s: %s", name, facts["result"], extra=about)
        return facts

    return logged


@stage
def ingest(month: str | None = None, *, refresh: bool = False) -> Facts:
    """Bring every month of the window into storage, as it is; returns the raw dataset."""
    settings = load_settings()
    contract.select_features(settings.training.features)  # fail now rather than after the download
    months = ingestion.choose_months(settings.source, month, settings.training.window_months, _today())
    present = {each: len(storage.find_partitions(settings.storage_uri, "raw", each)) for each in months}
    partitions = [_ingest_month(settings, each, refresh) for each in months]
    dataset = storage.save_dataset(settings.storage_uri, partitions)
    new = sum(partition.version > present[partition.month] for partition in partitions)
    return {
        "dataset_uri": dataset.uri,
        "month": months[-1],
        "result": f"{_span(dataset)}, {dataset.rows:,} rows ({new} new)",
    }


def _ingest_month(settings: Settings, month: str, refresh: bool) -> Partition:
    uri = settings.absolute(settings.source.uri.replace("{month}", month))
    existing = storage.find_partitions(settings.storage_uri, "raw", month)
    try:
        with storage.local_copy(uri) as path:
            source_sha256 = storage.file_sha256(path)
            same_contract = _under_this_contract(existing)
            for partition in same_contract:
                if partition.source_sha256 == source_sha256:
                    return partition
            if same_contract and not refresh:
                raise SourceChangedError(
                    f"{uri}: not what was ingested as {same_contract[-1].uri}: its SHA-256 was "
                    f"{same_contract[-1].source_sha256[:12]}... and is {source_sha256[:12]}...; "
                    "restore it, or take it as a new version with --refresh (make run ARGS=--refresh)"
                )
            return _write_raw(settings, month, uri, path, source_sha256)
    except FileNotFoundError:
        raise SourceError(
            f"{uri}: no such file, wanted for month {month}; "
            "see [source] uri, first_month and last_month in pipeline.toml"
        ) from None


def _write_raw(settings: Settings, month: str, uri: str, path: Path, source_sha256: str) -> Partition:
    for as_text in (False, True):
        with storage.new_partition(settings.storage_uri, "raw", month) as writer:
            try:
                for batch in ingestion.read_source(path, settings.source, as_text=as_text):
                    writer.write(batch)
            except ingestion.ValueNotParsedError:
                continue  # once more, as text: validation will point at the rows
            return writer.publish(source=uri, source_sha256=source_sha256, contract_version=contract.version())
    raise AssertionError("reading as text parses no values")


@stage
def validate(dataset_uri: str, pipeline_run: str, *, by: str | None = None, reason: str = "") -> Facts:
    """Set aside the rows that break the contract and judge each month; returns the clean dataset."""
    settings = load_settings()
    tracker = Tracker(settings)
    raw = storage.load_dataset(dataset_uri)
    run_id = tracker.open_run(pipeline_run, raw.months[-1], _run_tags(settings, by, reason))
    with tracker.working_on(run_id):
        earlier = [
            MonthFacts(**clean_months[-1].facts)
            for month in storage.list_months(settings.storage_uri, "clean")
            if month < raw.months[0]
            if (clean_months := _under_this_contract(storage.find_partitions(settings.storage_uri, "clean", month)))
        ]
        judged: dict[str, tuple[MonthFacts, list[Check]]] = {}
        clean = []
        try:
            for partition in raw.partitions:
                clean.append(_validate_month(settings, partition, earlier, judged))
                earlier.append(judged[partition.month][0])
        finally:
            tracker.log_text(run_id, reports.validation_report(judged), "validation_report.md")
        dataset = storage.save_dataset(settings.storage_uri, clean)
    quarantined = sum(facts.quarantined for facts, _ in judged.values())
    notes = sum(not check.passed for _, checks in judged.values() for check in checks)
    return {
        "dataset_uri": dataset.uri,
        "month": dataset.months[-1],
        "run_id": run_id,
        "rows": dataset.rows,
        "quarantined": quarantined,
        "result": f"{dataset.rows:,} clean rows, {quarantined:,} quarantined, {notes} notes in the report",
    }


def _under_this_contract(partitions: list[Partition]) -> list[Partition]:
    return [partition for partition in partitions if partition.contract_version == contract.version()]


def _validate_month(
    settings: Settings,
    raw: Partition,
    earlier: list[MonthFacts],
    judged: dict[str, tuple[MonthFacts, list[Check]]],
) -> Partition:
    """The clean partition of a raw one, made unless it is there; adds the month to `judged`."""
    origin = {"source": raw.uri, "source_sha256": raw.sha256, "contract_version": contract.version()}
    existing = [
        each
        for each in storage.find_partitions(settings.storage_uri, "clean", raw.month)
        if (each.source_sha256, each.contract_version) == (raw.sha256, contract.version())
    ]
    with (
        storage.new_partition(settings.storage_uri, "clean", raw.month) as clean,
        storage.new_partition(settings.storage_uri, "quarantine", raw.month) as quarantine,
    ):
        facts = MonthFacts(**existing[-1].facts) if existing else _split_month(raw, clean, quarantine)
        checks = validation.check_month(facts, earlier, settings.validation)
        judged[raw.month] = facts, checks
        if not existing and facts.quarantined:
            quarantine.publish(**origin)
        if broken := failures(checks):
            where = f"; rows and reasons: {settings.storage_uri}/quarantine/{raw.month}" if facts.quarantined else ""
            raise ContractError(f"{raw.uri}: {explain(broken)}{where}")
        return existing[-1] if existing else clean.publish(**origin, **asdict(facts))


def _split_month(raw: Partition, clean: storage.PartitionWriter, quarantine: storage.PartitionWriter) -> MonthFacts:
    duplicated = validation.find_duplicates(storage.read_partition(raw, contract.KEY))
    tally, start = validation.MonthTally(), 0
    for batch in storage.read_batches(raw):
        kept, rejected = validation.split_rows(batch, duplicated[start : start + len(batch)], raw.month)
        clean.write(kept)
        quarantine.write(rejected)
        tally.add(kept, rejected)
        start += len(batch)
    return tally.facts()


@stage
def train(dataset_uri: str, pipeline_run: str) -> Facts:
    """Fit the candidate on all months but the newest, which stays unseen; returns the MLflow run."""
    settings = load_settings()
    tracker = Tracker(settings)
    dataset = storage.load_dataset(dataset_uri)
    run_id = tracker.open_run(pipeline_run, dataset.months[-1], _run_tags(settings, None, ""))
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        _check_same_run(tracker.tags(run_id), settings, dataset)
        training_span, holdout = _split_dataset(settings, dataset)
        frame = storage.read_dataset(training_span)
        model = training.fit(frame, settings.training, settings.model)
        candidate_uri = tracker.save_model(run_id, CANDIDATE, model, frame.head())
        used = {"features": ", ".join(model.feature_names_in_), "training_months": _span(training_span)}
        tracker.log_params(run_id, {**settings.training.model_dump(), **settings.model.model_dump(), **used})
        tracker.log_dataset(run_id, training_span, "training")
        tracker.log_dataset(run_id, holdout, "holdout")
        facts = {
            "dataset_uri": dataset.uri,
            "data_digest": dataset.digest,
            "months": f"{dataset.months[0]} to {dataset.months[-1]}",
            "contract_version": contract.version(),
            "holdout_month": holdout.months[0],
            "candidate_uri": candidate_uri,
            "base_rate": repr(float(frame[contract.TARGET].mean())),
        }
        tracker.set_tags(run_id, facts)
    return {
        "run_id": run_id,
        "result": f"{len(model.feature_names_in_)} features, {len(frame):,} rows of {_span(training_span)}; "
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
        dataset = storage.load_dataset(_stage_tag(tags, "dataset_uri", run_id))
        frame = storage.read_partition(dataset.partitions[-1])
        candidate = tracker.load_model(tags["candidate_uri"])
        champion = releases.find_champion(tracker, releases.settle(settings, tracker))
        champion_uri = releases.find_comparable_model(champion, tags["holdout_month"]) if champion else None
        report = evaluation.evaluate(
            frame,
            training.predict(candidate, frame),
            float(tags["base_rate"]),
            _predict_as_champion(tracker.load_model(champion_uri), frame) if champion_uri else None,
            settings.evaluation,
            settings.training.seed,
        )
        checks = evaluation.judge(report, settings.gates, settings.evaluation)
        broken = failures(checks)
        tracker.log_metrics(run_id, _metrics(report))
        tracker.log_json(run_id, TypeAdapter(evaluation.Report).dump_python(report), "evaluation.json")
        tracker.log_json(run_id, [asdict(check) for check in checks], "verdict.json")
        seed, few = settings.training.seed, settings.evaluation.min_slice_rows
        for file, figure in figures.draw_figures(candidate, frame, report, few, seed).items():
            tracker.log_figure(run_id, figure, file)
        figures_in_short = f"ROC-AUC {report.metrics['roc_auc']}, log loss {report.metrics['log_loss']}"
        verdict = "refused" if broken else "accepted"
        note = f"{tags['holdout_month']}: {figures_in_short}; {verdict}"
        tracker.set_tags(
            run_id, {"verdict": verdict, "compared_with": releases.name_of(champion), "mlflow.note.content": note}
        )
        if broken:
            raise QualityGateError(f"the model is refused, the champion stays: {explain(broken)}")
    passed = f"{len(checks)} of {len(checks)} checks passed"
    return {"run_id": run_id, "result": f"{figures_in_short} on {tags['holdout_month']}; {passed}"}


@stage
def deploy(run_id: str, *, by: str | None = None, reason: str = "") -> Facts:
    """Fit on all months, register, check what the registry gives back, and move the champion.

    Raises
    ------
    QualityGateError
        If the run's model was not accepted.
    ReleaseError
        If the registered model predicts otherwise than the trained one, or another release came first.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    tags = tracker.tags(run_id)
    if tags.get("verdict") != "accepted":
        verdict = tags.get("verdict", "missing")
        raise QualityGateError(f"run {run_id}: the verdict is {verdict!r}; only an accepted model is released")
    if (settings.digest, contract.version()) != (tags["config_digest"], tags["contract_version"]):
        raise ReleaseError(
            f"run {run_id}: [training], [model] or the contract changed since it was trained; run it anew"
        )
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        dataset = storage.load_dataset(_stage_tag(tags, "dataset_uri", run_id))
        ledger = releases.settle(settings, tracker)
        entry = deployment.find_entry(ledger, run_id)
        if entry is None:
            releases.check_still_champion(releases.find_champion(tracker, ledger), tags)
            version = _register(settings, tracker, run_id, tags, dataset)
            entry = releases.record(settings, tracker, ledger, version, tags, by, reason)
            releases.settle(settings, tracker)
        tracker.set_tags(run_id, {"model_version": entry.to_version})
    tracker.finish_run(run_id)
    instead = f", instead of {entry.from_version}" if entry.from_version else ""
    return {
        "run_id": run_id,
        "month": _newest_clean(settings).month,  # which the new champion is first asked for
        "version": entry.to_version,
        "result": f"version {entry.to_version} is the champion{instead}",
    }


@stage
def score(month: str | None = None) -> Facts:
    """Score a clean month, by default the newest, with the champion; scores that are there are found.

    Raises
    ------
    NoChampionError
        If nothing has been released yet.
    PartitionError
        If there is no such month, or it is damaged.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    champion = releases.find_champion(tracker, releases.settle(settings, tracker))
    if champion is None:
        raise NoChampionError("no champion yet to score with; `make run` trains and releases the first")
    clean = _newest_clean(settings, month)
    scores, found = _find_scores(settings, clean, champion), "found"
    if scores is None:
        scores, found = _write_scores(settings, clean, champion, releases.load_version(tracker, champion)), "scored"
    positive = scores.facts["positive"]
    return {
        "month": clean.month,
        "model_version": champion.version,
        "scores_uri": f"{scores.uri}/{scores.file}",
        "rows": scores.rows,
        "positive": positive,
        "result": f"{clean.month}: {scores.rows:,} rows {found}, by version {champion.version}; {positive:,} positive",
    }


def _newest_clean(settings: Settings, month: str | None = None) -> Partition:
    """The newest clean partition of a month, or of the newest month."""
    months = storage.list_months(settings.storage_uri, "clean")
    if not months or (month and month not in months):
        there_is = f"there are {months[0]} to {months[-1]}" if months else "there is none at all"
        raise PartitionError(
            f"{settings.storage_uri}/clean: no month {month or 'yet'}, {there_is}; ingest and validate make them"
        )
    return storage.find_partitions(settings.storage_uri, "clean", month or months[-1])[-1]


def _find_scores(settings: Settings, clean: Partition, champion: Version) -> Partition | None:
    wanted = _score_facts(settings, champion)
    for scores in storage.find_partitions(settings.storage_uri, "scores", clean.month):
        if scores.source_sha256 == clean.sha256 and wanted.items() <= scores.facts.items():
            return scores
    return None


def _write_scores(settings: Settings, clean: Partition, champion: Version, model: Pipeline) -> Partition:
    positive = 0
    with storage.new_partition(settings.storage_uri, "scores", clean.month) as writer:
        batches = storage.read_batches(clean, scoring.columns(model), scoring.CHUNK_ROWS)
        threshold, threads = settings.serving.decision_threshold, settings.training.threads
        for scores in scoring.score_batches(batches, model, champion.version, threshold, threads):
            positive += int(scores["decision"].sum())
            writer.write(scores)
        return writer.publish(
            source=clean.uri,
            source_sha256=clean.sha256,
            contract_version=clean.contract_version,
            **_score_facts(settings, champion),
            positive=positive,
        )


def _score_facts(settings: Settings, champion: Version) -> Facts:
    """What scores of the same rows depend on; versions count anew in each registry, so the model is named as well."""
    return {
        "model_version": champion.version,
        "model_uri": champion.model_uri,
        "decision_threshold": settings.serving.decision_threshold,
    }


def _predict_as_champion(model: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    if missing := [name for name in model.feature_names_in_ if name not in frame]:
        raise QualityGateError(
            f"the champion needs columns that the contract no longer has: {', '.join(missing)}; other data want "
            "another [tracking] model_name, where the first model is compared with the baseline only"
        )
    return training.predict(model, frame)


def _register(settings: Settings, tracker: Tracker, run_id: str, tags: dict[str, str], dataset: Dataset) -> Version:
    """Fit on all months, make a version of it, and see that the registry gives back the same model."""
    frame = storage.read_dataset(dataset)
    model = training.fit(frame, settings.training, settings.model)
    model_uri = tracker.save_model(run_id, MODEL, model, frame.head())
    description = f"{tags['holdout_month']} held out, then fitted on {_span(dataset)}; by {tags['by']}"
    sample = frame[list(model.feature_names_in_)].tail(SAMPLE_ROWS)
    predicted = {"rows": contract.to_records(sample), "probability": training.predict(model, sample).tolist()}
    tracker.log_json(run_id, predicted, releases.SAMPLE_FILE)
    version = tracker.register(run_id, model_uri, description, {name: tags[name] for name in VERSION_TAGS})
    releases.load_version(tracker, version)
    lineage = reports.Lineage(
        run_id=run_id,
        pipeline_run=tags["pipeline_run"],
        features=list(model.feature_names_in_),
        months=dataset.months,
        holdout_month=tags["holdout_month"],
        rows=dataset.rows,
        data_digest=dataset.digest,
        contract_version=tags["contract_version"],
        config_digest=tags["config_digest"],
        code_commit=tags["code_commit"],
    )
    report = TypeAdapter(evaluation.Report).validate_python(tracker.load_json(run_id, "evaluation.json"))
    checks = TypeAdapter(list[Check]).validate_python(tracker.load_json(run_id, "verdict.json"))
    card = reports.model_card(settings.tracking.model_name, version.version, report, checks, lineage)
    tracker.log_text(run_id, card, "model_card.md")
    return version


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


def _metrics(report: evaluation.Report) -> dict[str, float]:
    """Every figure as an MLflow metric, with the ends of its interval beside it."""
    estimates = {**report.metrics, "loss_over_baseline": report.loss_over_baseline}
    if report.loss_over_champion:
        estimates["loss_over_champion"] = report.loss_over_champion
    metrics = {"baseline_log_loss": report.baseline_log_loss, "holdout_rows": float(report.rows)}
    for name, estimate in estimates.items():
        metrics |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return metrics


def _run_tags(settings: Settings, by: str | None, reason: str) -> dict[str, str]:
    commit, user = code_commit(settings.home), by or current_user()
    tags = {"code_commit": commit, "config_digest": settings.digest, "by": user}
    shown_by_mlflow = {"mlflow.user": user, "mlflow.source.name": PACKAGE, "mlflow.source.git.commit": commit}
    return tags | shown_by_mlflow | ({"reason": reason} if reason else {})


def _stage_tag(tags: dict[str, str], name: str, run_id: str) -> str:
    if name not in tags:
        raise PipelineError(f"run {run_id}: not trained yet; run `train` first")
    return tags[name]


def _span(dataset: Dataset) -> str:
    return f"{len(dataset.months)} months {dataset.months[0]} to {dataset.months[-1]}"


def _today() -> date:
    return datetime.now(UTC).date()
