"""The DAGs under a live scheduler: by backfill, by asset, and by the form. The tests build on each other."""

from __future__ import annotations

import json
import os
import urllib.error
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from bakes import BakedProject
from live_airflow import (
    INGESTION,
    MONITORING,
    SCORING,
    TRAINING,
    LiveAirflow,
    history,
    journal,
    mlflow_runs,
    partitions,
    wait_until_quiet,
)
from live_project import fetch, stack, wait_until

pytestmark = pytest.mark.slow

PERIODS = ["2013-01", "2013-02", "2013-03", "2013-04", "2013-05"]
# With these a first model is wanted in February, and another one in April.
SETTINGS = {
    "MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "20",
    "MODELWORKS_RETRAINING__FIRST_AFTER_PERIODS": "2",
    "MODELWORKS_RETRAINING__EVERY_PERIODS": "2",
}
FIRST = "monitoring of 2013-02: no champion yet"
SECOND = "monitoring of 2013-04: the champion is trained through 2013-02, 2 periods ago"
ONE_BY_ONE = """
import sys
from pathlib import Path

from modelworks import load_project
from modelworks.backtest import loop, sandbox

settings = sandbox.make_sandbox(Path.cwd(), Path("var/sandbox").absolute(), {})
loop.replay(load_project(settings.home), settings, sys.argv[1:])
"""


@pytest.fixture(scope="module")
def airflow(project: BakedProject) -> Iterator[LiveAirflow]:
    with stack(project.path, {**os.environ, **SETTINGS}, "tester") as up:
        live, dags = LiveAirflow(project, up), {INGESTION, SCORING, MONITORING, TRAINING}
        wait_until("the DAGs are known", lambda: dags <= {dag["dag_id"] for dag in live.get("dags")["dags"]})
        yield live


@pytest.fixture(scope="module")
def backfilled(airflow: LiveAirflow) -> LiveAirflow:
    """Five periods that came at once, with all that follows from them; in a sandbox they have come one by one."""
    span = ["--from-date", f"{PERIODS[0]}-01", "--to-date", f"{PERIODS[-1]}-01", "--max-active-runs", "1"]
    airflow.command("backfill", "create", "--dag-id", INGESTION, *span)
    done = airflow.project.run(".venv/bin/python", "-c", ONE_BY_ONE, *PERIODS, **SETTINGS)
    assert done.returncode == 0, done.stderr
    wait_until_quiet(airflow, lambda: len(journal(airflow.project.path, "monitoring")) == len(PERIODS))
    return airflow


def test_nothing_runs_unless_it_is_asked_for(airflow: LiveAirflow) -> None:
    """The schedule ends with the source, so unpausing starts nothing."""
    assert [airflow.runs(dag) for dag in (INGESTION, SCORING, MONITORING, TRAINING)] == [[]] * 4


def test_backfill_runs_each_period_once_and_in_order(backfilled: LiveAirflow) -> None:
    runs = backfilled.runs(INGESTION)
    assert [(run["partition_key"], run["state"]) for run in runs] == [(period, "success") for period in PERIODS]
    assert all(earlier["end_date"] <= later["start_date"] for earlier, later in pairwise(runs))


def test_backfill_comes_to_what_one_period_after_the_other_comes_to(backfilled: LiveAirflow) -> None:
    """The same bytes, releases and findings, served by the same champions."""
    home = backfilled.project.path
    at_once, one_by_one = history(home), history(home / "var" / "sandbox")
    assert [(each["holdout_period"], each["reason"]) for each in one_by_one["releases"]] == [
        ("2013-02", FIRST),
        ("2013-04", SECOND),
    ]
    assert [each["champion"] for each in one_by_one["monitoring"]] == [None, None, "1", "1", "2"]
    assert at_once == one_by_one


def test_champion_is_compared_with_the_one_before(backfilled: LiveAirflow) -> None:
    status = backfilled.status()
    assert [each["period"] for each in status["partitions"]] == PERIODS
    assert status["champion"]["holdout_period"] == "2013-04"
    assert status["previous"]["holdout_period"] == "2013-02"
    runs = backfilled.runs(TRAINING)
    assert [(run["partition_key"], run["state"]) for run in runs] == [("2013-02", "success"), ("2013-04", "success")]
    assert [entry["pipeline_run"] for entry in status["ledger"]] == [run["dag_run_id"] for run in runs]
    tags = mlflow_runs(backfilled.project.path)
    assert tags[status["champion"]["run_id"]]["compared_with"] == status["previous"]["version"]


def test_each_event_starts_what_waits_for_it(backfilled: LiveAirflow) -> None:
    started = {
        (event["name"].removeprefix("flight_delays_"), event["partition_key"]): sorted(
            run["dag_id"] for run in event["created_dagruns"]
        )
        for event in backfilled.events()
        if event["created_dagruns"]
    }
    new_periods = {("clean", period): [MONITORING, SCORING] for period in PERIODS}
    wanted = {("retrain", period): [TRAINING] for period in ("2013-02", "2013-04")}
    # A new champion is first asked for the newest period, which in a backfill may have come already.
    new_champions = {key: [SCORING] for key in started if key[0] == "model"}
    assert len([event for event in backfilled.events() if event["name"] == "flight_delays_model"]) == 2
    assert started == new_periods | wanted | new_champions


