"""A project that was moved or copied: into a folder of an odd name, to another user, onto another Python.

In a shell that was set up for something else: other servers, another locale, another time zone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bakes import Bake, BakedProject, restored, succeed
from live_project import free_ports

ODD = "-odd %20?#[x]é'q\"" + "n" * 183  # of 200 characters
HOSTILE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "true",
    "MLFLOW_RUN_ID": "0" * 32,
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "true",
    "AIRFLOW__CORE__DAGS_FOLDER": "/nowhere",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "GIT_DIR": "/nowhere",
    "LC_ALL": "C",
    "TZ": "America/St_Johns",
}
MACHINES = [
    ({"LC_ALL": "C", "TZ": "America/St_Johns"}, 0o077),
    ({"LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"}, 0o027),
]
"""Locales and time zones, the latter half an hour and a quarter off the others, and what a umask takes away."""
OTHER_USER = 12345
PERIOD = "ARGS=--period 2013-03"
PYTHONS = [Path.home() / ".pyenv" / "versions", Path("/opt/hostedtoolcache/Python")]
"""Where tools install several versions side by side."""


def champion(project: BakedProject, **environment: str) -> dict[str, Any]:
    """What the project says of its champion."""
    shown = succeed(project, project.command, "status", "--json", **environment)
    found: dict[str, Any] = json.loads(shown)["champion"]
    return found


def files_below(folder: Path) -> dict[Path, int]:
    """Every file and when it was last written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def ports() -> dict[str, str]:
    """Settings of the stack: ports that nobody uses."""
    names = ("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT")
    return {f"MODELWORKS_STACK__{name}": str(port) for name, port in zip(names, free_ports(0, 0, 0), strict=True)}


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


def test_tests_pass_in_a_folder_of_an_odd_name(copy: BakedProject) -> None:
    assert " passed" in succeed(copy, "make", "test", **HOSTILE)


def test_stack_runs_tasks_whatever_the_shell_brings_and_ends_without_its_files(copy: BakedProject) -> None:
    environment = HOSTILE | ports()
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


@pytest.mark.parametrize(("environment", "umask"), MACHINES)
def test_locale_time_zone_and_umask_change_no_data_and_no_model(
    released: BakedProject, environment: dict[str, str], umask: int
) -> None:
    """Another registry and storage, so that each period is ingested anew."""
    name = environment["TZ"].rpartition("/")[2].lower().replace("_", "-")
    environment = environment | {"MODELWORKS_STORAGE__URI": f"var/{name}", "MODELWORKS_TRACKING__MODEL_NAME": name}
    subprocess.run(["make", "run", PERIOD], cwd=released.path, env=os.environ | environment, umask=umask, check=True)
    here, there = champion(released), champion(released, **environment)
    assert here["version"] == there["version"] == "1"
    assert here["metrics"] == there["metrics"]
    assert here["data_digest"] == there["data_digest"]


def find_python(version: str) -> str:
    """An interpreter of a version, on PATH or in `PYTHONS`; a name on PATH may be a shim that starts nothing."""
    folders = [folder for place in PYTHONS for folder in sorted(place.glob(f"{version}.*"))]
    beside = [path for folder in folders for path in (folder / "bin" / "python", *folder.glob("*/bin/python"))]
    for python in filter(None, [shutil.which(f"python{version}"), *map(str, filter(Path.exists, beside))]):
        shown = subprocess.run([python, "--version"], capture_output=True, text=True, check=False)
        if f"Python {version}." in shown.stdout:
            return python
    return pytest.skip(f"no Python {version} on this machine")


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_project_runs_and_is_tested_on_another_python(bake: Bake, version: str) -> None:
    """CI's matrix has them all; this is the test where one machine has several."""
    python = find_python(version)
    project = bake()
    assert "version 1 is the champion" in succeed(project, "make", "run", PERIOD, UV_PYTHON=python)
    assert f"Python {version}." in succeed(project, ".venv/bin/python", "--version")
    assert " passed" in succeed(project, "make", "test", UV_PYTHON=python)


