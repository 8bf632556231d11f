"""Kubeflow's pipeline, run by kfp's own local runner on the year of flights, leads to the champion of Airflow."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bakes import Bake, BakedProject, succeed

pytestmark = pytest.mark.slow

RUNNER = Path(__file__).with_name("kubeflow_runner.py")
STAGES = ["ingest", "validate", "compare", "tune", "train", "evaluate", "deploy"]
# Of the files that a run logs, all but this one, which names the run, are compared byte by byte.
OF_THE_RUN = "model_card.md"


@dataclass(frozen=True)
class Released:
    """The champion of a project, and the files that its run has logged."""

    champion: dict[str, Any]
    ledger: list[dict[str, Any]]
    files: dict[str, bytes]
    model: dict[str, object]


@pytest.fixture(scope="module")
def project(bake: Bake, uv: str) -> BakedProject:
    """A project with the platform Kubeflow, its environment and kfp's, and a compiled pipeline."""
    project = bake(platforms="kubeflow")
    succeed(project, "make", "setup", f"UV={uv}")
    succeed(project, "make", "kubeflow", "IMAGE=registry.example.com/flight-delays:2.0.0", f"UV={uv}")
    shutil.copy(project.path / "var/kubeflow/pipeline.yaml", project.path.parent)
    return project


@pytest.fixture(scope="module")
def on_airflow(project: BakedProject) -> Released:
    """What `make run` releases; its data and models are put aside, so that the next run is a first one."""
    succeed(project, project.command, "run")  # as `make run` does
    released = read_champion(project)
    (project.path / "var").rename(project.path.parent / "var-of-airflow")
    return released


@pytest.fixture(scope="module")
def first(project: BakedProject, on_airflow: Released) -> tuple[Released, str]:
    """What the pipeline releases in a project that has nothing, and its log."""
    assert on_airflow.champion["version"] == "1"
    done = run_pipeline(project, {"reason": "first of all"})
    assert done.returncode == 0, done.stdout
    return read_champion(project), done.stdout


@pytest.fixture
def released(first: tuple[Released, str], project: BakedProject) -> list[dict[str, Any]]:
    """The ledger of a project whose champion the pipeline has released."""
    assert first[0].champion["version"] == "1"
    return read_champion(project).ledger


