"""Ctrl-C in the middle of a command: one message, nothing by halves, and the same command goes on; read-only data."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from bakes import BakedProject, restored, succeed
from live_project import free_ports
from moments import disturb, files_of, held, press_ctrl_c, printed, read_only, small_disk, working_in
from own_tables import write_rentals

pytestmark = pytest.mark.slow

PERIOD = "ARGS=--period 2013-02"
QUICK = {"MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "20", "MODELWORKS_EVALUATION__BOOTSTRAP_RESAMPLES": "100"}
ADOPT = ["--target", "rentals", "--time", "day", "--key", "day", "--key", "station"]


@pytest.fixture
def project(installed: BakedProject) -> BakedProject:
    """A project for each test, as it was generated."""
    return restored(installed)


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
        status, text = disturb(project, "make", "run", PERIOD, at=moment, environment=QUICK)
        assert_ended_well(project, status, text)
        assert "is the champion" not in text
    assert "version 1 is the champion" in succeed(project, "make", "run", PERIOD, **QUICK)


def test_start_of_the_stack_that_is_interrupted_leaves_nothing_and_goes_on(project: BakedProject) -> None:
    environment = ports() | QUICK
    database = project.path / "var" / "airflow" / "airflow.db"
    try:
        for moment in (lambda _: database.exists(), printed("✓ databases"), printed("✓ mlflow")):
            status, text = disturb(project, "make", "up", at=moment, environment=environment)
            assert_ended_well(project, status, text)
        succeed(project, "make", "up", **environment)
        assert "is the champion" in succeed(project, "make", "trigger", PERIOD, **environment)
    finally:
        project.run("make", "down", **environment)
    assert working_in(project.path) == []


def test_adoption_that_is_interrupted_changes_nothing(project: BakedProject, tmp_path: Path) -> None:
    write_rentals(tmp_path / "rentals.csv", days=425)
    command: list[str | Path] = [project.command, "adopt", tmp_path / "rentals.csv", *ADOPT]
    before = files_of(project)
    moments = ["before adoption.profile_table", "after leaks.try_out", "after conversion.PeriodFiles.write"]
    for number, moment in enumerate(moments):
        stands, environment = held(moment, tmp_path / f"orders-{number}")
        status, text = disturb(project, *command, "--yes", at=stands, environment=environment)
        assert_ended_well(project, status, text)
        assert status == 130
        assert files_of(project) == before
    keyboard, typed = pty.openpty()
    try:
        status, text = disturb(project, *command, at=printed("Write all this"), typed=typed)
    finally:
        os.close(keyboard)
        os.close(typed)
    assert_ended_well(project, status, text)
    assert status == 130
    assert files_of(project) == before
    assert "Adopted" in succeed(project, *command, "--yes")


def test_adoption_that_is_interrupted_while_it_writes_is_complete(project: BakedProject, tmp_path: Path) -> None:
    write_rentals(tmp_path / "rentals.csv", days=425)
    command: list[str | Path] = [project.command, "adopt", tmp_path / "rentals.csv", *ADOPT, "--yes"]
    moment, orders = "before writing._apply", tmp_path / "orders"
    stands, environment = held(moment, orders)

    def press_and_let_go(group: int) -> None:
        press_ctrl_c(group)
        (orders / moment).unlink()

    status, text = disturb(project, *command, at=stands, by=press_and_let_go, environment=environment)
    assert (status, text.count("Adopted"), text.count("interrupted")) == (0, 1, 0), text
    written = files_of(project)
    assert {path.name.split("-")[0] for path in written if path.suffix in {".parquet", ".gz"}} == {"rentals"}
    assert "Adopted" in succeed(project, *command, "--force")
    assert files_of(project).keys() == written.keys()


def test_run_needs_no_more_than_to_read_the_data(project: BakedProject) -> None:
    with small_disk(project.path / "data", 50) as data, read_only(data):
        assert "is the champion" in succeed(project, "make", "run", PERIOD, **QUICK)
