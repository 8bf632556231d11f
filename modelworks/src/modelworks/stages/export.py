"""Export: what another environment gets of a released version; it changes nothing but for a missing reference."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelworks.errors import PipelineError, QualityGateError, ReleaseError
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import PROFILE_FILE
from modelworks.registry.origin import Origin, hash_server
from modelworks.registry.promotion import LedgerEntry, PromotedFrom
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.settings import ENV_PREFIX, ENVIRONMENT_VARIABLE, HOME_VARIABLE, Settings
from modelworks.settings.environments import check_exists
from modelworks.stages.approve import check_accepted
from modelworks.stages.common import APPROVED, NOT_NEEDED
from modelworks.stages.reference import make_reference

MODEL, CANDIDATE, RUN = "model", "candidate", "run"
"""Folders of an exported version: both its models, and the files of its run."""
OF_THE_TARGET = {
    *("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    "GIT_COMMIT",
}
"""Variables that are of the environment which is promoted to, beside its settings."""


def read_origin(settings: Settings, environment: str, version: str, folder: Path | None = None) -> Origin:
    """A released version of another environment, and, where a folder is given, its files.

    A process of its own reads them: it has that environment's settings and credentials, and this one keeps its own.

    Parameters
    ----------
    settings : of the environment that the version goes to
    environment : where it was released

    Raises
    ------
    ConfigError
        If there is no such environment.
    ReleaseError
        If it cannot be read, or was never released.
    """
    check_exists(settings.home, environment, "--from")
    command = [
        sys.executable,
        "-m",
        "modelworks",
        "export-version",
        version,
        *(["--to", str(folder)] if folder else []),
    ]
    variables = variables_of(os.environ, environment) | {HOME_VARIABLE: str(settings.home)}
    done = subprocess.run(command, cwd=settings.home, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().rpartition("error: ")[2] or f"exit status {done.returncode}"
        raise ReleaseError(f"version {version} cannot be promoted from {environment}: {said}")
    origin = Origin.from_json(json.loads(done.stdout))
    if origin.server == hash_server(settings):
        raise ReleaseError(
            f"{environment} and {settings.environment or 'pipeline.toml'} have the same registry, {settings.registry}: "
            "there is nothing to promote; set another [tracking] uri in one of them"
        )
    return origin


def variables_of(variables: Mapping[str, str], environment: str) -> dict[str, str]:
    """The variables with which another environment is read from this one.

    Settings and MLflow's credentials of this one are left out. What begins with the other's name and two underscores,
    such as `STAGING__MLFLOW_TRACKING_PASSWORD`, stands without them.
    """
    prefix = f"{environment.upper().replace('-', '_')}__"
    is_setting = {name for name in variables if name.startswith(ENV_PREFIX) and "__" in name}
    kept = {name: value for name, value in variables.items() if name not in is_setting | OF_THE_TARGET}
    own = {name.removeprefix(prefix): value for name, value in variables.items() if name.startswith(prefix)}
    # What .env holds is among these variables already.
    return kept | own | {ENVIRONMENT_VARIABLE: environment, "PYTHON_DOTENV_DISABLED": "1"}


def export_version(project: Project, settings: Settings, version: str, folder: Path | None = None) -> Origin:
    """The facts of a released version, and, where a folder is given, its files in it.

    Raises
    ------
    ReleaseError
        If it was never released, or its files are not those that were saved.
    QualityGateError
        If the gates or a person refuse it.
    """
    tracker = Tracker(project, settings)
    found = tracker.versions.get(version)
    entries = ledger.read_ledger(settings)
    release = next((each for each in entries if each.action == "deploy" and each.to_version == version), None)
    if release is None:
        raise ReleaseError(f"version {version} of {settings.registry} was never released; only a release is promoted")
    tags = tracker.runs.tags(found.run_id)
    check_accepted(found.run_id, tags)
    if tags["approval"] not in {APPROVED, NOT_NEEDED}:
        raise QualityGateError(f"run {found.run_id}: {tags['approval']}; only an approved model is promoted")
    candidate_uri = found.tags["candidate_uri"]
    warnings = _describe_rollback(entries, version)
    if folder:
        tracker.copies.download_model(found.model_uri, folder / MODEL)
        tracker.copies.download_model(candidate_uri, folder / CANDIDATE)
        tracker.copies.download_run(found.run_id, folder / RUN)
        warnings += _add_reference(project, settings, tracker, found, folder / RUN / PROFILE_FILE)
    sha256 = tracker.models.sha256(found.model_uri)
    return Origin(
        promoted_from=PromotedFrom(settings.environment, settings.registry, version, found.run_id, sha256),
        server=hash_server(settings),
        release=release.to_json(),
        candidate_sha256=tracker.models.sha256(candidate_uri),
        tags=found.tags | {"dataset_uri": settings.absolute(found.tags["dataset_uri"])},
        params=tracker.copies.params(found.run_id),
        metrics=tracker.runs.metrics(found.run_id),
        trials=tags.get("trials", ""),
        warnings=warnings,
    )


def _describe_rollback(entries: list[LedgerEntry], version: str) -> list[str]:
    """That a version was taken back where it was released, if it was."""
    back = [each for each in entries if each.action == "rollback" and each.from_version == version]
    if not back or entries[-1].to_version == version:
        return []
    return [f"it was taken back there, at {back[-1].at} by {back[-1].by}: {back[-1].reason}"]


def _add_reference(project: Project, settings: Settings, tracker: Tracker, found: Version, file: Path) -> list[str]:
    """The reference of drift, which the next environment cannot count, as the rows are here."""
    if file.exists():
        return []
    try:
        made: dict[str, Any] = make_reference(project, settings, found, tracker.models.load(found.model_uri))
    except (OSError, PipelineError, ValueError) as error:
        return [f"drift cannot be measured, without a reference: {error}"]
    file.write_text(json.dumps(made, indent=1), encoding="utf-8")
    return []
