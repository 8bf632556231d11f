"""A replay through a live Airflow: each period runs to the end of everything that follows from it."""

import time

from rich.console import Console

from modelworks.backtest.outcome import read_outcomes
from modelworks.backtest.printing import print_period
from modelworks.data import partitions
from modelworks.errors import StackError
from modelworks.monitoring import records
from modelworks.progress import track, waiting
from modelworks.project import Project
from modelworks.settings import Settings
from modelworks.stack.airflow_api import AirflowApi

POLL_S = 0.5
PERIOD_PATIENCE_S = 900
DAGS = ("ingestion", "scoring", "monitoring", "training")


def replay(project: Project, settings: Settings, periods: list[str], console: Console) -> None:
    """Start each period's ingestion, and wait until it is scored, monitored and a requested retraining is done.

    Raises
    ------
    StackError
        If a period cannot be ingested or monitored, or takes too long.
    """
    api = AirflowApi(settings)
    _wait_for_dags(api)
    started = time.monotonic()
    for period in track(periods, "replaying on Airflow", "periods"):
        run_id = api.trigger(api.dag_id("ingestion"), {"period": period})
        with waiting(f"replaying {period}"):
            _wait_until_done(settings, api, period, run_id)
        outcome = read_outcomes(project, settings)[-1:]
        if outcome and outcome[0].period == period:  # not one without rows
            print_period(project, console, outcome[0], time.monotonic() - started)


def _wait_for_dags(api: AirflowApi) -> None:
    deadline = time.monotonic() + PERIOD_PATIENCE_S
    while missing := {api.dag_id(name) for name in DAGS} - set(api.dag_ids()):
        if broken := api.import_errors():
            raise StackError(f"{min(broken)}: cannot be imported:\n{broken[min(broken)]}")
        if time.monotonic() > deadline:
            raise StackError(f"Airflow does not know {', '.join(sorted(missing))}; see `make logs`")
        time.sleep(POLL_S)


def _wait_until_done(settings: Settings, api: AirflowApi, period: str, run_id: str) -> None:
    ingestion, monitoring = api.dag_id("ingestion"), api.dag_id("monitoring")
    deadline = time.monotonic() + PERIOD_PATIENCE_S
    while not _is_done(settings, api, period):
        state = api.run_state(ingestion, run_id)
        if state == "success" and _is_without_rows(settings, period):
            return
        if state == "failed":
            raise StackError(f"{period} cannot be ingested; see {api.run_url(ingestion, run_id)}")
        if failed := api.failed_runs(monitoring):
            raise StackError(f"{period} cannot be monitored; see {api.run_url(monitoring, failed[0])}")
        if time.monotonic() > deadline:
            raise StackError(f"{period}: not done after {PERIOD_PATIENCE_S} s; see `make logs`")
        time.sleep(POLL_S)


def _is_without_rows(settings: Settings, period: str) -> bool:
    """Whether a period that has been ingested has left nothing, as `[source] gaps` allows."""
    return settings.source.gaps and not partitions.find_partitions(settings.storage_uri, "raw", period)


def _is_done(settings: Settings, api: AirflowApi, period: str) -> bool:
    """Whether a period is monitored, its request is claimed, and no DAG runs."""
    record = next((each for each in records.read_records(settings) if each.period == period), None)
    if record is None or (record.retrain and records.find_claimant(settings, record) is None):
        return False
    return not api.count_active_runs()
