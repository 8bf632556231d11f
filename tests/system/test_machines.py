"""A project that was copied into a folder of an odd name, in a shell that was set up for something else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bakes import BakedProject, restored, succeed
from live_project import free_ports

ODD = "-odd %20?#[x]é'q"
HOSTILE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "true",
    "MLFLOW_RUN_ID": "0" * 32,
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "true",
    "AIRFLOW__CORE__DAGS_FOLDER": "/nowhere",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "GIT_DIR": "/nowhere",
}


def files_below(folder: Path) -> dict[Path, int]:
    """Every file and when it was last written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def released(installed: BakedProject) -> BakedProject:
    """A project with a first release."""
    project = restored(installed)
    succeed(project, project.command, "run", "--period", "2013-03")
    return project


@pytest.fixture(scope="module")
def copy(released: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """The same with all its files in a folder of an odd name, and an environment that is still the former one's."""
    folder = tmp_path_factory.mktemp("machines") / ODD / released.path.name
    shutil.copytree(released.path, folder, symlinks=True)
    return BakedProject(folder, released.answers)


def test_command_of_the_former_environment_is_refused(copy: BakedProject) -> None:
    """Its first line still names the Python of the folder that it was copied from."""
    done = copy.run(copy.command, "status")
    assert done.returncode == 1
    assert "belongs to another folder. `make setup` makes one for this folder" in done.stderr


def test_copy_has_its_own_environment_models_and_releases(released: BakedProject, copy: BakedProject) -> None:
    before = files_below(released.path / "var")
    shown = copy.run("make", "status")
    assert "Installing the environment" in shown.stderr
    assert "version 1" in shown.stdout
    found = succeed(copy, ".venv/bin/python", "-c", "import flight_delays, modelworks; print(modelworks.__file__)")
    assert Path(found.strip()).resolve().is_relative_to(copy.path.resolve())
    assert "2013-03" in succeed(copy, "make", "score")
    succeed(
        copy, "make", "run", "ARGS=--period 2013-05", **{**HOSTILE, "MODELWORKS_GATES__MIN_GAIN_OVER_BASELINE": "-1"}
    )
    assert "version 2" in succeed(copy, "make", "status")
    assert files_below(released.path / "var") == before
    assert "version 1" in succeed(released, "make", "status")


def test_stack_runs_tasks_whatever_the_shell_brings_and_ends_without_its_files(copy: BakedProject) -> None:
    ports = dict(zip(("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT"), map(str, free_ports(0, 0, 0)), strict=True))
    environment = HOSTILE | {f"MODELWORKS_STACK__{name}": port for name, port in ports.items()}
    try:
        shown = succeed(copy, "make", "up", **environment)
        assert "Not used here, though the shell sets them: AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION" in shown
        succeed(copy, "make", "trigger", "ARGS=--period 2013-06", **environment)
        shutil.rmtree(copy.path / "var")
        assert "(left over)" in succeed(copy, "make", "status", **environment)
        taken = copy.run("make", "up", **environment)
        assert "Ended" in taken.stdout
    finally:
        stopped = copy.run("make", "down", **environment)
    assert "processes were running" in stopped.stdout
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if os.fspath(copy.path) in line]
