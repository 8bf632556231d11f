"""The months one by one through a live Airflow, each to the end of all that follows from it."""

import time

from rich.console import Console

from .. import monitoring, task
from ..config import Settings
from ..errors import StackError
from ..stack.airflow_api import DAGS, INGESTION_DAG, AirflowApi
from .outcome import MonthOutcome, read_outcomes

POLL_S = 0.5
MONTH_PATIENCE_S = 900


def replay(settings: Settings, months: list[str], console: Console) -> None:
    """Let each month arrive, and wait until it is scored, monitored and what it asks for is done.

    Raises
    ------
    StackError
        If a month cannot be brought in or monitored, or takes too long.
    """
    api = AirflowApi(settings)
    _wait_for_dags(api)
    started = time.monotonic()
    for at, month in enumerate(months, 1):
        run_id = api.trigger(INGESTION_DAG, {"month": month})
        with console.status(f"{month}: {at} of {len(months)}"):
            _wait_until_done(settings, api, month, run_id)
        print_month(console, read_outcomes(settings)[-1], time.monotonic() - started)


def _wait_for_dags(api: AirflowApi) -> None:
    deadline = time.monotonic() + MONTH_PATIENCE_S
    while missing := set(DAGS.values()) - set(api.dag_ids()):
        if broken := api.import_errors():
            raise StackError(f"{min(broken)}: cannot be imported:\n{broken[min(broken)]}")
        if time.monotonic() > deadline:
            raise StackError(f"Airflow does not know {', '.join(missing)}; see `make logs`")
        time.sleep(POLL_S)


def _wait_until_done(settings: Settings, api: AirflowApi, month: str, run_id: str) -> None:
    deadline = time.monotonic() + MONTH_PATIENCE_S
    while not _is_done(settings, api, month):
        if api.run_state(INGESTION_DAG, run_id) == "failed":
            raise StackError(f"{month} cannot be brought in; see {api.run_url(INGESTION_DAG, run_id)}")
        if failed := api.failed_runs(DAGS["monitoring"]):
            raise StackError(f"{month} cannot be monitored; see {api.run_url(DAGS['monitoring'], failed[0])}")
        if time.monotonic() > deadline:
            raise StackError(f"{month}: not done after {MONTH_PATIENCE_S} s; see `make logs`")
        time.sleep(POLL_S)


def _is_done(settings: Settings, api: AirflowApi, month: str) -> bool:
    """Whether a month has been monitored, what it asked for taken up, and nothing runs any more."""
    record = next((each for each in monitoring.read_records(settings) if each.month == month), None)
    if record is None or (record.retrain and monitoring.find_claimant(settings, record) is None):
        return False
    return not api.count_active_runs()


def print_month(console: Console, month: MonthOutcome, seconds: float | None = None) -> None:
    """One line for one month; the seconds are those since the beginning."""
    loss = "nothing served yet" if month.loss is None else f"{task.LOSS_NAME} {month.loss:.3f} by {month.served_by}"
    asked = f"new model wanted: {month.asked}" if month.asked else ""
    passed = "" if seconds is None else f" {seconds:5.0f} s"
    console.print(f"[green]✓[/] [bold]{month.month}[/]{passed}", end="")
    what = "; ".join(filter(None, [loss, ", ".join(month.alarms), asked, month.outcome]))
    console.print(f"  {what}", markup=False, soft_wrap=True)
