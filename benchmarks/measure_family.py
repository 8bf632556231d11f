"""One family of models on the flights, with its defaults; run in the project's environment, prints JSON.

::

    python measure_family.py prepare                   ingest and validate all months
    python measure_family.py FAMILY ROUNDS PACKAGE...  learn from all months but the last, and measure on that;
                                                       the packages are weighed
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import skops.io  # type: ignore[import-not-found]
from flight_delays import schema, stages, storage, task, training  # type: ignore[import-not-found]
from flight_delays.config import Model, load_settings  # type: ignore[import-not-found]
from flight_delays.intervals import BlockBootstrap, number_blocks  # type: ignore[import-not-found]
from flight_delays.serving.api import predict_rows  # type: ignore[import-not-found]
from flight_delays.stages.rows import read_rows, read_training_rows  # type: ignore[import-not-found]
from flight_delays.tracking import read_model  # type: ignore[import-not-found]

DATASET_FILE = Path("var/bench-dataset.txt")
BATCHES = {1: 200, 1000: 50}
"""How many rows at once, and how often."""

settings = load_settings()


def prepare() -> None:
    """All months, clean; the dataset's URI is kept for `load_rows`."""
    clean = stages.validate(stages.ingest()["dataset_uri"], "bench")
    DATASET_FILE.write_text(clean["dataset_uri"], encoding="utf-8")


def load_rows() -> tuple[Any, Any]:
    """Rows to learn from, and those of the month that is held out."""
    dataset = storage.load_dataset(DATASET_FILE.read_text(encoding="utf-8"))
    learned, _, _, holdout = read_training_rows(settings, dataset)
    return learned, read_rows(settings, holdout, held_out=True)[0]


def measure(name: str, rounds: int, packages: list[str]) -> dict[str, object]:
    """All figures of a family."""
    learned, measured = load_rows()
    model_settings = Model(family=name)
    with training.limit_threads(settings.training):
        fits = []
        for _ in range(rounds):
            started = process_time()
            model = training.fit(learned, settings.training, model_settings)
            fits.append(process_time() - started)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.skops"
            skops.io.dump(model, file)
            size = file.stat().st_size
            served = training.skip_needless_encoding(read_model(file))
        prediction = training.predict(served, measured)
        records = schema.to_records(measured.head(max(BATCHES)))
        seconds = {count: _seconds(served, records[:count], times) for count, times in BATCHES.items()}
    target, known = task.code(measured[schema.TARGET]), task.code(learned[schema.TARGET])
    by_baseline = task.row_losses(target, task.fit_baseline(known).predict(len(target)))
    draws = BlockBootstrap(
        number_blocks(measured)[0], settings.evaluation.bootstrap_resamples, settings.evaluation.confidence, 0
    )
    return {
        "log_loss": _figures(draws.mean(task.row_losses(target, prediction))),
        "roc_auc": _figures(draws.roc_auc(target, prediction)),
        "fit_cpu_s": median(fits),
        "model_bytes": size,
        "added_bytes": sum(map(_bytes, packages)),
        "row_ms": seconds[1] * 1000,
        "rows_per_s": max(BATCHES) / seconds[max(BATCHES)],
        "learned": len(learned),
        "measured": len(measured),
        "baseline": float(by_baseline.mean()),
    }


def _seconds(model: object, records: list[dict[str, object]], times: int) -> float:
    """CPU seconds of what the prediction API does once it has read the rows, the median of so many times."""
    predict = partial(predict_rows, model, records)
    for _ in range(10):
        predict()
    found = []
    for _ in range(times):
        started = process_time()
        predict()
        found.append(process_time() - started)
    return median(found)


def _figures(estimate: object) -> list[float]:
    return [getattr(estimate, name) for name in ("value", "low", "high")]


def _bytes(name: str) -> int:
    """What a distribution takes on the disk, with its compiled bytecode; 0 of one for other platforms."""
    try:
        listed = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return 0
    files = {Path(str(each.locate())) for each in listed}
    # Not every installer lists it.
    compiled = {Path(importlib.util.cache_from_source(str(each))) for each in files if each.suffix == ".py"}
    return sum(each.stat().st_size for each in files | compiled if each.is_file())


def main() -> None:
    """Do what the first word says."""
    if sys.argv[1] == "prepare":
        prepare()
    else:
        _, name, rounds, *packages = sys.argv
        print(json.dumps(measure(name, int(rounds), packages)))


if __name__ == "__main__":
    main()
