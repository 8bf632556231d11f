"""The clock of the stack is in New York, that of a command in no zone at all: months and times stay those of UTC."""

import subprocess
from datetime import UTC, datetime, timedelta

from {{ cookiecutter.__package_name }} import storage
from {{ cookiecutter.__package_name }}.stack.airflow_api import INGESTION_DAG
from {{ cookiecutter.__package_name }}.stack.environment import stack_environment

from world import World


def test_months_and_times_are_those_of_utc_whatever_the_clock_is_set_to(world: World) -> None:
    assert world.environment["TZ"] == "America/New_York"
    started, month = datetime.now(UTC), next(world.months)
    subprocess.run(
        [
            *(f"{world.settings.home}/.venv/bin/airflow", "backfill", "create", "--dag-id", INGESTION_DAG),
            *("--from-date", f"{month}-01", "--to-date", f"{month}-01"),
        ],
        env={**world.environment, **stack_environment(world.settings), "TZ": ":/nonexistent"},
        check=True,
    )
    [backfilled] = [run for run in world.dag_runs(INGESTION_DAG) if run["run_type"] == "backfill"]
    assert backfilled["partition_key"] == month
    assert world.finish(backfilled["dag_run_id"], INGESTION_DAG).state == "success"
    assert storage.list_months(world.settings.storage_uri, "clean")[-1] == month
    assert world.run(month).state == "success"
    assert world.champion_month() == month
    at = datetime.fromisoformat(world.ledger()[-1]["at"])
    assert at.utcoffset() == timedelta(0)
    assert started - timedelta(seconds=1) <= at <= datetime.now(UTC)
