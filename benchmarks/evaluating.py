"""Seconds and peak memory of measuring a model on many held-out rows, against weighing each row in each draw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from processes import run
from projects import ENGINE_ENVIRONMENT, WORK
from report import print_table

SCRIPT = Path(__file__).with_name("evaluate_rows.py")
TITLES = {"sums": "sums by block (the engine)", "rows": "each row in each draw"}
HOLDOUTS = {"parts": "part by part (the engine)", "frame": "all rows in one frame"}


def compare(rows: list[int], resamples: int) -> None:
    """Measure the same rows in 24 slices both ways, in turn, and print seconds, memory, ratios and differences."""
    if not ENGINE_ENVIRONMENT.is_dir():
        raise SystemExit("the engine's environment is missing: run `make engine` first")
    WORK.mkdir(parents=True, exist_ok=True)
    print(
        f"\nevaluate: all metrics, {resamples:,} resamples of 31 days, 24 slices; a process each, in turn", flush=True
    )
    lines = []
    for n_rows in rows:
        idle = _run("none", n_rows, resamples)["peak_mib"]
        found = {way: _run(way, n_rows, resamples) for way in TITLES}
        plain = found["rows"]
        for way, each in found.items():
            ratio = f"{each['cpu_s'] / plain['cpu_s']:.4f}"
            memory = f"{each['peak_mib'] - idle:,.0f}"
            line = [TITLES[way], f"{n_rows:,}", f"{each['wall_s']:.1f}", f"{each['cpu_s']:.1f}", ratio]
            lines.append([*line, f"{each['peak_mib']:,.0f}", memory, _largest_difference(each, plain)])
    header = ["", "rows", "wall s", "CPU s", "ratio", "peak MiB", "above the rows", "ends of intervals, of their width"]
    print_table("evaluate: seconds of the evaluation alone; ratio of CPU seconds to those by row", header, lines)


def compare_holdouts(rows: list[int]) -> None:
    """Predict and measure hold-outs of each size part by part and in one frame, and print seconds and memory."""
    print("\nevaluate: predictions of two models and all metrics of 20 columns, a process each, in turn", flush=True)
    script, folder = SCRIPT.with_name("holdout_rows.py"), WORK / "holdout"
    lines = []
    for n_rows in rows:
        shutil.rmtree(folder, ignore_errors=True)
        python = [ENGINE_ENVIRONMENT / "bin" / "python", script]
        run([*python, "make", folder, str(n_rows)], WORK, OMP_NUM_THREADS="1")
        for way, title in HOLDOUTS.items():
            cost = run([*python, way, folder], WORK, OMP_NUM_THREADS="1")
            lines.append([title, f"{n_rows:,}", f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_mib:,.0f}"])
    shutil.rmtree(folder, ignore_errors=True)
    print_table("evaluate: a hold-out, whole processes", ["", "rows", "wall s", "CPU s", "peak MiB"], lines)


def _run(way: str, n_rows: int, resamples: int) -> dict[str, Any]:
    command: list[str | Path] = [ENGINE_ENVIRONMENT / "bin" / "python", SCRIPT, way, str(n_rows), str(resamples)]
    cost = run(command, WORK, OMP_NUM_THREADS="1")
    measured = json.loads(cost.output.splitlines()[-1]) if way in TITLES else {}
    return {**measured, "peak_mib": cost.peak_mib}


def _largest_difference(found: dict[str, Any], plain: dict[str, Any]) -> str:
    """Between the ends of two intervals of one metric, divided by the width of the interval."""
    shares = [
        max(abs(found["figures"][name][at] - end) for at, end in enumerate(ends)) / (ends[2] - ends[1])
        for name, ends in plain["figures"].items()
        if ends[2] > ends[1]
    ]
    return f"{max(shares):.1e}"
