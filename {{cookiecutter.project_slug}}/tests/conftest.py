import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

PROJECT = Path(__file__).resolve().parents[1]

# Airflow reads its settings at its first import, which is when test modules are collected.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ["AIRFLOW_CONFIG"] = str(PROJECT / "airflow.cfg")
os.environ["PROJECT_HOME"] = str(PROJECT)
# Tests run side by side, and threads that wait for a core that another test has take minutes in place of seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def bag() -> "DagBag":
    """All DAGs of the project, as Airflow parses them."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(PROJECT / "dags", safe_mode=False)


@pytest.fixture(scope="session")
def new_mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database as MLflow makes it on first use, made once, since that takes a second."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file
