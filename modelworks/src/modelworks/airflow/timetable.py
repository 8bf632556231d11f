"""When a project's periods are ingested."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import CronPartitionTimetable

from modelworks.calendar import Frequency, find_frequency, first_day, period_of, shift_period
from modelworks.settings import Settings

KEY_FORMATS: dict[Frequency, str] = {
    "day": "%Y-%m-%d",
    "week": "%G-W%V",
    "month": "%Y-%m",
    "quarter": "%Y-%m",
    "year": "%Y",
}
"""Airflow makes a partition's key by strftime, which knows no quarters: a quarter's key is its first month."""


def period_timetable(settings: Settings) -> CronPartitionTimetable:
    """A run for each period that is complete, by `[schedule] cron`; the run's partition is the period."""
    # The run of February has the partition key of January, the period that is then complete.
    return CronPartitionTimetable(
        settings.cron,
        timezone=settings.schedule.timezone,
        run_offset=-1,
        key_format=KEY_FORMATS[settings.source.period],
    )


def period_of_run(settings: Settings, params: dict[str, Any], dag_run: Any) -> str | None:
    """The period that the form names, else the run's partition; None if the run has neither."""
    period: str | None = params["period"] or dag_run.partition_key
    if not period or find_frequency(period) in {None, settings.source.period}:
        return period  # of another form: `ingest` refuses it
    return period if params["period"] else period_of(first_day(period), settings.source.period)


def source_dates(settings: Settings) -> dict[str, Any]:
    """Arguments of the DAG that ingests: it runs for the periods of the source, and starts none that were missed."""
    source, zone = settings.source, ZoneInfo(settings.schedule.timezone)
    return {
        "start_date": _start(source.first, ZoneInfo("UTC")),
        # The run for a period comes in the next one, and the run after it in the one after that.
        "end_date": _start(shift_period(source.last, 2), zone) - timedelta(seconds=1) if source.last else None,
        "catchup": False,
    }


def _start(period: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(first_day(period), time(), zone).astimezone(UTC)
