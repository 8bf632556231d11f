"""Seconds and peak memory of monitoring one period, against only reading the same columns of the same files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from processes import Cost, run
from projects import RUN, SLUG
from report import print_table

HERE = Path(__file__).parent
PERIOD = "2014-01"  # the champion is trained on all of 2013
# A period of millions among periods of thousands is no incident here.
VARIABLES = {"MODELWORKS_VALIDATION__MAX_ROW_COUNT_CHANGE": "1000000000"}

Rounds = list[tuple[Cost, Cost]]  # of monitoring, and of reading


def compare(project: Path, rows: list[int], rounds: int) -> None:
    """Release a champion, then monitor a period of each size, and print seconds, rates and memory."""
    print(f"\nmonitor: labels joined, drift, report; whole processes, rounds: {rounds}, in turn; medians", flush=True)
    run(RUN, project)
    measured = {n_rows: _measure(project, n_rows, rounds) for n_rows in rows}
    _print_rates(measured)
    _print_memory({n_rows: max(stage.peak_mib for stage, _ in found) for n_rows, found in measured.items()})


def _measure(project: Path, n_rows: int, rounds: int) -> Rounds:
    """Costs of each round, for a period that is made for it and removed; files are in the system's cache."""
    made = _run(project, "make", PERIOD, str(n_rows))
    columns = json.loads(made.output.splitlines()[-1])
    print(f"         {n_rows:,} rows made, validated and scored in {made.wall_s:.0f} s", flush=True)
    data = project / "var" / "data"
    files = [str(file) for layer in ("clean", "scores") for file in (data / layer / PERIOD).rglob("*.parquet")]
    reader = [".venv/bin/python", HERE / "read_files.py", "batches", *files, "--columns", *columns]
    _run(project, "once", PERIOD, "uncounted")  # what the champion was trained on is counted once, and kept
    found = [(_run(project, "once", PERIOD, f"{n_rows} {each}"), run(reader, project)) for each in range(rounds)]
    for layer in ("raw", "clean", "scores"):
        shutil.rmtree(data / layer / PERIOD)
    return found


def _run(project: Path, *words: str) -> Cost:
    return run([".venv/bin/python", HERE / "monitor_rows.py", *words], project, **VARIABLES)


def _print_rates(measured: dict[int, Rounds]) -> None:
    lines = []
    for n_rows, rounds in measured.items():
        stages, reads = zip(*rounds, strict=True)
        ratio = median(stage.wall_s / reading.wall_s for stage, reading in rounds)
        lines.append(_line(f"{SLUG} monitor", n_rows, stages, f"{ratio:.1f}"))
        lines.append(_line("only reading: pyarrow", n_rows, reads, ""))
    header = ["", "rows", "wall s", "CPU s", "rows/s", "monitor takes times", "peak MiB"]
    print_table("A period, from the start of the process to its end", header, lines)
    fewest, most = min(measured), max(measured)
    if fewest < most:
        further = (most - fewest) / (_wall_s(measured[most]) - _wall_s(measured[fewest]))
        print(f"\nrows/s of those beyond {fewest:,}, without start and report: {further:,.0f}", flush=True)


def _wall_s(rounds: Rounds) -> float:
    return median(stage.wall_s for stage, _ in rounds)


def _line(name: str, n_rows: int, costs: Sequence[Cost], ratio: str) -> list[str]:
    wall, cpu = (median(values) for values in ([c.wall_s for c in costs], [c.cpu_s for c in costs]))
    peak = max(cost.peak_mib for cost in costs)
    return [name, f"{n_rows:,}", f"{wall:.1f}", f"{cpu:.1f}", f"{n_rows / wall:,.0f}", ratio, f"{peak:.0f}"]


def _print_memory(peaks: dict[int, float]) -> None:
    first = next(iter(peaks.values()))
    lines = [[f"{n_rows:,}", f"{peak:.0f}", f"{peak / first:.2f}"] for n_rows, peak in peaks.items()]
    print_table(f"{SLUG} monitor: peak memory (aim: a ratio of about 1)", ["rows", "MiB", "ratio"], lines)
