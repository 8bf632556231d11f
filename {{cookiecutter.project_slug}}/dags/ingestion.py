"""A new month, brought in and checked: when; the work is in `stages`."""

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import CronPartitionTimetable, dag, task

from {{ cookiecutter.__package_name }}.config import PACKAGE, load_settings

from notifications import run_failed
from shared import CLEAN, DEFAULT_ARGS, PROJECT, RAW, REFRESH, emit, hand_over_connection, month_param, started_by

DOC = """
Brings a month into storage as it is (**ingest**) and sets aside the rows that break the contract (**validate**). Labels
that have arrived since for earlier months are taken up as well.

The clean month is then scored and monitored, and monitoring asks for a new model where the policy of `pipeline.toml`
wants one. This is the DAG to backfill: `--max-active-runs 1`, since each month is judged by the champion that the one
before has led to.
"""

settings = load_settings()
schedule = settings.schedule
last_month = settings.source.last_month


@dag(
    dag_id=f"{PACKAGE}_ingestion",
    # The run of February has the partition key of January, the month that is then complete.
    schedule=CronPartitionTimetable(schedule.cron, timezone=schedule.timezone, run_offset=-1, key_format="%Y-%m"),
    start_date=datetime.fromisoformat(f"{settings.source.first_month}-01T00:00:00+00:00"),
    # A source that ends is not asked for months after its end.
    end_date=datetime.fromisoformat(f"{last_month}-01T00:00:00+00:00") + timedelta(days=58) if last_month else None,
    catchup=False,
    max_active_runs=1,
    params={"month": month_param("Month", "the newest to bring in. Empty: the run's partition."), "refresh": REFRESH},
    description="Bring in the month that is complete, and set broken rows aside.",
    doc_md=DOC,
    tags=[PROJECT, "ingestion"],
    default_args=DEFAULT_ARGS,
    on_failure_callback=run_failed,
)
def ingestion() -> None:
    """Two tasks; see `DOC`."""

    @task(outlets=[RAW])
    def ingest(*, params: dict[str, Any], dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        hand_over_connection()
        month = params["month"] or dag_run.partition_key
        facts = stages.ingest(month, refresh=params["refresh"], labelled=False)
        emit(outlet_events, RAW, facts)
        return facts

    @task(outlets=[CLEAN])
    def validate(raw: dict[str, Any], *, run_id: str, dag_run: Any, outlet_events: Any) -> dict[str, Any]:
        from {{ cookiecutter.__package_name }} import stages

        facts = stages.validate(raw["dataset_uri"], run_id, by=started_by(dag_run), for_training=False)
        emit(outlet_events, CLEAN, facts)
        return facts

    validate(ingest())


ingestion()
