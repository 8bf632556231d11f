"""The state of the project and of one run, as plain data; reading it changes nothing."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from modelworks.checks import Check
from modelworks.data import partitions
from modelworks.evaluation.plot_data import PlotData
from modelworks.monitoring import records
from modelworks.monitoring.records import Record
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import PLOT_DATA_FILE, RECIPE_FILE, VERDICT_FILE, WARNINGS_FILE
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.runs import TrackedRun
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION, Version
from modelworks.settings import Settings
from modelworks.stages.common import UNCHANGED
from modelworks.state.rollout import RolloutState, read_rollout

log = logging.getLogger(__name__)

LATEST_RECORDS = 12
LATEST_RUNS = 12


@dataclass(frozen=True)
class ReleasedVersion:
    """A version that is or was the champion; None where its tags lack a fact.

    Attributes
    ----------
    since : when it became the champion, or was made
    """

    version: str
    run_id: str
    model_uri: str
    first_period: str | None
    last_period: str | None
    holdout_period: str | None
    held_out: str | None
    data_digest: str | None
    code_commit: str | None
    since: str
    metrics: dict[str, float]
    model_type: str | None = None


@dataclass(frozen=True)
class CleanPeriod:
    """The newest clean partition of a period."""

    period: str
    version: int
    rows: int
    unlabelled: int
    quarantined: int
    sha256: str


@dataclass(frozen=True)
class Status:
    """Champion by the ledger, previous version, ledger and data; the JSON is documented and stable."""

    model: str
    champion: ReleasedVersion | None
    previous: ReleasedVersion | None
    ledger: list[LedgerEntry]
    partitions: list[CleanPeriod]
    storage_uri: str
    tracking_uri: str
    environment: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `json.dumps` takes it; the environment only where one is chosen."""
        fields = asdict(self) | {"ledger": [entry.to_json() for entry in self.ledger]}
        return {name: value for name, value in fields.items() if name != "environment" or value}


@dataclass(frozen=True)
class RunSummary:
    """What one run used, measured and decided.

    Attributes
    ----------
    champion : version in force now
    page : link to the run, or where it is
    """

    run_id: str
    periods: list[str]
    rows: int
    quarantined: int
    unlabelled: int
    holdout_period: str
    held_out: str
    metrics: dict[str, float]
    checks: list[Check]
    verdict: str
    warnings: list[str]
    approval: str
    answered_by: str | None
    answer_reason: str | None
    version: str | None
    champion: str | None
    page: str

    def to_json(self) -> dict[str, Any]:
        """The summary as `json.dumps` takes it."""
        return asdict(self)


@dataclass(frozen=True)
class State:
    """Everything that the page of the state shows.

    Attributes
    ----------
    at : when it was read
    registry_champion : version that the registry's alias names, which should be the ledger's
    records : of monitoring, the oldest first
    claims : run that has claimed the request of a record, by the record's number; of the latest requests
    claiming : those of these runs that MLflow knows, by name
    runs : the latest training runs, the newest first
    links : link to a run, by its id
    plots : numbers of the champion's plots; None where its run has none that can be read
    rollout : the last one; None where no version was rolled out
    """

    at: datetime
    status: Status
    registry_champion: str | None
    records: list[Record]
    claims: dict[int, str | None]
    claiming: dict[str, TrackedRun]
    runs: list[TrackedRun]
    links: dict[str, str]
    plots: PlotData | None = None
    rollout: RolloutState | None = None

    @property
    def ledger(self) -> list[LedgerEntry]:
        """Moves of the champion, the oldest first."""
        return self.status.ledger


def read_state(project: Project, settings: Settings) -> State:
    """Everything that the page of the state shows."""
    tracker = Tracker(project, settings)
    state = _read_outline(settings, tracker)
    champion = state.status.champion
    shown = [each.run_id for each in state.runs] + ([champion.run_id] if champion else [])
    monitoring = Tracker(project, settings, settings.monitoring_experiment)
    monitored = [each.run_id for each in state.records[-LATEST_RECORDS:]]
    return replace(
        state,
        status=replace(state.status, partitions=_read_clean_periods(settings)),
        links=_link_runs(settings, tracker, shown) | _link_runs(settings, monitoring, monitored),
        plots=_read_plots(tracker, champion),
    )


def read_outline(project: Project, settings: Settings) -> State:
    """The state without partitions, links and plots, which cost a request each."""
    return _read_outline(settings, Tracker(project, settings))


def _read_outline(settings: Settings, tracker: Tracker) -> State:
    runs = tracker.runs.latest(LATEST_RUNS)  # first: its error is the clearest where MLflow does not answer
    history, status = records.read_records(settings), _read_releases(settings, tracker)
    alias = tracker.versions.find_alias(CHAMPION)
    latest = history[-LATEST_RECORDS:]
    claims = {each.sequence: records.find_claimant(settings, each) for each in latest if each.retrain}
    return State(
        at=datetime.now(UTC),
        status=status,
        registry_champion=alias.version if alias else None,
        records=history,
        claims=claims,
        claiming={name: run for name in claims.values() if name and (run := tracker.runs.describe(name))},
        runs=runs,
        links={},
        rollout=read_rollout(settings),
    )


