"""The flights as tests use them: some months of the project's data, in a project of its own."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, HOME_VARIABLE

PROJECT = Path(__file__).resolve().parents[2]

Rows = Callable[..., pd.DataFrame]


def enter_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder the project that settings are read for; whatever the team's settings name, tests stay in it."""
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX) or name in {"MLFLOW_TRACKING_URI", "GIT_COMMIT"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__URI", "data/flights-{month}.csv.gz")
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__QUERY", "")
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__SQL_CONNECTION", "")
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", "var/data")
    monkeypatch.setenv(f"{ENV_PREFIX}TRACKING__URI", "")
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__FIRST_MONTH", "2013-05")
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__LAST_MONTH", "2013-07")
    monkeypatch.setenv(f"{ENV_PREFIX}EVALUATION__BOOTSTRAP_RESAMPLES", "200")
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITER", "40")
    monkeypatch.setenv(f"{ENV_PREFIX}RETRAINING__FIRST_AFTER_MONTHS", "2")


def fill_project(folder: Path, mlflow_database: Path) -> None:
    """Settings, three months of data and an empty MLflow."""
    shutil.copy(PROJECT / "pipeline.toml", folder)
    (folder / "data").mkdir()
    for month in ("2013-05", "2013-06", "2013-07"):
        write_source(folder, month, read_sample(month).iloc[::3])
    (folder / "var" / "mlflow").mkdir(parents=True)
    shutil.copy(mlflow_database, folder / "var" / "mlflow")


def read_sample(month: str) -> pd.DataFrame:
    """A month as the project ships it, every value as text."""
    return pd.read_csv(PROJECT / "data" / f"flights-{month}.csv.gz", dtype="str", keep_default_na=False)


def write_source(project: Path, month: str, frame: pd.DataFrame) -> Path:
    path = project / "data" / f"flights-{month}.csv.gz"
    path.write_bytes(gzip.compress(frame.to_csv(index=False, lineterminator="\n").encode(), mtime=0))
    return path
