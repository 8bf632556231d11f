"""Whoever follows "Observe what runs" sees a live stack in Prometheus, and a DAG run as events of OpenLineage."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bakes import REPOSITORY, Bake, BakedProject, succeed
from documents import Reader, steps_of
from live_project import free_ports
from prometheus import program

pytestmark = pytest.mark.slow

PAGE = REPOSITORY / "docs" / "how-to" / "observe.md"
DAG = "flight_delays_training"


@pytest.fixture(scope="module")
def observed(bake: Bake) -> BakedProject:
    """A project that has what Prometheus reads."""
    project = bake(platforms="compose")
    succeed(project, "make", "setup")
    return project


def test_page_about_observing_leads_to_figures_in_prometheus_and_to_lineage(observed: BakedProject, uv: str) -> None:
    program("prometheus")
    airflow, mlflow, api, prometheus = free_ports(0, 0, 0, 0)
    ports = {"AIRFLOW": airflow, "MLFLOW": mlflow, "API": api}
    # What a new version of some package brings is no matter of this page: nothing but the provider is added.
    compile_as_locked = f"{uv} pip compile --universal --generate-hashes --no-annotate --quiet"
    reader = Reader(
        observed.path,
        {f"MODELWORKS_STACK__{name}_PORT": str(port) for name, port in ports.items()},
        {":8000": f":{api}", ":9090": f":{prometheus}", "make lock": f"make lock COMPILE='{compile_as_locked}'"},
    )
    try:
        reader.follow(steps_of(PAGE))
        events = read_events(observed.path / "var" / "lineage.jsonl")
    finally:
        observed.run("make", "down")
    states = Counter((each["job"]["name"], each["eventType"]) for each in events)
    assert states[DAG, "COMPLETE"] == 1, states
    for task in ("ingest", "validate", "train"):
        assert states[f"{DAG}.{task}", "START"] == states[f"{DAG}.{task}", "COMPLETE"] == 1, states
    runs = {each["run"]["runId"] for each in events if each["job"]["name"] == DAG}
    parents = {
        each["run"]["facets"]["parent"]["run"]["runId"] for each in events if each["job"]["name"].startswith(f"{DAG}.")
    }
    assert runs == parents
    assert len(runs) == 1


def read_events(file: Path) -> list[dict[str, Any]]:
    """The events of a file, the oldest first."""
    return [json.loads(line) for line in file.read_text().splitlines()]
