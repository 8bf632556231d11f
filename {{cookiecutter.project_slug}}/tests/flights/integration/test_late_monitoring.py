"""Predictions whose labels come later, or in part: when they are judged, and by which labels."""

from pathlib import Path

import pytest

from {{ cookiecutter.__package_name }} import (
    monitoring,
    releases,
    schema,
    stages,
)
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, load_settings
from {{ cookiecutter.__package_name }}.monitoring import Record
from {{ cookiecutter.__package_name }}.replay.loop import replay
from {{ cookiecutter.__package_name }}.tracking import Tracker

from example import read_sample, write_source

JULY = "2013-07"


def records() -> list[Record]:
    return monitoring.read_records(load_settings())


LABELS_COME_LATER = {"LABELS__URI": "data/labels-{month}.csv", "LABELS__DELAY_MONTHS": "1"}


@pytest.fixture
def late(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose labels come a month later, in files of their own; those of May are there."""
    for name, value in LABELS_COME_LATER.items():
        monkeypatch.setenv(f"{ENV_PREFIX}{name}", value)
    for month in ("2013-05", "2013-06", JULY):
        rows = read_sample(month).iloc[::3]
        rows[[*schema.KEY, *schema.OUTCOMES]].to_csv(project / f"labels-{month}.csv", index=False)
        write_source(project, month, rows.drop(columns=schema.OUTCOMES))
    arrive(project, "2013-05")
    return project


def arrive(project: Path, month: str, rows: int | None = None) -> None:
    """Let the labels of a month arrive, or so many of them."""
    lines = (project / f"labels-{month}.csv").read_text().splitlines(keepends=True)
    (project / "data" / f"labels-{month}.csv").write_text("".join(lines if rows is None else lines[: rows + 1]))


def test_predictions_are_judged_when_their_labels_arrive(late: Path) -> None:
    """The first model learns from May and June, when July has come and brought June's labels."""
    replay(["2013-05", "2013-06"])
    assert [each.reason for each in records()] == [
        "no champion yet: the first is trained on 2 months, and there are 0",
        "no champion yet: the first is trained on 2 months, and there are 1",
    ]
    arrive(late, "2013-06")
    replay([JULY])
    assert records()[-1].retrain
    [entry] = releases.read_ledger(load_settings())
    assert Tracker(load_settings()).tags(entry.run_id)["holdout_month"] == "2013-06"
    # July was served by version 1, as it had not learned from it, and waits for its labels.
    assert records()[-1].performance == []


def test_missing_labels_are_counted_and_late_ones_taken_up(late: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(late, "2013-06")
    replay(["2013-05", "2013-06", JULY])
    stages.score(JULY)
    # As if August had come.
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__DELAY_MONTHS", "0")
    stages.monitor("no labels yet", JULY)
    [nothing] = records()[-1].performance
    assert (nothing.labelled, nothing.figures, nothing.is_alarm) == (0, None, None)
    assert nothing.note == "no row has a label"

    served = monitoring_rows()
    for count, note in ((served // 2, f"only {served // 2:,} of {served:,} rows have a label"), (None, "")):
        arrive(late, JULY, count)
        stages.validate(stages.ingest(JULY, labelled=False)["dataset_uri"], f"again {count}", for_training=False)
        stages.monitor(f"again {count}", JULY)
        [found] = records()[-1].performance
        assert (found.labelled, found.unlabelled) == (count or served, served - (count or served))
        assert found.note == note
        assert (found.figures is None) == bool(note)
    assert monitoring.latest_performance(records())[JULY].labelled == served


def monitoring_rows() -> int:
    """Rows that were served in July."""
    settings = load_settings()
    served = monitoring.find_served(settings, Tracker(settings), JULY)
    assert served
    return served.rows
