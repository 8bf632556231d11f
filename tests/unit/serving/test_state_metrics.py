"""Figures of pipeline and model, by hand; and what a scrape gets while they cannot be read."""

import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from flights import FLIGHTS, make_home
from modelworks.evaluation.bootstrap import Estimate
from modelworks.monitoring.calibration import Performance
from modelworks.monitoring.drift import ColumnDrift
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.runs import TrackedRun
from modelworks.serving import create_app, state_metrics
from modelworks.serving.state_metrics import METRICS, StateMetrics, measure
from modelworks.settings import Source, load_settings
from modelworks.state.status import ReleasedVersion, State
from states import empty_state

SOURCE = Source(uri="data/{period}.csv", first="2013-01", last="")
TODAY = date(2013, 12, 5)
AT = datetime(2013, 12, 5, tzinfo=UTC)
METRICS_OF_2 = {"roc_auc": 0.75, "roc_auc_low": 0.7, "roc_auc_high": 0.8}
CHAMPION = ReleasedVersion(
    "2", "r2", "models:/m2", "2013-01", "2013-10", None, None, None, None, "2013-11-02T06:00:00+00:00", METRICS_OF_2
)
EMPTY = empty_state(AT)


def move(sequence: int, action: Any) -> LedgerEntry:
    return LedgerEntry(sequence, "2013-11-02T06:00:00+00:00", action, "ada", "", None, "2", "r2", "p", "d", "c")


RELEASED = replace(
    EMPTY,
    status=replace(EMPTY.status, champion=CHAMPION, ledger=[move(1, "deploy"), move(2, "deploy"), move(3, "rollback")]),
    registry_champion="2",
)


def record(sequence: int, period: str, *, retrain: bool = False, champion: str | None = "2") -> Record:
    same = Estimate(0.02, 0.01, 0.03)
    figures = Performance(
        90, 30, 0.2, 0.25, loss=Estimate(0.5, 0.4, 0.6), skill=same, gain=same, calibration_drift=None
    )
    return Record(
        sequence=sequence,
        at="2013-12-02T06:00:00+00:00",
        period=period,
        champion=champion,
        clean_sha256="beef",
        drift=[ColumnDrift("temp", 0.3, 0.1), ColumnDrift("dest", 0.01, 0.04)],
        drift_note="",
        drift_alarm=False,
        health=[],
        performance=[PeriodPerformance(period, "2", "beef", 90, 10, figures, False, "")],
        retrain=retrain,
        reason="",
        pipeline_run="m",
        run_id="m1",
    )


def end(year: int, month: int) -> float:
    return datetime(year, month, 1, tzinfo=UTC).timestamp()


def test_new_project_has_no_champion_and_lacks_every_period() -> None:
    found = measure(SOURCE, EMPTY, {"clean": None, "monitoring": None}, TODAY)
    assert found["pipeline_condition"]["no_champion",] == 1
    assert sum(found["pipeline_condition"].values()) == 1
    assert found["pipeline_periods_late"] == {("clean",): 11, ("monitoring",): 11}  # January to November
    assert found["pipeline_newest_period_end_timestamp_seconds"] == {}
    assert found["model_releases"] == {("deploy",): 0, ("rollback",): 0}
    assert "model_champion_info" not in found


def test_champion_its_metrics_and_its_releases() -> None:
    run = TrackedRun("r3", "third", "2013-12-01T05:00:00+00:00", "FAILED", {}, {})
    newest: dict[str, str | None] = {"clean": "2013-11", "scores": "2013-10", "monitoring": "2013-10"}
    found = measure(SOURCE, replace(RELEASED, runs=[run]), newest, TODAY)
    assert found["pipeline_periods_late"] == {("clean",): 0, ("scores",): 1, ("monitoring",): 1}
    assert found["pipeline_newest_period_end_timestamp_seconds"]["scores",] == end(2013, 11)
    assert found["pipeline_last_run_timestamp_seconds"][()] == datetime(2013, 12, 1, 5, tzinfo=UTC).timestamp()
    assert {name for (name,), holds in found["pipeline_condition"].items() if holds} == {"failed"}
    assert found["model_champion_info"] == {("2",): 1}
    assert found["model_champion_timestamp_seconds"][()] == datetime(2013, 11, 2, 6, tzinfo=UTC).timestamp()
    assert found["model_champion_trained_through_timestamp_seconds"][()] == end(2013, 11)
    assert found["model_holdout_metric"] == {("roc_auc",): 0.75}
    assert found["model_releases"] == {("deploy",): 2, ("rollback",): 1}


