"""Score a large period; runs in the project's environment, with its settings and a champion.

::

    python score_rows.py make PERIOD ROWS    a clean period of the project's own clean rows, again and again
    python score_rows.py rate PERIOD ROUNDS  prints the seconds of bare predictions and of the stage, in turn, as JSON
    python score_rows.py once PERIOD         runs the stage; whoever started this reads its peak memory
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from modelworks import load_project, load_settings, stages
from modelworks.data import partitions
from modelworks.models import pipeline
from modelworks.models.part_scores import CHUNK_ROWS
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker

settings = load_settings()
project = load_project(settings.home)


def make_period(period: str, n_rows: int) -> None:
    """A partition in the storage, written as the validate stage writes it; the rows keep their own dates."""
    periods = [each for each in partitions.list_periods(settings.storage_uri, "clean") if each < "2100"]
    sources = [partitions.find_partitions(settings.storage_uri, "clean", each)[-1] for each in periods]
    with partitions.new_partition(settings.storage_uri, "clean", period) as writer:
        frame = partitions.read_dataset(partitions.Dataset("", "", sources))
        for left in range(n_rows, 0, -len(frame)):
            writer.write(frame.head(left))
        writer.publish(source="repeated", source_sha256=period, contract_version=project.contract.version)


def measure_rate(period: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round by what was done, and those of the CPU; rows of bare predictions lie in memory."""
    tracker = Tracker(project, settings)
    champion = ledger.find_champion(tracker, ledger.read_ledger(settings))
    assert champion
    model = ledger.load_version(project, tracker, champion)
    [partition] = partitions.find_partitions(settings.storage_uri, "clean", period)
    features = partitions.read_partition(partition, list(model.feature_names_in_))
    chunks = [features.iloc[start : start + CHUNK_ROWS] for start in range(0, len(features), CHUNK_ROWS)]
    seconds: dict[str, list[float]] = {
        f"{what}{of}": [] for what in ("whole", "chunks", "stage") for of in ("", "_cpu")
    }
    with pipeline.limit_threads(settings.training):
        model.predict_proba(features.head(CHUNK_ROWS))
        for _ in range(rounds):
            _measure(seconds, "whole", lambda: model.predict_proba(features))
            _measure(seconds, "chunks", lambda: [model.predict_proba(chunk) for chunk in chunks])
            _forget_scores(period)
            _measure(seconds, "stage", lambda: stages.score(project, settings, period))
    return seconds


def _measure(seconds: dict[str, list[float]], what: str, function: Callable[[], object]) -> None:
    started, started_cpu = time.perf_counter(), time.process_time()
    function()
    seconds[what].append(time.perf_counter() - started)
    seconds[f"{what}_cpu"].append(time.process_time() - started_cpu)


def _forget_scores(period: str) -> None:
    shutil.rmtree(Path(settings.storage_uri) / "scores" / period, ignore_errors=True)


def main() -> None:
    """Do what the first word says."""
    what, period, *numbers = sys.argv[1:]
    if what == "make":
        make_period(period, int(numbers[0]))
    elif what == "rate":
        print(json.dumps(measure_rate(period, int(numbers[0]))))
    else:
        _forget_scores(period)
        stages.score(project, settings, period)


if __name__ == "__main__":
    main()
