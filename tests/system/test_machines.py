"""A project in another folder, of another user of the machine, and in a shell that was set up for something else."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bakes import Bake, BakedProject, restored, succeed
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


@pytest.fixture(scope="module")
def equipped(copy: BakedProject) -> BakedProject:
    """The copy with an environment of its own, made while packages could still be fetched."""
    succeed(copy, "make", "setup")
    return copy


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


def ports() -> dict[str, str]:
    names = ("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT")
    return {f"MODELWORKS_STACK__{name}": str(port) for name, port in zip(names, free_ports(0, 0, 0), strict=True)}


def test_stack_runs_tasks_whatever_the_shell_brings_and_ends_without_its_files(equipped: BakedProject) -> None:
    copy, environment = equipped, HOSTILE | ports()
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


def test_environment_that_a_proxy_refuses_names_what_could_not_be_fetched(bake: Bake, uv: str, tmp_path: Path) -> None:
    """Packages come by the user's proxy, or not at all."""
    project, lower = bake(), {name.lower(): HOSTILE[name] for name in ("HTTP_PROXY", "HTTPS_PROXY")}
    done = project.run("make", f"UV={uv}", "setup", **HOSTILE, **lower, UV_CACHE_DIR=str(tmp_path))
    assert done.returncode != 0
    assert re.search(r"Failed to fetch: `?https://", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.path / ".venv" / "installed").exists()  # so that the next command begins anew


class Another:
    """Another user of this machine, who may read everything, since the machine's Python may lie in root's home."""

    name = "nobody"

    def __init__(self, home: Path) -> None:
        account = pwd.getpwnam(self.name)
        self.uid, self.gid = account.pw_uid, account.pw_gid
        home.mkdir()
        os.chown(home, self.uid, self.gid)
        self._environment = {"HOME": str(home), "USER": self.name, "LOGNAME": self.name, "TMPDIR": str(home)}

    def do(self, folder: Path, *command: str | Path, **environment: str) -> str:
        """What a command prints that has to succeed."""
        capability = "-all,+dac_read_search"
        who = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        who += [f"--inh-caps={capability}", f"--ambient-caps={capability}"]
        return succeed(BakedProject(folder, {}), *who, *command, **self._environment, **environment)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="of-another-user-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def renamed(folder: Path) -> Iterator[Path]:
    """A folder under another name, so that nothing in it is found by the former one."""
    other = folder.with_name(f"{folder.name}.former")
    folder.rename(other)
    try:
        yield other
    finally:
        other.rename(folder)


def champion(shown: str) -> str:
    """The champion's version, by `status --json`."""
    version: str = json.loads(shown)["champion"]["version"]
    return version


def test_another_user_goes_on_in_another_folder_with_what_was_unpacked(
    released: BakedProject, open_folder: Path, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs another user, and only root may become one")
    another, program = Another(open_folder / "home"), released.command.relative_to(released.path)
    packed = tmp_path / "project.tar"
    subprocess.run(["tar", "--create", "--file", packed, "."], cwd=released.path, check=True)
    folder = open_folder / "home" / "theirs"
    another.do(folder.parent, "mkdir", folder)
    another.do(folder, "tar", "--extract", "--no-same-owner", "--file", packed)
    # By root: uv's cache of packages is root's, and another user would have to fetch them all.
    succeed(BakedProject(folder, {}), "make", "setup")
    with renamed(released.path) as former:
        before = files_below(former)
        assert champion(another.do(folder, program, "status", "--json")) == "1"
        assert "by version 1" in another.do(folder, "make", "score")
        assert "equal in all" in another.do(folder, program, "reproduce", "1")
        another.do(folder, "make", "run", "ARGS=--period 2013-05", MODELWORKS_GATES__MIN_GAIN_OVER_BASELINE="-1")
        assert champion(another.do(folder, program, "status", "--json")) == "2"
        another.do(folder, "make", "rollback", "ARGS=--reason 'to see that it works'")
        assert champion(another.do(folder, program, "status", "--json")) == "1"
        assert not released.path.exists()
        assert files_below(former) == before
    assert {path.stat().st_uid for path in files_below(folder / "var")} == {another.uid}


RESULTS = """
import json, pathlib
import pandas as pd
from modelworks.settings import load_settings
folder = pathlib.Path(load_settings().storage_uri) / "scores"
[file] = folder.rglob("*.parquet")
rows = pd.read_parquet(file).select_dtypes("number")
print(json.dumps({name: [float(each).hex() for each in rows[name]] for name in rows}))
"""


def results(project: BakedProject, umask: str = "022", **environment: str) -> dict[str, Any]:
    """A first release's data, metrics and predictions, bit for bit."""

    def run(*command: str | Path) -> str:
        return succeed(project, "sh", "-c", f'umask {umask}; exec "$@"', "sh", *command, **environment)

    run("make", "run", "ARGS=--period 2013-03")
    run("make", "score")
    found = json.loads(run(project.command, "status", "--json"))["champion"]
    scores = json.loads(run(".venv/bin/python", "-c", RESULTS))
    return {"data": found["data_digest"], "metrics": found["metrics"], "scores": scores}


def test_results_are_the_same_bit_for_bit_whatever_the_shell_and_the_editor(installed: BakedProject) -> None:
    """File modes, language and time zone, and pipeline.toml as some editors of Windows write it."""
    plain = results(restored(installed), TZ="UTC")
    assert len(plain["scores"]) > 1
    for zone in ("America/Los_Angeles", "Asia/Tokyo"):
        project = restored(installed)
        settings = project.path / "pipeline.toml"
        text = settings.read_bytes().replace(b"\n", b"\r\n")
        settings.write_bytes(b"\xef\xbb\xbf" + text)
        assert results(project, "077", LC_ALL="C", LANG="C", TZ=zone) == plain
        assert settings.read_bytes().startswith(b"\xef\xbb\xbf")
