"""The champion and the ledger of its moves.

The newest entry of the ledger is the truth. An entry is written whole or not at all, and only one release can
write the next one. The registry's aliases follow: at once, or after a crash in between, when `reconcile` is called.
"""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from modelworks.data import frames, journal
from modelworks.errors import QualityGateError, ReleaseError
from modelworks.models import derived, pipeline
from modelworks.project import Project
from modelworks.registry import promotion
from modelworks.registry.files import SAMPLE_FILE
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION, PREVIOUS, Version
from modelworks.settings import Settings

NO_VERSION = "none"


def read_ledger(settings: Settings) -> list[LedgerEntry]:
    """All releases of the registry in use, the oldest first."""
    return [LedgerEntry.from_json(entry) for entry in journal.read_entries(settings.storage_uri, _ledger(settings))]


def reconcile(settings: Settings, tracker: Tracker) -> list[LedgerEntry]:
    """Let the aliases follow the ledger, also after a crash between the two; returns the ledger.

    Raises
    ------
    ReleaseError
        If the champion is a version that this ledger does not name: whoever moved it keeps another ledger.
    """
    while entries := read_ledger(settings):
        last = entries[-1]
        wanted = {CHAMPION: last.to_version, PREVIOUS: last.from_version}
        found = {alias: name_of(tracker.versions.find_alias(alias)) for alias in wanted}
        if not _is_newest(settings, last):
            continue  # another release was made meanwhile, so the aliases found may be its own
        if found[CHAMPION] not in {last.to_version, last.from_version, NO_VERSION}:
            raise ReleaseError(
                f"'{CHAMPION}' of {settings.registered_model!r} is version {found[CHAMPION]}, but the ledger in "
                f"{settings.storage_uri} ends with version {last.to_version}: it was moved by hand, or released from "
                "another storage; move it back, or let all who share the registry share [storage] uri"
            )
        for alias, version in wanted.items():
            if version and found[alias] != version:
                tracker.versions.move_alias(alias, version)
        if _is_newest(settings, last):
            break  # else our move may have come after that of another release
    return entries


def record(settings: Settings, entries: list[LedgerEntry], entry: LedgerEntry) -> LedgerEntry:
    """Write the entry that follows `entries`; whoever writes it has won, and the aliases follow.

    Returns
    -------
    The entry, or the one that another process has written meanwhile, if it deploys the same run.

    Raises
    ------
    ReleaseError
        If another release was recorded since the ledger was read.
    """
    assert entry.sequence == len(entries) + 1
    try:
        journal.append_entry(settings.storage_uri, _ledger(settings), entry.sequence, entry.to_json())
    except FileExistsError:
        written = promotion.find_entry(read_ledger(settings), entry.run_id)
        if written and entry.action == "deploy":
            return written
        raise ReleaseError(
            f"version {entry.to_version}: another release was made meanwhile (ledger entry {entry.sequence}), and the "
            "champion is the other's; evaluate again, against the new champion"
        ) from None
    return entry


def find_champion(tracker: Tracker, entries: list[LedgerEntry]) -> Version | None:
    """The version in force, by the ledger or, where there is none yet, by the registry's alias."""
    return tracker.versions.get(entries[-1].to_version) if entries else tracker.versions.find_alias(CHAMPION)


def name_of(champion: Version | None) -> str:
    """How a champion is noted in a run's tags."""
    return champion.version if champion else NO_VERSION


def trained_through(version: Version) -> str:
    """The newest period that a version was trained on."""
    return version.tags["last_period"]


def training_periods(version: Version) -> str:
    """The periods that a version was trained on, for people."""
    return f"{version.tags['first_period']} to {version.tags['last_period']}"


def load_version(project: Project, tracker: Tracker, version: Version) -> Pipeline:
    """The model of a version, once it has predicted its sample as it did when it was made.

    Raises
    ------
    ReleaseError
        If it cannot be loaded, or predicts otherwise.
    WeightsError
        If a pre-trained network that it reads documents with is not there.
    """
    model = tracker.models.load(version.model_uri)
    check_sample(project, model, tracker.runs.load_json(version.run_id, SAMPLE_FILE), version.version)
    return model


def check_sample(project: Project, model: Pipeline, sample: dict[str, Any], version: str) -> None:
    """Make sure that a model predicts the rows of its sample as it did when it was made.

    Raises
    ------
    ReleaseError
        If it predicts otherwise.
    """
    predicted = pipeline.predict(project, model, frames.to_frame(project.contract, sample["rows"]))
    expected, tolerance = np.asarray(sample["prediction"]), sample["tolerance"]
    hint = derived.IN_PLACE if derived.find_step(model) else ""
    promotion.check_same_predictions(expected, predicted, version, tolerance, hint)


def check_still_champion(champion: Version | None, tags: dict[str, str]) -> None:
    """Make sure that a run's model was compared with the champion that it would replace.

    Raises
    ------
    ReleaseError
        If another release was made since.
    """
    if name_of(champion) != tags["compared_with"]:
        raise ReleaseError(
            f"the model was compared with champion {tags['compared_with']}, which is now {name_of(champion)}; "
            "evaluate again"
        )


def find_comparable_model(project: Project, champion: Version, run_tags: dict[str, str], name: str = "") -> str:
    """URI of the champion's model that has not seen what a run holds out.

    Parameters
    ----------
    name : in words, where it is another version than the champion

    Raises
    ------
    QualityGateError
        If the champion was trained on it: there, the champion cannot be judged.
    """
    name = name or f"the champion, version {champion.version},"
    if "last_period" not in champion.tags:
        raise QualityGateError(
            f"{name} was not released by this pipeline: it has no tag 'last_period' "
            f"with the newest period that it was trained on; remove the alias '{CHAMPION}' in the registry to start "
            "anew"
        )
    if not project.contract.time:
        return _find_model_with_same_holdout(champion, run_tags, name)
    first, last = run_tags["holdout_from"], run_tags["holdout_period"]
    if last < champion.tags["first_period"] or trained_through(champion) < first:
        return champion.model_uri
    if champion.tags["holdout_from"] <= first:
        return champion.tags["candidate_uri"]  # the same model before it was fitted on those periods as well
    raise QualityGateError(
        f"{name} was trained on {run_tags['held_out']} itself and cannot be compared there; "
        f"hold out {champion.tags['held_out']} or a later period"
    )


def _find_model_with_same_holdout(champion: Version, run_tags: dict[str, str], name: str) -> str:
    if champion.tags["held_out"] == run_tags["held_out"]:
        return champion.tags["candidate_uri"]
    raise QualityGateError(
        f"{name} held out {champion.tags['held_out']}, and not "
        f"{run_tags['held_out']}: it was trained on rows that it would be compared on; hold out the same rows, by "
        "[training] holdout and the contract's group and key, or start anew with another [tracking] "
        "model_name"
    )


def _is_newest(settings: Settings, entry: LedgerEntry) -> bool:
    return not journal.has_entry(settings.storage_uri, _ledger(settings), entry.sequence + 1)


def _ledger(settings: Settings) -> str:
    return f"ledger/{settings.registry}"
