"""The journal of monitoring: what was found in each period, what was decided, and which run acts on it.

A period has one record for each state of its data and labels. Monitoring the same state again finds that record; if two
processes write at once, the first one wins and the other finds its record.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from modelworks.data import journal, partitions
from modelworks.data.partitions import Partition
from modelworks.errors import ReleaseError
from modelworks.monitoring.calibration import Performance
from modelworks.monitoring.drift import ColumnDrift
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings


@dataclass(frozen=True)
class PeriodPerformance:
    """How the predictions that were served in a period turned out.

    Attributes
    ----------
    clean_sha256 : of the rows whose labels were used
    unlabelled : served rows whose outcome is not known
    figures : None where `note` says why they could not be measured
    is_alarm : whether the calibration drift is an alarm; None where it could not be measured
    """

    period: str
    model_version: str
    clean_sha256: str
    labelled: int
    unlabelled: int
    figures: Performance | None
    is_alarm: bool | None
    note: str


@dataclass(frozen=True)
class Record:
    """What was found in a state of a period, and what was decided.

    Attributes
    ----------
    champion : version in force then
    drift : the most drifted column first; empty where `drift_note` says why it was not measured
    health : what is unusual about the data
    performance : of each period whose labels were new
    retrain : whether a new model was requested
    run_id : of MLflow
    """

    sequence: int
    at: str
    period: str
    champion: str | None
    clean_sha256: str
    drift: list[ColumnDrift]
    drift_note: str
    drift_alarm: bool | None
    health: list[str]
    performance: list[PeriodPerformance]
    retrain: bool
    reason: str
    pipeline_run: str
    run_id: str

    @property
    def calibration_alarms(self) -> list[str]:
        """Periods whose calibration drift is an alarm."""
        return [each.period for each in self.performance if each.is_alarm]

    @property
    def alarms(self) -> list[str]:
        """All alarms, in a few words each."""
        return name_alarms(self.calibration_alarms, bool(self.drift_alarm))

    def to_json(self) -> dict[str, Any]:
        """The record as `json.dumps` takes it."""
        return asdict(self)


def name_alarms(calibration_alarms: list[str], drift_alarm: bool) -> list[str]:
    """Alarms in a few words each.

    Parameters
    ----------
    calibration_alarms : periods whose calibration drift is an alarm
    """
    return [f"calibration drift in {period}" for period in calibration_alarms] + (["drift"] if drift_alarm else [])


def read_records(settings: Settings) -> list[Record]:
    """All records of the registry in use, the oldest first."""
    entries = journal.read_entries(settings.storage_uri, journal.of_monitoring(settings))
    return TypeAdapter(list[Record]).validate_python(entries)


def find_record(records: list[Record], clean: Partition) -> Record | None:
    """The last record of a period, if it is about the same rows."""
    last = next((each for each in reversed(records) if each.period == clean.period), None)
    return last if last and last.clean_sha256 == clean.sha256 else None


def append_record(settings: Settings, record: Record) -> Record:
    """Write the next record, or find the one that another process has just written of the same rows."""
    while True:
        try:
            journal.append_entry(
                settings.storage_uri, journal.of_monitoring(settings), record.sequence, record.to_json()
            )
            return record
        except FileExistsError:
            other = read_records(settings)[-1]
            if (other.period, other.clean_sha256) == (record.period, record.clean_sha256):
                return other
            record = replace(record, sequence=other.sequence + 1)


def find_served(settings: Settings, tracker: Tracker, period: str) -> Partition | None:
    """The scores that count as served in a period: the first by a model that was not trained on the period."""
    for scores in partitions.find_partitions(settings.storage_uri, "scores", period):
        try:
            version = tracker.versions.get(scores.facts["model_version"])
        except ReleaseError:
            continue  # deleted since, or another registry's
        if version.model_uri == scores.facts["model_uri"] and ledger.trained_through(version) < period:
            return scores
    return None


def is_measured(records: list[Record], clean: Partition) -> bool:
    """Whether the served predictions of a period were compared with these very labels."""
    return any(
        (each.period, each.clean_sha256) == (clean.period, clean.sha256)
        for record in records
        for each in record.performance
    )


def latest_performance(records: list[Record]) -> dict[str, PeriodPerformance]:
    """The newest figures of each period, in order of time."""
    found = {each.period: each for record in records for each in record.performance}
    return dict(sorted(found.items()))


def last_request(records: list[Record]) -> Record | None:
    """The last record that requests a new model."""
    return next((each for each in reversed(records) if each.retrain), None)


def claim_request(settings: Settings, period: str, pipeline_run: str) -> Record | None:
    """Claim a period's request for a new model for one run.

    Returns
    -------
    The record; None if nothing was requested, or another run has claimed it.
    """
    request = last_request([each for each in read_records(settings) if each.period == period])
    if request is None:
        return None
    owner = journal.claim(settings.storage_uri, journal.claim_of(settings, request.sequence), pipeline_run)
    return request if owner == pipeline_run else None


def find_claimant(settings: Settings, record: Record) -> str | None:
    """The run that has claimed a record's request."""
    return journal.find_owner(settings.storage_uri, journal.claim_of(settings, record.sequence))
