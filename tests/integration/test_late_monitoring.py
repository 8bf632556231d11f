"""Predictions whose labels come later, or in part: when they are measured, and by which labels."""

from pathlib import Path

import pytest

from flights import FLIGHTS, read_sample, write_source
from modelworks import stages
from modelworks.backtest.loop import replay
from modelworks.monitoring.records import find_served, latest_performance, read_records
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, Settings, load_settings

JULY = "2013-07"
LABELS_COME_LATER = {"LABELS__URI": "data/labels-{period}.csv", "LABELS__DELAY_PERIODS": "1"}


@pytest.fixture
def late(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose labels come a period later, in files of their own; those of May are there."""
    for name, value in LABELS_COME_LATER.items():
        monkeypatch.setenv(f"{ENV_PREFIX}{name}", value)
    for period in ("2013-05", "2013-06", JULY):
        rows = read_sample(period).iloc[::3]
        rows[[*FLIGHTS.contract.key, *FLIGHTS.contract.outcomes]].to_csv(project / f"labels-{period}.csv", index=False)
        write_source(project, period, rows.drop(columns=FLIGHTS.contract.outcomes))
    arrive(project, "2013-05")
    return project


def arrive(project: Path, period: str, rows: int | None = None) -> None:
    """Let the labels of a period arrive, or so many of them."""
    lines = (project / f"labels-{period}.csv").read_text().splitlines(keepends=True)
    (project / "data" / f"labels-{period}.csv").write_text("".join(lines if rows is None else lines[: rows + 1]))


def test_predictions_are_measured_when_their_labels_arrive(late: Path) -> None:
    """The first model is trained on May and June, when July has come and brought June's labels."""
    settings = load_settings()
    replay(FLIGHTS, settings, ["2013-05", "2013-06"])
    assert [each.reason for each in read_records(settings)] == [
        "no champion yet: the first is trained on 2 periods, and there are 0",
        "no champion yet: the first is trained on 2 periods, and there are 1",
    ]
    arrive(late, "2013-06")
    replay(FLIGHTS, settings, [JULY])
    last = read_records(settings)[-1]
    assert last.retrain
    [entry] = ledger.read_ledger(settings)
    assert Tracker(FLIGHTS, settings).runs.tags(entry.run_id)["holdout_period"] == "2013-06"
    # July was served by version 1, which was not trained on it, and waits for its labels.
    assert last.performance == []


def test_missing_labels_are_counted_and_late_ones_are_used(late: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(late, "2013-06")
    replay(FLIGHTS, load_settings(), ["2013-05", "2013-06", JULY])
    stages.score(FLIGHTS, load_settings(), JULY)
    # As if August had come.
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__DELAY_PERIODS", "0")
    settings = load_settings()
    stages.monitor(FLIGHTS, settings, "no labels yet", JULY)
    [nothing] = read_records(settings)[-1].performance
    assert (nothing.labelled, nothing.figures, nothing.is_alarm) == (0, None, None)
    assert nothing.note == "no row has a label"

    served = count_served(settings)
    for count, note in ((served // 2, f"only {served // 2:,} of {served:,} rows have a label"), (None, "")):
        arrive(late, JULY, count)
        raw = stages.ingest(FLIGHTS, settings, JULY, for_training=False)
        stages.validate(FLIGHTS, settings, raw.dataset_uri, f"again {count}", for_training=False)
        stages.monitor(FLIGHTS, settings, f"again {count}", JULY)
        [found] = read_records(settings)[-1].performance
        assert (found.labelled, found.unlabelled) == (count or served, served - (count or served))
        assert found.note == note
        assert (found.figures is None) == bool(note)
    assert latest_performance(read_records(settings))[JULY].labelled == served


def count_served(settings: Settings) -> int:
    """Rows that were served in July."""
    served = find_served(settings, Tracker(FLIGHTS, settings), JULY)
    assert served
    return served.rows