def test_new_periods_and_new_champions_have_been_scored(backfilled: LiveAirflow) -> None:
    states = backfilled.task_states(SCORING, "score")
    assert {partition for partition, _ in states} == set(PERIODS)
    found = scores(backfilled)
    # January had no champion when it came; the first one scores it where it was there before January's turn.
    assert states[0] == ("2013-01", "success" if ("2013-01", "1") in found else "skipped")
    assert {state for _, state in states[1:]} <= {"skipped", "success"}
    assert {("2013-03", "1"), ("2013-04", "1"), ("2013-05", "2")} <= set(found)
    assert ("2013-05", "1") not in found  # that of April's end was waited for
    assert len(found) == len(set(found))


def scores(airflow: LiveAirflow) -> list[tuple[str, str]]:
    """Month and model version of each partition of scores."""
    manifests = partitions(airflow.project.path, "scores").values()
    return sorted((each["period"], each["facts"]["model_version"]) for each in manifests)


def test_reason_of_a_retraining_is_in_mlflow_and_in_the_ledger(backfilled: LiveAirflow) -> None:
    tags, ledger = mlflow_runs(backfilled.project.path), journal(backfilled.project.path, "ledger")
    assert [(entry["reason"], entry["by"]) for entry in ledger] == [
        (FIRST, "airflow (asset_triggered)"),
        (SECOND, "airflow (asset_triggered)"),
    ]
    assert [tags[entry["run_id"]]["reason"] for entry in ledger] == [FIRST, SECOND]
    assert {tags[entry["run_id"]]["experiment"] for entry in ledger} == {"flight-delays"}


def test_report_of_each_period_is_in_mlflow_and_one_click_from_its_task(backfilled: LiveAirflow) -> None:
    tags, mlflow = mlflow_runs(backfilled.project.path), backfilled.stack.mlflow
    [experiment] = {
        each["experiment_id"]
        for each in fetch(f"{mlflow}/api/2.0/mlflow/experiments/search?max_results=10")["experiments"]
        if each["name"] == "flight-delays-monitoring"
    }
    for record in journal(backfilled.project.path, "monitoring"):
        run_id = record["run_id"]
        assert tags[run_id]["experiment"] == "flight-delays-monitoring"
        links = backfilled.of_run(MONITORING, record["pipeline_run"], "taskInstances/monitor/links")["extra_links"]
        page = f"{mlflow}/#/experiments/{experiment}/runs/{run_id}/artifacts/report.html"
        assert links == {"Report in MLflow": f"{page}?workflowType=machine_learning"}
        report = fetch(f"{mlflow}/get-artifact?path=report.html&run_uuid={run_id}")
        assert f"<title>Monitoring of {record['period']}</title>" in report


def test_cause_that_is_reported_twice_has_one_retraining(backfilled: LiveAirflow) -> None:
    before, runs_before = history(backfilled.project.path), mlflow_runs(backfilled.project.path)
    versions = fetch(f"{backfilled.stack.mlflow}/api/2.0/mlflow/model-versions/search")["model_versions"]
    backfilled.emit("flight_delays_retrain", partition_key="2013-04")
    again = backfilled.finished_runs(3, TRAINING)[-1]
    assert (again["run_type"], again["partition_key"]) == ("asset_triggered", "2013-04")
    tasks = backfilled.of_run(TRAINING, again["dag_run_id"], "taskInstances")["task_instances"]
    assert {task["task_id"]: task["state"] for task in tasks} == dict.fromkeys(
        ["ingest", "validate", "compare", "plan", "tune", "train", "evaluate", "approve", "deploy"], "skipped"
    )
    assert history(backfilled.project.path) == before
    assert mlflow_runs(backfilled.project.path) == runs_before
    assert fetch(f"{backfilled.stack.mlflow}/api/2.0/mlflow/model-versions/search")["model_versions"] == versions


def test_period_that_is_monitored_again_is_found_and_asks_for_nothing(backfilled: LiveAirflow) -> None:
    before, runs_before = history(backfilled.project.path), mlflow_runs(backfilled.project.path)
    backfilled.trigger(MONITORING, conf={"period": "2013-04"})
    again = backfilled.finished_runs(len(PERIODS) + 1, MONITORING)[-1]
    tasks = backfilled.of_run(MONITORING, again["dag_run_id"], "taskInstances")["task_instances"]
    assert {task["task_id"]: task["state"] for task in tasks} == {
        "retraining_done": "success",
        "monitor": "success",
        "retrain": "skipped",
    }
    assert history(backfilled.project.path) == before
    assert mlflow_runs(backfilled.project.path) == runs_before


