"""The model types side by side on the flights: quality, seconds, sizes; prints a table in Markdown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from processes import run
from projects import REPOSITORY, prepare_project

HERE = Path(__file__).parent
TEMPLATE = REPOSITORY / "{{cookiecutter.project_slug}}"
TREES = "lightgbm,xgboost"
FRAMEWORKS = f"{TREES},pytorch,keras"
# What each model type needs beside what all projects have: the locks that name it.
LOCKS: dict[str, list[str]] = {
    "boosting": [],
    "lightgbm": ["frameworks/lightgbm.lock"],
    "xgboost": ["frameworks/xgboost.lock"],
    "pytorch": ["frameworks/pytorch.lock", "torch.lock"],
    "keras": ["frameworks/keras.lock", "frameworks/pytorch.lock", "torch.lock"],
    "linear": [],
    "forest": [],
    "blend": [],
}
ON_TENSORFLOW = ["frameworks/keras.lock", "frameworks/tensorflow.lock"]
HEADER = [
    "model type",
    "log loss",
    "ROC-AUC",
    "fit, CPU s",
    "model, MB",
    "adds, MB",
    "one row, CPU ms",
    "rows per CPU s",
]


def compare(rounds: int, wanted: list[str], *, on_tensorflow: bool) -> None:
    """Measure each model type in a process and a thread of its own, one after the other, and print one table.

    Parameters
    ----------
    wanted : all where it is empty; PyTorch is installed only where it is needed
    on_tensorflow : Keras is measured on TensorFlow as well, in another project: 1.4 GB more
    """
    print(f"\nmodel-types: with their defaults, one thread each, CPU seconds; fits are medians of {rounds}", flush=True)
    names = wanted or list(LOCKS)
    needs_torch = "torch.lock" in {lock for name in names for lock in LOCKS[name]}
    project = _prepare(FRAMEWORKS if needs_torch else TREES)
    found = {name: _measure(project, name, LOCKS[name], rounds) for name in names}
    if on_tensorflow:
        found["keras on TensorFlow"] = _measure(_prepare("keras"), "keras", ON_TENSORFLOW, rounds)
    first = next(iter(found.values()))
    print(f"{first['learned']:,} rows trained on, {first['measured']:,} of the last period measured; log loss of the")
    print(f"baseline {first['baseline']:.4f}; in brackets 95 % intervals, days drawn; rows in calls of 1,000\n")
    for cells in (HEADER, ["---", *["---:"] * (len(HEADER) - 1)], *(_line(*each) for each in found.items())):
        print(f"| {' | '.join(cells)} |", flush=True)


def _prepare(frameworks: str) -> Path:
    project = prepare_project(frameworks)
    run([".venv/bin/python", HERE / "measure_model_type.py", "prepare"], project, OMP_NUM_THREADS="1")
    return project


def _measure(project: Path, model_type: str, locks: list[str], rounds: int) -> dict[str, Any]:
    packages = sorted({name for lock in locks for name in _locked(TEMPLATE / lock)})
    command: list[str | Path] = [".venv/bin/python", HERE / "measure_model_type.py", model_type, str(rounds), *packages]
    said = run(command, project, OMP_NUM_THREADS="1").output
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def _locked(lock: Path) -> list[str]:
    return re.findall(r"^([\w.-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)


def _line(name: str, found: dict[str, Any]) -> list[str]:
    return [
        name,
        *("{:.4f} [{:.3f}, {:.3f}]".format(*found[figure]) for figure in ("log_loss", "roc_auc")),
        f"{found['fit_cpu_s']:.1f}",
        f"{found['model_bytes'] / 1e6:.2f}",
        f"{found['added_bytes'] / 1e6:,.0f}",
        f"{found['row_ms']:.1f}",
        f"{found['rows_per_s']:,.0f}",
    ]
