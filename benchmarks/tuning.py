"""The project's tuning, successive halving, FLAML and AutoGluon with the same seconds and one thread each."""

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
    "tune": "the project's tuning",
    "halving": "HalvingRandomSearchCV over boosting",
}
OTHERS = {
    "flaml": ("FLAML 2.7.0", ["flaml[automl]==2.7.0", "pandas==2.3.3", "pyarrow==24.0.0"]),
    "autogluon": (
        "AutoGluon 1.6.3, medium quality",
        ["autogluon.tabular[catboost,lightgbm,xgboost]==1.6.3", "pandas==2.3.3", "pyarrow==24.0.0"],
    ),
}


TITLES = OWN | {name: title for name, (title, _) in OTHERS.items()}


def compare(project: Path, seconds: list[float], n_seeds: int, wanted: list[str]) -> None:
    """Fit by each of them with each seed, in turn, and print the losses of the last period.

    Parameters
    ----------
    wanted : what is fitted now, all where it is empty; of the others what an earlier call has kept is printed
    """
    rows = WORK / "tuning"
    rows.mkdir(parents=True, exist_ok=True)
    run([".venv/bin/python", HERE / "tuning_rows.py", "prepare", rows], project, OMP_NUM_THREADS="1")
    names = wanted or list(TITLES)
    pythons = {name: _install(name, packages) for name, (_, packages) in OTHERS.items() if name in names}
    for budget in seconds:
        print(f"\ntuning: {budget:g} s and one thread each, seeds 1 to {n_seeds}, in turn", flush=True)
        for seed in range(1, n_seeds + 1):
            for name in names:
                call: list[str | Path] = [name, str(seed), str(budget)]
                if name in OWN:
                    said = _fit([".venv/bin/python", HERE / "tuning_rows.py", *call], project)
                else:
                    said = _fit([pythons[name], HERE / "tuning_others.py", *call, rows], rows)
                _file(rows, name, seed, budget).write_text(said, encoding="utf-8")
        _print(rows, budget, n_seeds)


def _file(folder: Path, name: str, seed: int, seconds: float) -> Path:
    """What is kept of a fit."""
    return folder / f"{name}-{seconds:g}-{seed}.json"


def _print(folder: Path, seconds: float, n_seeds: int) -> None:
    lines = []
    for name, title in TITLES.items():
        files = [_file(folder, name, seed, seconds) for seed in range(1, n_seeds + 1)]
        if all(each.exists() for each in files):
            lines.append(_line(title, [json.loads(each.read_text(encoding="utf-8")) for each in files]))
    header = ["", "log loss, mean", "smallest to largest", "CPU s, mean", "of the last seed"]
    print_table(f"The last period, by models of all others, {seconds:g} s", header, lines)


def _install(name: str, packages: list[str]) -> Path:
    """The interpreter of an environment with these packages."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    uv, python = find_uv(), folder / "bin" / "python"
    run([uv, "venv", "--quiet", folder], WORK)
    run([uv, "pip", "install", "--quiet", "--python", python, *packages], WORK)
    return python


def _fit(command: list[str | Path], folder: Path) -> str:
    """The last line that it prints, which is JSON."""
    said = run(command, folder, OMP_NUM_THREADS="1").output.splitlines()[-1]
    print(f"  {command[2]}, seed {command[3]}: {said}", flush=True)
    return said


def _line(title: str, seeds: list[dict[str, Any]]) -> list[str]:
    losses = [each["log_loss"] for each in seeds]
    cpu_s = mean(each["cpu_s"] for each in seeds)
    spread = f"{min(losses):.4f} to {max(losses):.4f}"
    return [title, f"{mean(losses):.4f}", spread, f"{cpu_s:.0f}", seeds[-1]["note"]]
