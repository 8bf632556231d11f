"""From a clone of this repository to a deployed model, by the commands that a user types, part by part."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from processes import run, watch
from projects import BAKE_OPTIONS, REPOSITORY, SLUG
from report import print_table

AIM_S = 60
TIME_IN_LOG = re.compile(r"^(\d{4}-\d\d-\d\dT[\d:.]+)Z .*(?:airflow\.utils\.db|alembic\.)", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """A step of the way."""

    name: str
    seconds: float


def measure() -> None:
    """Go the whole way twice, in new folders: first uncounted, to fill the package cache, then counted."""
    print("\ncold: the last commit is cloned; the packages come from uv's cache, filled by an uncounted run before")
    with tempfile.TemporaryDirectory() as folder:
        _go(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        parts = _go(Path(folder))
    total = sum(part.seconds for part in parts)
    lines = [[part.name, f"{part.seconds:.1f}"] for part in parts]
    lines.append(["sum", f"{total:.1f}"])
    print_table(f"From a clone to a deployed model (aim: under {AIM_S} s)", ["part", "s"], lines)
    print(f"\nratio to the aim: {total / AIM_S:.2f}", flush=True)


def _go(folder: Path) -> list[Part]:
    clone, project = folder / "template", folder / SLUG
    home = folder / "home"  # cookiecutter notes its answers in the home folder
    home.mkdir()
    bake: list[str | Path] = [clone / ".venv/bin/cookiecutter", clone, *BAKE_OPTIONS, "--output-dir", folder]
    return [
        Part("git clone", run(["git", "clone", "--quiet", REPOSITORY, clone], folder).wall_s),
        Part("make setup: the template's tools", run(["make", "setup"], clone).wall_s),
        Part("cookiecutter: bake", run(bake, folder, HOME=str(home)).wall_s),
        Part("make setup: install the project", run(["make", "setup"], project).wall_s),
        *_run_training(project),
    ]


def _run_training(project: Path) -> list[Part]:
    """`make run`, split where its own lines and Airflow's log say so."""
    lines, ended = watch(["make", "run"], project)
    first = next(at for at, line in lines if re.search(r"\bingest\b", line))
    last = next(at for at, line in lines if re.search(r"\bdeploy\b.* s ", line))
    migration_s = _migration_seconds(project)
    return [
        Part("make run: migrate Airflow's database", migration_s),
        Part("make run: start Airflow, up to the first stage", first - migration_s),
        Part("make run: the stages", last - first),
        Part("make run: the summary, and the end of the process", ended - last),
    ]


def _migration_seconds(project: Path) -> float:
    """From the first to the last line on the database in the log of the only run."""
    (log,) = (project / "var" / "logs").glob("run-*.log")
    times = [datetime.fromisoformat(time) for time in TIME_IN_LOG.findall(log.read_text(encoding="utf-8"))]
    return (times[-1] - times[0]).total_seconds()
