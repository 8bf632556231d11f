"""The DAGs under a live scheduler: by partition, by backfill, by asset, and by the form."""

from __future__ import annotations

import json
import os
import sqlite3
import urllib.error
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import BakedProject
from live_project import fetch, stack, wait_until

pytestmark = pytest.mark.slow

DAG = "flight_delays_training"
SCORING = "flight_delays_scoring"
FINISHED = {"success", "failed"}


@dataclass(frozen=True)
class LiveAirflow:
    """A project whose Airflow is up, with all its DAGs unpaused."""

    project: BakedProject
    environment: dict[str, str]
    url: str
    token: str

    def get(self, path: str) -> Any:
        """What the REST API says of a path below /api/v2."""
        return fetch(f"{self.url}/api/v2/{path}", token=self.token)

    def trigger(self, dag: str = DAG, **body: object) -> Any:
        """Start a DAG as the form does."""
        return fetch(f"{self.url}/api/v2/dags/{dag}/dagRuns", {"logical_date": None, **body}, self.token)

    def emit(self, **body: object) -> Any:
        """Make an asset event as an outside system does."""
        return fetch(f"{self.url}/api/v2/assets/events", body, self.token)

    def runs(self, dag: str = DAG) -> list[dict[str, Any]]:
        """All runs of a DAG, the oldest first."""
        runs: list[dict[str, Any]] = self.get(f"dags/{dag}/dagRuns?order_by=id")["dag_runs"]
        return runs

    def finished_runs(self, count: int, dag: str = DAG) -> list[dict[str, Any]]:
        """Wait until so many runs of a DAG have ended."""

        def ended() -> list[dict[str, Any]] | None:
            runs = self.runs(dag)
            return runs if len(runs) == count and all(run["state"] in FINISHED for run in runs) else None

        found: list[dict[str, Any]] = wait_until(f"{count} runs have ended", ended, timeout_s=300)
        return found

    def score_states(self) -> list[tuple[str, str]]:
        """Partition and state of the task of each scoring run that an asset has started, the oldest first."""
        states = []
        for run in self.runs(SCORING):
            if run["run_type"] == "asset_triggered":
                run_id = urllib.parse.quote(run["dag_run_id"])
                task = self.get(f"dags/{SCORING}/dagRuns/{run_id}/taskInstances/score")
                states.append((run["partition_key"], task["state"]))
        return states

    def scores(self) -> list[tuple[str, str]]:
        """Month and model version of each partition of scores."""
        found = (self.project.path / "var" / "data" / "scores").glob("*/*/manifest.json")
        manifests = [json.loads(path.read_text()) for path in found]
        return sorted((manifest["month"], manifest["facts"]["model_version"]) for manifest in manifests)

    def status(self) -> dict[str, Any]:
        """The project's own account of its state."""
        done = self.project.run(".venv/bin/flight-delays", "status", "--json", **self.environment)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def airflow(project: BakedProject) -> Iterator[LiveAirflow]:
    with stack(project.path, {**os.environ, "FLIGHT_DELAYS_MODEL__MAX_ITER": "40"}, "tester") as up:
        live = LiveAirflow(project, up.environment, up.airflow, up.token)
        wait_until("the DAGs are known", lambda: {DAG, SCORING} <= {dag["dag_id"] for dag in live.get("dags")["dags"]})
        yield live


def test_clean_month_is_not_scored_while_there_is_no_champion(airflow: LiveAirflow) -> None:
    clean = airflow.get("assets?name_pattern=flight_delays_clean")["assets"][0]["id"]
    airflow.emit(asset_id=clean, partition_key="2013-01")
    assert airflow.finished_runs(1, SCORING)[0]["state"] == "success"  # which is a run without a failure
    assert airflow.score_states() == [("2013-01", "skipped")]
    assert airflow.scores() == []


def test_backfill_runs_each_month_once_and_in_order(airflow: LiveAirflow) -> None:
    assert airflow.runs() == []  # the schedule ends with the source, so unpausing starts nothing
    home = {
        "AIRFLOW_HOME": str(airflow.project.path / "var" / "airflow"),
        "AIRFLOW_CONFIG": str(airflow.project.path / "airflow.cfg"),
        "PROJECT_HOME": str(airflow.project.path),
    }
    command = ["backfill", "create", "--dag-id", DAG, "--from-date", "2013-02-01", "--to-date", "2013-03-01"]
    command += ["--max-active-runs", "1"]  # in order: each month is judged against the champion of the month before
    done = airflow.project.run(".venv/bin/airflow", *command, **airflow.environment, **home)
    assert done.returncode == 0, done.stderr
    runs = airflow.finished_runs(2)
    assert [(run["partition_key"], run["state"]) for run in runs] == [("2013-02", "success"), ("2013-03", "success")]
    status = airflow.status()
    assert status["champion"]["holdout_month"] == "2013-03"
    assert status["previous"]["holdout_month"] == "2013-02"
    assert [entry["pipeline_run"] for entry in status["ledger"]] == [run["dag_run_id"] for run in runs]
    assert [each["month"] for each in status["partitions"]] == ["2013-01", "2013-02", "2013-03"]


