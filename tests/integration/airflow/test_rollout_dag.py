"""The DAG of rollouts: there only where releases are made in steps, and it takes a rollout to its end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb

from flights import FLIGHTS, PACKAGE
from modelworks import stages
from modelworks.registry import rollouts
from modelworks.settings import ENV_PREFIX, load_settings

ROLLOUT = f"{PACKAGE}_rollout"


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    initdb()


def dags_of(home: Path) -> DagBag:
    bag = DagBag(home / "dags" / "training.py")
    assert bag.import_errors == {}
    return bag


def test_releases_at_once_have_no_dag_of_rollouts(released: Path) -> None:
    assert list(dags_of(released).dags) == [f"{PACKAGE}_training"]


def test_dag_advances_and_fails_where_the_challenger_is_taken_back(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__RELEASE", "canary")
    dag = dags_of(released).dags[ROLLOUT]
    [task] = dag.tasks
    assert (task.mode, task.timeout) == ("reschedule", 72 * 3600 + 3600)

    nothing = dag.test(logical_date=None)
    assert [each.state for each in nothing.get_task_instances()] == ["skipped"]

    stages.start_rollout(FLIGHTS, load_settings(), "1", reason="a test")
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__MAX_HOURS", "0.0000001")
    failed = dag.test(logical_date=None)
    assert (failed.state, [each.state for each in failed.get_task_instances()]) == ("failed", ["failed"])
    last = rollouts.read_steps(load_settings())[-1]
    assert (last.action, last.reason) == ("taken_back", "not decided within 1e-07 hours ([rollout] max_hours)")
    assert datetime.fromisoformat(last.at) > datetime.now(UTC) - timedelta(hours=1)


def test_run_that_ends_in_a_champion_emits_the_model(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__RELEASE", "canary")
    stages.rollback(FLIGHTS, load_settings())
    stages.start_rollout(FLIGHTS, load_settings(), "2", reason="a test")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rollouts, "record_step", killed)
        with pytest.raises(KeyboardInterrupt):
            stages.promote_challenger(FLIGHTS, load_settings(), reason="now")
    run = dags_of(released).dags[ROLLOUT].test(logical_date=None)
    [task] = run.get_task_instances()
    assert (run.state, task.state) == ("success", "success")
    assert [step.action for step in rollouts.read_steps(load_settings())] == ["started", "promoted"]
    facts = task.xcom_pull(task_ids="rollout_ended")
    assert (facts["version"], facts["period"]) == ("2", "2013-07")
    assert "version 2 is the champion, instead of 1" in facts["summary"]
