"""The clock of the stack is in New York, that of a command in no zone at all: periods and times stay those of UTC."""

import subprocess
from datetime import UTC, datetime, timedelta

from live_stack import LiveStack, wait_until

from modelworks.stack.environment import BIN, stack_environment


def test_periods_and_times_are_those_of_utc_whatever_the_clock_is_set_to(stack: LiveStack) -> None:
    """From the partition of a backfill to the release that monitoring has asked for."""
    assert stack.environment["TZ"] == "America/New_York"
    started, period, before = datetime.now(UTC), next(stack.periods), len(stack.ledger())
    subprocess.run(
        [
            *(str(BIN / "airflow"), "backfill", "create", "--dag-id", stack.ingestion),
            *("--from-date", f"{period}-01", "--to-date", f"{period}-01"),
        ],
        env={**stack.environment, **stack_environment(stack.settings), "TZ": ":/nonexistent"},
        check=True,
    )
    [backfilled] = [run for run in stack.dag_runs(stack.ingestion) if run["run_type"] == "backfill"]
    assert backfilled["partition_key"] == period
    stack.wait_for_end(stack.ingestion, backfilled["dag_run_id"])
    wait_until("the period has led to a release", lambda: len(stack.ledger()) > before)
    [asked] = [run for run in stack.dag_runs() if run["run_type"] == "asset_triggered"]
    assert asked["partition_key"] == period
    assert stack.finish(asked["dag_run_id"]).state == "success"
    assert stack.champion_period() == period
    for moment in (stack.partition("clean", period).created_at, stack.ledger()[-1]["at"]):
        at = datetime.fromisoformat(moment)
        assert at.utcoffset() == timedelta(0)
        assert started - timedelta(seconds=1) <= at <= datetime.now(UTC)
