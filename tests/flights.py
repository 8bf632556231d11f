"""The flights as tests use them: the template's own project, and homes that hold some of its data."""

import gzip
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from modelworks.project import Project
from modelworks.settings import ENV_PREFIX, HOME_VARIABLE

if TYPE_CHECKING:
    from airflow.sdk import DAG

REPOSITORY = Path(__file__).resolve().parents[1]
TEMPLATE = REPOSITORY / "{{cookiecutter.project_slug}}"
PACKAGE_FOLDER = TEMPLATE / "src" / "{{cookiecutter.__package_name}}"
NAME, PACKAGE = "flight-delays", "flight_delays"

Rows = Callable[..., pd.DataFrame]


def load_flights() -> Project:
    """The template's project, whose Python files hold no template marks, under the name that a bake gives it."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, PACKAGE_FOLDER / "__init__.py", submodule_search_locations=[str(PACKAGE_FOLDER)]
    )
    assert spec
    assert spec.loader
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    project: Project = importlib.import_module(f"{PACKAGE}.project").project
    return project


FLIGHTS = load_flights()

PYPROJECT = f"""\
[project]
name = "{NAME}"

[tool.modelworks]
project = "{PACKAGE}.project:project"
"""


def enter_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder the home that settings are read for; whatever the shell names, tests stay in it."""
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX) or name in {"MLFLOW_TRACKING_URI", "GIT_COMMIT"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    if "mlflow" in sys.modules:
        from mlflow.tracking._tracking_service import utils

        utils._artifact_repos_cache.clear()  # by run id, which a copy of another home shares
    small = {
        "SOURCE__URI": "data/flights-{period}.csv.gz",
        "SOURCE__FIRST": "2013-05",
        "SOURCE__LAST": "2013-07",
        "EVALUATION__BOOTSTRAP_RESAMPLES": "200",
        "MODEL__PARAMETERS__MAX_ITER": "40",
        "RETRAINING__FIRST_AFTER_PERIODS": "2",
        "RETRAINING__EVERY_PERIODS": "3",  # in three months a new model only comes by an alarm
    }
    for name, value in small.items():
        monkeypatch.setenv(f"{ENV_PREFIX}{name}", value)


def fill_home(folder: Path, mlflow_database: Path) -> None:
    """Settings, code, three months of data cut down to every third row, and an empty MLflow."""
    make_home(folder)
    for period in ("2013-05", "2013-06", "2013-07"):
        write_source(folder, period, read_sample(period).iloc[::3])
    (folder / "var" / "mlflow").mkdir(parents=True)
    shutil.copy(mlflow_database, folder / "var" / "mlflow")


def make_home(folder: Path) -> None:
    """What makes a folder a project: its pyproject.toml, pipeline.toml, package and DAGs, and no data."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    settings = (TEMPLATE / "pipeline.toml").read_text(encoding="utf-8").replace("{{ cookiecutter.project_slug }}", NAME)
    (folder / "pipeline.toml").write_text(settings, encoding="utf-8")
    (folder / "src").mkdir()
    (folder / "src" / PACKAGE).symlink_to(PACKAGE_FOLDER)
    (folder / "dags").symlink_to(TEMPLATE / "dags")
    (folder / "data").mkdir()


def load_dag(home: Path, name: str) -> "DAG":
    """One of the DAGs of a home; Airflow is imported only now."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(home / "dags" / f"{name}.py")
    assert bag.import_errors == {}
    return bag.dags[f"{PACKAGE}_{name}"]


def read_sample(period: str) -> pd.DataFrame:
    """A month as the template ships it, every value as text."""
    return pd.read_csv(TEMPLATE / "data" / f"flights-{period}.csv.gz", dtype="str", keep_default_na=False)


def write_source(home: Path, period: str, frame: pd.DataFrame) -> Path:
    """Write a month into a home's source."""
    path = home / "data" / f"flights-{period}.csv.gz"
    path.write_bytes(gzip.compress(frame.to_csv(index=False, lineterminator="\n").encode(), mtime=0))
    return path
