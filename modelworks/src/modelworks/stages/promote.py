"""Promote: copy a released version of another environment into a run of this one, where `evaluate` judges it."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import modelworks
from modelworks.data import partitions
from modelworks.errors import QualityGateError, ReleaseError
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import ORIGIN_FILE, ORIGIN_FOLDER, PROFILE_FILE, RECIPE_FILE, SAMPLE_FILE
from modelworks.registry.lineage import project_sha256
from modelworks.registry.origin import Origin
from modelworks.registry.promotion import PROMOTED_FROM
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.settings import Settings
from modelworks.stages.common import run_tags, stage
from modelworks.stages.export import CANDIDATE, MODEL, RUN, read_origin
from modelworks.stages.facts import FoundPromoted, Promoted
from modelworks.stages.rows import read_training_rows
from modelworks.stages.train import describe_run

COPIED_MODEL, COPIED_CANDIDATE = "copied_model_uri", "copied_candidate_uri"


@stage
def find_promoted(project: Project, settings: Settings, version: str, source: str) -> FoundPromoted:
    """Look for a version of another environment in this one's ledger; a release that was cut off is finished.

    Parameters
    ----------
    source : the other environment

    Raises
    ------
    ReleaseError
        If the other environment has not released such a version.
    """
    origin = read_origin(settings, source, version)
    tracker = Tracker(project, settings)
    entries = ledger.reconcile(settings, tracker)
    entry = next((each for each in entries if origin.is_entry(each)), None)
    if entry is None:
        return FoundPromoted(version=None, summary=f"{origin.name} is not here yet")
    tracker.runs.set_tags(entry.run_id, {"model_version": entry.to_version})
    tracker.runs.end(entry.run_id, "FINISHED")
    in_force = entries[-1].to_version
    is_champion = in_force == entry.to_version
    state = "the champion" if is_champion else f"not the champion now: `rollback --to {entry.to_version}` makes it that"
    summary = f"{origin.name} is here already, as version {entry.to_version}, {state}"
    return FoundPromoted(version=entry.to_version, summary=summary)


@stage
def promote(
    project: Project, settings: Settings, dataset_uri: str, run_name: str, version: str, source: str
) -> Promoted:
    """Copy a version's models, bit by bit, into a run that `evaluate` judges on this environment's newest rows.

    Parameters
    ----------
    dataset_uri : clean periods of this environment; the newest are held out
    source : the other environment

    Raises
    ------
    ReleaseError
        If the version was not released there, is damaged, was made under another contract, or is not signed though
        the settings want that.
    QualityGateError
        If it was trained on what would be held out here.
    """
    tracker = Tracker(project, settings)
    dataset = partitions.load_dataset(dataset_uri)
    run_id = tracker.runs.open(run_name, dataset.periods[-1], run_tags(settings, None, ""))
    with tracker.runs.working_on(run_id), tempfile.TemporaryDirectory(prefix="promote-") as name:
        folder = Path(name)
        origin = read_origin(settings, source, version, folder)
        _check(project, tracker, origin, folder)
        tags = describe_run(project, settings, dataset, read_training_rows(project, settings, dataset))
        measured = _choose_model(project, origin, tags)
        copied = {each: tracker.copies.upload_model(run_id, each, folder / each) for each in (MODEL, CANDIDATE)}
        _keep_records(project, settings, tracker, run_id, origin, folder / RUN)
        own = {
            PROMOTED_FROM: json.dumps(asdict(origin.promoted_from)),
            COPIED_MODEL: copied[MODEL],
            COPIED_CANDIDATE: copied[CANDIDATE],
            "candidate_uri": copied[measured],
            "trained_on": origin.tags["trained_on"],
            **({"trials": origin.trials} if origin.trials else {}),
        }
        tracker.runs.set_tags(run_id, tags | own)
    summary = f"{origin.name}, SHA-256 {origin.promoted_from.sha256[:12]}, is copied"
    return Promoted(run_id=run_id, summary=f"{summary}; {tags['held_out']} held out")


def _check(project: Project, tracker: Tracker, origin: Origin, folder: Path) -> None:
    """Refuse what may not be copied, before anything is.

    Raises
    ------
    ReleaseError
    """
    theirs, ours = origin.tags["contract_version"], project.contract.version
    if theirs != ours:
        raise ReleaseError(
            f"{origin.name} was made under contract version {theirs}, and this is {ours}: promote with the code that "
            f"it was made with, commit {origin.tags['code_commit']}, or train it anew"
        )
    tracker.copies.check_files(folder / MODEL, origin.promoted_from.sha256, origin.name)
    tracker.copies.check_files(folder / CANDIDATE, origin.candidate_sha256, f"the candidate of {origin.name}")


def _choose_model(project: Project, origin: Origin, run_tags: dict[str, str]) -> str:
    """Which of the two models has not seen what is held out here: the released one, or its candidate.

    Raises
    ------
    QualityGateError
        If neither.
    """
    there = Version(origin.promoted_from.version, "", MODEL, 0, origin.tags | {"candidate_uri": CANDIDATE})
    try:
        return ledger.find_comparable_model(project, there, run_tags, origin.name)
    except QualityGateError as error:
        raise QualityGateError(
            f"{error}; promote it where newer data are, or a version that holds out the same"
        ) from None


def _keep_records(
    project: Project, settings: Settings, tracker: Tracker, run_id: str, origin: Origin, folder: Path
) -> None:
    """Keep with the run what the version needs here, and apart from it all that is known of where it comes from."""
    recipe = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
    made_with = recipe["environment"]
    warnings = [f"{origin.name}: {each}" for each in origin.warnings]
    for what, then, now in (
        ("engine", made_with["engine version"], modelworks.__version__),
        ("project's code", made_with["project code"][:12], project_sha256(settings.home)[:12]),
    ):
        if then != now:
            warnings.append(f"{origin.name} was made with another version of the {what}: {then}, here {now}")
    tracker.runs.log_params(run_id, origin.params)
    for file in (RECIPE_FILE, SAMPLE_FILE, PROFILE_FILE):
        if (folder / file).exists():
            tracker.runs.log_text(run_id, (folder / file).read_text(encoding="utf-8"), file)
    tracker.copies.upload_files(run_id, folder, ORIGIN_FOLDER)
    tracker.runs.log_json(run_id, origin.to_json() | {"warnings": warnings}, ORIGIN_FILE)


def read_copied(tracker: Tracker, run_id: str) -> Origin:
    """What the model of a promoting run is a copy of."""
    return Origin.from_json(tracker.runs.load_json(run_id, ORIGIN_FILE))
