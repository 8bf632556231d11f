import re
import shutil
from pathlib import Path

import mlflow
import pytest

from {{ cookiecutter.__package_name }} import (
    journal,
    monitoring,
    releases,
    scoring,
    stages,
    storage,
)
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, load_settings
from {{ cookiecutter.__package_name }}.errors import PartitionError
from {{ cookiecutter.__package_name }}.monitoring import Record
from {{ cookiecutter.__package_name }}.replay.loop import replay
from {{ cookiecutter.__package_name }}.replay.outcome import read_outcomes
from {{ cookiecutter.__package_name }}.replay.perturbation import Kind, Perturbation, perturb_month
from {{ cookiecutter.__package_name }}.tracking import Tracker

JULY = "2013-07"


def records() -> list[Record]:
    return monitoring.read_records(load_settings())


def forget_records() -> None:
    """Let the project be as it was before it monitored anything."""
    shutil.rmtree(Path(load_settings().storage_uri) / "monitoring")


def replace_july(kind: Kind, column: str, amount: float) -> None:
    """Let July arrive again, changed, and be validated; the clean month becomes a second version."""
    settings = load_settings()
    perturb_month(settings, Perturbation(JULY, column, kind, amount))
    stages.validate(stages.ingest(JULY, labelled=False)["dataset_uri"], "ingestion again", for_training=False)


@pytest.mark.usefixtures("monitored")
def test_each_month_has_its_record_and_the_first_model_comes_when_there_is_enough() -> None:
    found = records()
    assert [(each.month, each.champion, each.retrain) for each in found] == [
        ("2013-05", None, False),
        ("2013-06", None, True),
        ("2013-07", "1", False),
    ]
    assert found[0].reason == "no champion yet: the first is trained on 2 months, and there are 1"
    assert [entry.reason for entry in releases.read_ledger(load_settings())] == [
        "monitoring of 2013-06: no champion yet"
    ]


@pytest.mark.usefixtures("monitored")
def test_predictions_that_were_served_are_compared_with_their_labels() -> None:
    [july] = records()[-1].performance
    clean = storage.find_partitions(load_settings().storage_uri, "clean", JULY)[-1]
    assert (july.month, july.model_version, july.labelled, july.unlabelled) == (JULY, "1", clean.rows, 0)
    assert july.figures is not None
    # The mean of the losses of all rows, worked out from the files themselves.
    from {{ cookiecutter.__package_name }}.task import row_losses

    served = storage.find_partitions(load_settings().storage_uri, "scores", JULY)[0]
    scores, rows = storage.read_partition(served), storage.read_partition(clean)
    both = scores.merge(rows[[*scoring.KEY, "delayed"]], on=scoring.KEY)
    expected = row_losses(both["delayed"].to_numpy(), both["probability"].to_numpy()).mean()
    assert july.figures.loss.value == pytest.approx(expected)
    assert july.figures.decay is not None
    assert july.figures.decay.low < july.figures.decay.value < july.figures.decay.high


@pytest.mark.usefixtures("monitored")
def test_scores_by_a_model_that_learned_from_the_month_are_none_that_were_served() -> None:
    settings = load_settings()
    stages.score("2013-06")  # by version 1, which was fitted on June as well
    tracker = Tracker(settings)
    assert storage.find_partitions(settings.storage_uri, "scores", "2013-06")
    assert monitoring.find_served(settings, tracker, "2013-06") is None
    assert monitoring.find_served(settings, tracker, JULY) is not None


@pytest.mark.usefixtures("monitored")
def test_drift_is_measured_for_each_feature_and_the_prediction() -> None:
    last = records()[-1]
    model = releases.load_version(Tracker(load_settings()), Tracker(load_settings()).get_version("1"))
    features = set(model.feature_names_in_) - {"scheduled_departure"}
    assert {each.column for each in last.drift} == features | {"prediction"}
    assert last.drift_note == ""
    assert records()[0].drift_note == "there is no champion"


@pytest.mark.usefixtures("monitored")
def test_predictions_that_were_written_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("predicted again")

    july = records()[-1]
    forget_records()
    monkeypatch.setattr(scoring, "score", refuse)
    stages.monitor("again", JULY)
    assert records()[-1].drift == july.drift


@pytest.mark.usefixtures("monitored")
def test_drift_is_measured_as_well_where_nothing_was_written() -> None:
    july = records()[-1]
    forget_records()
    [written] = storage.find_partitions(load_settings().storage_uri, "scores", JULY)
    storage.remove_partition(written)
    stages.monitor("again", JULY)
    assert records()[-1].drift == july.drift
    assert records()[-1].performance == []


@pytest.mark.usefixtures("monitored")
def test_monitoring_again_finds_what_was_found() -> None:
    before = records()
    again = stages.monitor("another run", JULY)
    assert records() == before
    assert again["run_id"] == before[-1].run_id
    assert stages.monitor("another run", "2013-06")["retrain"] is False  # asked for, and taken up since


@pytest.mark.usefixtures("project")
def test_what_was_asked_for_is_asked_until_one_run_takes_it_up_and_never_by_two() -> None:
    for month in ("2013-05", "2013-06"):
        raw = stages.ingest(month, labelled=False)
        stages.validate(raw["dataset_uri"], f"ingestion {month}", for_training=False)
        asked = stages.monitor(f"monitoring {month}", month)
    assert asked["retrain"]
    assert stages.monitor("after a crash before the event went out", "2013-06")["retrain"]
    assert not journal.is_settled(load_settings())
    assert stages.claim_retraining("2013-06", "first") == {
        "month": "2013-06",
        "reason": "monitoring of 2013-06: no champion yet",
    }
    assert stages.claim_retraining("2013-06", "second") is None
    assert stages.claim_retraining("2013-06", "first") is not None  # a retry of its task
    assert stages.claim_retraining("2013-05", "first") is None  # nothing was asked for
    assert journal.is_settled(load_settings())
    assert not stages.monitor("once more", "2013-06")["retrain"]


