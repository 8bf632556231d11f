"""Airflow sends what the alert rules and the how-to say, by its own settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flights import make_home
from modelworks.settings import HOME_VARIABLE
from modelworks.stack.environment import AIRFLOW_CONFIG
from otlp import receiving

DAG = "flight_delays_ingestion"


@pytest.mark.slow
def test_a_task_that_fails_is_counted_and_traced(tmp_path: Path) -> None:
    home = tmp_path / "project"
    make_home(home)  # without data, so `ingest` fails
    with receiving() as receiver:
        own = {
            HOME_VARIABLE: str(home),
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW_CONFIG": str(AIRFLOW_CONFIG),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__TRACES__OTEL_ON": "True",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
        airflow(own, "db", "migrate", status=0)
        airflow(own, "dags", "test", DAG, "2013-05-01", status=1)
    finished = [each for each in receiver.metrics if each.name == "airflow.ti.finish"]
    assert {"dag_id": DAG, "task_id": "ingest", "state": "failed"} in [each.attributes for each in finished]
    assert {each.raw.sum.is_monotonic for each in finished} == {True}  # so Prometheus adds `_total`
    assert f"dag_run.{DAG}" in {each.name for each in receiver.spans}
    assert "task_run.ingest" in {each.name for each in receiver.spans}


def airflow(environment: dict[str, str], *words: str, status: int) -> None:
    """Run a command of Airflow in a process of its own, since it reads its settings when it is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
