"""A project whose stack is up: what a test does to it, and what a user then sees of it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from mlflow import MlflowClient

from flights import FLIGHTS
from modelworks.data import journal, partitions
from modelworks.errors import StackError
from modelworks.registry.ledger import load_version
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION, PREVIOUS
from modelworks.settings import Settings
from modelworks.stack import processes
from modelworks.stack.airflow_api import FINISHED, AirflowApi

COMMAND = [sys.executable, "-m", "modelworks"]
LAYERS: list[partitions.Layer] = ["raw", "clean", "quarantine", "scores"]
PATIENCE_S = 3600  # against a hang: a run takes a quarter of a minute, and very much longer on a busy machine


@dataclass(frozen=True)
class Run:
    """A run of the training DAG that has ended."""

    run_id: str
    state: str
    tries: dict[str, int]
    states: dict[str, str]


@dataclass(frozen=True)
class LiveStack:
    """The project, in a folder of its own, and Airflow's REST interface."""

    settings: Settings
    api: AirflowApi
    orders: Path
    environment: dict[str, str]
    periods: Iterator[str]

    @property
    def training(self) -> str:
        """The id of the training DAG."""
        return self.api.dag_id("training")

    @property
    def ingestion(self) -> str:
        """The id of the ingestion DAG."""
        return self.api.dag_id("ingestion")

    # What is done

    def start(self, period: str | None = None) -> str:
        """Start the training DAG, for the next period that nobody has seen yet; returns the run's id.

        By force: a period that has a champion is trained again.
        """
        return self.api.trigger(self.training, {"period": period or next(self.periods), "force": True})

    def run(self, period: str | None = None) -> Run:
        """Start the training DAG and wait for its end."""
        return self.finish(self.start(period))

    def finish(self, run_id: str) -> Run:
        """Wait for the end of a run."""
        self.wait_for_end(self.training, run_id)
        tasks = self.tasks(run_id).values()
        return Run(
            run_id,
            self.api.run_state(self.training, run_id),
            {task["task_id"]: task["try_number"] for task in tasks if task["state"] != "skipped"},
            {task["task_id"]: task["state"] for task in tasks},
        )

    def command(self, *words: str) -> subprocess.Popen[str]:
        """Start a command of the project, as a person would type it."""
        return subprocess.Popen(
            [*COMMAND, *words], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def kill_at(self, *moments: str) -> None:
        """Have the first process that comes to each of these moments killed, by -9."""
        for moment in moments:
            (self.orders / moment).write_text("kill")

    @contextmanager
    def held_at(self, moment: str, processes: int = 1) -> Iterator[Callable[[], None]]:
        """Hold all processes at a moment; the block is given a function that waits until so many stand there."""
        (self.orders / moment).write_text("wait")

        def caught() -> bool:
            return len(list(self.orders.glob(f"{moment} *"))) >= processes

        try:
            yield lambda: wait_until(f"{processes} stand {moment}", caught)
        finally:
            (self.orders / moment).unlink()
            for file in self.orders.glob(f"{moment} *"):
                file.unlink()

    def kill_process(self, name: str) -> None:
        """Kill one of the stack's processes by -9, and wait until supervisord has started it again."""
        pid = self.process(name)["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(f"{name} is there again", lambda: self.process(name)["pid"] not in {None, pid})

    # What is seen

    def process(self, name: str) -> dict[str, Any]:
        """What `make status` says of one process."""
        return next(each for each in processes.read_processes(self.settings) if each["name"] == name)

    def dag_runs(self, dag_id: str | None = None) -> list[dict[str, Any]]:
        """All runs of a DAG, by hand or not; by default of the training DAG."""
        return self.api._get(f"dags/{dag_id or self.training}/dagRuns?limit=100")["dag_runs"]

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The task instances of a run by their names."""
        return {task["task_id"]: task for task in self.api.task_instances(self.training, run_id)}

    def log(self, run: Run, task: str) -> str:
        """What the last try of a task has logged."""
        return json.dumps(self.api.task_log(self.training, run.run_id, task, run.tries[task]))

    def ledger(self) -> list[dict[str, Any]]:
        """All releases, the oldest first."""
        return journal.read_entries(self.settings.storage_uri, f"ledger/{self.settings.registry}")

    def tracker(self) -> Tracker:
        return Tracker(FLIGHTS, self.settings)

    def partition(self, layer: partitions.Layer, period: str) -> partitions.Partition:
        """The newest version of a period."""
        return partitions.find_partitions(self.settings.storage_uri, layer, period)[-1]

    def champion_period(self) -> str:
        """The period that the champion was measured on."""
        return self.tracker().runs.tags(self.ledger()[-1]["run_id"])["holdout_period"]

    def wait_for_log(self, run_id: str, task: str, pattern: str) -> None:
        """Wait until some try of a task has logged what the pattern says."""

        def logged() -> bool:
            count = self.tasks(run_id)[task]["try_number"]
            tries = [self.api.task_log(self.training, run_id, task, number) for number in range(1, count + 1)]
            return bool(re.search(pattern, json.dumps(tries)))

        wait_until(f"{task} has logged {pattern!r}", logged)

    def wait_for_end(self, dag_id: str, run_id: str) -> None:
        """Wait for the end of a run of any DAG."""
        wait_until(f"{run_id} has ended", lambda: self.api.run_state(dag_id, run_id) in FINISHED)

    def wait_for_mlflow(self) -> None:
        """Wait until the MLflow server answers."""
        wait_until("MLflow answers", lambda: self.process("mlflow")["health"] == "healthy")


def assert_consistent(stack: LiveStack) -> None:
    """Look at all that a user can see: runs, versions, ledger, aliases, partitions, the champion and the API."""
    tracker, settings, client = stack.tracker(), stack.settings, MlflowClient(stack.settings.tracking_uri)
    ledger = stack.ledger()
    _assert_one_mlflow_run_each(stack, tracker, client)

    versions = client.search_model_versions(f"name = '{settings.registered_model}'")
    assert {each.run_id: str(each.version) for each in versions} == {
        entry["run_id"]: entry["to_version"] for entry in ledger
    }
    assert len(versions) == len({each.run_id for each in versions}) == len(ledger)

    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert [entry["from_version"] for entry in ledger[1:]] == [entry["to_version"] for entry in ledger[:-1]]
    aliases = [
        found.version if (found := tracker.versions.find_alias(alias)) else None for alias in (CHAMPION, PREVIOUS)
    ]
    last = ledger[-1]
    assert aliases == [last["to_version"], last["from_version"]]

    _assert_partitions_complete(settings.storage_uri)
    load_version(FLIGHTS, tracker, tracker.versions.get(last["to_version"]))
    wait_until("the API answers with the champion", lambda: _api_version(settings) == last["to_version"])


def _assert_one_mlflow_run_each(stack: LiveStack, tracker: Tracker, client: MlflowClient) -> None:
    found = client.search_runs([tracker.runs.experiment_id])
    assert Counter(run.data.tags["pipeline_run"] for run in found).most_common(1)[0][1] == 1
    status = {run.data.tags["pipeline_run"]: run.info.status for run in found}
    ended = {run["dag_run_id"]: run["state"] for run in stack.dag_runs() if run["state"] in FINISHED}
    assert {name for name, state in ended.items() if state == "success"} <= status.keys()
    expected = {"success": "FINISHED", "failed": "FAILED"}
    seen = {name: status[name] for name in ended if name in status}
    assert seen == {name: expected[ended[name]] for name in seen}


def _assert_partitions_complete(storage_uri: str) -> None:
    for layer in LAYERS:
        for period in partitions.list_periods(storage_uri, layer):
            versions = partitions.find_partitions(storage_uri, layer, period)
            assert [each.version for each in versions] == list(range(1, len(versions) + 1))
            origins = {(each.source_sha256, each.contract_version, str(each.facts)) for each in versions}
            assert len(origins) == len(versions)  # nothing was made twice
            for partition in versions:
                assert len(partitions.read_partition(partition)) == partition.rows  # compares the hash
    for file in Path(storage_uri, "datasets").glob("*.json"):
        partitions.load_dataset(str(file))


def _api_version(settings: Settings) -> str | None:
    with suppress(httpx.HTTPError):
        answer = httpx.get(f"{settings.stack.url('api')}/model", trust_env=False, timeout=60)
        return answer.json()["version"] if answer.is_success else None
    return None


def wait_until(what: str, check: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """Ask until the answer is true, and return it; a server may be down for a while."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(StackError, StopIteration, psutil.Error):
            if answer := check():
                return answer
        time.sleep(0.2)
    raise TimeoutError(f"waited {timeout_s:.0f} s in vain: {what}")
