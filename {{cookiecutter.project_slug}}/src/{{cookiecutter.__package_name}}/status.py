"""The state of the project and of one run, as plain data."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from . import monitoring, releases, storage
from .config import Settings
from .deployment import LedgerEntry
from .monitoring import Record
from .tracking import CHAMPION, VERDICT_FILE, WARNINGS_FILE, TrackedRun, Tracker, Version

LATEST_RECORDS = 12
LATEST_RUNS = 12


@dataclass(frozen=True)
class State:
    """What there is to tell of a project; reading it changes nothing.

    Attributes
    ----------
    at : when it was read
    about : what `read_status` tells
    registry_champion : version that the registry's alias names, which should be the ledger's
    records : of monitoring, the oldest first
    claims : which pipeline run acts on what a record has asked for, by the number of each of the latest that has
    acting : those of these runs that MLflow knows, by name
    runs : the latest ones of training, the newest first
    links : what shows a run, by its id
    """

    at: datetime
    about: dict[str, Any]
    registry_champion: str | None
    ledger: list[LedgerEntry]
    records: list[Record]
    claims: dict[int, str | None]
    acting: dict[str, TrackedRun]
    runs: list[TrackedRun]
    links: dict[str, str]


def read_state(settings: Settings) -> State:
    """Everything that the page of the state tells."""
    tracker, monitor = Tracker(settings), Tracker(settings, settings.monitoring_experiment)
    runs = tracker.latest_runs(LATEST_RUNS)  # first, as it says it best where MLflow does not answer
    records, ledger = monitoring.read_records(settings), releases.read_ledger(settings)
    about, alias = _read(settings, tracker, ledger), tracker.find_alias(CHAMPION)
    latest = records[-LATEST_RECORDS:]
    claims = {each.sequence: monitoring.find_claimant(settings, each) for each in latest if each.retrain}
    ids = [each.run_id for each in runs] + ([about["champion"]["run_id"]] if about["champion"] else [])
    return State(
        at=datetime.now(UTC),
        about=about,
        registry_champion=alias.version if alias else None,
        ledger=ledger,
        records=records,
        claims=claims,
        acting={name: run for name in claims.values() if name and (run := tracker.describe_run(name))},
        runs=runs,
        links={each: tracker.link_to(each, settings.mlflow_url) for each in ids}
        | {each.run_id: monitor.link_to(each.run_id, settings.mlflow_url) for each in latest},
    )


def read_status(settings: Settings) -> dict[str, Any]:
    """Champion, previous version, ledger and data; the keys are documented in the README and stable."""
    tracker = Tracker(settings)
    return _read(settings, tracker, releases.settle(settings, tracker))


def _read(settings: Settings, tracker: Tracker, ledger: list[LedgerEntry]) -> dict[str, Any]:
    champion = releases.find_champion(tracker, ledger)
    previous = tracker.get_version(ledger[-1].from_version) if ledger and ledger[-1].from_version else None
    return {
        "model": settings.tracking.model_name,
        "champion": _describe(tracker, champion, ledger[-1].at if ledger else None),
        "previous": _describe(tracker, previous, None),
        "ledger": [asdict(entry) for entry in ledger],
        "partitions": [
            {
                "month": newest.month,
                "version": newest.version,
                "rows": newest.rows,
                "unlabelled": newest.facts.get("unlabelled", 0),
                "quarantined": newest.facts["quarantined"],
                "sha256": newest.sha256,
            }
            for month in storage.list_months(settings.storage_uri, "clean")
            for newest in storage.find_partitions(settings.storage_uri, "clean", month)[-1:]
        ],
        "storage_uri": settings.storage_uri,
        "tracking_uri": settings.tracking_uri,
    }


def find_run(settings: Settings, pipeline_run: str, server: str = "") -> dict[str, Any] | None:
    """What one run used, measured and decided; None if it did not come as far as a verdict.

    Parameters
    ----------
    server : of MLflow, which shows the run, if it is not where runs are tracked
    """
    tracker = Tracker(settings)
    run_id = tracker.find_run(pipeline_run)
    tags = tracker.tags(run_id) if run_id else {}
    if run_id is None or "verdict" not in tags:
        return None
    dataset = storage.load_dataset(tags["dataset_uri"])
    champion = releases.find_champion(tracker, releases.read_ledger(settings))
    return {
        "run_id": run_id,
        "months": dataset.months,
        "rows": dataset.rows,
        "quarantined": sum(partition.facts["quarantined"] for partition in dataset.partitions),
        "unlabelled": sum(partition.facts.get("unlabelled", 0) for partition in dataset.partitions),
        "holdout_month": tags["holdout_month"],
        "held_out": tags["held_out"],
        "metrics": tracker.metrics(run_id),
        "checks": tracker.load_json(run_id, VERDICT_FILE),
        "verdict": tags["verdict"],
        "warnings": tracker.load_json(run_id, WARNINGS_FILE),
        "approval": tags["approval"],
        "answered_by": tags.get("answered_by"),
        "answer_reason": tags.get("answer_reason"),
        "version": tags.get("model_version"),
        "champion": champion.version if champion else None,
        "page": tracker.link_to(run_id, server),
    }


def _describe(tracker: Tracker, version: Version | None, since: str | None) -> dict[str, Any] | None:
    if version is None:
        return None
    created = datetime.fromtimestamp(version.created_at_ms / 1000, UTC).isoformat(timespec="seconds")
    return {
        "version": version.version,
        "run_id": version.run_id,
        "model_uri": version.model_uri,
        "months": version.tags.get("months"),
        "holdout_month": version.tags.get("holdout_month"),
        "held_out": version.tags.get("held_out"),
        "data_digest": version.tags.get("data_digest"),
        "code_commit": version.tags.get("code_commit"),
        "since": since or created,
        "metrics": tracker.metrics(version.run_id),
    }
