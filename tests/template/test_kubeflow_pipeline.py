"""The pipeline for Kubeflow compiles to what its pods may be: one image, no cache, no secret, limits everywhere."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bakes import REPOSITORY, Bake, BakedProject, tool
from documents import Reader, steps_of

pytestmark = pytest.mark.slow

PAGE = REPOSITORY / "docs" / "how-to" / "run-on-kubeflow.md"
IMAGE = "registry.example.com/flight-delays:2.0.0"
ORDER = ["ingest", "validate", "compare", "tune", "train", "evaluate", "deploy"]


@pytest.fixture(scope="module")
def project(bake: Bake, uv: str) -> BakedProject:
    """A project whose reader has followed the page about Kubeflow."""
    project = bake(platforms="kubeflow")
    Reader(project.path, {"UV": uv}).follow(steps_of(PAGE))
    return project


@pytest.fixture(scope="module")
def compiled(project: BakedProject) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline, and what is Kubernetes' own of it."""
    pipeline, platform = yaml.safe_load_all((project.path / "var/kubeflow/pipeline.yaml").read_text())
    return pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def in_kfp(project: BakedProject, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in kfp's environment."""
    return project.run(".tools/kubeflow/bin/python", "-W", "error", "-c", program, *words)


def test_page_leads_to_a_pipeline_that_git_does_not_see_and_kfp_loads(project: BakedProject) -> None:
    assert project.run("git", "status", "--porcelain").stdout == ""
    program = "import sys; from kfp import components; print(components.load_component_from_file(sys.argv[1]).name)"
    loaded = in_kfp(project, program, "var/kubeflow/pipeline.yaml")
    assert loaded.stdout == "flight-delays-training\n", loaded.stderr


def test_stages_are_those_of_the_training_dag_in_a_row(
    project: BakedProject, compiled: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    pipeline, _ = compiled
    in_airflow = re.findall(r"@task\b.*\n    def (\w+)\(", (project.path / "dags/training.py").read_text())
    assert [name for name in in_airflow if name != "plan"] == ORDER
    executors = pipeline["deploymentSpec"]["executors"]
    commands = {name: executor["container"]["command"] for name, executor in executors.items()}
    assert commands == {f"exec-{name}": ["flight-delays", "step", name] for name in ORDER}
    tasks = pipeline["root"]["dag"]["tasks"]
    assert tasks.keys() == set(ORDER)
    for before, name in pairwise(ORDER):
        assert before in tasks[name]["dependentTasks"]
    # Kubeflow fills in its run's id where that is the whole value, and nowhere else.
    runs = [task["inputs"]["parameters"]["run"] for name, task in tasks.items() if name != "ingest"]
    assert runs == [{"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}] * (len(ORDER) - 1)
    assert not any("triggerPolicy" in task or "parameterIterator" in task for task in tasks.values())


def test_each_stage_has_the_image_retries_and_limits_and_is_never_taken_from_the_cache(
    project: BakedProject, compiled: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    pipeline, _ = compiled
    for executor in pipeline["deploymentSpec"]["executors"].values():
        assert executor["container"]["image"] == IMAGE
        resources = executor["container"]["resources"]
        assert (resources["resourceCpuLimit"], resources["resourceMemoryLimit"]) == ("2", "4Gi")
    for task in pipeline["root"]["dag"]["tasks"].values():
        assert task["cachingOptions"] == {}
        assert task["retryPolicy"]["maxRetryCount"] == 2
    assert "latest" not in (project.path / "var/kubeflow/pipeline.yaml").read_text()


def test_pods_are_no_root_end_in_time_and_know_secrets_by_name_only(
    compiled: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    pipeline, platform = compiled
    assert not any("env" in executor["container"] for executor in pipeline["deploymentSpec"]["executors"].values())
    assert platform.keys() == {f"exec-{name}" for name in ORDER}
    for pod in platform.values():
        assert pod["securityContext"] == {"runAsUser": "10001", "runAsGroup": "10001", "runAsNonRoot": True}
        assert int(pod["activeDeadlineSeconds"]) > 0
        [secrets] = pod["secretAsEnv"]
        assert secrets["secretName"] == "flight-delays"
        assert {each["envVar"] for each in secrets["keyToEnv"]} >= {"AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN"}


def test_config_map_of_the_page_is_valid_and_has_what_a_pod_waits_for(
    project: BakedProject, compiled: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    file = project.path / "var/kubeflow/environment.yaml"
    checked = project.run(tool("kubernetes-validate"), "--strict", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    config = yaml.safe_load(file.read_text())
    for pod in compiled[1].values():
        required, optional = pod["configMapAsEnv"]
        assert (required["optional"], optional["optional"]) == (False, True)
        assert required["configMapName"] == optional["configMapName"] == config["metadata"]["name"]
        keys, more = ({each["configMapKey"] for each in part["keyToEnv"]} for part in (required, optional))
        assert keys <= config["data"].keys() <= keys | more


def test_options_of_the_page_are_those_of_kfp(project: BakedProject) -> None:
    [options] = re.findall(r"^\S+/kfp (.*) period=", PAGE.read_text(), re.MULTILINE)
    program = (
        "from kfp.cli.cli import cli; from kfp.cli.run import run\n"
        "print(*(name for command in (cli, run.commands['create']) for each in command.params for name in each.opts))"
    )
    known = in_kfp(project, program)
    assert {"--endpoint", "--package-file"} <= set(re.findall(r"--[a-z-]+", options)) <= set(known.stdout.split())


def test_image_without_a_tag_of_its_own_is_refused(project: BakedProject) -> None:
    program = (
        "import sys, argparse; sys.path.insert(0, 'deploy/kubeflow'); from pipeline import image_reference\n"
        "for text in sys.argv[1:]:\n"
        "    try: image_reference(text); print('taken')\n"
        "    except argparse.ArgumentTypeError: print('refused')"
    )
    wrong = ["", "flight-delays", "flight-delays:latest", "localhost:5000/flight-delays", ":1", "a:", "a: 1", "a:1\n"]
    good = [IMAGE, "localhost:5000/flight-delays:1", f"flight-delays@sha256:{'0a' * 32}"]
    tried = in_kfp(project, program, *wrong, *good)
    assert tried.stdout.split() == ["refused"] * len(wrong) + ["taken"] * len(good), tried.stderr


def test_lock_fits_what_is_asked_for_and_names_no_index(project: BakedProject) -> None:
    """If this fails, run `make lock`."""
    folder = project.path / "deploy/kubeflow"
    wanted = [Requirement(line) for line in (folder / "requirements.in").read_text().splitlines() if line[0] != "#"]
    lock = (folder / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    assert all(each.specifier.contains(locked[canonicalize_name(each.name)]) for each in wanted)
    assert "://" not in lock
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[a-z])", lock)[1:])


def test_longest_name_has_a_valid_pipeline_and_clean_files(bake: Bake, project: BakedProject, tmp_path: Path) -> None:
    other = bake(project_slug="a-name-of-fifty-characters-which-is-the-most-there", platforms="Kubeflow, none")
    file = tmp_path / "pipeline.yaml"
    python = project.path / ".tools/kubeflow/bin/python"
    done = other.run(python, "-W", "error", "deploy/kubeflow/pipeline.py", "--image", "a:1", "--to", file)
    assert done.returncode == 0, done.stderr
    assert next(yaml.safe_load_all(file.read_text()))["pipelineInfo"]["name"] == f"{other.path.name}-training"
    for words in (["check"], ["format", "--check"]):
        assert (done := other.run(tool("ruff"), *words)).returncode == 0, done.stdout
