"""Monitoring of the small project: records, drift, performance of served predictions and requests for a new model."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flights import FLIGHTS
from modelworks import stages
from modelworks.backtest.loop import replay
from modelworks.backtest.outcome import read_outcomes
from modelworks.backtest.perturbation import Kind, Perturbation, perturb_period
from modelworks.data import journal, partitions
from modelworks.errors import PartitionError
from modelworks.models import scoring
from modelworks.monitoring import records
from modelworks.monitoring.records import read_records
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, Settings, load_settings

JULY = "2013-07"
IDENTITY = FLIGHTS.contract.identity


@pytest.fixture
def past(monitored: Path) -> Settings:
    """Settings of a project in which version 1 has served July."""
    return load_settings(monitored)


def ingest_and_validate(settings: Settings, period: str, name: str) -> None:
    raw = stages.ingest(FLIGHTS, settings, period, for_training=False)
    stages.validate(FLIGHTS, settings, raw.dataset_uri, name, for_training=False)


def forget_records(settings: Settings) -> None:
    """Let the project be as it was before it monitored anything."""
    shutil.rmtree(Path(settings.storage_uri) / "monitoring")


def replace_july(settings: Settings, kind: Kind, column: str, amount: float) -> None:
    """Let July arrive again, changed, and be validated; the clean period becomes a second version."""
    perturb_period(FLIGHTS, settings, Perturbation(JULY, column, kind, amount))
    ingest_and_validate(settings, JULY, "ingestion again")


def test_each_period_has_its_record_and_the_first_model_comes_when_there_is_enough(past: Settings) -> None:
    found = read_records(past)
    assert [(each.period, each.champion, each.retrain) for each in found] == [
        ("2013-05", None, False),
        ("2013-06", None, True),
        ("2013-07", "1", False),
    ]
    assert found[0].reason == "no champion yet: the first is trained on 2 periods, and there are 1"
    assert [entry.reason for entry in ledger.read_ledger(past)] == ["monitoring of 2013-06: no champion yet"]


def test_predictions_that_were_served_are_compared_with_their_labels(past: Settings) -> None:
    [july] = read_records(past)[-1].performance
    clean = partitions.find_partitions(past.storage_uri, "clean", JULY)[-1]
    assert (july.period, july.model_version, july.labelled, july.unlabelled) == (JULY, "1", clean.rows, 0)
    assert july.figures is not None
    # The mean of the losses of all rows, worked out from the files themselves.
    served = partitions.find_partitions(past.storage_uri, "scores", JULY)[0]
    scores, rows = partitions.read_partition(served), partitions.read_partition(clean)
    both = scores.merge(rows[[*IDENTITY, "delayed"]], on=IDENTITY)
    losses = FLIGHTS.contract.target.row_losses(both["delayed"].to_numpy(), both["probability"].to_numpy())
    assert july.figures.loss.value == pytest.approx(losses.mean())
    drifted = july.figures.calibration_drift
    assert drifted is not None
    assert drifted.low < drifted.value < drifted.high


def test_scores_by_a_model_that_trained_on_the_period_are_none_that_were_served(past: Settings) -> None:
    stages.score(FLIGHTS, past, "2013-06")  # by version 1, which was fitted on June as well
    tracker = Tracker(FLIGHTS, past)
    assert partitions.find_partitions(past.storage_uri, "scores", "2013-06")
    assert records.find_served(past, tracker, "2013-06") is None
    assert records.find_served(past, tracker, JULY) is not None


def test_drift_is_measured_for_each_feature_and_the_prediction(past: Settings) -> None:
    first, *_, last = read_records(past)
    tracker = Tracker(FLIGHTS, past)
    model = ledger.load_version(FLIGHTS, tracker, tracker.versions.get("1"))
    features = set(model.feature_names_in_) - {"scheduled_departure"}
    assert {each.column for each in last.drift} == features | {"prediction"}
    assert last.drift_note == ""
    assert first.drift_note == "there is no champion"


def test_predictions_that_were_written_are_not_made_again(past: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("predicted again")

    july = read_records(past)[-1]
    forget_records(past)
    monkeypatch.setattr(scoring, "score", refuse)
    stages.monitor(FLIGHTS, past, "again", JULY)
    assert read_records(past)[-1].drift == july.drift


def test_drift_is_measured_as_well_where_nothing_was_written(past: Settings) -> None:
    july = read_records(past)[-1]
    forget_records(past)
    [written] = partitions.find_partitions(past.storage_uri, "scores", JULY)
    partitions.remove_partition(written)
    stages.monitor(FLIGHTS, past, "again", JULY)
    again = read_records(past)[-1]
    assert again.drift == july.drift
    assert again.performance == []


def test_monitoring_again_finds_what_was_found(past: Settings) -> None:
    before = read_records(past)
    again = stages.monitor(FLIGHTS, past, "another run", JULY)
    assert read_records(past) == before
    assert again.run_id == before[-1].run_id
    assert not stages.monitor(FLIGHTS, past, "another run", "2013-06").retrain  # requested, and claimed since


def test_request_stands_until_one_run_claims_it_and_is_never_claimed_by_two(settings: Settings) -> None:
    for period in ("2013-05", "2013-06"):
        ingest_and_validate(settings, period, f"ingestion {period}")
        last = stages.monitor(FLIGHTS, settings, f"monitoring {period}", period)
    assert last.retrain
    assert stages.monitor(FLIGHTS, settings, "after a crash before the event went out", "2013-06").retrain
    assert not journal.is_retraining_done(settings)
    request = stages.claim_retraining(FLIGHTS, settings, "2013-06", "first")
    assert request is not None
    assert request.to_json() == {"period": "2013-06", "reason": "monitoring of 2013-06: no champion yet"}
    assert stages.claim_retraining(FLIGHTS, settings, "2013-06", "second") is None
    assert stages.claim_retraining(FLIGHTS, settings, "2013-06", "first") is not None  # a retry of its task
    assert stages.claim_retraining(FLIGHTS, settings, "2013-05", "first") is None  # nothing was requested
    assert journal.is_retraining_done(settings)
    assert not stages.monitor(FLIGHTS, settings, "once more", "2013-06").retrain


def test_period_has_been_monitored_once_it_or_a_later_one_is_on_record(past: Settings) -> None:
    """On record are May to July."""
    found = [journal.has_monitored(past, period) for period in ("2013-04", JULY, "2013-08")]
    assert found == [True, True, False]


def test_clean_period_before_another_may_lie_far_back(past: Settings) -> None:
    """Clean are May to July."""
    assert [journal.find_clean_before(past, each) for each in ("2013-05", "2013-06", "2014-03")] == [
        None,
        "2013-05",
        JULY,
    ]


def test_two_that_record_the_same_period_at_once_leave_one_record(past: Settings) -> None:
    last = read_records(past)[-1]
    assert records.append_record(past, replace(last, pipeline_run="other")) == last
    of_august = replace(last, period="2013-08")
    assert records.append_record(past, of_august).sequence == last.sequence + 1
    assert [each.period for each in read_records(past)] == ["2013-05", "2013-06", JULY, "2013-08"]


def test_labels_that_were_flipped_raise_one_alarm_and_one_retraining(settings: Settings) -> None:
    replay(FLIGHTS, settings, ["2013-05", "2013-06", JULY], Perturbation(JULY, "delayed", "flip", 0.5))
    july = read_records(settings)[-1]
    assert july.alarms == ["calibration drift in 2013-07"]
    assert (july.retrain, july.reason) == (True, "calibration drift in 2013-07")
    for _ in range(3):
        assert not stages.monitor(FLIGHTS, settings, "again", JULY).retrain
    claimed = [each for each in read_outcomes(FLIGHTS, settings) if each.request]
    assert [each.period for each in claimed] == ["2013-06", JULY]
    assert claimed[-1].result.startswith(("released version 2", "refused: "))


def test_period_that_arrives_again_with_other_values_is_monitored_again(past: Settings) -> None:
    replace_july(past, "shift", "temp", 30.0)
    again = stages.monitor(FLIGHTS, past, "again", JULY)
    found = read_records(past)
    assert len(found) == 4
    assert "temp" in [each.column for each in found[-1].drift if each.drifted]
    assert again.run_id == found[-1].run_id
    assert len(records.latest_performance(found)) == 1


def test_feature_that_has_gone_constant_is_named(past: Settings) -> None:
    replace_july(past, "constant", "humidity", 50.0)
    stages.monitor(FLIGHTS, past, "again", JULY)
    assert "humidity: has one value only, unlike before" in read_records(past)[-1].health


def test_reference_that_is_missing_is_named_and_the_rest_is_measured(settings: Settings) -> None:
    replay(FLIGHTS, settings, ["2013-05", "2013-06"])
    ingest_and_validate(settings, JULY, "ingestion")
    stages.score(FLIGHTS, settings, JULY)
    may = partitions.find_partitions(settings.storage_uri, "clean", "2013-05")[-1]
    partitions.remove_partition(may)
    stages.monitor(FLIGHTS, settings, "monitoring", JULY)
    last = read_records(settings)[-1]
    assert last.drift == []
    assert last.drift_alarm is None
    assert f"{may.uri}: missing" in last.drift_note
    assert last.performance[0].figures is not None


def test_period_that_is_not_there_is_named(past: Settings) -> None:
    with pytest.raises(PartitionError, match="no period 2013-09, there are 2013-05 to 2013-07"):
        stages.monitor(FLIGHTS, past, "run", "2013-09")


@pytest.mark.usefixtures("project")
def test_periods_out_of_order_are_each_judged_by_what_there_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}RETRAINING__FIRST_AFTER_PERIODS", "3")
    settings = load_settings()
    ingest_and_validate(settings, JULY, "all at once")
    assert stages.monitor(FLIGHTS, settings, "july first", JULY).retrain
    june = stages.monitor(FLIGHTS, settings, "june afterwards", "2013-06")
    assert not june.retrain
    assert june.reason == "no champion yet: the first is trained on 3 periods, and there are 2"
    assert [each.period for each in read_records(settings)] == [JULY, "2013-06"]
    assert stages.claim_retraining(FLIGHTS, settings, JULY, "run") is not None


def test_record_and_figures_are_in_mlflow(past: Settings) -> None:
    last = read_records(past)[-1]
    runs = Tracker(FLIGHTS, past, past.monitoring_experiment).runs
    assert runs.load_json(last.run_id, "record.json")["period"] == JULY
    metrics = runs.metrics(last.run_id)
    figures = last.performance[0].figures
    assert figures is not None
    by_day = runs.load_json(last.run_id, "performance.json")[JULY]
    assert by_day["blocks"][0] == "2013-07-01"
    assert sum(by_day["loss"]) / sum(by_day["rows"]) == pytest.approx(figures.loss.value)
    assert metrics["log_loss"] == figures.loss.value
    assert metrics["drift_temp"] == next(each.ratio for each in last.drift if each.column == "temp")
    assert runs.find(last.pipeline_run) == last.run_id
    # Training runs stand alone in their experiment.
    assert Tracker(FLIGHTS, past).runs.find(last.pipeline_run) is None


def test_page_of_the_period_is_in_mlflow_with_its_plots(past: Settings) -> None:
    runs = Tracker(FLIGHTS, past, past.monitoring_experiment).runs
    page = runs.load_text(read_records(past)[-1].run_id, "report.html")
    assert "In 2013-07 monitoring found" in page
    assert "from those of 2013-05 to 2013-06, on which version 1 was trained" in page
    assert re.findall(r'aria-label="plot: ([^"]+)"', page)[:3] == ["blocks-2013-07", "periods", "columns"]
