"""Days and quarters under a live scheduler: a backfill over a gap, with all that follows from it."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bakes import BakedProject, restored
from live_airflow import INGESTION, MONITORING, SCORING, TRAINING, LiveAirflow, journal, partitions, wait_until_quiet
from live_project import stack, wait_until

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """A kind of period: those with rows, the partition key of each in Airflow, and dates of the backfill.

    Attributes
    ----------
    gap : has no file
    """

    period: str
    present: tuple[str, ...]
    keys: tuple[str, ...]
    gap: str
    gap_key: str
    dates: tuple[str, str]

    def name_of(self, month: str, day: str) -> str:
        """The period of a day of 2013."""
        return f"2013-{month}-{day}" if self.period == "day" else f"2013-Q{(int(month) + 2) // 3}"


# A model of one day is good enough for the next one on some days only: that of 7 July ranks the flights of the 8th by
# an ROC-AUC of 0.725. Most others are rightly refused, such as that of 6 May, with 0.485 on the 7th.
DAYS = tuple(f"2013-07-{day:02}" for day in (7, 8, 9, 11, 12))
CASES = [
    Case("day", DAYS, DAYS, "2013-07-10", "2013-07-10", ("2013-07-07", "2013-07-12")),
    Case(
        "quarter",
        ("2013-Q1", "2013-Q3", "2013-Q4"),
        ("2013-01", "2013-07", "2013-10"),
        "2013-Q2",
        "2013-04",
        ("2013-01-01", "2013-10-01"),
    ),
]


def write_periods(project: BakedProject, case: Case) -> None:
    """The example's rows in files of another period, a part of them, all but those of the gap."""
    found: dict[str, list[str]] = {}
    head = ""
    for file in sorted((project.path / "data").glob("flights-2013-*.csv.gz")):
        head, *rows = gzip.decompress(file.read_bytes()).decode().splitlines()
        for row in rows[:: 1 if case.period == "day" else 8]:
            found.setdefault(case.name_of(row[5:7], row[8:10]), []).append(row)
    for period in case.present:
        text = "\n".join([head, *found[period], ""])
        (project.path / "data" / f"other-{period}.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.period)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(scope="module")
def backfilled(case: Case, installed: BakedProject) -> Iterator[LiveAirflow]:
    """Periods that came at once, with all that follows from them."""
    project = restored(installed)
    write_periods(project, case)
    settings = {
        "SOURCE__URI": "data/other-{period}.csv.gz",
        "SOURCE__PERIOD": case.period,
        "SOURCE__FIRST": case.present[0],
        "SOURCE__LAST": case.present[-1],
        "SOURCE__GAPS": "true",
        "SCHEDULE__CRON": "",
        "MODEL__PARAMETERS__MAX_ITER": "20",
        "EVALUATION__BOOTSTRAP_RESAMPLES": "200",
        "VALIDATION__MAX_ROW_COUNT_CHANGE": "3",
        "VALIDATION__MAX_NULL_FRACTION_INCREASE": "1",
        "GATES__MIN_GAIN_OVER_BASELINE": "-9",
        "GATES__METRICS": json.dumps({"roc_auc": {"min": 0.5}}),
        "RETRAINING__FIRST_AFTER_PERIODS": "2",
        "RETRAINING__EVERY_PERIODS": "0",
        "RETRAINING__CALIBRATION_ALARMS": "0",
    }
    with stack(
        project.path, {**os.environ, **{f"MODELWORKS_{name}": text for name, text in settings.items()}}, "t"
    ) as up:
        live, dags = LiveAirflow(project, up), {INGESTION, SCORING, MONITORING, TRAINING}
        wait_until("the DAGs are known", lambda: dags <= {dag["dag_id"] for dag in live.get("dags")["dags"]})
        span = ["--from-date", case.dates[0], "--to-date", case.dates[1], "--max-active-runs", "1"]
        live.command("backfill", "create", "--dag-id", INGESTION, *span)
        wait_until_quiet(live, lambda: len(journal(project.path, "monitoring")) == len(case.present))
        yield live


def test_backfill_runs_each_period_once_and_skips_the_one_without_rows(backfilled: LiveAirflow, case: Case) -> None:
    runs = backfilled.runs(INGESTION)
    assert [(run["partition_key"], run["state"]) for run in runs] == [
        (key, "success") for key in sorted([*case.keys, case.gap_key])
    ]
    states = {
        run["partition_key"]: backfilled.of_run(INGESTION, run["dag_run_id"], "taskInstances/ingest")["state"]
        for run in runs
    }
    assert [key for key, state in states.items() if state == "skipped"] == [case.gap_key]
    clean = {each["period"] for each in partitions(backfilled.project.path, "clean").values()}
    assert clean == set(case.present)


def test_what_follows_has_the_period_as_its_partition(backfilled: LiveAirflow, case: Case) -> None:
    for dag in (MONITORING, SCORING):
        assert {run["partition_key"] for run in backfilled.runs(dag)} == set(case.present)
    assert [entry["period"] for entry in journal(backfilled.project.path, "monitoring")] == list(case.present)
    [training] = backfilled.runs(TRAINING)
    assert (training["partition_key"], training["state"]) == (case.present[1], "success")


def test_first_model_is_released_and_scores_what_comes_after(backfilled: LiveAirflow, case: Case) -> None:
    status = backfilled.status()
    assert (status["champion"]["version"], status["champion"]["holdout_period"]) == ("1", case.present[1])
    assert [each["period"] for each in status["partitions"]] == list(case.present)
    scored = {each["period"] for each in partitions(backfilled.project.path, "scores").values()}
    assert set(case.present[2:]) <= scored


def test_schedule_ends_with_the_source(backfilled: LiveAirflow) -> None:
    """The source ended in 2013, so unpausing started nothing but the backfill."""
    assert {run["run_type"] for run in backfilled.runs(INGESTION)} == {"backfill"}
