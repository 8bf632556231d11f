"""The project's search, successive halving, FLAML and AutoGluon with the same seconds and one thread each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import mean
from typing import Any

from processes import run
from projects import WORK, find_uv
from report import print_table

HERE = Path(__file__).parent
OWN = {
    "default": "the default alone",
    "search": "the project's search",
    "halving": "HalvingRandomSearchCV over boosting",
}
OTHERS = {
    "flaml": ("FLAML 2.7.0", ["flaml[automl]==2.7.0", "pandas==2.3.3", "pyarrow==24.0.0"]),
    "autogluon": (
        "AutoGluon 1.6.3, medium quality",
        ["autogluon.tabular[catboost,lightgbm,xgboost]==1.6.3", "pandas==2.3.3", "pyarrow==24.0.0"],
    ),
}


def compare(project: Path, seconds: float, n_seeds: int) -> None:
    """Fit by each of them with each seed, in turn, and print the losses of the last month."""
    print(f"\nautoml: {seconds:g} s and one thread each, seeds 1 to {n_seeds}, in turn", flush=True)
    rows = WORK / "automl"
    rows.mkdir(parents=True, exist_ok=True)
    run([".venv/bin/python", HERE / "automl_rows.py", "prepare", rows], project, OMP_NUM_THREADS="1")
    pythons = {name: _install(name, packages) for name, (_, packages) in OTHERS.items()}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in (*OWN, *OTHERS)}
    for seed in map(str, range(1, n_seeds + 1)):
        for name in OWN:
            found[name].append(_fit([".venv/bin/python", HERE / "automl_rows.py", name, seed, str(seconds)], project))
        for name, python in pythons.items():
            found[name].append(_fit([python, HERE / "automl_others.py", name, seed, str(seconds), rows], rows))
    titles = OWN | {name: title for name, (title, _) in OTHERS.items()}
    lines = [_line(titles[name], each) for name, each in found.items()]
    header = ["", "log loss, mean", "smallest to largest", "CPU s, mean", "of the last seed"]
    print_table("The last month, by models of all others", header, lines)


def _install(name: str, packages: list[str]) -> Path:
    """The interpreter of an environment with these packages."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    uv, python = find_uv(), folder / "bin" / "python"
    run([uv, "venv", "--quiet", folder], WORK)
    run([uv, "pip", "install", "--quiet", "--python", python, *packages], WORK)
    return python


def _fit(command: list[str | Path], folder: Path) -> dict[str, Any]:
    said = run(command, folder, OMP_NUM_THREADS="1").output.splitlines()[-1]
    found: dict[str, Any] = json.loads(said)
    print(f"  {command[2]}, seed {command[3]}: {said}", flush=True)
    return found


def _line(title: str, seeds: list[dict[str, Any]]) -> list[str]:
    losses = [each["log_loss"] for each in seeds]
    cpu_s = mean(each["cpu_s"] for each in seeds)
    spread = f"{min(losses):.4f} to {max(losses):.4f}"
    return [title, f"{mean(losses):.4f}", spread, f"{cpu_s:.0f}", seeds[-1]["note"]]
