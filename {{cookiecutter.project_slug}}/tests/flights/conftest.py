import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, Settings, load_settings

from example import Rows, enter_project, fill_project
from inbox import Inbox, serving


@pytest.fixture
def rows() -> Rows:
    """Make rows that keep the contract, but for the columns that are given."""

    def make(count: int = 4, month: str = "2013-05", **columns: object) -> pd.DataFrame:
        day_and_hour = pd.to_datetime(f"{month}-01") + pd.to_timedelta(range(6, 6 + 7 * count, 7), unit="h")
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
    """A project folder of its own: the real settings, and three real months cut down to every third row."""
    enter_project(tmp_path, monkeypatch)
    fill_project(tmp_path, new_mlflow_database)
    return tmp_path


@pytest.fixture
def webhook(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """The webhook that the project's notifications go to."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Inbox()) as inbox:
        monkeypatch.setenv(f"{ENV_PREFIX}NOTIFICATIONS__WEBHOOK_URL", f"http://{inbox.address}/hook")
        yield inbox


@pytest.fixture(scope="session")
def released_once(tmp_path_factory: pytest.TempPathFactory, new_mlflow_database: Path) -> Path:
    """A project that has released two versions which predict differently; made once, so nobody may change it."""
    from {{ cookiecutter.__package_name }} import stages

    folder = tmp_path_factory.mktemp("released")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_project(folder, monkeypatch)
        fill_project(folder, new_mlflow_database)
        for name, trees in (("first", "40"), ("second", "45")):
            monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITER", trees)
            clean = stages.validate(stages.ingest(None)["dataset_uri"], name)
            trained = stages.train(clean["dataset_uri"], name)
            stages.deploy(stages.evaluate(trained["run_id"])["run_id"])
    return folder


@pytest.fixture
def released(released_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with versions 1 and 2 released."""
    enter_project(tmp_path, monkeypatch)
    # Artifacts are read where they were written.
    shutil.copytree(released_once, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("artifacts"))
    return tmp_path


@pytest.fixture(scope="session")
def monitored_once(tmp_path_factory: pytest.TempPathFactory, new_mlflow_database: Path) -> Path:
    """A project that has lived through May (too little), June (which gave version 1) and July (which that served)."""
    from {{ cookiecutter.__package_name }}.replay.loop import replay

    folder = tmp_path_factory.mktemp("monitored")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_project(folder, monkeypatch)
        fill_project(folder, new_mlflow_database)
        replay(["2013-05", "2013-06", "2013-07"])
    return folder


@pytest.fixture
def monitored(monitored_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own in which version 1 has served July."""
    enter_project(tmp_path, monkeypatch)
    # Artifacts are read where they were written.
    shutil.copytree(monitored_once, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("artifacts"))
    return tmp_path


@pytest.fixture
def settings(project: Path) -> Settings:
    return load_settings()
