"""What monitoring has found, month by month: a journal in the storage, and who acts on what it asks for.

A month has a record for each state of its data and labels. Whoever asks a second time finds it; of two who write at
once one is first, and the other finds that.
"""

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from . import journal, releases, storage
from .config import Settings
from .drift import ColumnDrift
from .errors import ReleaseError
from .performance import Performance
from .storage import Partition
from .tracking import Tracker


@dataclass(frozen=True)
class MonthPerformance:
    """How the predictions that were served in a month turned out.

    Attributes
    ----------
    clean_sha256 : of the rows whose labels were used
    unlabelled : served rows whose outcome is not known
    figures : None where there are too few labels, or `note` says why not
    is_alarm : whether it is a decay; None if it cannot be said
    """

    month: str
    model_version: str
    clean_sha256: str
    labelled: int
    unlabelled: int
    figures: Performance | None
    is_alarm: bool | None
    note: str


@dataclass(frozen=True)
class Record:
    """What was found when a month came, or came anew, and what was decided.

    Attributes
    ----------
    champion : version in force then
    drift : the most drifted column first; none where `drift_note` says why it was not measured
    health : what is unusual about the data
    performance : of each month whose labels were new
    retrain : whether a new model was asked for
    run_id : of MLflow
    """

    sequence: int
    at: str
    month: str
    champion: str | None
    clean_sha256: str
    drift: list[ColumnDrift]
    drift_note: str
    drift_alarm: bool | None
    health: list[str]
    performance: list[MonthPerformance]
    retrain: bool
    reason: str
    pipeline_run: str
    run_id: str

    @property
    def alarms(self) -> list[str]:
        """What is alarming, in a few words each."""
        decayed = [f"decay in {each.month}" for each in self.performance if each.is_alarm]
        return decayed + (["drift"] if self.drift_alarm else [])


def read_records(settings: Settings) -> list[Record]:
    """All records of the registry in use, the oldest first."""
    entries = journal.read_entries(settings.storage_uri, journal.of_monitoring(settings))
    return TypeAdapter(list[Record]).validate_python(entries)


def find_record(records: list[Record], clean: Partition) -> Record | None:
    """The last record of a month, if it is about the same rows."""
    last = next((each for each in reversed(records) if each.month == clean.month), None)
    return last if last and last.clean_sha256 == clean.sha256 else None


def append(settings: Settings, record: Record) -> Record:
    """Write the next record, or find the one that another process has written of the same rows meanwhile."""
    while True:
        try:
            journal.append_entry(settings.storage_uri, journal.of_monitoring(settings), record.sequence, asdict(record))
            return record
        except FileExistsError:
            other = read_records(settings)[-1]
            if (other.month, other.clean_sha256) == (record.month, record.clean_sha256):
                return other
            record = Record(**{**vars(record), "sequence": other.sequence + 1})


def find_served(settings: Settings, tracker: Tracker, month: str) -> Partition | None:
    """The scores that stand for what was predicted in a month: the first by a model that had not learned from it."""
    for scores in storage.find_partitions(settings.storage_uri, "scores", month):
        try:
            version = tracker.get_version(scores.facts["model_version"])
        except ReleaseError:
            continue  # deleted since, or another registry's
        if version.model_uri == scores.facts["model_uri"] and releases.learned_through(version) < month:
            return scores
    return None


def is_measured(records: list[Record], clean: Partition) -> bool:
    """Whether the served predictions of a month were compared with these very labels."""
    return any(
        (each.month, each.clean_sha256) == (clean.month, clean.sha256)
        for record in records
        for each in record.performance
    )


def latest_performance(records: list[Record]) -> dict[str, MonthPerformance]:
    """The newest figures of each month, in order of time."""
    found = {each.month: each for record in records for each in record.performance}
    return dict(sorted(found.items()))


def last_asked(records: list[Record]) -> Record | None:
    """The last record that asks for a new model."""
    return next((each for each in reversed(records) if each.retrain), None)


def claim(settings: Settings, month: str, pipeline_run: str) -> Record | None:
    """Take what monitoring asked for in a month, for one run to act on.

    Returns
    -------
    The record; None if nothing was asked for, or another run acts on it.
    """
    asked = last_asked([each for each in read_records(settings) if each.month == month])
    if asked is None:
        return None
    owner = journal.claim(settings.storage_uri, journal.claim_of(settings, asked.sequence), pipeline_run)
    return asked if owner == pipeline_run else None


def find_claimant(settings: Settings, record: Record) -> str | None:
    """The run that acts on a record."""
    return journal.find_owner(settings.storage_uri, journal.claim_of(settings, record.sequence))


def to_json(record: Record) -> dict[str, Any]:
    """The record as JSON can hold it."""
    return asdict(record)
