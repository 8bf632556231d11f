"""Score a large month; runs in the project's environment, with its settings and a champion.

::

    python score_rows.py make MONTH ROWS    a clean month of the project's own clean rows, again and again
    python score_rows.py rate MONTH ROUNDS  prints the seconds of bare predictions and of the stage, in turn, as JSON
    python score_rows.py once MONTH         runs the stage; whoever started this reads its peak memory
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from flight_delays import releases, schema, stages, storage, training  # type: ignore[import-not-found]
from flight_delays.config import load_settings  # type: ignore[import-not-found]
from flight_delays.scoring import CHUNK_ROWS  # type: ignore[import-not-found]
from flight_delays.tracking import Tracker  # type: ignore[import-not-found]

settings = load_settings()


def make_month(month: str, n_rows: int) -> None:
    """A partition in the storage, written as the validate stage writes it; the rows keep their own dates."""
    months = [each for each in storage.list_months(settings.storage_uri, "clean") if each < "2100"]
    sources = [storage.find_partitions(settings.storage_uri, "clean", each)[-1] for each in months]
    with storage.new_partition(settings.storage_uri, "clean", month) as writer:
        frame = storage.read_dataset(storage.Dataset("", "", sources))
        for left in range(n_rows, 0, -len(frame)):
            writer.write(frame.head(left))
        writer.publish(source="repeated", source_sha256=month, contract_version=schema.version())


def measure_rate(month: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, by what was done; the rows of the bare predictions lie in memory as one frame."""
    tracker = Tracker(settings)
    champion = releases.find_champion(tracker, releases.settle(settings, tracker))
    model = releases.load_version(tracker, champion)
    [partition] = storage.find_partitions(settings.storage_uri, "clean", month)
    features = storage.read_partition(partition, list(model.feature_names_in_))
    chunks = [features.iloc[start : start + CHUNK_ROWS] for start in range(0, len(features), CHUNK_ROWS)]
    seconds: dict[str, list[float]] = {"whole": [], "chunks": [], "stage": []}
    with training.limit_threads(settings.training):
        model.predict_proba(features.head(CHUNK_ROWS))
        for _ in range(rounds):
            seconds["whole"].append(_seconds(lambda: model.predict_proba(features)))
            seconds["chunks"].append(_seconds(lambda: [model.predict_proba(chunk) for chunk in chunks]))
            _forget_scores(month)
            seconds["stage"].append(_seconds(lambda: stages.score(month)))
    return seconds


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _forget_scores(month: str) -> None:
    shutil.rmtree(Path(settings.storage_uri) / "scores" / month, ignore_errors=True)


def main() -> None:
    """Do what the first word says."""
    what, month, *numbers = sys.argv[1:]
    if what == "make":
        make_month(month, int(numbers[0]))
    elif what == "rate":
        print(json.dumps(measure_rate(month, int(numbers[0]))))
    else:
        _forget_scores(month)
        stages.score(month)


if __name__ == "__main__":
    main()