def _read_plots(tracker: Tracker, champion: ReleasedVersion | None) -> PlotData | None:
    try:
        content = tracker.runs.find_json(champion.run_id, PLOT_DATA_FILE, None) if champion else None
        return TypeAdapter(PlotData).validate_python(content) if content else None
    except Exception as error:  # of MLflow's store of files, in any way: the state is complete without pictures
        log.warning("the champion's plots cannot be read: %s", error)
        return None


def _link_runs(settings: Settings, tracker: Tracker, run_ids: Iterable[str]) -> dict[str, str]:
    return {each: tracker.runs.link_to(each, settings.mlflow_url) for each in run_ids}


def read_status(project: Project, settings: Settings) -> Status:
    """Champion, previous version, ledger and data."""
    releases = _read_releases(settings, Tracker(project, settings))
    return replace(releases, partitions=_read_clean_periods(settings))


def _read_releases(settings: Settings, tracker: Tracker) -> Status:
    """The status without partitions."""
    entries = ledger.read_ledger(settings)
    champion = ledger.find_champion(tracker, entries)
    previous = tracker.versions.get(entries[-1].from_version) if entries and entries[-1].from_version else None
    return Status(
        model=settings.registered_model,
        champion=_describe(tracker, champion, entries[-1].at if entries else "") if champion else None,
        previous=_describe(tracker, previous) if previous else None,
        ledger=entries,
        partitions=[],
        storage_uri=settings.storage_uri,
        tracking_uri=settings.tracking_address,
        environment=settings.environment,
    )


def _read_clean_periods(settings: Settings) -> list[CleanPeriod]:
    return [
        CleanPeriod(
            period=newest.period,
            version=newest.version,
            rows=newest.rows,
            unlabelled=newest.facts.get("unlabelled", 0),
            quarantined=newest.facts["quarantined"],
            sha256=newest.sha256,
        )
        for period in partitions.list_periods(settings.storage_uri, "clean")
        for newest in partitions.find_partitions(settings.storage_uri, "clean", period)[-1:]
    ]


def _describe(tracker: Tracker, version: Version, since: str = "") -> ReleasedVersion:
    return ReleasedVersion(
        version=version.version,
        run_id=version.run_id,
        model_uri=version.model_uri,
        first_period=version.tags.get("first_period"),
        last_period=version.tags.get("last_period"),
        holdout_period=version.tags.get("holdout_period"),
        held_out=version.tags.get("measured_on") or version.tags.get("held_out"),
        data_digest=version.tags.get("data_digest"),
        code_commit=version.tags.get("code_commit"),
        since=since or datetime.fromtimestamp(version.created_at_ms / 1000, UTC).isoformat(timespec="seconds"),
        metrics=tracker.runs.metrics(version.run_id),
        model_type=tracker.runs.find_json(version.run_id, RECIPE_FILE, {}).get("model", {}).get("type"),
    )


def find_unchanged(project: Project, settings: Settings, run_name: str) -> str | None:
    """The version of the same data, code and settings, if a run ended since there is one."""
    found = Tracker(project, settings).runs.describe(run_name)
    return (found.tags.get(UNCHANGED) or None) if found else None


def find_run(project: Project, settings: Settings, run_name: str, server: str = "") -> RunSummary | None:
    """Summary of one run; None if it has no verdict.

    Parameters
    ----------
    server : MLflow server that shows the run, if it is not where runs are tracked
    """
    tracker = Tracker(project, settings)
    run_id = tracker.runs.find(run_name)
    tags = tracker.runs.tags(run_id) if run_id else {}
    if run_id is None or "verdict" not in tags:
        return None
    dataset = partitions.load_dataset(settings.absolute(tags["dataset_uri"]))
    champion = ledger.find_champion(tracker, ledger.read_ledger(settings))
    return RunSummary(
        run_id=run_id,
        periods=dataset.periods,
        rows=dataset.rows,
        quarantined=sum(partition.facts["quarantined"] for partition in dataset.partitions),
        unlabelled=sum(partition.facts.get("unlabelled", 0) for partition in dataset.partitions),
        holdout_period=tags["holdout_period"],
        held_out=tags["held_out"],
        metrics=tracker.runs.metrics(run_id),
        checks=[Check(**check) for check in tracker.runs.load_json(run_id, VERDICT_FILE)],
        verdict=tags["verdict"],
        warnings=tracker.runs.load_json(run_id, WARNINGS_FILE),
        approval=tags["approval"],
        answered_by=tags.get("answered_by"),
        answer_reason=tags.get("answer_reason"),
        version=tags.get("model_version"),
        champion=champion.version if champion else None,
        page=tracker.runs.link_to(run_id, server),
    )
