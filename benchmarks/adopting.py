"""Seconds and peak memory of adopting a CSV file, against only reading it whole."""

from __future__ import annotations

import math
import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from processes import Cost, run
from projects import COMMAND, SLUG, WORK
from report import print_table

HERE = Path(__file__).parent


def compare(project: Path, rows: list[int], rounds: int) -> None:
    """Adopt files of each size in turn with reading them, and print seconds, ratios and memory."""
    print(
        f"\nadopt: both passes, trial, Parquet files; whole processes, rounds: {rounds}, in turn; medians", flush=True
    )
    reader: list[str | Path] = [project / ".venv/bin/python", HERE / "read_files.py", "pyarrow"]
    lines, first = [], 0.0
    for n_rows in rows:
        file = _write_orders(WORK / f"orders-{n_rows}.csv", n_rows)
        found = [(_adopt(project, file), run([*reader, file], WORK)) for _ in range(rounds)]
        peak = max(adopted.peak_mib for adopted, _ in found)
        first = first or peak
        wall_s = median(adopted.wall_s for adopted, _ in found)
        cpu_s = median(adopted.cpu_s for adopted, _ in found)
        by_wall = median(adopted.wall_s / reading.wall_s for adopted, reading in found)
        by_cpu = median(adopted.cpu_s / reading.cpu_s for adopted, reading in found)
        size, rate = file.stat().st_size / 2**20, n_rows / wall_s
        line = [f"{n_rows:,}", f"{size:.0f}", f"{wall_s:.1f}", f"{rate:,.0f}", f"{by_wall:.0f}"]
        line += [f"{cpu_s:.1f}", f"{by_cpu:.0f}"]
        lines.append([*line, f"{peak:.0f}", f"{peak / first:.2f}"])
        file.unlink()
    header = ["rows", "MiB of text", "wall s", "rows/s", "times reading it", "CPU s", "times", "peak MiB", "ratio"]
    print_table(f"{SLUG} adopt, eight columns (aim: a ratio of memory far below that of the rows)", header, lines)


def _adopt(project: Path, file: Path) -> Cost:
    """In a copy of the project's files, with its environment: the flights stay for other measurements."""
    home = WORK / "adopting"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(project, home, ignore=shutil.ignore_patterns(".venv", ".tools", "var"))
    command: list[str | Path] = [
        project / COMMAND,
        "adopt",
        file,
        "--target",
        "returned",
        "--yes",
        "--force",
    ]
    try:
        return run(command, home, MODELWORKS_HOME=str(home))
    finally:
        shutil.rmtree(home)


def _write_orders(path: Path, n_rows: int) -> Path:
    """Orders of four years, as text; the same rows for the same number."""
    chance = random.Random(7)  # noqa: S311 - rows, not secrets
    minutes, start = 4 * 365 * 24 * 60, datetime(2020, 1, 1)
    with path.open("w", encoding="utf-8") as file:
        file.write("order;placed;shop;amount;items;weight;discount;returned\n")
        for number in range(n_rows):
            placed = start + timedelta(minutes=number * minutes // n_rows)
            amount, discount = chance.gammavariate(2, 30), chance.choice((0, 5, 10, 20))
            returned = "yes" if chance.random() < 1 / (1 + math.exp(2 - 0.02 * amount + 0.05 * discount)) else "no"
            file.write(f"{number};{placed:%Y-%m-%dT%H:%M};shop {chance.randrange(300)};{amount:.2f};")
            file.write(f"{chance.randrange(1, 9)};{chance.gammavariate(2, 2):.2f};{discount};{returned}\n")
    return path
