"""Ctrl-C in the middle of `make run` and `make up`: one message, and the same command goes on; data to read only."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from bakes import BakedProject, in_foreground, restored, succeed
from live_project import free_ports

pytestmark = pytest.mark.slow

PERIOD = "ARGS=--period 2013-02"
QUICK = {"MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "20", "MODELWORKS_EVALUATION__BOOTSTRAP_RESAMPLES": "100"}
PATIENCE_S = 1800

Happened = Callable[[str], bool]
"""Whether the moment has come, by what a command has printed so far."""


@pytest.fixture
def project(installed: BakedProject) -> BakedProject:
    """A project for each test, as it was generated."""
    return restored(installed)


def interrupt(project: BakedProject, *command: str | Path, at: Happened, **environment: str) -> tuple[int, str]:
    """Start a command, press Ctrl-C as a terminal does once a moment has come; its exit status and what it printed."""
    log = project.path.parent / "interrupted.log"
    with log.open("w") as output:
        process = in_foreground(command, project.path, os.environ | environment, output)
        deadline = time.monotonic() + PATIENCE_S
        try:
            while not at(log.read_text()):
                assert process.poll() is None, f"ended before the moment came: {log.read_text()}"
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(PATIENCE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return process.returncode, log.read_text()


def printed(pattern: str) -> Happened:
    """The moment at which something has been printed."""
    return lambda text: re.search(pattern, text) is not None


def working_in(folder: Path) -> list[str]:
    """The commands of all processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def assert_ended_well(project: BakedProject, status: int, text: str) -> None:
    """One message, no traceback, a status that is not zero, and nothing that still runs."""
    assert status != 0
    assert text.count("interrupted: what is finished is kept; the same command goes on from there") == 1, text
    assert "Traceback" not in text
    assert working_in(project.path) == []


def ports() -> dict[str, str]:
    names = ("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT")
    return {f"MODELWORKS_STACK__{name}": str(port) for name, port in zip(names, free_ports(0, 0, 0), strict=True)}


def test_run_that_is_interrupted_goes_on(project: BakedProject) -> None:
    store = project.path / "var" / "mlflow"
    moments = [
        printed("Starting Airflow"),
        lambda _: any(store.glob("mlflow.db*")),  # while MLflow makes its database
        printed(r"train +\.\.\."),
    ]
    for moment in moments:
        status, text = interrupt(project, "make", "run", PERIOD, at=moment, **QUICK)
        assert_ended_well(project, status, text)
        assert "is the champion" not in text
    assert "version 1 is the champion" in succeed(project, "make", "run", PERIOD, **QUICK)


def test_start_of_the_stack_that_is_interrupted_leaves_nothing_and_goes_on(project: BakedProject) -> None:
    environment = ports() | QUICK
    database = project.path / "var" / "airflow" / "airflow.db"
    try:
        for moment in (lambda _: database.exists(), printed("✓ databases"), printed("✓ mlflow")):
            status, text = interrupt(project, "make", "up", at=moment, **environment)
            assert_ended_well(project, status, text)
        succeed(project, "make", "up", **environment)
        assert "is the champion" in succeed(project, "make", "trigger", PERIOD, **environment)
    finally:
        project.run("make", "down", **environment)
    assert working_in(project.path) == []


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own in place of a folder, with what the folder holds."""
    kept = folder.with_name(f"{folder.name}.kept")
    folder.mkdir(exist_ok=True)
    folder.rename(kept)
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "small"]
    if subprocess.run(["mount", *options, folder], capture_output=True, check=False).returncode:
        folder.rmdir()
        kept.rename(folder)
        pytest.skip("needs a small disk of its own, and `mount` is for root only here")
    shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
        kept.rename(folder)


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Let nobody write there, root neither."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def test_run_needs_no_more_than_to_read_the_data(project: BakedProject) -> None:
    with small_disk(project.path / "data", 50) as data, read_only(data):
        assert "is the champion" in succeed(project, "make", "run", PERIOD, **QUICK)
