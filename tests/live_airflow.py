"""What a test asks of a project whose Airflow is up, and what the project has kept of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bakes import BakedProject, succeed
from live_project import PATIENCE_S, Stack, fetch, wait_until

INGESTION, SCORING, MONITORING, TRAINING = (
    f"flight_delays_{name}" for name in ("ingestion", "scoring", "monitoring", "training")
)
FINISHED = {"success", "failed"}
# What says who wrote an entry of a journal, and when.
OF_THE_WRITER = {"at", "run_id", "pipeline_run"}


@dataclass(frozen=True)
class LiveAirflow:
    """A project whose stack is up, with all its DAGs unpaused."""

    project: BakedProject
    stack: Stack

    def get(self, path: str) -> Any:
        """What the REST API says of a path below /api/v2."""
        return fetch(f"{self.stack.airflow}/api/v2/{path}", token=self.stack.token)

    def of_run(self, dag: str, run_id: str, path: str) -> Any:
        """What it says of a path below a run."""
        return self.get(f"dags/{dag}/dagRuns/{quote(run_id)}/{path}")

    def trigger(self, dag: str, **body: object) -> Any:
        """Start a DAG as the form does."""
        url = f"{self.stack.airflow}/api/v2/dags/{dag}/dagRuns"
        return fetch(url, {"logical_date": None, **body}, self.stack.token)

    def emit(self, asset: str, **body: object) -> Any:
        """Make an asset event as an outside system does."""
        asset_id = self.get(f"assets?name_pattern={asset}")["assets"][0]["id"]
        return fetch(f"{self.stack.airflow}/api/v2/assets/events", {"asset_id": asset_id, **body}, self.stack.token)

    def command(self, *words: str) -> str:
        """What a command of Airflow prints, called as `run-the-stack.md` says."""
        return succeed(self.project, self.project.command, "airflow", *words, **self.stack.environment)

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """All runs of a DAG, the oldest first."""
        runs: list[dict[str, Any]] = self.get(f"dags/{dag}/dagRuns?order_by=id&limit=100")["dag_runs"]
        return runs

    def finished_runs(self, count: int, dag: str) -> list[dict[str, Any]]:
        """Wait until so many runs of a DAG have ended."""

        def ended() -> list[dict[str, Any]] | None:
            runs = self.runs(dag)
            return runs if len(runs) == count and all(run["state"] in FINISHED for run in runs) else None

        found: list[dict[str, Any]] = wait_until(f"{count} runs of {dag} have ended", ended)
        return found

    def task_states(self, dag: str, task: str) -> list[tuple[str | None, str]]:
        """Partition and state of a task in each run of its DAG that an asset has started, the oldest first."""
        runs = [run for run in self.runs(dag) if run["run_type"] == "asset_triggered"]
        states = [self.of_run(dag, run["dag_run_id"], f"taskInstances/{task}")["state"] for run in runs]
        return [(run["partition_key"], state) for run, state in zip(runs, states, strict=True)]

    def events(self) -> list[dict[str, Any]]:
        """All asset events, the oldest first, once no run waits: a queued run has no start yet."""
        wait_until("no run waits", lambda: self.get("dags/~/dagRuns?state=queued&limit=1")["total_entries"] == 0)
        found: list[dict[str, Any]] = self.get("assets/events?limit=100&order_by=timestamp")["asset_events"]
        return found

    def status(self) -> dict[str, Any]:
        """The project's own account of its state."""
        found: dict[str, Any] = json.loads(
            succeed(self.project, self.project.command, "status", "--json", **self.stack.environment)
        )
        return found


def partitions(home: Path, layer: str) -> dict[str, dict[str, Any]]:
    """The manifest of each version of each period of a layer, by its folder."""
    folder = home / "var" / "data" / layer
    return {str(path.parent.relative_to(folder)): json.loads(path.read_text()) for path in folder.glob("*/*/*.json")}


def journal(home: Path, name: str) -> list[dict[str, Any]]:
    """Every entry of a journal, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted((home / "var" / "data" / name).glob("*/*.json"))]


def mlflow_runs(home: Path) -> dict[str, dict[str, str]]:
    """The tags of each MLflow run, by its id, and the name of its experiment among them."""
    with sqlite3.connect(home / "var" / "mlflow" / "mlflow.db") as database:
        query = "select run_uuid, experiments.name from runs join experiments using (experiment_id)"
        runs = {run_id: {"experiment": name} for run_id, name in database.execute(query)}
        for run_id, key, value in database.execute("select run_uuid, key, value from tags"):
            runs[run_id][key] = value
    return runs


def history(home: Path) -> dict[str, Any]:
    """All that periods and releases came to, without who wrote it and when."""

    def content(entry: dict[str, Any], without: set[str]) -> dict[str, Any]:
        return {name: value for name, value in entry.items() if name not in without}

    runs = mlflow_runs(home)
    return {
        "sha256": {
            layer: {version: manifest["sha256"] for version, manifest in partitions(home, layer).items()}
            for layer in ("raw", "clean")
        },
        # A sandbox has no git, and no person or Airflow behind its releases.
        "releases": [
            content(entry, OF_THE_WRITER | {"by", "code_commit"})
            | {"holdout_period": runs[entry["run_id"]]["holdout_period"]}
            for entry in journal(home, "ledger")
        ],
        "monitoring": [content(entry, OF_THE_WRITER) for entry in journal(home, "monitoring")],
    }


def wait_until_quiet(airflow: LiveAirflow, is_done: Callable[[], bool]) -> None:
    """Wait until something is done and no run is under way, twice in a row: an asset starts runs a moment later."""
    calm = 0

    def is_quiet() -> bool:
        nonlocal calm
        active = airflow.get("dags/~/dagRuns?state=running&state=queued&limit=1")["total_entries"]
        calm = calm + 1 if is_done() and not active else 0
        return calm == 3

    wait_until("all runs have ended", is_quiet, timeout_s=2 * PATIENCE_S)
