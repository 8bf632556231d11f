"""What every stage does: log its start and its end, tag its run, find the newest data."""

import functools
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from modelworks.data import partitions
from modelworks.data.partitions import Dataset, Partition
from modelworks.errors import PartitionError, PipelineError, QualityGateError
from modelworks.progress import in_stage
from modelworks.project import Project
from modelworks.registry.lineage import code_commit, current_user
from modelworks.registry.policy import check_policy
from modelworks.settings import Settings, says_full
from modelworks.stages.facts import Result

# Values of a run's tag `approval`.
NOT_NEEDED = "not needed"
PENDING = "pending"
APPROVED = "approved"
REJECTED = "rejected"

# Values of a run's tag `verdict`.
ACCEPTED = "accepted"
REFUSED = "refused"

GATES_DIGEST = "gates_digest"
"""Tag of a run: digest of the gates that it was judged by."""

UNCHANGED = "unchanged"
"""Tag of a run: the version of the same data, code and settings, for which it ended; "" if there is none."""

MADE_OF_CODE = {"train", "promote", "deploy"}
"""Stages whose model stands on the code of the moment: [policy] may require that it is committed."""

P = ParamSpec("P")
R = TypeVar("R", bound=Result)

log = logging.getLogger(__package__)


def stage(function: Callable[P, R]) -> Callable[P, R]:
    """Log when a stage starts, how it ends and how long it took; `reporting.console` shows these lines to people.

    Nothing is done in an environment whose [policy] the settings break.
    """
    name = function.__name__

    @functools.wraps(function)
    def logged(*arguments: P.args, **options: P.kwargs) -> R:
        started = time.monotonic()
        log.info("%s: started", name, extra={"stage": name, "event": "started"})
        try:
            with in_stage(name):
                if settings := next((each for each in arguments if isinstance(each, Settings)), None):
                    check_policy(settings, code=name in MADE_OF_CODE)
                facts = function(*arguments, **options)
        except BaseException as error:
            result = _describe(error)
            about = {"stage": name, "event": "failed", "seconds": time.monotonic() - started, "result": result}
            log.error("%s: failed: %s", name, result, extra=about)
            raise
        about = {"stage": name, "event": "done", "seconds": time.monotonic() - started, "result": facts.summary}
        log.info("%s: %s", name, facts.summary, extra=about)
        return facts

    return logged


def _describe(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, QualityGateError):
        return error.summary
    text = str(error)
    # SQLite's error has the whole statement; the end of the command says which folder it is.
    return "No space left on device" if says_full(text) and not isinstance(error, PipelineError) else text


def run_tags(settings: Settings, by: str | None, reason: str) -> dict[str, str]:
    """The tags that an MLflow run is opened with."""
    commit, user = code_commit(settings.home), by or current_user()
    tags = {"code_commit": commit, "config_digest": settings.digest, "by": user}
    shown_by_mlflow = {"mlflow.user": user, "mlflow.source.name": settings.name, "mlflow.source.git.commit": commit}
    chosen = {"reason": reason, "environment": settings.environment}
    return tags | shown_by_mlflow | {name: value for name, value in chosen.items() if value}


def stage_tag(tags: dict[str, str], name: str, run_id: str) -> str:
    """A tag that the stage before has set.

    Raises
    ------
    PipelineError
        If it has not.
    """
    if name not in tags:
        raise PipelineError(f"run {run_id}: not trained yet; run `train` first")
    return tags[name]


def span(dataset: Dataset) -> str:
    """The periods of a dataset in words."""
    periods = dataset.periods
    return periods[0] if len(periods) == 1 else f"{len(periods)} periods {periods[0]} to {periods[-1]}"


def under_this_contract(project: Project, found: list[Partition]) -> list[Partition]:
    """The partitions that were made under the contract as it is now."""
    return [partition for partition in found if partition.contract_version == project.contract.version]


def newest_clean(settings: Settings, period: str | None = None) -> Partition:
    """The newest clean partition of a period, or of the newest period.

    Raises
    ------
    PartitionError
        If there is no such period.
    """
    periods = partitions.list_periods(settings.storage_uri, "clean")
    if not periods or (period and period not in periods):
        there_is = f"there are {periods[0]} to {periods[-1]}" if periods else "there is none at all"
        raise PartitionError(
            f"{settings.storage_uri}/clean: no period {period or 'yet'}, {there_is}; ingest and validate make them"
        )
    return partitions.find_partitions(settings.storage_uri, "clean", period or periods[-1])[-1]


def now() -> str:
    """The present moment, in UTC, as it is recorded."""
    return datetime.now(UTC).isoformat(timespec="seconds")