def run_pipeline(
    project: BakedProject, arguments: dict[str, object], **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the compiled pipeline as kfp does without a cluster, the image's command being that of the project."""
    bin_folder = project.path / ".venv" / "bin"
    done = project.run(
        project.path / ".tools/kubeflow/bin/python",
        *(RUNNER, project.path.parent / "pipeline.yaml", project.path / "var/kfp", json.dumps(arguments)),
        PATH=f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        MODELWORKS_HOME=str(project.path),
        **settings,
    )
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    return subprocess.CompletedProcess(done.args, done.returncode, log, "")


def stages_of(log: str) -> dict[str, str]:
    """How each task of a run ended, in their order."""
    return dict(re.findall(r"Task '(\w+)' finished with status (\w+)", log))


def facts_of(log: str) -> list[dict[str, Any]]:
    """What the stages printed."""
    return [json.loads(text) for text in re.findall(r"^ {4}\{\n.*?^ {4}\}$", log, re.MULTILINE | re.DOTALL)]


def read_champion(project: BakedProject) -> Released:
    """The champion, with what its run and its model have in files."""
    status = json.loads(succeed(project, project.command, "status", "--json"))
    champion = status["champion"]
    artifacts = project.path / "var/mlflow/artifacts"
    of_run = artifacts / champion["run_id"] / "artifacts"
    files = {path.name: path.read_bytes() for path in of_run.iterdir() if path.is_file()}
    model = artifacts / "models" / champion["model_uri"].removeprefix("models:/") / "artifacts" / "model.skops"
    return Released(champion, status["ledger"], files, read_model(model))


def read_model(file: Path) -> dict[str, object]:
    """All that a model file of skops holds, by its place: numbers and texts, and arrays as bytes.

    Left out are the ids of its objects, addresses in the memory of the process that has written it, by which the
    arrays' files are called as well.
    """
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        found: dict[str, object] = {}
        read = {"schema.json"}
        waiting = [("", json.loads(archive.read("schema.json")))]
        while waiting:
            place, node = waiting.pop()
            if isinstance(node, dict):
                node = {name: each for name, each in node.items() if name != "__id__"}
                waiting += [(f"{place}/{name}", each) for name, each in node.items()]
            elif isinstance(node, list):
                waiting += [(f"{place}/{number}", each) for number, each in enumerate(node)]
            elif place.endswith("/file"):
                read.add(node)
                found[place] = archive.read(node)
            else:
                found[place] = node
        assert read == set(archive.namelist())
    return found


def test_pipeline_leads_to_the_champion_of_airflow_byte_for_byte(
    on_airflow: Released, first: tuple[Released, str]
) -> None:
    here, log = first
    assert stages_of(log) == dict.fromkeys(STAGES, "SUCCESS")
    [entry] = here.ledger
    assert (entry["to_version"], entry["by"], entry["reason"]) == ("1", "kubeflow", "first of all")
    assert (here.champion["data_digest"], here.champion["metrics"]) == (
        on_airflow.champion["data_digest"],
        on_airflow.champion["metrics"],
    )
    assert here.files.keys() == on_airflow.files.keys() >= {"verdict.json", "evaluation.json", "recipe.json", "roc.png"}
    assert [name for name in here.files if here.files[name] != on_airflow.files[name]] == [OF_THE_RUN]
    assert here.model == on_airflow.model
    assert len(here.model) > 1000


def test_unchanged_data_end_in_success_and_no_new_version(
    project: BakedProject, released: list[dict[str, Any]]
) -> None:
    done = run_pipeline(project, {})
    assert stages_of(done.stdout) == dict.fromkeys(STAGES, "SUCCESS"), done.stdout
    said = facts_of(done.stdout)
    assert [each.get("unchanged") for each in said[2:]] == ["1"] * 5
    assert read_champion(project).ledger == released


def test_refused_model_fails_the_run_and_leaves_the_champion(
    project: BakedProject, released: list[dict[str, Any]]
) -> None:
    settings = {
        "MODELWORKS_GATES__METRICS__ROC_AUC__MIN": "0.84",
        "MODELWORKS_TUNING__MODEL_TYPES": '["linear"]',
    }
    done = run_pipeline(project, {"force": True, "trials": "1"}, **settings)
    assert done.returncode == 1
    assert stages_of(done.stdout) == dict.fromkeys(STAGES[:-1], "SUCCESS") | {"evaluate": "FAILURE"}
    assert "Inner task failed: 'evaluate'" in done.stdout
    assert "the model is refused" in done.stdout
    tuned = facts_of(done.stdout)[3]["tuned"]
    assert [(each["model_type"], each["trials"]) for each in tuned] == [("boosting", 1), ("linear", 1)]
    assert read_champion(project).ledger == released


def test_release_waits_for_a_person_who_approves_by_the_command_line(
    project: BakedProject, released: list[dict[str, Any]]
) -> None:
    # The same data again, with which a candidate is as good as the champion's.
    done = run_pipeline(project, {"force": True}, MODELWORKS_GATES__APPROVAL="always")
    assert done.returncode == 1
    assert stages_of(done.stdout)["deploy"] == "FAILURE", done.stdout
    [run_id] = re.findall(r"run (\w+): a person has to approve it, by \[gates\] approval", done.stdout)
    assert read_champion(project).ledger == released
    asks = {"MODELWORKS_GATES__APPROVAL": "always"}
    approved = succeed(project, project.command, "approve", "--run", run_id, "--reason", "checked the slices", **asks)
    assert f"deploy --run {run_id}" in approved
    deployed = json.loads(succeed(project, project.command, "deploy", "--run", run_id, **asks))
    assert deployed["version"] == str(len(released) + 1)
    [entry] = [each for each in read_champion(project).ledger if each not in released]
    assert (entry["to_version"], entry["run_id"], bool(entry["approved_by"])) == (deployed["version"], run_id, True)