def test_targets_side_by_side_make_the_environment_once(bake: Bake) -> None:
    project = bake()
    done = project.run("make", "-j4", "run", "test", "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("Installing the environment") == 1
    for end in ("version 1 is the champion", " passed", "0 broken"):
        assert end in done.stdout
    again = project.run("make", "-j4", "status", "check")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Installing" not in again.stderr


def test_folder_with_a_colon_is_refused(bake: Bake, tmp_path: Path) -> None:
    project = bake(output_dir=tmp_path / "a::b")
    done = project.run("make", "setup")
    assert done.returncode != 0
    assert "Python cannot have an environment in a folder with a colon; rename it" in done.stderr


@pytest.fixture
def moved(released: BakedProject, uv: str) -> Iterator[BakedProject]:
    """The project in another folder, as a tar file brings it, with all its files another user's."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can work as another user")
    # Not below pytest's folder, which no other user can read, nor with an interpreter in somebody's home.
    python = next((each for each in ("/usr/bin/python3", "/usr/local/bin/python3") if Path(each).exists()), None)
    folder = Path(tempfile.mkdtemp(prefix="moved-", dir="/tmp"))
    project = BakedProject(folder / released.path.name, released.answers)
    folder.chmod(0o755)
    try:
        archive = folder / "project.tar"
        subprocess.run(
            ["tar", "-C", released.path.parent, "--exclude=.venv", "-cf", archive, released.path.name], check=True
        )
        subprocess.run(["tar", "-C", folder, "-xf", archive], check=True)
        (project.path / ".tools" / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(uv).resolve(), project.path / ".tools" / "bin" / "uv")
        # The other user has no cache of packages.
        succeed(project, "make", "setup", UV=".tools/bin/uv", **({"UV_PYTHON": python} if python else {}))
        subprocess.run(["chown", "-R", f"{OTHER_USER}:{OTHER_USER}", folder], check=True)
        yield project
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(f"/tmp/modelworks-{OTHER_USER}", ignore_errors=True)  # noqa: S108 - of that user's commands


@pytest.fixture
def as_other_user(moved: BakedProject) -> Callable[..., str]:
    """Runs a command in the moved project as its user, with an environment of that user; it has to succeed."""

    def call(*command: str | Path, **environment: str) -> str:
        who = ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
        clean = ["env", "-i", f"HOME={moved.path.parent}", "PATH=/usr/bin:/bin", "UV=.tools/bin/uv"]
        given = [f"{name}={value}" for name, value in environment.items()]
        return succeed(moved, *who, *clean, *given, *command)

    return call


def test_project_of_another_user_elsewhere_goes_on_with_its_own_models(
    released: BakedProject, moved: BakedProject, as_other_user: Callable[..., str]
) -> None:
    before = files_below(released.path / "var")
    any_model = {"MODELWORKS_GATES__MIN_GAIN_OVER_BASELINE": "-1"}
    assert "version 1" in as_other_user("make", "status")
    assert "2013-03" in as_other_user("make", "score")
    assert "equal in all" in as_other_user(moved.command, "reproduce", "1")
    assert "version 2 is the champion" in as_other_user("make", "run", "ARGS=--period 2013-05", **any_model)
    assert "version 1" in as_other_user("make", "rollback", "ARGS=--reason 'to see that it works'")
    stack = ports() | any_model
    try:
        as_other_user("make", "up", **stack)
        assert "version 3 is the champion" in as_other_user("make", "trigger", "ARGS=--period 2013-06", **stack)
    finally:
        as_other_user("make", "down", **stack)
    owners = {path.lstat().st_uid for path in (moved.path / "var").rglob("*")}
    assert owners == {OTHER_USER}
    assert files_below(released.path / "var") == before
