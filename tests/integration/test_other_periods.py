"""Days, weeks, quarters and years, with gaps between them, through every stage without Airflow."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelworks import stages
from modelworks.backtest import loop, page
from modelworks.backtest.outcome import read_outcomes
from modelworks.calendar import Frequency, first_day, periods_between, shift_period
from modelworks.contract import Contract, between, binary, column, identifier
from modelworks.data import partitions
from modelworks.data.sources.sql import fetch_period
from modelworks.errors import ConfigError, NoRowsError, SourceError
from modelworks.explore import find_explored, write_page
from modelworks.models.types import linear
from modelworks.monitoring import records
from modelworks.project import Project
from modelworks.settings import Settings, load_settings
from modelworks.state.page import write_report

CONTRACT = Contract(
    target=binary("late", "whether it was late", negative=0, positive=1),
    time="at",
    key=["number"],
    columns=[
        column("at", "datetime64[us]", "when it was sent"),
        identifier("number", "int64", "number of the parcel"),
        column("weight", "float64", "weight", between(0, 10)),
    ],
    example={"at": "2024-05-01T12:30:00", "number": 1, "weight": 1.5},
)
PROJECT = Project(contract=CONTRACT, model_types={"linear": linear.MODEL_TYPE})
ROWS = 60


@dataclass(frozen=True)
class Case:
    """A kind of period, its first and last, and one between that has no rows."""

    period: Frequency
    first: str
    last: str
    gap: str

    @property
    def present(self) -> list[str]:
        return [each for each in periods_between(self.first, self.last) if each != self.gap]


CASES = [
    Case("day", "2024-02-27", "2024-03-03", "2024-03-01"),
    Case("week", "2020-W51", "2021-W03", "2021-W01"),
    Case("quarter", "2023-Q2", "2024-Q3", "2024-Q1"),
    Case("year", "2018", "2023", "2021"),
]
DAILY, QUARTERLY = CASES[0], CASES[2]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.period)
both_cases = pytest.mark.parametrize("case", [DAILY, QUARTERLY], ids=lambda case: case.period)


def make_rows(period: str, number: int) -> pd.DataFrame:
    """Rows spread over a period, whose weight predicts the target, with noise."""
    random = np.random.default_rng(number)
    start, end = pd.Timestamp(first_day(period)), pd.Timestamp(first_day(shift_period(period, 1)))
    at = start + (end - start) * (np.arange(ROWS) / ROWS)
    weight = random.random(ROWS).round(3) * 10
    late = (weight + random.normal(0, 2, ROWS) > 5).astype("float64")
    numbers = np.arange(ROWS) + ROWS * number
    frame = pd.DataFrame({"at": at, "number": numbers, "weight": weight, "late": late})
    return frame.astype({"at": "datetime64[us]"})


def write_home(home: Path, case: Case, **source: object) -> Settings:
    (home / "data").mkdir()
    (home / "pipeline.toml").touch()
    for number, period in enumerate(case.present):
        make_rows(period, number).to_parquet(home / "data" / f"parcels-{period}.parquet", index=False)
    given = {"uri": "data/parcels-{period}.parquet", "first": case.first, "last": case.last, "period": case.period}
    return load_settings(
        home,
        {
            "source": {**given, "gaps": True, **source},
            "model": {"type": "linear"},
            "tracking": {"uri": f"sqlite:///{home / 'var' / 'mlflow' / 'mlflow.db'}"},
            "evaluation": {"bootstrap_resamples": 100},
            "gates": {
                "max_loss_over_champion": 9.0,
                "max_slice_loss_over_champion": 9.0,
                "metrics": {"roc_auc": {"min": 0.6, "max": None}, "calibration_error": {"max": 0.9}},
            },
            "retraining": {"first_after_periods": 3, "every_periods": 2, "calibration_alarms": 0, "drift_alarms": 0},
        },
    )


@every_case
def test_periods_without_rows_are_left_out(tmp_path: Path, case: Case) -> None:
    settings = write_home(tmp_path, case, last=case.gap)
    raw = stages.ingest(PROJECT, settings)
    before = [each for each in case.present if each < case.gap]
    assert raw.period == before[-1]
    assert partitions.load_dataset(raw.dataset_uri).periods == before
    assert raw.summary.endswith("1 period without rows")
    clean = stages.validate(PROJECT, settings, raw.dataset_uri, "run")
    assert (clean.rows, clean.quarantined) == (ROWS * len(before), 0)
    with pytest.raises(NoRowsError, match=rf"parcels-{case.gap}\.parquet: no such file"):
        stages.ingest(PROJECT, settings, case.gap, for_training=False)


@every_case
def test_gap_is_an_error_unless_the_source_may_have_gaps(tmp_path: Path, case: Case) -> None:
    settings = write_home(tmp_path, case, gaps=False)
    with pytest.raises(NoRowsError, match=f"wanted for period {case.gap}"):
        stages.ingest(PROJECT, settings)


def test_window_counts_periods_that_have_rows(tmp_path: Path) -> None:
    settings = write_home(tmp_path, DAILY)
    settings = settings.model_copy(update={"training": settings.training.model_copy(update={"window": 2})})
    raw = stages.ingest(PROJECT, settings, "2024-03-02")
    assert partitions.load_dataset(raw.dataset_uri).periods == ["2024-02-28", "2024-02-29", "2024-03-02"]


def test_period_whose_rows_have_vanished_is_no_gap(tmp_path: Path) -> None:
    settings = write_home(tmp_path, DAILY)
    stages.ingest(PROJECT, settings)
    (tmp_path / "data" / "parcels-2024-02-28.parquet").unlink()
    with pytest.raises(NoRowsError, match="2024-02-28"):
        stages.ingest(PROJECT, settings)


def test_file_with_a_header_only_is_a_gap_too(tmp_path: Path) -> None:
    settings = write_home(tmp_path, DAILY)
    empty = tmp_path / "data" / f"parcels-{DAILY.gap}.parquet"
    make_rows(DAILY.gap, 1).iloc[:0].to_parquet(empty, index=False)
    raw = stages.ingest(PROJECT, settings)
    assert partitions.load_dataset(raw.dataset_uri).periods == DAILY.present


@both_cases
def test_table_is_trained_on_released_scored_and_monitored(tmp_path: Path, case: Case) -> None:
    settings = write_home(tmp_path, case)
    *earlier, newest = case.present
    clean = stages.validate(PROJECT, settings, stages.ingest(PROJECT, settings, earlier[-1]).dataset_uri, "first")
    trained = stages.train(PROJECT, settings, clean.dataset_uri, "first")
    assert (
        stages.deploy(PROJECT, settings, stages.evaluate(PROJECT, settings, trained.run_id).run_id).period
        == earlier[-1]
    )
    new = stages.ingest(PROJECT, settings, newest, for_training=False)
    stages.validate(PROJECT, settings, new.dataset_uri, "second", for_training=False)
    assert stages.score(PROJECT, settings, newest).rows == ROWS
    found = stages.monitor(PROJECT, settings, "second", newest)
    assert found.period == newest
    [record] = records.read_records(settings)
    measured = record.performance[-1]
    assert (measured.period, measured.labelled) == (newest, ROWS)
    assert measured.figures is not None
    write_report(PROJECT, settings, tmp_path / "state.html")
    assert newest in (tmp_path / "state.html").read_text(encoding="utf-8")
    assert find_explored(PROJECT, settings).held_out == [newest]
    write_page(PROJECT, settings, find_explored(PROJECT, settings), tmp_path / "explore.html")
    assert f"{case.first} to {earlier[-1]}" in (tmp_path / "explore.html").read_text(encoding="utf-8")


@both_cases
def test_replay_goes_over_gaps_and_counts_ages_by_the_calendar(tmp_path: Path, case: Case) -> None:
    settings = write_home(tmp_path, case)
    loop.replay(PROJECT, settings, periods_between(case.first, case.last))
    outcomes = read_outcomes(PROJECT, settings, with_blocks=True)
    assert [each.period for each in outcomes] == case.present
    assert [each.result for each in outcomes] == ["", "", "released version 1", "released version 2", ""]
    assert outcomes[3].request == f"the champion is trained through {case.present[2]}, 2 periods ago"
    assert outcomes[4].loss is not None
    title = f"Backtest: {case.first} to {case.last}"
    assert title in page.build_page(CONTRACT, {"configured": outcomes}, (case.last, case.last), title, None)
    assert page.draw_png(CONTRACT, {"configured": outcomes}).startswith(b"\x89PNG")


@every_case
def test_query_gets_the_first_day_of_a_period_and_of_the_next(
    tmp_path: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "parcels.db") as database:
        for number, period in enumerate(case.present):
            frame = make_rows(period, number)
            frame.assign(at=frame["at"].astype("str")).to_sql("parcels", database, if_exists="append", index=False)
    (tmp_path / "pipeline.toml").touch()
    monkeypatch.setenv("AIRFLOW_CONN_PARCELS", "sqlite:///parcels.db")
    query = "select * from parcels where at >= :start and at < :end"
    source = {"query": query, "sql_connection": "parcels", "period": case.period, "first": case.first, "gaps": True}
    settings = load_settings(tmp_path, {"source": {**source, "last": case.last}, "model": {"type": "linear"}})
    raw = stages.ingest(PROJECT, settings)
    found = partitions.load_dataset(raw.dataset_uri)
    assert found.periods == case.present
    assert {each.rows for each in found.partitions} == {ROWS}
    with (
        pytest.raises(NoRowsError, match=f"no rows from {first_day(case.gap)} to before"),
        fetch_period(CONTRACT, settings, case.gap, list(CONTRACT.dtypes)),
    ):
        pytest.fail("a period without rows was fetched")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"source": {"period": "quarter", "first": "2024-01"}}, "first '2024-01' is no quarter.*2024-Q1"),
        ({"source": {"period": "week", "first": "2021-W53"}}, "first = '2021-W53': no period; write it as one of"),
        ({"source": {"period": "day", "first": "2024-01-01", "last": "2024-02"}}, "last '2024-02' is no day"),
        ({"source": {"period": "hour", "first": "2024-01"}}, "'day', 'week', 'month', 'quarter' or 'year'"),
        (
            {"source": {"period": "month", "first": "2024-01"}, "schedule": {"cron": "0 6 * * *"}},
            "runs more than once in a month",
        ),
        (
            {"source": {"period": "day", "first": "2024-01-01"}, "schedule": {"cron": "0 6 * * 1-5"}},
            "not in every day",
        ),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(tmp_path: Path, sections: dict, message: str) -> None:
    (tmp_path / "pipeline.toml").touch()
    with pytest.raises(ConfigError, match=message):
        load_settings(tmp_path, sections)


def test_working_days_are_a_schedule_of_days_with_gaps(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").touch()
    source = {"period": "day", "first": "2024-01-01", "gaps": True}
    assert load_settings(tmp_path, {"source": source, "schedule": {"cron": "0 6 * * 1-5"}}).cron == "0 6 * * 1-5"


def test_form_of_a_period_is_named_where_it_is_asked_for(tmp_path: Path) -> None:
    settings = write_home(tmp_path, QUARTERLY)
    with pytest.raises(SourceError, match=r"period '2024-01': not a quarter .*; write it as 2024-Q3"):
        stages.ingest(PROJECT, settings, "2024-01")
