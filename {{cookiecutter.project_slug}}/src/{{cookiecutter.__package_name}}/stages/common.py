"""What every stage does: log its start and end, and tell what is missing."""

import functools
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from .. import schema, storage
from ..config import PACKAGE, Settings
from ..errors import PartitionError, PipelineError
from ..lineage import code_commit, current_user
from ..storage import Dataset, Partition

Facts = dict[str, Any]

# Values of a run's tag `approval`.
NOT_NEEDED = "not needed"
PENDING = "pending"
APPROVED = "approved"
REJECTED = "rejected"

log = logging.getLogger(__package__)


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


def run_tags(settings: Settings, by: str | None, reason: str) -> dict[str, str]:
    """What an MLflow run is marked with when it begins."""
    commit, user = code_commit(settings.home), by or current_user()
    tags = {"code_commit": commit, "config_digest": settings.digest, "by": user}
    shown_by_mlflow = {"mlflow.user": user, "mlflow.source.name": PACKAGE, "mlflow.source.git.commit": commit}
    return tags | shown_by_mlflow | ({"reason": reason} if reason else {})


def stage_tag(tags: dict[str, str], name: str, run_id: str) -> str:
    """A tag that the stage before has set."""
    if name not in tags:
        raise PipelineError(f"run {run_id}: not trained yet; run `train` first")
    return tags[name]


def span(dataset: Dataset) -> str:
    """The months of a dataset in words."""
    months = dataset.months
    return months[0] if len(months) == 1 else f"{len(months)} months {months[0]} to {months[-1]}"


def under_this_contract(partitions: list[Partition]) -> list[Partition]:
    """Those that were made under the contract as it is now."""
    return [partition for partition in partitions if partition.contract_version == schema.version()]


def newest_clean(settings: Settings, month: str | None = None) -> Partition:
    """The newest clean partition of a month, or of the newest month.

    Raises
    ------
    PartitionError
        If there is no such month.
    """
    months = storage.list_months(settings.storage_uri, "clean")
    if not months or (month and month not in months):
        there_is = f"there are {months[0]} to {months[-1]}" if months else "there is none at all"
        raise PartitionError(
            f"{settings.storage_uri}/clean: no month {month or 'yet'}, {there_is}; ingest and validate make them"
        )
    return storage.find_partitions(settings.storage_uri, "clean", month or months[-1])[-1]


def now() -> str:
    """The present moment, in UTC, as it is recorded."""
    return datetime.now(UTC).isoformat(timespec="seconds")
