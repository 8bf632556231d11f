"""The digits by a pre-trained network and by their pixels, side by side; prints a table in Markdown."""

from __future__ import annotations

from pathlib import Path

from processes import run
from projects import prepare_project


def compare() -> None:
    """Fit and measure each way in a process of its own with one thread."""
    project = prepare_project(example="image")
    command: list[str | Path] = [".venv/bin/python", Path(__file__).parent / "measure_images.py"]
    print(run(command, project, OMP_NUM_THREADS="1").output)
