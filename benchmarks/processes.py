"""Running a command as a process of its own, and what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Settings of the caller's own that would change what is measured.
IGNORED = ("AIRFLOW", "MODELWORKS_", "MLFLOW_", "OMP_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")


@dataclass(frozen=True)
class Cost:
    """What a process and all the processes that it started took."""

    wall_s: float
    cpu_s: float
    peak_mib: float  # resident memory of the largest of them
    output: str


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> Cost:
    """Run a command to its end.

    Raises
    ------
    SystemExit
        If it fails, with its output: a figure of a failed run is none.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=clean_environment(**environment), stdout=output, stderr=subprocess.STDOUT
        )
        # Unlike `process.wait`, this reports this process alone, not all that have run so far.
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        start = " ".join(map(str, command[:6]))
        raise SystemExit(f"{start}: exit status {process.returncode}\n{text}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, _mib(usage.ru_maxrss), text)


def watch(command: Sequence[str | Path], folder: Path) -> tuple[list[tuple[float, str]], float]:
    """Run a command to its end: the lines that it prints, each with the second at which it came, and its seconds.

    Raises
    ------
    SystemExit
        If it fails, with its output.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = [(time.perf_counter() - started, line) for line in process.stdout]
    ended = time.perf_counter() - started
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n" + "".join(line for _, line in lines))
    return lines, ended


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what would change the figures, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(IGNORED)}
    return {**kept, **more}


def _mib(maxrss: int) -> float:
    return maxrss / (2**20 if sys.platform == "darwin" else 2**10)
