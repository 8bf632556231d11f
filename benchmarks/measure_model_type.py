"""One model type on the flights, with its defaults; run in the project's environment, prints JSON.

::

    python measure_model_type.py prepare                 ingest and validate all periods
    python measure_model_type.py TYPE ROUNDS PACKAGE...  train on all periods but the last, and measure on that;
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

from modelworks import load_project, load_settings, stages
from modelworks.data import frames, partitions
from modelworks.data.blocks import number_blocks
from modelworks.data.columnar import Columns
from modelworks.evaluation.bootstrap import BlockBootstrap
from modelworks.models import pipeline
from modelworks.models.fast import Predictor, make_predictor
from modelworks.registry.models import read_model
from modelworks.settings import Model
from modelworks.stages.rows import read_rows, read_training_rows

DATASET_FILE = Path("var/bench-dataset.txt")
BATCHES = {1: 200, 1000: 50}
"""How many rows at once, and how often."""

settings = load_settings()
project = load_project(settings.home)
contract, target = project.contract, project.contract.target


def prepare() -> None:
    """All periods, clean; the dataset's URI is kept for `load_rows`."""
    raw = stages.ingest(project, settings)
    clean = stages.validate(project, settings, raw.dataset_uri, "bench")
    DATASET_FILE.write_text(clean.dataset_uri, encoding="utf-8")


def load_rows() -> tuple[Any, Any]:
    """Rows to train on, and those of the period that is held out."""
    dataset = partitions.load_dataset(DATASET_FILE.read_text(encoding="utf-8"))
    rows = read_training_rows(project, settings, dataset)
    return rows.frame, read_rows(project, settings, rows.holdout, held_out=True)[0]


def measure(name: str, rounds: int, packages: list[str]) -> dict[str, object]:
    """All figures of a model type."""
    train, test = load_rows()
    model_settings = Model(type=name)
    with pipeline.limit_threads(settings.training):
        fits = []
        for _ in range(rounds):
            started = process_time()
            model = pipeline.fit(project, train, settings.training, model_settings)
            fits.append(process_time() - started)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.skops"
            skops.io.dump(model, file)
            size = file.stat().st_size
            served = pipeline.skip_needless_encoding(read_model(project, file))
        prediction = pipeline.predict(project, served, test)
        records = frames.to_records(test.head(max(BATCHES)))
        predictor = make_predictor(project, served, records[-50:])
        seconds = {count: _seconds(predictor, records[:count], times) for count, times in BATCHES.items()}
    truth, known = target.encode(test[target.column]), target.encode(train[target.column])
    by_baseline = target.row_losses(truth, target.fit_baseline(known).predict(len(truth)))
    draws = BlockBootstrap(
        number_blocks(contract, test)[0], settings.evaluation.bootstrap_resamples, settings.evaluation.interval_level, 0
    )
    return {
        "log_loss": _figures(draws.mean(target.row_losses(truth, prediction))),
        "roc_auc": _figures(draws.roc_auc(truth, prediction)),
        "fit_cpu_s": median(fits),
        "model_bytes": size,
        "added_bytes": sum(map(_bytes, packages)),
        "row_ms": seconds[1] * 1000,
        "rows_per_s": max(BATCHES) / seconds[max(BATCHES)],
        "learned": len(train),
        "measured": len(test),
        "baseline": float(by_baseline.mean()),
    }


def _seconds(predictor: Predictor, records: list[dict[str, object]], times: int) -> float:
    """CPU seconds of what the prediction API does once it has read the rows, the median of so many times."""
    predict = partial(predictor.predict, Columns.from_records(records))
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
