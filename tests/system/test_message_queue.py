"""A message in a real Redis starts the ingestion of its period, by Airflow's own trigger, as the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import redis
from bakes import REPOSITORY, BakedProject, succeed
from documents import Reader, steps_of
from live_airflow import INGESTION, LiveAirflow, partitions
from live_project import stack, wait_until

pytestmark = pytest.mark.slow

PAGE = REPOSITORY / "docs" / "how-to" / "start-by-a-message.md"
ARRIVALS = "flight_delays_arrivals"
PROVIDERS = ("apache-airflow-providers-common-messaging>=2.1", "apache-airflow-providers-redis>=4.7")


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a Redis."""
    with redis(tmp_path_factory.mktemp("redis")) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def airflow(project: BakedProject, queue: str, uv: str) -> Iterator[LiveAirflow]:
    """The project of a reader who has followed the page, with its stack up."""
    # In place of `make lock`, which would look for newer versions of everything.
    locked = ("--constraints", "requirements.lock", "--python", ".venv")
    succeed(project, uv, "pip", "install", "--quiet", *locked, *PROVIDERS)
    Reader(project.path, replaced={"redis.example.com:6379": queue}).follow(steps_of(PAGE))
    (project.path / ".venv/installed").touch()  # the page changes pyproject.toml; make would install anew
    with stack(project.path, dict(os.environ), "tester") as up:
        live = LiveAirflow(project, up)
        wait_until("the DAG is known", lambda: ARRIVALS in {dag["dag_id"] for dag in live.get("dags")["dags"]})
        yield live


def publish(queue: str, text: str) -> int:
    """Send a message; how many listen to it."""
    host, port = queue.split(":")
    program = shutil.which("redis-cli")
    assert program
    command = [program, "-h", host, "-p", port, "publish", "periods", text]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_message_starts_the_ingestion_of_its_period(airflow: LiveAirflow, queue: str) -> None:
    wait_until("the triggerer listens", lambda: publish(queue, "2013-02") > 0)
    [run] = airflow.finished_runs(1, INGESTION)
    assert (run["state"], run["conf"]["period"]) == ("success", "2013-02")
    # With the periods before it that were missing.
    assert {Path(each).parts[0] for each in partitions(airflow.project.path, "clean")} == {"2013-01", "2013-02"}


def test_what_is_no_period_fails_with_its_reason_and_ingests_nothing(airflow: LiveAirflow, queue: str) -> None:
    wait_until("the triggerer listens again", lambda: publish(queue, "yesterday") > 0)
    [_, run] = airflow.finished_runs(2, ARRIVALS)
    assert run["state"] == "failed"
    assert len(airflow.runs(INGESTION)) == 1
