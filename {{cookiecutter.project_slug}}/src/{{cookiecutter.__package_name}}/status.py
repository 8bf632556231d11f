"""The state of the project and of one run, as plain data."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from . import releases, storage
from .config import Settings
from .tracking import VERDICT_FILE, WARNINGS_FILE, Tracker, Version


def read_status(settings: Settings) -> dict[str, Any]:
    """Champion, previous version, ledger and data; the keys are documented in the README and stable."""
    tracker = Tracker(settings)
    ledger = releases.settle(settings, tracker)
    champion = releases.find_champion(tracker, ledger)
    previous = tracker.get_version(ledger[-1].from_version) if ledger and ledger[-1].from_version else None
    return {
        "model": settings.tracking.model_name,
        "champion": _describe(tracker, champion, ledger[-1].at if ledger else None),
        "previous": _describe(tracker, previous, None),
        "ledger": [asdict(entry) for entry in ledger],
        "partitions": [
            {"month": newest.month, "version": newest.version, "rows": newest.rows, "sha256": newest.sha256}
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
        "holdout_month": version.tags.get("holdout_month"),
        "data_digest": version.tags.get("data_digest"),
        "code_commit": version.tags.get("code_commit"),
        "since": since or created,
        "metrics": tracker.metrics(version.run_id),
    }
