"""Predict and measure a large hold-out; runs in the engine's environment, a process a way.

::

    python holdout_rows.py make FOLDER ROWS    writes a held-out period of so many rows, and two models
    python holdout_rows.py parts FOLDER        predicts part by part, as the engine does, and measures
    python holdout_rows.py frame FOLDER        reads all rows into one frame, predicts it whole, and measures

Whoever started this reads its time and its peak memory.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np  # type: ignore[import-not-found]
import pandas as pd  # type: ignore[import-untyped]

from modelworks.contract import Contract, binary, column, identifier
from modelworks.data import partitions
from modelworks.evaluation.holdout import evaluate_holdout
from modelworks.models import pipeline
from modelworks.models.types import boosting
from modelworks.project import Project
from modelworks.settings import Model, Settings, Training, load_settings
from modelworks.stages.held_out import predict_held_out
from modelworks.stages.rows import read_rows

PERIOD, N_DAYS, N_SLICES, PASS_ROWS = "2024-01", 31, 24, 10**6
NUMBERS = [f"number {at}" for at in range(16)]
CONTRACT = Contract(
    target=binary("late", "whether it was late"),
    columns=[
        column("at", "datetime64[us]", "day"),
        identifier("id", "int64", "row"),
        column("shop", "str", "shop"),
        *(column(name, "float64", "a number") for name in NUMBERS),
    ],
    key=["id"],
    time="at",
    slices=["shop"],
)
PROJECT = Project(contract=CONTRACT, model_types={"boosting": boosting.MODEL_TYPE})


def make_rows(first: int, n_rows: int) -> pd.DataFrame:
    """Rows of drawn days and shops, whose first numbers say something about the target."""
    random = np.random.default_rng(first)
    numbers = random.normal(0, 1, (n_rows, len(NUMBERS)))
    late = random.random(n_rows) < 1 / (1 + np.exp(1.5 - numbers[:, 0] - 0.5 * numbers[:, 1]))
    shops = pd.Series([f"shop {number:02d}" for number in range(N_SLICES)])
    days = pd.to_timedelta(random.integers(0, N_DAYS, n_rows), unit="D")
    return pd.DataFrame({
        "at": (pd.Timestamp(f"{PERIOD}-01") + days).astype("datetime64[us]"),
        "id": np.arange(first, first + n_rows),
        "shop": shops[random.integers(0, N_SLICES, n_rows)].reset_index(drop=True),
        **{name: numbers[:, at] for at, name in enumerate(NUMBERS)},
        "late": late.astype("float64"),
    })


def make(settings: Settings, folder: Path, n_rows: int) -> None:
    """The period, and two models that were trained on other rows."""
    with partitions.new_partition(settings.storage_uri, "clean", PERIOD) as writer:
        for first in range(0, n_rows, PASS_ROWS):
            writer.write(make_rows(first, min(PASS_ROWS, n_rows - first)))
        writer.publish(source="", source_sha256=str(n_rows), contract_version=CONTRACT.version)
    rows = make_rows(n_rows, 40_000)
    models = [pipeline.fit(PROJECT, each, Training(threads=1), Model()) for each in (rows[:20_000], rows[20_000:])]
    (folder / "models.pickle").write_bytes(pickle.dumps(models))


def measure(settings: Settings, folder: Path, way: str) -> None:
    """Predictions of both models, and all metrics."""
    candidate, champion = pickle.loads((folder / "models.pickle").read_bytes())  # noqa: S301 - made above
    holdout = partitions.save_dataset(
        settings.storage_uri, partitions.find_partitions(settings.storage_uri, "clean", PERIOD)
    )
    if way == "parts":
        found = predict_held_out(PROJECT, settings, holdout, candidate, (champion, "1"))
        rows, predictions = found.rows, [found.candidate, found.champion]
    else:
        rows, _ = read_rows(PROJECT, settings, holdout, held_out=True)
        predictions = [pipeline.predict(PROJECT, each, rows) for each in (candidate, champion)]
    baseline = CONTRACT.target.fit_baseline(rows["late"].to_numpy())
    report = evaluate_holdout(
        CONTRACT,
        rows,
        np.asarray(predictions[0]),
        baseline,
        predictions[1],
        settings.evaluation,
        settings.training.seed,
    ).report
    print(report.rows, report.metrics["roc_auc"].value, report.metrics["log_loss"].value)


def main() -> None:
    """Do what the first word says."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.toml").touch()
    source = {"uri": "data/own-{period}.parquet", "first": PERIOD}
    settings = load_settings(folder, {"source": source, "training": {"threads": 1}})
    if what == "make":
        make(settings, folder, int(sys.argv[3]))
    else:
        measure(settings, folder, what)


if __name__ == "__main__":
    main()
