import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from {{ cookiecutter.__package_name }}.config import (
    ENV_PREFIX,
    HOME_VARIABLE,
    PACKAGE,
    load_settings,
)
from {{ cookiecutter.__package_name }}.ingestion import months_between
from {{ cookiecutter.__package_name }}.stack.airflow_api import AirflowApi

from world import World, assert_consistent

PROJECT = Path(__file__).resolve().parents[3]
FAULTS = Path(__file__).parent / "faults"
NOT_COPIED = {".git", ".tools", ".venv", "var"}

# What makes a run short, and no gate that a drill is not about gets in its way.
KNOBS = {
    "SOURCE__URI": "data/flights-{month}.csv.gz",
    "SOURCE__QUERY": "",
    "SOURCE__SQL_CONNECTION": "",
    "SOURCE__FIRST_MONTH": "2013-01",
    "SOURCE__LAST_MONTH": "2013-12",
    "STORAGE__URI": "storage",
    "TRACKING__URI": "",
    "MODEL__MAX_ITER": "20",
    "EVALUATION__BOOTSTRAP_RESAMPLES": "100",
    "GATES__MIN_ROC_AUC": "0.5",
    "GATES__MAX_CALIBRATION_ERROR": "1",
    "GATES__MAX_LOSS_OVER_CHAMPION": "10",
    "GATES__MAX_SLICE_LOSS_OVER_CHAMPION": "10",
    "GATES__APPROVAL": "never",
    "RETRAINING__ON_DECAY": "never",
    "RETRAINING__EVERY_MONTHS": "1",  # so that each month that is brought in asks for a new model
}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project, which shares its environment; its storage is a small disk, where one can be mounted."""
    folder = tmp_path_factory.mktemp("drill").resolve() / "project"
    shutil.copytree(PROJECT, folder, ignore=lambda _, names: NOT_COPIED & set(names))
    (folder / ".venv").symlink_to(PROJECT / ".venv")
    storage = folder / "storage"
    storage.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "drill", storage], check=False).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "--lazy", storage], check=True)


@pytest.fixture(scope="session")
def environment(home: Path) -> dict[str, str]:
    """The environment of the stack and of the commands beside it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((ENV_PREFIX, "AIRFLOW__", "MLFLOW_")) or name == "MLFLOW_DISABLE_TELEMETRY"
    }
    with ExitStack() as sockets:
        free = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(3)]
    ports = dict(zip(("STACK__AIRFLOW_PORT", "STACK__MLFLOW_PORT", "STACK__API_PORT"), map(str, free), strict=True))
    orders = home.parent / "orders"
    orders.mkdir()
    return {
        **kept,
        **{f"{ENV_PREFIX}{name}": value for name, value in {**KNOBS, **ports}.items()},
        HOME_VARIABLE: str(home),
        "PYTHONPATH": str(FAULTS),
        "DRILL_ORDERS": str(orders),
        "DRILL_PACKAGE": PACKAGE,
        "TZ": "America/New_York",  # a clock that is not UTC, throughout
    }


@pytest.fixture(scope="session")
def live(home: Path, environment: dict[str, str]) -> Iterator[World]:
    """The project with its stack up, and a first champion."""
    program = home / ".venv" / "bin" / "{{ cookiecutter.project_slug }}"
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in set(os.environ) - environment.keys():
            monkeypatch.delenv(name)
        for name, value in environment.items():
            if name not in {"PYTHONPATH", "TZ"}:
                monkeypatch.setenv(name, value)
        try:
            subprocess.run([program, "up"], env=environment, check=True)
            settings = load_settings()
            monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.local_mlflow_url)
            months = iter(months_between("2013-02", "2013-12"))
            world = World(settings, AirflowApi(settings), home.parent / "orders", environment, months)
            world.api._ask("PATCH", f"/api/v2/dags/{PACKAGE}_scoring", {"is_paused": True})
            assert world.run().state == "success"
            yield world
        finally:
            subprocess.run([program, "down"], env=environment, check=True)


@pytest.fixture
def world(live: World) -> Iterator[World]:
    """The stack; after each drill the world has to be whole again, and no order may be left."""
    yield live
    assert list(live.orders.iterdir()) == []
    assert_consistent(live)
