"""The training DAG on a real Airflow, in this process, on a sample of the data."""

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb

from {{ cookiecutter.__package_name }} import status
from {{ cookiecutter.__package_name }}.config import PACKAGE, load_settings

from sampled import OPEN_GATES, PROJECT


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    initdb()


def test_training_dag_releases_a_model(new_project: Callable[..., Path]) -> None:
    new_project(**OPEN_GATES)
    run = DagBag(PROJECT / "dags" / "training.py").dags[f"{PACKAGE}_training"].test(logical_date=None)
    assert run.state == "success"
    summary = status.find_run(load_settings(), run.run_id)
    assert summary
    assert summary["version"] == "1"
