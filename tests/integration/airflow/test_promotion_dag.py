"""The DAG that promotes, on a real Airflow in this process."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.utils.db import initdb

from flights import FLIGHTS, PACKAGE, TEMPLATE, load_dag
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.reporting.console import ANSWER_VARIABLE
from modelworks.settings import Settings
from promotions import enter, make_staged_home, release_here, write_environment

DAG_FILE = '''"""Promote a version of another environment to this one.

The form asks for the version.
"""

from pathlib import Path

from modelworks.airflow.promotion import promotion_dag

dag = promotion_dag(Path(__file__).absolute().parents[1], __doc__)
'''


@pytest.fixture
def prod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project in `prod` that has released version 1 in `staging`."""
    make_staged_home(tmp_path, monkeypatch)
    write_environment(tmp_path, "staging", f"sqlite:///{tmp_path}/var/staging.db")
    write_environment(
        tmp_path,
        "prod",
        f"sqlite:///{tmp_path}/var/prod.db",
        source={"last": "2013-07"},
        policy={"require_tracking_server": False},
    )
    release_here(enter("staging", monkeypatch), "made in staging")
    return enter("prod", monkeypatch)


@pytest.fixture
def dag(prod: Settings) -> Iterator[DAG]:
    """The DAG, in the project and in Airflow's own folder, where `dag.test` looks for its id."""
    initdb()
    home_of_airflow = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).parent
    for home in (prod.home, home_of_airflow):
        (home / "dags").unlink()
        shutil.copytree(TEMPLATE / "dags", home / "dags")
        (home / "dags" / "promotion.py").write_text(DAG_FILE)
    shutil.copytree(prod.home / "environments", home_of_airflow / "environments")
    yield load_dag(prod.home, "promotion")
    shutil.rmtree(home_of_airflow / "environments")
    shutil.rmtree(home_of_airflow / "dags")
    (home_of_airflow / "dags").symlink_to(TEMPLATE / "dags")


def states(run) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


def test_version_is_promoted_after_a_person_has_approved_and_is_found_again(
    prod: Settings, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ANSWER_VARIABLE, "reject")
    conf = {"version": "1", "source": "staging", "reason": "good there"}
    refused = dag.test(logical_date=None, run_conf=conf)
    assert refused.state == "failed"
    assert states(refused)["approve"] == "failed"
    assert ledger.read_ledger(prod) == []

    monkeypatch.setenv(ANSWER_VARIABLE, "approve")
    run = dag.test(logical_date=None, run_conf=conf)
    assert run.state == "success", states(run)
    [entry] = ledger.read_ledger(prod)
    assert entry.promoted_from
    assert (entry.promoted_from.environment, entry.promoted_from.version) == ("staging", "1")
    assert (entry.pipeline_run, entry.reason, entry.environment) == (run.run_id, "good there", "prod")
    assert entry.approved_by
    assert Tracker(FLIGHTS, prod).runs.find(run.run_id) == entry.run_id

    again = dag.test(logical_date=None, run_conf=conf)
    assert again.state == "success"
    assert set(states(again).values()) == {"skipped"}
    assert len(ledger.read_ledger(prod)) == 1


def test_form_asks_for_a_version_and_one_of_the_other_environments(dag: DAG) -> None:
    assert dag.dag_id == f"{PACKAGE}_promotion"
    assert dag.params.get_param("version").resolve("12") == "12"
    assert dag.params.get_param("source").resolve("staging") == "staging"
    for name, value in (("version", "latest"), ("source", "prod"), ("source", "elsewhere")):
        with pytest.raises(ParamValidationError):
            dag.params.get_param(name).resolve(value)
    assert [dag.get_task(each).downstream_list[0].task_id for each in dag.task_ids if each != "deploy"] == [
        "ingest",
        "validate",
        "promote",
        "evaluate",
        "approve",
        "deploy",
    ]
