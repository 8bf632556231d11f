"""Rows per second of the score stage against a bare `predict_proba`, and its memory as the rows grow."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from statistics import median

from processes import run
from projects import RUN, SLUG
from report import print_table, spread

AIMS = {"whole": 0.8, "chunks": 0.95}
RATE_ROWS = 10**6
NAMES = {
    "whole": "predict_proba, one call, rows in memory",
    "chunks": "predict_proba, in the stage's chunks, rows in memory",
    "stage": "stages.score: read, check the hash, predict, write",
}


def compare(project: Path, rows: list[int], rounds: int, rate_rows: int = RATE_ROWS) -> None:
    """Train and release once, then print rates with one thread and with all cores, and the memory."""
    print(f"\nscore: one period of {rate_rows:,} rows; rounds: {rounds}, in turn, in one process; medians", flush=True)
    run(RUN, project)
    for threads, label in (("1", "one thread"), ("0", f"{os.cpu_count()} threads")):
        _print_rates(label, rate_rows, _rate(project, rate_rows, threads, rounds))
    _print_memory({n_rows: _peak_mib(project, n_rows) for n_rows in rows})


def _rate(project: Path, n_rows: int, threads: str, rounds: int) -> dict[str, list[float]]:
    period = _make(project, n_rows)
    cost = run(_command("rate", period, str(rounds)), project, MODELWORKS_TRAINING__THREADS=threads)
    seconds: dict[str, list[float]] = json.loads(cost.output.splitlines()[-1])
    return seconds


def _print_rates(label: str, n_rows: int, seconds: dict[str, list[float]]) -> None:
    lines = []
    for name, title in NAMES.items():
        took = median(seconds[name])
        lines.append([title, f"{took:.2f}", f"{n_rows / took:,.0f}"])
    print_table(f"score with {label}: {n_rows:,} rows", ["", "s", "rows/s"], lines)
    for name, aim in AIMS.items():
        for unit, title in (("", "rate"), ("_cpu", "rate by CPU seconds")):
            ratios = [bare / own for bare, own in zip(seconds[name + unit], seconds["stage" + unit], strict=True)]
            said = f"{title} of the stage / {NAMES[name]} (aim: at least {aim}): min / median / max = {spread(ratios)}"
            print(said, flush=True)


def _peak_mib(project: Path, n_rows: int) -> float:
    period = _make(project, n_rows)
    peak = run(_command("once", period), project).peak_mib
    for layer in ("clean", "scores"):
        shutil.rmtree(project / "var" / "data" / layer / period)
    return peak


def _make(project: Path, n_rows: int) -> str:
    """The period of so many rows, made unless it is there."""
    millions, rest = divmod(n_rows, 10**6)
    period = "2199-12" if n_rows >= 10**8 else f"21{millions:02d}-{1 + (rest > 0):02d}"
    if not (project / "var" / "data" / "clean" / period).exists():
        run(_command("make", period, str(n_rows)), project)
    return period


def _command(*words: str) -> list[str | Path]:
    return [".venv/bin/python", Path(__file__).with_name("score_rows.py"), *words]


def _print_memory(peaks: dict[int, float]) -> None:
    first = next(iter(peaks.values()))
    lines = [[f"{n_rows:,}", f"{peak:.0f}", f"{peak / first:.2f}"] for n_rows, peak in peaks.items()]
    print_table(f"{SLUG} score: peak memory (aim: a ratio of about 1)", ["rows", "MiB", "ratio"], lines)
