"""Ingest and validate: from a source to clean months."""

from dataclasses import asdict
from datetime import UTC, date, datetime

from .. import ingestion, labels, reports, schema, storage, validation
from ..checks import Check, explain, failures
from ..config import Settings, load_settings
from ..errors import ContractError
from ..storage import Partition
from ..tracking import DATA_WARNINGS_FILE, Tracker
from ..validation import MonthFacts
from .common import Facts, run_tags, span, stage, under_this_contract
from .raw import ingest_month


@stage
def ingest(month: str | None = None, *, refresh: bool = False, labelled: bool = True) -> Facts:
    """Bring every month of the window into storage, as it is, with the labels that are known; returns the raw dataset.

    Parameters
    ----------
    month : the newest month
    refresh : take a source that changed as a new version of its month; labels that changed are taken anyway
    labelled : the months are to train on: without a `month`, end with the newest whose labels are known, which can be
        held out; if not, with the newest of all, and bring in all whose labels may have come since
    """
    settings = load_settings()
    schema.select_features(settings.training.features)  # fail now rather than after the download
    window_months, delay_months = settings.training.window_months, settings.labels.delay_months
    holdout_months = settings.training.holdout_months if schema.TIME else 0
    months = ingestion.choose_months(
        settings.source, month, window_months, _today(), delay_months, holdout_months, to_train=labelled
    )
    present = {each: len(storage.find_partitions(settings.storage_uri, "raw", each)) for each in months}
    partitions = [ingest_month(settings, each, refresh) for each in months]
    dataset = storage.save_dataset(settings.storage_uri, partitions)
    new = sum(partition.version > present[partition.month] for partition in partitions)
    return {
        "dataset_uri": dataset.uri,
        "month": months[-1],
        "result": f"{span(dataset)}, {dataset.rows:,} rows ({new} new){_label_gaps(partitions)}",
    }


def _label_gaps(partitions: list[Partition]) -> str:
    """What there is to tell of the labels of all months."""
    counts = {name: sum(partition.facts.get(name, 0) for partition in partitions) for name in labels.GAPS}
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"; labels: {told}" if told else ""


@stage
def validate(
    dataset_uri: str, pipeline_run: str, *, by: str | None = None, reason: str = "", for_training: bool = True
) -> Facts:
    """Set aside the rows that break the contract and judge each month; returns the clean dataset.

    Parameters
    ----------
    for_training : the run goes on with `train`; else this is all of it, and it is kept with those of monitoring
    """
    settings = load_settings()
    tracker = Tracker(settings, "" if for_training else settings.monitoring_experiment)
    raw = storage.load_dataset(dataset_uri)
    run_id = tracker.open_run(pipeline_run, raw.months[-1], run_tags(settings, by, reason))
    with tracker.working_on(run_id):
        earlier = [
            MonthFacts(**clean_months[-1].facts)
            for month in storage.list_months(settings.storage_uri, "clean")
            if month < raw.months[0]
            if (clean_months := under_this_contract(storage.find_partitions(settings.storage_uri, "clean", month)))
        ]
        judged: dict[str, tuple[MonthFacts, list[Check]]] = {}
        clean = []
        try:
            for partition in raw.partitions:
                clean.append(_validate_month(settings, partition, earlier, judged))
                earlier.append(judged[partition.month][0])
        finally:
            tracker.log_text(run_id, reports.validation_report(judged), "validation_report.md")
        newest = [
            f"data of {raw.months[-1]}, {check.name}: {check.detail}"
            for check in judged[raw.months[-1]][1]
            if not check.passed
        ]
        tracker.log_json(run_id, newest, DATA_WARNINGS_FILE)
        dataset = storage.save_dataset(settings.storage_uri, clean)
    if not for_training:
        tracker.end_run(run_id, "FINISHED")
    quarantined = sum(facts.quarantined for facts, _ in judged.values())
    unlabelled = sum(facts.unlabelled for facts, _ in judged.values())
    notes = sum(not check.passed for _, checks in judged.values() for check in checks)
    return {
        "dataset_uri": dataset.uri,
        "month": dataset.months[-1],
        "run_id": run_id,
        "rows": dataset.rows,
        "quarantined": quarantined,
        "result": f"{dataset.rows:,} clean rows, {quarantined:,} quarantined, "
        + (f"{unlabelled:,} without a label, " if unlabelled else "")
        + f"{notes} notes in the report",
    }


def _validate_month(
    settings: Settings,
    raw: Partition,
    earlier: list[MonthFacts],
    judged: dict[str, tuple[MonthFacts, list[Check]]],
) -> Partition:
    """The clean partition of a raw one, made unless it is there; adds the month to `judged`."""
    origin = {"source": raw.uri, "source_sha256": raw.sha256, "contract_version": schema.version()}
    existing = [
        each
        for each in storage.find_partitions(settings.storage_uri, "clean", raw.month)
        if (each.source_sha256, each.contract_version) == (raw.sha256, schema.version())
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
    duplicated = validation.find_duplicates(storage.read_partition(raw, schema.KEY))
    tally, start = validation.MonthTally(), 0
    for batch in storage.read_batches(raw):
        kept, rejected = validation.split_rows(batch, duplicated[start : start + len(batch)], raw.month)
        clean.write(kept)
        quarantine.write(rejected)
        tally.add(kept, rejected)
        start += len(batch)
    return tally.facts()


def _today() -> date:
    return datetime.now(UTC).date()
