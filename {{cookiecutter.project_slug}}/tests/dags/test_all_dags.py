import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from {{ cookiecutter.__package_name }}.config import PACKAGE

PROJECT = Path(__file__).resolve().parents[2]
DAGS = ["scoring", "training"]


def test_every_file_can_be_parsed(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == {f"{PACKAGE}_{name}" for name in DAGS}


@pytest.mark.parametrize("name", DAGS)
def test_parsing_imports_nothing_heavy(name: str) -> None:
    heavy = {"mlflow", "numpy", "pandas", "pandera", "pyarrow", "skops", "sklearn", "matplotlib"}
    program = (
        "import sys; sys.path.insert(0, 'dags')\n"
        "import airflow.sdk; before = set(sys.modules)\n"
        f"import {name}\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    imported = set(printed.splitlines()[-1].split())
    assert PACKAGE in imported
    assert not imported & heavy
