"""The DAGs: they import, have their tasks, and import nothing heavy while Airflow parses them."""

import subprocess
import sys

import pytest
from airflow.dag_processing.dagbag import DagBag
from modelworks import load_settings

from conftest import HOME

PREFIX = load_settings(HOME).prefix
TASKS = {
    "ingestion": {"ingest"},
    "training": {"ingest", "validate", "compare", "plan", "tune", "train", "evaluate", "approve", "deploy"},
    "scoring": {"score"},
    "monitoring": {"monitor"},
}
HEAVY = ("lightgbm", "matplotlib", "mlflow", "optuna", "pandas", "pandera", "polars", "sklearn", "torch", "xgboost")
PARSE = """
import runpy, sys
files, heavy = sys.argv[1].split(), sys.argv[2].split()
for file in files:
    runpy.run_path(file)
print([name for name in heavy if name in sys.modules])
"""


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(HOME / "dags")


def test_all_dags_import(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert {f"{PREFIX}_{name}" for name in TASKS} <= set(bag.dags)


@pytest.mark.parametrize("name", TASKS)
def test_dag_has_its_stages(bag: DagBag, name: str) -> None:
    assert TASKS[name] <= set(bag.dags[f"{PREFIX}_{name}"].task_dict)


def test_parsing_the_dags_imports_nothing_heavy() -> None:
    files = " ".join(f"dags/{name}.py" for name in TASKS)
    command = [sys.executable, "-c", PARSE, files, " ".join(HEAVY)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HOME).stdout.splitlines()[-1]
    assert found == "[]"
