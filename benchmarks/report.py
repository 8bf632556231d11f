"""What is printed: the machine, aligned tables, and figures over rounds."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from statistics import median


def describe_machine(versions: Sequence[str]) -> str:
    """Cores, system, Python and `versions` of packages in one line."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count()
    load = f"load average {os.getloadavg()[0]:.1f} at the start"
    system = f"{platform.system()} {platform.machine()}"
    return "; ".join([f"{cores} cores, {load}", system, f"Python {platform.python_version()}", ", ".join(versions)])


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A title and columns: the first to the left, the others to the right."""
    widths = [max(len(line[at]) for line in [header, *rows]) for at in range(len(header))]
    print(f"\n{title}")
    for first, *others in [header, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))
    sys.stdout.flush()


def spread(ratios: Sequence[float]) -> str:
    """Smallest, median and largest of the ratios of single pairs."""
    return f"{min(ratios):.2f} / {median(ratios):.2f} / {max(ratios):.2f}"