def test_training_by_the_form_without_a_logical_date(backfilled: LiveAirflow) -> None:
    count, scored = len(backfilled.runs(TRAINING)), len(backfilled.runs(SCORING))
    backfilled.trigger(TRAINING, conf={"period": "2013-06", "reason": "asked for"})
    last = backfilled.finished_runs(count + 1, TRAINING)[-1]
    assert (last["state"], last["logical_date"]) == ("success", None)
    entry = journal(backfilled.project.path, "ledger")[-1]
    assert (entry["by"], entry["reason"]) == ("tester", "asked for")
    assert entry["pipeline_run"] == last["dag_run_id"]
    backfilled.finished_runs(scored + 1, SCORING)
    assert backfilled.task_states(SCORING, "score")[-1] == ("2013-06", "success")
    assert ("2013-06", "3") in scores(backfilled)


def test_period_by_the_form_is_scored_and_monitored_as_well(backfilled: LiveAirflow) -> None:
    count = {dag: len(backfilled.runs(dag)) for dag in (INGESTION, SCORING, MONITORING)}
    backfilled.trigger(INGESTION, conf={"period": "2013-07"})
    last = backfilled.finished_runs(count[INGESTION] + 1, INGESTION)[-1]
    assert (last["state"], last["logical_date"], last["partition_key"]) == ("success", None, None)
    for dag in (SCORING, MONITORING):
        backfilled.finished_runs(count[dag] + 1, dag)
    assert backfilled.task_states(SCORING, "score")[-1] == ("2013-07", "success")
    assert backfilled.task_states(MONITORING, "monitor")[-1] == ("2013-07", "success")
    record = journal(backfilled.project.path, "monitoring")[-1]
    assert (record["period"], record["champion"], record["retrain"]) == ("2013-07", "3", False)


def test_scoring_by_the_form_finds_or_makes_the_period(backfilled: LiveAirflow) -> None:
    before, count = scores(backfilled), len(backfilled.runs(SCORING))
    backfilled.trigger(SCORING)
    assert backfilled.finished_runs(count + 1, SCORING)[-1]["state"] == "success"
    assert scores(backfilled) == before  # the newest period by the champion: there since the test above
    backfilled.trigger(SCORING, conf={"period": "2013-02"})
    assert backfilled.finished_runs(count + 2, SCORING)[-1]["state"] == "success"
    assert scores(backfilled) == sorted([*before, ("2013-02", "3")])


def test_each_dag_run_is_one_mlflow_run(backfilled: LiveAirflow) -> None:
    """But for those of scoring, which makes none, and those that found that there was nothing to do."""
    runs = {dag: [run["dag_run_id"] for run in backfilled.runs(dag)] for dag in (INGESTION, MONITORING, TRAINING)}
    idle = [runs[TRAINING][2], runs[MONITORING][len(PERIODS)]]  # of the cause that was reported twice
    names = [tags["pipeline_run"] for tags in mlflow_runs(backfilled.project.path).values()]
    assert sorted([*names, *idle]) == sorted(run for each in runs.values() for run in each)


def test_outputs_are_recorded_as_asset_events_with_their_facts(backfilled: LiveAirflow) -> None:
    events = [event for event in backfilled.events() if event["source_run_id"]]
    by_asset = {event["name"]: event["extra"] for event in events}
    assert all(event["partition_key"] == event["extra"]["period"] for event in events)
    assert by_asset.keys() == {f"flight_delays_{layer}" for layer in ("raw", "clean", "model", "scores", "retrain")}
    assert by_asset["flight_delays_model"]["version"]
    assert by_asset["flight_delays_clean"]["dataset_uri"]
    assert by_asset["flight_delays_retrain"]["reason"]


@pytest.mark.parametrize("dag", [INGESTION, SCORING, MONITORING, TRAINING])
def test_bad_period_is_refused_by_the_form(backfilled: LiveAirflow, dag: str) -> None:
    before = backfilled.runs(dag)
    with pytest.raises(urllib.error.HTTPError) as refused:
        backfilled.trigger(dag, conf={"period": "June"})
    refused.value.close()  # it holds the answer's socket
    assert refused.value.code == 400
    assert backfilled.runs(dag) == before


def test_period_that_is_not_there_fails_at_once_with_its_reason(backfilled: LiveAirflow) -> None:
    count = len(backfilled.runs(INGESTION)) + 1
    backfilled.trigger(INGESTION, conf={"period": "2014-05"})
    last = backfilled.finished_runs(count, INGESTION)[-1]
    assert last["state"] == "failed"
    ingest = backfilled.of_run(INGESTION, last["dag_run_id"], "taskInstances/ingest")
    assert (ingest["state"], ingest["try_number"]) == ("failed", 1)
    log = json.dumps(backfilled.of_run(INGESTION, last["dag_run_id"], "taskInstances/ingest/logs/1"))
    assert "period 2014-05: outside the source, which has 2013-01 to 2013-12" in log


def test_logs_and_files_stay_below_var(backfilled: LiveAirflow) -> None:
    tracked = backfilled.project.run("git", "status", "--porcelain").stdout
    assert tracked == ""
    assert (Path(backfilled.project.path) / "var" / "airflow" / "logs").is_dir()
