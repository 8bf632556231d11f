"""One large period by each executor: seconds of ingest and validate, and the memory of driver and workers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from processes import run
from projects import WORK
from report import print_table

SCRIPT = Path(__file__).with_name("large_rows.py")
PERIOD = "2014-01"
EXECUTORS = [("local", 1), ("processes", 1), ("processes", 2)]


def compare(project: Path, rows: list[int]) -> None:
    """Make a period of each size, and print a line for each executor."""
    print("\nlarge: ingest and validate one period of Parquet; files in the system's cache", flush=True)
    lines = []
    for n_rows in rows:
        source = WORK / f"large-{n_rows}"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True)
        run([".venv/bin/python", SCRIPT, "make", source / f"flights-{PERIOD}.parquet", str(n_rows)], project)
        lines += [_measure(project, source, executor, workers) for executor, workers in EXECUTORS]
        shutil.rmtree(source)
    header = ["executor", "workers", "rows", "ingest s", "validate s", "CPU s", "driver MiB", "largest worker MiB"]
    print_table("A period, stage by stage", header, lines)


def _measure(project: Path, source: Path, executor: str, workers: int) -> list[str]:
    data = WORK / "data"
    shutil.rmtree(data, ignore_errors=True)
    settings = {
        "SOURCE__URI": f"{source}/flights-{{period}}.parquet",
        "SOURCE__FIRST": PERIOD,
        "SOURCE__LAST": PERIOD,
        "STORAGE__URI": str(data),
        "TRACKING__URI": f"sqlite:///{data}/mlflow.db",
        "COMPUTE__EXECUTOR": executor,
        "COMPUTE__WORKERS": str(workers),
    }
    variables = {f"MODELWORKS_{name}": value for name, value in settings.items()}
    cost = run([".venv/bin/python", SCRIPT, "stages"], project, OMP_NUM_THREADS="1", **variables)
    found = json.loads(cost.output.splitlines()[-1])
    names = ("ingest_s", "validate_s", "cpu_s", "driver_mib", "largest_worker_mib")
    line = [executor, str(workers), f"{found['rows']:,}", *(str(found[name]) for name in names)]
    print("        " + " ".join(line), flush=True)
    return line
