import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import CronPartitionTimetable

from flights import PACKAGE, make_home

DAGS = ["ingestion", "monitoring", "scoring", "training"]


def test_every_file_can_be_parsed(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == {f"{PACKAGE}_{name}" for name in DAGS}


@pytest.mark.parametrize("name", DAGS)
def test_parsing_imports_nothing_heavy(tmp_path: Path, name: str) -> None:
    heavy = {"mlflow", "numpy", "pandas", "pandera", "polars", "pyarrow", "skops", "sklearn", "matplotlib"}
    make_home(tmp_path / "home")
    program = (
        "import sys; sys.path.insert(0, 'dags')\n"
        "import airflow.sdk; before = set(sys.modules)\n"
        f"import {name}\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "home", capture_output=True, text=True, check=True
    ).stdout
    imported = set(printed.splitlines()[-1].split())
    assert "modelworks" in imported
    assert not imported & heavy


def test_each_dag_starts_the_next_by_its_assets(bag: DagBag) -> None:
    """A new period is ingested by the calendar; all that follows, follows from assets."""
    makers: dict[str, str] = {}
    for name in DAGS:
        for task in bag.dags[f"{PACKAGE}_{name}"].tasks:
            makers |= {asset.name.removeprefix(f"{PACKAGE}_"): name for asset in task.outlets}
    assert makers == {
        "raw": "ingestion",
        "clean": "ingestion",
        "scores": "scoring",
        "retrain": "monitoring",
        "model": "training",
    }
    wanted = {
        name: set(re.findall(rf"'{PACKAGE}_(\w+)'", str(bag.dags[f"{PACKAGE}_{name}"].timetable.asset_condition)))
        for name in ("monitoring", "scoring", "training")
    }
    assert wanted == {"monitoring": {"clean"}, "scoring": {"clean", "model"}, "training": {"retrain"}}
    assert isinstance(bag.dags[f"{PACKAGE}_ingestion"].timetable, CronPartitionTimetable)


@pytest.mark.parametrize("name", DAGS)
def test_every_task_is_retried_and_every_form_explains_itself(bag: DagBag, name: str) -> None:
    dag = bag.dags[f"{PACKAGE}_{name}"]
    assert dag.max_active_runs == 1
    assert dag.doc_md
    assert dag.description
    assert dag.tags
    for task in dag.tasks:
        assert task.retries >= 1
        assert task.retry_exponential_backoff
    for each in dag.params:
        param = dag.params.get_param(each)
        assert param.schema["title"]
        assert param.description


def test_periods_wait_for_the_champion_of_their_time(bag: DagBag) -> None:
    for name in ("scoring", "monitoring"):
        sensor = bag.dags[f"{PACKAGE}_{name}"].get_task("retraining_done")
        assert sensor.upstream_task_ids == set()
        assert sensor.mode == "reschedule"  # which keeps no worker while it waits
    assert bag.dags[f"{PACKAGE}_monitoring"].get_task("retraining_done").downstream_task_ids == {"monitor"}


def test_only_scoring_waits_for_monitoring_which_would_wait_for_itself(bag: DagBag) -> None:
    for name, waits in (("scoring", True), ("monitoring", False)):
        assert bag.dags[f"{PACKAGE}_{name}"].get_task("retraining_done").after_monitoring is waits
