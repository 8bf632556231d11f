"""Models by other AutoML libraries on the same rows; run in an environment of their own, prints JSON.

::

    python tuning_others.py flaml|autogluon SEED SECONDS FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]

TARGET = "target"


def fit_flaml(learned: Any, seed: int, seconds: float, _: str) -> tuple[Any, str]:
    """A function that gives the probability of 1, and what was found."""
    from flaml import AutoML  # type: ignore[import-not-found]  # only one of the libraries is installed

    automl = AutoML()
    automl.fit(
        learned.drop(columns=TARGET),
        learned[TARGET],
        task="classification",
        metric="log_loss",
        time_budget=seconds,
        n_jobs=1,
        seed=seed,
        verbose=0,
    )
    return lambda rows: automl.predict_proba(rows)[:, 1], f"{automl.best_estimator} is chosen"


def fit_autogluon(learned: Any, seed: int, seconds: float, path: str) -> tuple[Any, str]:
    """The same by AutoGluon, which has no seed: it splits the rows in the order in which they come."""
    from autogluon.tabular import TabularPredictor  # type: ignore[import-not-found]  # as above

    predictor = TabularPredictor(TARGET, eval_metric="log_loss", path=path, verbosity=0)
    predictor.fit(
        learned.sample(frac=1, random_state=seed), presets="medium_quality", time_limit=seconds, num_cpus=1, num_gpus=0
    )
    names = f"{len(predictor.model_names())} models, {predictor.model_best} is chosen"
    return lambda rows: predictor.predict_proba(rows)[1], names


def count_processor_time() -> None:
    """Let the libraries' clock count what the process has computed: a busy machine would else give them less.

    To be called before they are imported.
    """
    began = time.time()
    time.time = lambda: began + time.process_time()


def main() -> None:
    """Fit and measure."""
    from sklearn.metrics import log_loss  # type: ignore[import-not-found]  # after the environment is known

    count_processor_time()
    name, seed, seconds, folder = sys.argv[1:]
    learned, measured = (pd.read_parquet(Path(folder) / f"{each}.parquet") for each in ("learned", "measured"))
    fit = {"flaml": fit_flaml, "autogluon": fit_autogluon}[name]
    with tempfile.TemporaryDirectory() as path:
        started = _cpu_s()
        predict, note = fit(learned, int(seed), float(seconds), path)
        took = _cpu_s() - started
        loss = log_loss(measured[TARGET], predict(measured.drop(columns=TARGET)))
    print(json.dumps({"log_loss": float(loss), "cpu_s": took, "note": note}))


def _cpu_s() -> float:
    """Of this process and of those that it has waited for."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
