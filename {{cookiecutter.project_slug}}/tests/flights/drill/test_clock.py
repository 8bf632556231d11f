"""The clock of the stack is in New York, that of a command in no zone at all: months and times stay those of UTC."""

import subprocess
from datetime import UTC, datetime, timedelta

from {{ cookiecutter.__package_name }}.stack.airflow_api import INGESTION_DAG
from {{ cookiecutter.__package_name }}.stack.environment import stack_environment

from world import World, wait_until


def test_months_and_times_are_those_of_utc_whatever_the_clock_is_set_to(world: World) -> None:
    """From the partition of a backfill to the release that monitoring has asked for."""
    assert world.environment["TZ"] == "America/New_York"
    started, month, before = datetime.now(UTC), next(world.months), len(world.ledger())
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
    world.wait_for_end(INGESTION_DAG, backfilled["dag_run_id"])
    wait_until("the month has led to a release", lambda: len(world.ledger()) > before)
    [asked] = [run for run in world.dag_runs() if run["run_type"] == "asset_triggered"]
    assert asked["partition_key"] == month
    assert world.finish(asked["dag_run_id"]).state == "success"
    assert world.champion_month() == month
    for moment in (world.partition("clean", month).created_at, world.ledger()[-1]["at"]):
        at = datetime.fromisoformat(moment)
        assert at.utcoffset() == timedelta(0)
        assert started - timedelta(seconds=1) <= at <= datetime.now(UTC)
