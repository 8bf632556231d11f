"""The training DAG on a real Airflow, in this process, against the same stages without it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.utils.db import initdb

from {{ cookiecutter.__package_name }} import stages, status, storage, tracking, training
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, PACKAGE, Settings

from inbox import Inbox

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    initdb()


@pytest.fixture
def dag(project: Path) -> Iterator[DAG]:
    yield DagBag(PROJECT / "dags" / "training.py").dags[f"{PACKAGE}_training"]


def test_dag_run_is_one_mlflow_run_and_equals_the_plain_run(
    project: Path, settings: Settings, dag: DAG, webhook: Inbox
) -> None:
    run = dag.test(logical_date=None, run_conf={"reason": "a test"})
    assert run.state == "success"
    [told] = webhook.messages
    assert (told["event"], told["task_id"], told["run_id"]) == ("deployment", "deploy", run.run_id)
    assert told["text"] == "version 1 is the champion"
    tracker = tracking.Tracker(settings)
    of_dag = status.find_run(settings, run.run_id)
    assert of_dag
    assert of_dag["version"] == "1"
    assert tracker.tags(of_dag["run_id"])["reason"] == "a test"
    assert len(tracker._client.search_runs([tracker.experiment_id])) == 1
    found = tracker._client.get_run(of_dag["run_id"])
    assert found.info.status == "FINISHED"
    assert found.data.params["seed"] == "2013"
    assert len(found.inputs.dataset_inputs) == 2
    files = {each.path for each in tracker._client.list_artifacts(of_dag["run_id"])}
    assert {"model_card.md", "validation_report.md", "verdict.json", "roc.png", "slices.png"} <= files

    raw = stages.ingest()
    clean = stages.validate(raw["dataset_uri"], "plain")
    plain_id = stages.train(clean["dataset_uri"], "plain")["run_id"]
    stages.evaluate(plain_id)
    stages.deploy(plain_id)
    of_plain = status.find_run(settings, "plain")
    assert of_plain
    plain_metrics = {k: v for k, v in of_plain["metrics"].items() if "champion" not in k}
    assert plain_metrics == of_dag["metrics"]
    frame = storage.read_dataset(storage.load_dataset(clean["dataset_uri"]))
    first, second = (
        training.predict(tracker.load_model(tracker.get_version(version).model_uri), frame) for version in "12"
    )
    np.testing.assert_array_equal(first, second)


def test_refused_model_fails_the_dag_run_at_once(
    project: Path, settings: Settings, dag: DAG, webhook: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__MIN_ROC_AUC", "0.84")
    run = dag.test(logical_date=None)
    assert run.state == "failed"
    states = {task.task_id: (task.state, task.try_number) for task in run.get_task_instances()}
    assert states["evaluate"] == ("failed", 1)
    assert states["deploy"][0] == "upstream_failed"
    tracker = tracking.Tracker(settings)
    assert tracker.find_alias(tracking.CHAMPION) is None
    summary = status.find_run(settings, run.run_id)
    assert summary
    assert summary["verdict"] == "refused"
    [told] = webhook.messages
    assert (told["event"], told["task_id"]) == ("refusal", "evaluate")
    assert told["text"].startswith("the model is refused, the champion stays: ")


def test_month_of_the_trigger_form_is_the_one_held_out(project: Path, settings: Settings, dag: DAG) -> None:
    run = dag.test(logical_date=None, run_conf={"month": "2013-06"})
    summary = status.find_run(settings, run.run_id)
    assert summary
    assert summary["holdout_month"] == "2013-06"
    assert summary["months"] == ["2013-05", "2013-06"]


def test_families_are_searched_by_a_task_each_before_training(
    project: Path, settings: Settings, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}SEARCH__FAMILIES", '["linear"]')
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["recent_delay", "carrier", "visibility", "wind_speed"]')
    run = dag.test(logical_date=None, run_conf={"trials": 2})
    assert run.state == "success"
    mapped = [task for task in run.get_task_instances() if task.task_id == "search"]
    assert {task.map_index: task.state for task in mapped} == {0: "success", 1: "success"}
    tracker = tracking.Tracker(settings)
    run_id = tracker.find_run(run.run_id)
    assert run_id
    assert sorted((each["family"], each["number"]) for each in tracker.trials(run_id)) == [
        ("boosting", 0),
        ("boosting", 1),
        ("linear", 0),
        ("linear", 1),
    ]
    assert "search" in tracker.tags(run_id)


def test_nothing_is_searched_where_nobody_asks_for_it(project: Path, settings: Settings, dag: DAG) -> None:
    run = dag.test(logical_date=None)
    assert {task.task_id: task.state for task in run.get_task_instances()}["search"] == "skipped"
    tracker = tracking.Tracker(settings)
    run_id = tracker.find_run(run.run_id)
    assert run_id
    assert tracker.trials(run_id) == []
    assert "search" not in tracker.tags(run_id)
