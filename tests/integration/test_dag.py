"""The training DAG on a real Airflow, in this process, against the same stages without it."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from airflow.sdk import DAG
from airflow.utils.db import initdb
from mlflow import MlflowClient

from flights import FLIGHTS, load_dag
from inbox import Inbox
from modelworks import progress, stages
from modelworks.data import partitions
from modelworks.models import pipeline
from modelworks.registry import ledger, versions
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, Settings
from modelworks.state.status import find_run, find_unchanged


@pytest.fixture(scope="module", autouse=True)
def airflow_database() -> None:
    initdb()


@pytest.fixture
def dag(project: Path) -> DAG:
    return load_dag(project, "training")


def test_dag_run_is_one_mlflow_run_and_equals_the_plain_run(
    project: Path, settings: Settings, dag: DAG, webhook: Inbox
) -> None:
    run = dag.test(logical_date=None, run_conf={"reason": "a test"})
    assert run.state == "success"
    [sent] = webhook.messages
    assert (sent["event"], sent["task_id"], sent["run_id"]) == ("deployment", "deploy", run.run_id)
    assert sent["text"] == "version 1 is the champion"
    tracker, client = Tracker(FLIGHTS, settings), MlflowClient(settings.tracking_uri)
    of_dag = find_run(FLIGHTS, settings, run.run_id)
    assert of_dag
    assert of_dag.version == "1"
    assert tracker.runs.tags(of_dag.run_id)["reason"] == "a test"
    assert len(client.search_runs([tracker.runs.experiment_id])) == 1
    found = client.get_run(of_dag.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params["seed"] == "2013"
    assert len(found.inputs.dataset_inputs) == 2
    files = {each.path for each in client.list_artifacts(of_dag.run_id)}
    assert {"model_card.md", "validation_report.md", "verdict.json", "roc.png", "slices.png"} <= files

    raw = stages.ingest(FLIGHTS, settings)
    clean = stages.validate(FLIGHTS, settings, raw.dataset_uri, "plain")
    plain_id = stages.train(FLIGHTS, settings, clean.dataset_uri, "plain").run_id
    stages.evaluate(FLIGHTS, settings, plain_id)
    stages.deploy(FLIGHTS, settings, plain_id)
    of_plain = find_run(FLIGHTS, settings, "plain")
    assert of_plain
    plain_metrics = {name: value for name, value in of_plain.metrics.items() if "champion" not in name}
    assert plain_metrics == of_dag.metrics
    frame = partitions.read_dataset(partitions.load_dataset(clean.dataset_uri))
    first, second = (
        pipeline.predict(FLIGHTS, tracker.models.load(tracker.versions.get(version).model_uri), frame)
        for version in "12"
    )
    np.testing.assert_array_equal(first, second)


def test_run_with_nothing_new_succeeds_without_a_version_unless_it_is_forced(
    project: Path, settings: Settings, dag: DAG, webhook: Inbox
) -> None:
    first = dag.test(logical_date=None)
    assert first.state == "success"
    again = dag.test(logical_date=None)
    assert again.state == "success"
    assert {task.task_id: task.state for task in again.get_task_instances()} == {
        "ingest": "success",
        "validate": "success",
        **dict.fromkeys(["compare", "plan", "tune", "train", "evaluate", "approve", "deploy"], "skipped"),
    }
    assert find_unchanged(FLIGHTS, settings, again.run_id) == "1"
    assert find_run(FLIGHTS, settings, again.run_id) is None
    assert [entry.to_version for entry in ledger.read_ledger(settings)] == ["1"]
    assert [sent["run_id"] for sent in webhook.messages] == [first.run_id]
    forced = dag.test(logical_date=None, run_conf={"force": True})
    assert forced.state == "success"
    assert [entry.to_version for entry in ledger.read_ledger(settings)] == ["1", "2"]


def test_refused_model_fails_the_dag_run_at_once_and_its_tasks_logged_their_progress(
    project: Path,
    settings: Settings,
    dag: DAG,
    webhook: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MIN", "0.84")
    monkeypatch.setattr(progress, "LogLines", partial(progress.LogLines, interval_s=0.005))  # each step is a long one
    run = dag.test(logical_date=None)
    assert run.state == "failed"
    lines = [record.getMessage() for record in caplog.records if record.name == progress.STAGES_LOGGER]
    for stage, unit in {"ingest": "periods", "validate": "rows", "train": "rows", "evaluate": "resamples"}.items():
        assert any(re.match(rf"{stage}: .* of [\d,]+ {unit} \(\d+%\), \d+ s", line) for line in lines), stage
    states = {task.task_id: (task.state, task.try_number) for task in run.get_task_instances()}
    assert states["evaluate"] == ("failed", 1)
    assert states["deploy"][0] == "upstream_failed"
    assert Tracker(FLIGHTS, settings).versions.find_alias(versions.CHAMPION) is None
    summary = find_run(FLIGHTS, settings, run.run_id)
    assert summary
    assert summary.verdict == "refused"
    [sent] = webhook.messages
    assert (sent["event"], sent["task_id"]) == ("refusal", "evaluate")
    assert sent["text"].startswith("the model is refused, the champion stays: ")


def test_period_of_the_trigger_form_is_the_one_held_out_and_nothing_is_tuned_where_nobody_asks_for_it(
    project: Path, settings: Settings, dag: DAG
) -> None:
    run = dag.test(logical_date=None, run_conf={"period": "2013-06"})
    summary = find_run(FLIGHTS, settings, run.run_id)
    assert summary
    assert summary.holdout_period == "2013-06"
    assert summary.periods == ["2013-05", "2013-06"]
    assert {task.task_id: task.state for task in run.get_task_instances()}["tune"] == "skipped"
    tracker = Tracker(FLIGHTS, settings)
    run_id = tracker.runs.find(run.run_id)
    assert run_id
    assert tracker.runs.trials(run_id) == []
    assert "tuning" not in tracker.runs.tags(run_id)


def test_model_types_are_tuned_by_a_task_each_before_training(
    project: Path, settings: Settings, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TUNING__MODEL_TYPES", '["linear"]')
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["recent_delay", "carrier", "visibility", "wind_speed"]')
    run = dag.test(logical_date=None, run_conf={"trials": 2})
    assert run.state == "success"
    mapped = [task for task in run.get_task_instances() if task.task_id == "tune"]
    assert {task.map_index: task.state for task in mapped} == {0: "success", 1: "success"}
    assert {task.rendered_map_index for task in mapped} == {"boosting", "linear"}
    tracker = Tracker(FLIGHTS, settings)
    run_id = tracker.runs.find(run.run_id)
    assert run_id
    assert sorted((each["model_type"], each["number"]) for each in tracker.runs.trials(run_id)) == [
        ("boosting", 0),
        ("boosting", 1),
        ("linear", 0),
        ("linear", 1),
    ]
    assert "tuning" in tracker.runs.tags(run_id)