def test_no_period_is_late_after_the_source_s_last_one() -> None:
    found = measure(SOURCE.model_copy(update={"last": "2013-03"}), EMPTY, {"clean": "2013-03"}, TODAY)
    assert found["pipeline_periods_late"] == {("clean",): 0}


def test_figures_of_the_newest_period_that_the_champion_served() -> None:
    history = [record(1, "2013-10"), record(2, "2013-11", retrain=True)]
    found = measure(SOURCE, replace(RELEASED, records=history, claims={2: None}), {"clean": "2013-11"}, TODAY)
    assert found["model_loss"] == {("value",): 0.5, ("low",): 0.4, ("high",): 0.6}
    assert found["model_skill"]["high",] == 0.03
    assert "model_calibration_drift" not in found  # the gain at release is not known
    assert found["model_measured_period_end_timestamp_seconds"][()] == end(2013, 12)
    assert found["model_column_drift"] == {("temp",): pytest.approx(3), ("dest",): 0.25}
    assert found["model_decisions"] == {("retrain",): 1, ("keep",): 1}


@pytest.mark.parametrize(
    ("champion", "claims", "waits"), [("2", {1: None}, 1), ("2", {1: "run"}, 0), ("1", {1: None}, 0)]
)
def test_a_request_waits_until_a_run_claims_it_or_another_champion_is_there(
    champion: str, claims: dict[int, str | None], waits: int
) -> None:
    state = replace(RELEASED, records=[record(1, "2013-11", retrain=True, champion=champion)], claims=claims)
    assert measure(SOURCE, state, {}, TODAY)["pipeline_retraining_waits"][()] == waits


def test_each_figure_is_a_gauge_with_its_labels() -> None:
    state = replace(RELEASED, records=[record(1, "2013-11", retrain=True)], claims={1: None})
    found = measure(SOURCE, state, {"clean": "2013-11"}, TODAY)
    assert found.keys() <= METRICS.keys()
    for name, samples in found.items():
        assert {len(labels) for labels in samples} <= {len(METRICS[name][1])}, name


def test_scrape_waits_for_nothing_and_keeps_the_last_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path)
    monkeypatch.setenv("MODELWORKS_SERVING__STATE_METRICS_S", "0.01")
    states, answers = iter([RELEASED]), threading.Event()

    def read(*_: object) -> State:
        assert answers.wait(60)  # as a storage that hangs
        return next(states)  # and StopIteration ever after, as it may raise anything

    monkeypatch.setattr(state_metrics, "read_outline", read)
    registry = CollectorRegistry()
    StateMetrics(FLIGHTS, load_settings(tmp_path), registry)
    for _ in range(3):
        assert "model_champion_info{" not in generate_latest(registry).decode()
    assert [each.name for each in threading.enumerate()].count("state-metrics") == 1
    answers.set()
    until = time.monotonic() + 60
    while "pipeline_state_failures_total 0.0" in (page := generate_latest(registry).decode()):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert 'model_champion_info{version="2"} 1.0' in page


def test_without_the_setting_the_api_has_its_own_metrics_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path)
    monkeypatch.setenv("MODELWORKS_SERVING__STATE_METRICS_S", "0")
    page = generate_latest(create_app(FLIGHTS, load_settings(tmp_path)).state.api.metrics.registry).decode()
    assert "api_requests" in page
    assert not {name for name in METRICS if name in page}
