"""A disk that fills up in the middle of a command: its folder is named, and with room the same command goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakes import BakedProject, restored, succeed
from live_project import free_ports
from moments import Happened, disturb, files_of, fill, filling, printed, small_disk, working_in
from own_tables import write_measurements

pytestmark = pytest.mark.slow

PERIOD = "ARGS=--period 2013-02"
QUICK = {"MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "20", "MODELWORKS_EVALUATION__BOOTSTRAP_RESAMPLES": "100"}
MIB = 1024**2


@pytest.fixture
def project(installed: BakedProject) -> BakedProject:
    """A project for each test, as it was generated."""
    return restored(installed)


def assert_names_the_disk(text: str, folder: Path) -> None:
    """One message, and nothing of what the libraries print."""
    assert text.count("no space left on its disk") == 1, text
    assert f"error: {folder}" in text, text
    assert "free some, then run the same command again" in text
    for noise in ("Traceback", "Logging error", "sqlite3", "Exception ignored"):
        assert noise not in text, text


def test_run_whose_disk_fills_up_names_it_and_goes_on_with_room(project: BakedProject) -> None:
    with small_disk(project.path / "var", 400) as var:
        moments: list[Happened] = [
            printed("Starting Airflow"),
            lambda _: any((var / "mlflow").glob("mlflow.db*")),  # while MLflow makes its database
            printed(r"ingest +\.\.\."),
            printed(r"train +\.\.\."),
            printed(r"evaluate +\.\.\."),
        ]
        for moment in moments:
            status, text = disturb(project, "make", "run", PERIOD, at=moment, by=filling(var), environment=QUICK)
            (var / "ballast").unlink()
            assert status != 0
            assert_names_the_disk(text, var)
            assert "is the champion" not in text
            assert working_in(project.path) == []
            assert list(var.rglob("*.tmp")) == []
        assert "version 1 is the champion" in succeed(project, "make", "run", PERIOD, **QUICK)
        assert "version 1" in succeed(project, "make", "status")


def test_start_of_the_stack_on_a_disk_that_fills_up_leaves_nothing_and_goes_on_with_room(project: BakedProject) -> None:
    names = ("AIRFLOW_PORT", "MLFLOW_PORT", "API_PORT")
    environment = {
        f"MODELWORKS_STACK__{name}": str(port) for name, port in zip(names, free_ports(0, 0, 0), strict=True)
    }
    with small_disk(project.path / "var", 400) as var:
        try:
            for moment in (lambda _: (var / "airflow" / "airflow.db").exists(), printed("✓ databases")):
                status, text = disturb(project, "make", "up", at=moment, by=filling(var), environment=environment)
                (var / "ballast").unlink()
                assert status != 0
                assert_names_the_disk(text, var)
                assert working_in(project.path) == []
            succeed(project, "make", "up", **environment)
        finally:
            project.run("make", "down", **environment)


def test_adoption_on_a_full_disk_changes_nothing_and_goes_on_with_room(project: BakedProject, tmp_path: Path) -> None:
    write_measurements(tmp_path / "machines.csv", rows=200_000)
    command: list[str | Path] = [project.command, "adopt", tmp_path / "machines.csv", "--target", "broken", "--yes"]
    command += ["--force"]  # what fills the disk is not committed
    with small_disk(project.path / "data", 60) as data:
        before = files_of(project)
        ballast = fill(data, but_bytes=6 * MIB)
        done = project.run(*command)
        ballast.unlink()
        assert done.returncode == 1
        assert_names_the_disk(done.stderr, data)
        assert files_of(project) == before
        assert "Adopted" in succeed(project, *command)
