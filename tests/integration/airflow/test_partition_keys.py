"""Which runs Airflow makes of each kind of period, and which period a run is for."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import TimeRestriction
from jsonschema import ValidationError, validate

from modelworks.airflow.defaults import period_param, skip_without_rows
from modelworks.airflow.timetable import period_of_run, period_timetable, source_dates
from modelworks.calendar import EXAMPLES, Frequency, find_frequency
from modelworks.errors import NoRowsError
from modelworks.settings import Settings, load_settings

KINDS = [
    ("day", "2024-02-28", "2024-03-01", ["2024-02-28", "2024-02-29", "2024-03-01"], "2024-03-02"),
    ("week", "2020-W52", "2021-W01", ["2020-W52", "2020-W53", "2021-W01"], "2021-01-11"),
    ("month", "2013-11", "2014-01", ["2013-11", "2013-12", "2014-01"], "2014-02-01"),
    ("quarter", "2023-Q3", "2024-Q1", ["2023-Q3", "2023-Q4", "2024-Q1"], "2024-04-01"),
    ("year", "2022", "2024", ["2022", "2023", "2024"], "2025-01-01"),
]
every_kind = pytest.mark.parametrize(("frequency", "first", "last", "periods", "last_run"), KINDS)


def settings_of(home: Path, frequency: Frequency, first: str, last: str = "", **sections: dict) -> Settings:
    (home / "pipeline.toml").touch()
    return load_settings(home, {"source": {"period": frequency, "first": first, "last": last}, **sections})


def periods_of(settings: Settings, keys: list[str | None]) -> list[str | None]:
    return [period_of_run(settings, {"period": None}, SimpleNamespace(partition_key=key)) for key in keys]


@every_kind
def test_backfill_has_a_run_for_each_period(
    tmp_path: Path, frequency: Frequency, first: str, last: str, periods: list[str], last_run: str
) -> None:
    settings = settings_of(tmp_path, frequency, first, last)
    timetable = decode_timetable(encode_timetable(period_timetable(settings)))  # as the scheduler has it
    end = datetime.fromisoformat(f"{last_run}T00:00+00:00")
    runs = timetable.iter_partition_dagrun_infos(earliest=source_dates(settings)["start_date"], latest=end)
    keys = [run.partition_key for run in runs]
    assert periods_of(settings, keys)[:-1] == periods, "the one after them is that of the day on which the last is due"


@every_kind
def test_scheduled_run_is_for_the_period_that_is_complete_and_the_last_one_comes(
    tmp_path: Path, frequency: Frequency, first: str, last: str, periods: list[str], last_run: str
) -> None:
    dates = source_dates(settings := settings_of(tmp_path, frequency, first, last))
    timetable = decode_timetable(encode_timetable(period_timetable(settings)))
    restriction = TimeRestriction(dates["start_date"], dates["end_date"], catchup=True)
    run, found = None, []
    while run := timetable.next_dagrun_info_v2(last_dagrun_info=run, restriction=restriction):
        found.append(run)
    # The first is due before the source begins, and is for a period that it does not have.
    assert periods_of(settings, [each.partition_key for each in found])[1:] == periods
    assert found[-1].run_after == datetime.fromisoformat(f"{last_run}T00:00").replace(tzinfo=UTC)


def test_last_run_of_a_late_schedule_in_another_time_zone_comes_too(tmp_path: Path) -> None:
    late = {"cron": "0 23 * * *", "timezone": "America/New_York"}
    settings = settings_of(tmp_path, "day", "2024-03-01", "2024-03-02", schedule=late)
    dates, timetable = source_dates(settings), decode_timetable(encode_timetable(period_timetable(settings)))
    restriction = TimeRestriction(dates["start_date"], dates["end_date"], catchup=True)
    run, keys = None, []
    while run := timetable.next_dagrun_info_v2(last_dagrun_info=run, restriction=restriction):
        keys.append(run.partition_key)
    assert keys[-1] == "2024-03-02"


def test_quarter_is_that_of_the_month_in_its_key_and_a_period_is_itself(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "quarter", "2024-Q1")
    assert periods_of(settings, ["2024-01", "2024-03", "2024-12", "2024-Q2", None]) == [
        "2024-Q1", "2024-Q1", "2024-Q4", "2024-Q2", None
    ]  # fmt: skip
    named = period_of_run(settings, {"period": "2024-Q3"}, SimpleNamespace(partition_key="2024-01"))
    assert named == "2024-Q3"


@pytest.mark.parametrize("frequency", EXAMPLES)
def test_form_takes_periods_of_the_source_only(tmp_path: Path, frequency: Frequency) -> None:
    param = period_param(settings_of(tmp_path, frequency, EXAMPLES[frequency]), "the newest")
    assert EXAMPLES[frequency] in str(param.description)
    for kind, example in EXAMPLES.items():
        if kind == frequency:
            validate(example, param.schema)
            validate(None, param.schema)
        else:
            with pytest.raises(ValidationError):
                validate(example, param.schema)
        assert find_frequency(example) == kind


def test_period_without_rows_skips_its_run_where_gaps_are_allowed(tmp_path: Path) -> None:
    def ingest(settings: Settings) -> None:
        with skip_without_rows(settings):
            raise NoRowsError("no such file")

    (tmp_path / "pipeline.toml").touch()
    source = {"period": "day", "first": "2024-01-01"}
    with pytest.raises(NoRowsError):
        ingest(load_settings(tmp_path, {"source": source}))
    with pytest.raises(AirflowSkipException, match="no such file"):
        ingest(load_settings(tmp_path, {"source": {**source, "gaps": True}}))