@pytest.mark.usefixtures("monitored")
def test_month_has_been_monitored_once_it_or_a_later_one_is_on_record() -> None:
    settings = load_settings()  # on record are May to July
    assert [journal.has_monitored(settings, month) for month in ("2013-04", JULY, "2013-08")] == [True, True, False]


@pytest.mark.usefixtures("monitored")
def test_two_that_record_the_same_month_at_once_leave_one_record() -> None:
    settings, last = load_settings(), records()[-1]
    other = Record(**{**vars(last), "pipeline_run": "other"})
    assert monitoring.append(settings, other) == last
    of_august = Record(**{**vars(last), "month": "2013-08"})
    assert monitoring.append(settings, of_august).sequence == last.sequence + 1
    assert [each.month for each in records()] == ["2013-05", "2013-06", JULY, "2013-08"]


@pytest.mark.usefixtures("project")
def test_labels_that_were_flipped_raise_one_alarm_and_one_retraining() -> None:
    replay(["2013-05", "2013-06", JULY], Perturbation(JULY, "delayed", "flip", 0.5))
    july = records()[-1]
    assert july.alarms == ["decay in 2013-07"]
    assert (july.retrain, july.reason) == (True, "decay in 2013-07")
    for _ in range(3):
        assert not stages.monitor("again", JULY)["retrain"]
    claimed = [each for each in read_outcomes(load_settings()) if each.asked]
    assert [each.month for each in claimed] == ["2013-06", JULY]
    assert claimed[-1].outcome.startswith(("released version 2", "refused: "))


@pytest.mark.usefixtures("monitored")
def test_month_that_arrives_again_with_other_values_is_monitored_again() -> None:
    replace_july("shift", "temp", 30.0)
    found = stages.monitor("again", JULY)
    assert len(records()) == 4
    assert "temp" in [each.column for each in records()[-1].drift if each.drifted]
    assert found["run_id"] == records()[-1].run_id
    assert len(monitoring.latest_performance(records())) == 1


@pytest.mark.usefixtures("monitored")
def test_feature_that_has_gone_constant_is_named() -> None:
    replace_july("constant", "humidity", 50.0)
    stages.monitor("again", JULY)
    assert "humidity: has one value only, unlike before" in records()[-1].health


@pytest.mark.usefixtures("project")
def test_reference_that_is_missing_is_named_and_the_rest_is_measured() -> None:
    replay(["2013-05", "2013-06"])
    settings = load_settings()
    stages.validate(stages.ingest(JULY, labelled=False)["dataset_uri"], "ingestion", for_training=False)
    stages.score(JULY)
    may = storage.find_partitions(settings.storage_uri, "clean", "2013-05")[-1]
    storage.remove_partition(may)
    stages.monitor("monitoring", JULY)
    last = records()[-1]
    assert last.drift == []
    assert last.drift_alarm is None
    assert f"{may.uri}: missing" in last.drift_note
    assert last.performance[0].figures is not None


@pytest.mark.usefixtures("monitored")
def test_month_that_is_not_there_is_named() -> None:
    with pytest.raises(PartitionError, match="no month 2013-09, there are 2013-05 to 2013-07"):
        stages.monitor("run", "2013-09")


@pytest.mark.usefixtures("project")
def test_months_out_of_order_are_each_judged_by_what_there_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}RETRAINING__FIRST_AFTER_MONTHS", "3")
    raw = stages.ingest(JULY, labelled=False)
    stages.validate(raw["dataset_uri"], "all at once", for_training=False)
    july = stages.monitor("july first", JULY)
    assert july["retrain"]
    june = stages.monitor("june afterwards", "2013-06")
    assert not june["retrain"]
    assert june["reason"] == "no champion yet: the first is trained on 3 months, and there are 2"
    assert [each.month for each in records()] == [JULY, "2013-06"]
    assert stages.claim_retraining(JULY, "run") is not None


@pytest.mark.usefixtures("monitored")
def test_record_and_figures_are_in_mlflow() -> None:
    settings = load_settings()
    last = records()[-1]
    tracker = Tracker(settings, settings.monitoring_experiment)
    assert tracker.load_json(last.run_id, "record.json")["month"] == JULY
    metrics = tracker.metrics(last.run_id)
    figures = last.performance[0].figures
    assert figures is not None
    assert metrics["log_loss"] == figures.loss.value
    assert metrics["drift_temp"] == next(each.ratio for each in last.drift if each.column == "temp")
    assert tracker.find_run(last.pipeline_run) == last.run_id
    assert Tracker(settings).find_run(last.pipeline_run) is None  # training runs stand alone in their experiment


@pytest.mark.usefixtures("monitored")
def test_page_of_the_month_is_in_mlflow_with_its_plots() -> None:
    Tracker(load_settings())  # or else the run is looked for where the test before has been
    page = mlflow.artifacts.load_text(f"runs:/{records()[-1].run_id}/report.html")
    assert "In 2013-07 monitoring found" in page
    assert "from those of 2013-05 to 2013-06, which version 1 learned from" in page
    assert re.findall(r'alt="plot: ([^"]+)"', page)[:3] == ["blocks-2013-07", "months", "columns"]
