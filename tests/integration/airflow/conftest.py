import os
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(scope="session")
def bag() -> DagBag:
    """The DAGs of a home as the template makes it, with its settings unchanged."""
    return DagBag(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]))
