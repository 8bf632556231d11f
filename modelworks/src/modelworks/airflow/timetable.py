"""When a project's periods are ingested."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import CronPartitionTimetable

from modelworks.settings import Settings

LAST_RUN_AFTER = timedelta(days=58)  # from a period's first day: the run for it comes after its end


def period_timetable(settings: Settings) -> CronPartitionTimetable:
    """A run for each period that is complete, by `[schedule] cron`; the run's partition is the period."""
    # The run of February has the partition key of January, the period that is then complete.
    schedule = settings.schedule
    return CronPartitionTimetable(schedule.cron, timezone=schedule.timezone, run_offset=-1, key_format="%Y-%m")


def source_dates(settings: Settings) -> dict[str, Any]:
    """Arguments of the DAG that ingests: it runs for the periods of the source, and starts none that were missed."""
    source = settings.source
    return {
        "start_date": _first_day(source.first),
        "end_date": _first_day(source.last) + LAST_RUN_AFTER if source.last else None,
        "catchup": False,
    }


def _first_day(period: str) -> datetime:
    return datetime.fromisoformat(f"{period}-01").replace(tzinfo=UTC)