def test_new_months_and_new_champions_have_been_scored(airflow: LiveAirflow) -> None:
    """Each run of the training DAG starts scoring twice: after `validate` and after `deploy`."""
    airflow.finished_runs(5, SCORING)
    partitions = [partition for partition, _ in airflow.score_states()[1:]]
    assert partitions == ["2013-02", "2013-02", "2013-03", "2013-03"]
    assert {state for _, state in airflow.score_states()} == {"skipped", "success"}
    scores = airflow.scores()
    assert {("2013-02", "1"), ("2013-03", "2")} <= set(scores)
    assert len(scores) == len(set(scores))


def test_run_by_the_form_without_a_logical_date(airflow: LiveAirflow) -> None:
    before = len(airflow.runs())
    airflow.trigger(conf={"month": "2013-07", "reason": "asked for"})
    last = airflow.finished_runs(before + 1)[-1]
    assert (last["state"], last["logical_date"]) == ("success", None)
    entry = airflow.status()["ledger"][-1]
    assert (entry["by"], entry["reason"]) == ("tester", "asked for")
    assert entry["pipeline_run"] == last["dag_run_id"]


def test_run_by_the_form_is_scored_as_well(airflow: LiveAirflow) -> None:
    airflow.finished_runs(7, SCORING)
    assert airflow.score_states()[5:] == [("2013-07", "success")] * 2
    assert ("2013-07", "3") in airflow.scores()


def test_scoring_by_the_form_finds_or_makes_the_month(airflow: LiveAirflow) -> None:
    before = airflow.scores()
    airflow.trigger(SCORING)
    assert airflow.finished_runs(8, SCORING)[-1]["state"] == "success"
    assert airflow.scores() == before  # the newest month by the champion: there since the test above
    airflow.trigger(SCORING, conf={"month": "2013-04"})
    assert airflow.finished_runs(9, SCORING)[-1]["state"] == "success"
    assert airflow.scores() == sorted([*before, ("2013-04", "3")])


def test_each_dag_run_is_one_mlflow_run(airflow: LiveAirflow) -> None:
    with sqlite3.connect(airflow.project.path / "var" / "mlflow" / "mlflow.db") as database:
        names = [row[0] for row in database.execute("select value from tags where key = 'pipeline_run'")]
    assert sorted(names) == sorted(run["dag_run_id"] for run in airflow.runs())


def test_outputs_are_recorded_as_asset_events_with_their_facts(airflow: LiveAirflow) -> None:
    events = airflow.get("assets/events?limit=100")["asset_events"]
    by_asset = {event["name"]: event["extra"] for event in events if event["source_run_id"]}
    assert all(event["partition_key"] == event["extra"]["month"] for event in events if event["source_run_id"])
    assert by_asset.keys() == {f"flight_delays_{layer}" for layer in ("raw", "clean", "model", "scores")}
    assert by_asset["flight_delays_model"]["version"]
    assert by_asset["flight_delays_clean"]["dataset_uri"]


def test_bad_month_is_refused_by_the_form(airflow: LiveAirflow) -> None:
    before = airflow.runs()
    with pytest.raises(urllib.error.HTTPError) as refused:
        airflow.trigger(conf={"month": "June"})
    refused.value.close()  # it holds the answer's socket
    assert refused.value.code == 400
    assert airflow.runs() == before


def test_month_that_is_not_there_fails_at_once_with_its_reason(airflow: LiveAirflow) -> None:
    count = len(airflow.runs()) + 1
    airflow.trigger(conf={"month": "2014-05"})
    last = airflow.finished_runs(count)[-1]
    assert last["state"] == "failed"
    run_id = urllib.parse.quote(last["dag_run_id"])
    ingest = airflow.get(f"dags/{DAG}/dagRuns/{run_id}/taskInstances/ingest")
    assert (ingest["state"], ingest["try_number"]) == ("failed", 1)
    log = json.dumps(airflow.get(f"dags/{DAG}/dagRuns/{run_id}/taskInstances/ingest/logs/1"))
    assert "month 2014-05: outside the source, which has 2013-01 to 2013-12" in log


def test_logs_and_files_stay_below_var(airflow: LiveAirflow) -> None:
    tracked = airflow.project.run("git", "status", "--porcelain").stdout
    assert tracked == ""
    assert (Path(airflow.project.path) / "var" / "airflow" / "logs").is_dir()
