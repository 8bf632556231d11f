"""The champion and the ledger of its moves.

The newest entry of the ledger is the truth. An entry is written whole or not at all, and only one release can
write the next one; the registry's aliases follow, at once or, after a crash in between, at the next call.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from . import deployment, families, journal, schema, training
from .config import Settings
from .deployment import LedgerEntry
from .errors import QualityGateError, ReleaseError
from .tracking import CHAMPION, PREVIOUS, Tracker, Version

SAMPLE_FILE = "sample.json"
"""Rows that a version is tried on wherever it is loaded, with what it predicted of them when it was made."""

NO_VERSION = "none"


def settle(settings: Settings, tracker: Tracker) -> list[LedgerEntry]:
    """Let the aliases follow the ledger, also after a crash between the two; returns the ledger.

    Raises
    ------
    ReleaseError
        If the champion is a version that this ledger knows nothing of: whoever moved it keeps another ledger.
    """
    while ledger := read_ledger(settings):
        last = ledger[-1]
        wanted = {CHAMPION: last.to_version, PREVIOUS: last.from_version}
        found = {alias: name_of(tracker.find_alias(alias)) for alias in wanted}
        if not _is_newest(settings, last):
            continue  # somebody has released meanwhile, so what was found may be theirs
        if found[CHAMPION] not in {last.to_version, last.from_version, NO_VERSION}:
            raise ReleaseError(
                f"'{CHAMPION}' of {settings.tracking.model_name!r} is version {found[CHAMPION]}, but the ledger in "
                f"{settings.storage_uri} ends with version {last.to_version}: it was moved by hand, or released from "
                "another storage; move it back, or let all who share the registry share [storage] uri"
            )
        for alias, version in wanted.items():
            if version and found[alias] != version:
                tracker.move_alias(alias, version)
        if _is_newest(settings, last):
            break  # else a move of ours may have come after theirs
    return ledger


def _is_newest(settings: Settings, entry: LedgerEntry) -> bool:
    return not journal.has_entry(settings.storage_uri, _ledger(settings), entry.sequence + 1)


def read_ledger(settings: Settings) -> list[LedgerEntry]:
    """All releases of the registry in use, the oldest first."""
    return [LedgerEntry(**entry) for entry in journal.read_entries(settings.storage_uri, _ledger(settings))]


def _ledger(settings: Settings) -> str:
    return f"ledger/{settings.registry}"


def find_champion(tracker: Tracker, ledger: list[LedgerEntry]) -> Version | None:
    """The version in force, by the ledger or, where there is none yet, by the registry's alias."""
    return tracker.get_version(ledger[-1].to_version) if ledger else tracker.find_alias(CHAMPION)


def load_version(tracker: Tracker, version: Version) -> Pipeline:
    """The model of a version, once it has predicted the rows that were kept with it as it did when it was made.

    Raises
    ------
    ReleaseError
        If it cannot be loaded, or predicts otherwise.
    WeightsError
        If a pre-trained network that it reads documents with is not there.
    """
    model = tracker.load_model(version.model_uri)
    check_sample(model, tracker.load_json(version.run_id, SAMPLE_FILE), version.version)
    return model


def check_sample(model: Pipeline, sample: dict[str, Any], version: str) -> None:
    """Make sure that a model predicts the rows of its sample as it did when it was made.

    Raises
    ------
    ReleaseError
        If it predicts otherwise.
    """
    served = training.predict(model, schema.to_frame(sample["rows"]))
    tolerance = sample.get("tolerance", families.EXACT)  # releases of 1.0.0 have none
    deployment.check_same_predictions(np.asarray(sample["prediction"]), served, version, tolerance)


def name_of(champion: Version | None) -> str:
    """How a champion is noted in a run's tags."""
    return champion.version if champion else NO_VERSION


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


def record(settings: Settings, ledger: list[LedgerEntry], entry: LedgerEntry) -> LedgerEntry:
    """Write the ledger's next entry; whoever writes it has won, and the aliases follow.

    Returns
    -------
    The entry, or the one that another process has written meanwhile, if it deploys the same run.

    Raises
    ------
    ReleaseError
        If somebody else has written it since the ledger was read.
    """
    assert entry.sequence == len(ledger) + 1
    try:
        journal.append_entry(settings.storage_uri, _ledger(settings), entry.sequence, asdict(entry))
    except FileExistsError:
        written = deployment.find_entry(read_ledger(settings), entry.run_id)
        if written and entry.action == "deploy":
            return written
        raise ReleaseError(
            f"version {entry.to_version}: another release was made meanwhile (ledger entry {entry.sequence}), and the "
            "champion is the other's; evaluate again, against the new champion"
        ) from None
    return entry


def learned_through(version: Version) -> str:
    """The newest month that a version has learned from."""
    return version.tags["months"].split(" to ")[1]


def find_comparable_model(champion: Version, run_tags: dict[str, str]) -> str:
    """URI of the champion's model that has not seen what a run holds out.

    Raises
    ------
    QualityGateError
        If the champion learned from it: on it, the champion cannot be judged.
    """
    if "months" not in champion.tags:
        raise QualityGateError(
            f"the champion, version {champion.version}, was not released by this pipeline: it has no tag 'months' that "
            f"says what it learned from; remove the alias '{CHAMPION}' in the registry to start anew"
        )
    if not schema.TIME:
        if champion.tags["held_out"] == run_tags["held_out"]:
            return champion.tags["candidate_uri"]
        raise QualityGateError(
            f"the champion, version {champion.version}, held out {champion.tags['held_out']}, and not "
            f"{run_tags['held_out']}: it learned from rows that it would be compared on; hold out the same rows, by "
            "[training] holdout_fraction and the contract's GROUP and KEY, or start anew with another [tracking] "
            "model_name"
        )
    first, last = run_tags["holdout_from"], run_tags["holdout_month"]
    if last < champion.tags["months"].split(" to ")[0] or learned_through(champion) < first:
        return champion.model_uri
    if champion.tags["holdout_from"] <= first:
        return champion.tags["candidate_uri"]  # the same model before it was fitted on those months as well
    raise QualityGateError(
        f"the champion, version {champion.version}, was trained on {run_tags['held_out']} itself and cannot be "
        f"compared there; hold out {champion.tags['held_out']} or a later month"
    )
