import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from live_stack import COMMAND, LiveStack, assert_consistent

from flights import PACKAGE, TEMPLATE, make_home
from modelworks.calendar import periods_between
from modelworks.settings import ENV_PREFIX, HOME_VARIABLE, load_settings
from modelworks.stack.airflow_api import AirflowApi

FAULTS = Path(__file__).parent / "faults"

# Runs are short, and no gate that a test is not about fails.
SETTINGS = {
    "SOURCE__URI": "data/flights-{period}.csv.gz",
    "SOURCE__QUERY": "",
    "SOURCE__SQL_CONNECTION": "",
    "SOURCE__FIRST": "2013-01",
    "SOURCE__LAST": "2013-12",
    "STORAGE__URI": "storage",
    "TRACKING__URI": "",
    "MODEL__PARAMETERS__MAX_ITER": "20",
    "EVALUATION__BOOTSTRAP_RESAMPLES": "100",
    "GATES__METRICS__ROC_AUC__MIN": "0.5",
    "GATES__METRICS__CALIBRATION_ERROR__MAX": "1",
    "GATES__MAX_LOSS_OVER_CHAMPION": "10",
    "GATES__MAX_SLICE_LOSS_OVER_CHAMPION": "10",
    "GATES__APPROVAL": "never",
    "RETRAINING__CALIBRATION_ALARMS": "0",
    "RETRAINING__EVERY_PERIODS": "1",  # each period that is ingested requests a new model
}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with all its data; its storage is a small disk, where one can be mounted."""
    folder = tmp_path_factory.mktemp("faults").resolve() / "project"
    make_home(folder)
    for file in (TEMPLATE / "data").glob("flights-*"):
        (folder / "data" / file.name).symlink_to(file)
    storage = folder / "storage"
    storage.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "faults", storage], check=False).returncode == 0
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
        **{f"{ENV_PREFIX}{name}": value for name, value in {**SETTINGS, **ports}.items()},
        HOME_VARIABLE: str(home),
        "PYTHONPATH": str(FAULTS),
        "FAULT_ORDERS": str(orders),
        "TZ": "America/New_York",  # a clock that is not UTC, throughout
    }


@pytest.fixture(scope="session")
def live(home: Path, environment: dict[str, str]) -> Iterator[LiveStack]:
    """The project with its stack up, and a first champion."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in set(os.environ) - environment.keys():
            monkeypatch.delenv(name)
        for name, value in environment.items():
            if name not in {"PYTHONPATH", "TZ"}:
                monkeypatch.setenv(name, value)
        try:
            subprocess.run([*COMMAND, "up"], env=environment, check=True)
            monkeypatch.setenv("MLFLOW_TRACKING_URI", load_settings().local_mlflow_url)
            settings = load_settings()
            periods = iter(periods_between("2013-02", "2013-12"))
            stack = LiveStack(settings, AirflowApi(settings), home.parent / "orders", environment, periods)
            stack.api._ask("PATCH", f"/api/v2/dags/{PACKAGE}_scoring", {"is_paused": True})
            assert stack.run().state == "success"
            yield stack
        finally:
            subprocess.run([*COMMAND, "down"], env=environment, check=True)


@pytest.fixture
def stack(live: LiveStack) -> Iterator[LiveStack]:
    """The stack; after each test the project has to be whole again, and no order may be left."""
    yield live
    assert list(live.orders.iterdir()) == []
    assert_consistent(live)
