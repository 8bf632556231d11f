"""Fixtures of the engine's tests. Airflow reads its settings at its first import, so they are set before any other."""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Tests run side by side, and threads that wait for a core that another test has take minutes in place of seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import pytest

from flights import FLIGHTS, Rows, enter_home, fill_home, make_home
from inbox import Inbox, serving
from modelworks import progress
from modelworks.progress import STAGES_LOGGER
from modelworks.registry import set_mlflow_defaults
from modelworks.registry.relocation import repair_locations
from modelworks.settings import ENV_PREFIX, Settings, load_settings
from modelworks.stack.environment import AIRFLOW_CONFIG
from order import start_first

LONGEST_FIRST = [
    "test_rollout.py",
    "test_promote.py",
    "test_commands.py",
    "test_backtest.py",
    "test_dag.py",
    "test_other_tasks.py",
    "test_serving.py",
    "test_release.py",
    "test_unchanged.py",
    "test_explore.py",
    "test_scores.py",
    "test_saved_models.py",
    "test_stages.py",
    "test_late_labels.py",
    "test_state_page.py",
    "test_changed_features.py",
]

set_mlflow_defaults()
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="airflow-"))
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
# `dag.test` runs a DAG of any home, but only one whose id is in Airflow's own folder of DAGs.
make_home(AIRFLOW_HOME / "project")
os.environ["AIRFLOW_HOME"] = str(AIRFLOW_HOME)
os.environ["AIRFLOW_CONFIG"] = str(AIRFLOW_CONFIG)
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(AIRFLOW_HOME / "project" / "dags")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files start first, the others in the order of their names."""
    start_first(items, LONGEST_FIRST)


@pytest.fixture(scope="session")
def new_mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database as MLflow makes it on first use, made once, since that takes a second."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(autouse=True)
def stages_logger() -> Iterator[None]:
    """A command that a test calls in this process shows or silences the stages; the next test has them as they were."""
    logger = logging.getLogger(STAGES_LOGGER)
    before = logger.handlers[:], logger.propagate, logger.level
    display = progress._display.set(None)
    yield
    progress._display.reset(display)
    logger.handlers[:], logger.propagate, logger.level = before


@pytest.fixture
def webhook(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """The webhook that the project's notifications go to."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Inbox()) as inbox:
        monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL", f"http://{inbox.address}/hook")
        yield inbox


@pytest.fixture(scope="session")
def rows() -> Rows:
    """Make rows that keep the contract, but for the columns that are given."""

    def make(count: int = 4, period: str = "2013-05", **columns: object) -> pd.DataFrame:
        day_and_hour = pd.to_datetime(f"{period}-01") + pd.to_timedelta(range(6, 6 + 7 * count, 7), unit="h")
        frame = pd.DataFrame({
            "scheduled_departure": day_and_hour.astype("datetime64[us]"),
            "carrier": "AA",
            "flight": 1,
            "origin": "JFK",
            "dest": "LAX",
            "distance": 2475,
            "hour_departures": 20,
            "recent_departures": 30,
            "recent_delay": 4.0,
            "temp": 60.0,
            "humidity": 50.0,
            "wind_dir": 180.0,
            "wind_speed": 10.0,
            "wind_gust": None,
            "precip": 0.0,
            "pressure": 1013.0,
            "visibility": 10.0,
            "dep_delay": 0.0,
            "arr_delay": 0.0,
            "delayed": [row % 2 for row in range(count)],
        })
        return frame.assign(**columns).astype({"wind_gust": "float64", "delayed": "float64"})

    return make


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_mlflow_database: Path) -> Path:
    """A project folder of its own: the real settings, and three real periods cut down to every third row."""
    enter_home(tmp_path, monkeypatch)
    fill_home(tmp_path, new_mlflow_database)
    return tmp_path


@pytest.fixture(scope="session")
def released_once(tmp_path_factory: pytest.TempPathFactory, new_mlflow_database: Path) -> Path:
    """A project that has released two versions which predict differently; made once, so nobody may change it."""
    from modelworks import stages  # here, so that a test of one module imports no more than it needs

    folder = tmp_path_factory.mktemp("released")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(folder, monkeypatch)
        fill_home(folder, new_mlflow_database)
        for name, trees in (("first", "40"), ("second", "45")):
            monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", trees)
            clean = stages.validate(
                FLIGHTS, load_settings(), stages.ingest(FLIGHTS, load_settings(), None).dataset_uri, name
            )
            trained = stages.train(FLIGHTS, load_settings(), clean.dataset_uri, name)
            stages.deploy(FLIGHTS, load_settings(), stages.evaluate(FLIGHTS, load_settings(), trained.run_id).run_id)
    return folder


@pytest.fixture
def released(released_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with versions 1 and 2 released."""
    enter_home(tmp_path, monkeypatch)
    shutil.copytree(released_once, tmp_path, dirs_exist_ok=True, symlinks=True)
    repair_locations(load_settings())
    return tmp_path


@pytest.fixture(scope="session")
def monitored_once(tmp_path_factory: pytest.TempPathFactory, new_mlflow_database: Path) -> Path:
    """A project after May (too few rows), June (which gave version 1) and July (which version 1 served)."""
    from modelworks.backtest.loop import replay

    folder = tmp_path_factory.mktemp("monitored")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(folder, monkeypatch)
        fill_home(folder, new_mlflow_database)
        replay(FLIGHTS, load_settings(), ["2013-05", "2013-06", "2013-07"])
    return folder


@pytest.fixture
def monitored(monitored_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own in which version 1 has served July."""
    enter_home(tmp_path, monkeypatch)
    shutil.copytree(monitored_once, tmp_path, dirs_exist_ok=True, symlinks=True)
    repair_locations(load_settings())
    return tmp_path


@pytest.fixture
def settings(project: Path) -> Settings:
    return load_settings()
