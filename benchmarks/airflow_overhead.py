"""What Airflow adds to a run: `make run` against the same stages as plain Python."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from statistics import median

from processes import Cost, run
from projects import COMMAND, RUN
from report import print_table, spread

AIM = 1.5
WITH_AIRFLOW = RUN
WITHOUT = [COMMAND, "run", "--without-airflow", "--force"]

# A sample of the stacks belongs to the first of these one of whose marks is in it.
PLACES = [
    ("our stages at work", ["/stages/common.py:logged"]),
    ("importing our stages: pandas, sklearn, mlflow", ["/stages/__init__.py:<module>"]),
    ("execution API: making its versions on the first request", ["/cadwyn/"]),
    ("execution API: building the app", ["InProcessExecutionAPI>:__getattr__"]),
    ("execution API: all other requests", ["/sdk/api/client.py:request"]),
    ("other imports: airflow; typer", ["<frozen importlib._bootstrap>:_find_and_load"]),
    ("checking migrations, parsing the DAG file", ["/utils/db.py:check_migrations", "/dagbag.py:__init__"]),
    ("running the DAG, else", ["/definitions/dag.py:test"]),
]
ELSE = "else"


def compare(project: Path, pairs: int) -> None:
    """Run both in turn, each on no data and no models, and print the ratio of each pair."""
    print(f"\nrun: {pairs} pairs after an uncounted one, in turn; before each run var/data and var/mlflow are removed,")
    print("     Airflow's migrated database stays; one project, one environment, bytecode compiled", flush=True)
    _run_fresh(project, WITH_AIRFLOW)
    _run_fresh(project, WITHOUT)
    airflow, plain = [], []
    for _ in range(pairs):
        airflow.append(_run_fresh(project, WITH_AIRFLOW))
        plain.append(_run_fresh(project, WITHOUT))
    wall = [one.wall_s / other.wall_s for one, other in zip(airflow, plain, strict=True)]
    cpu = [one.cpu_s / other.cpu_s for one, other in zip(airflow, plain, strict=True)]
    print_table(
        f"Airflow against none, whole process (aim: at most {AIM})",
        ["command", "wall s, median", "CPU s, median", "peak MiB"],
        [_line("make run", airflow), _line("make run ARGS=--without-airflow", plain)],
    )
    print(f"\nratio of wall seconds, pair by pair: min / median / max = {spread(wall)}")
    print(f"ratio of CPU seconds, pair by pair:  min / median / max = {spread(cpu)}", flush=True)


def profile(project: Path) -> None:
    """Sample the stacks of one run of each, and print the seconds by place."""
    airflow = _sample(project, "modelworks", "run", "--force")
    plain = _sample(project, "modelworks", "run", "--without-airflow", "--force")
    lines = [_profile_line(name, airflow[name], plain[name]) for name in [*dict(PLACES), ELSE]]
    lines.append(_profile_line("sum", airflow.total(), plain.total()))
    header = ["place", "Airflow", "none", "Airflow's extra"]
    print_table("Where the wall seconds go: stacks sampled every 5 ms, one run of each", header, lines)


def _run_fresh(project: Path, command: list[str]) -> Cost:
    _forget_runs(project)
    return run(command, project)


def _forget_runs(project: Path) -> None:
    for name in ("data", "mlflow"):
        shutil.rmtree(project / "var" / name, ignore_errors=True)


def _line(name: str, costs: list[Cost]) -> list[str]:
    wall, cpu = (median(values) for values in ([c.wall_s for c in costs], [c.cpu_s for c in costs]))
    return [name, f"{wall:.1f}", f"{cpu:.1f}", f"{max(cost.peak_mib for cost in costs):.0f}"]


def _profile_line(name: str, airflow_s: float, plain_s: float) -> list[str]:
    return [name, f"{airflow_s:.1f}", f"{plain_s:.1f}", f"{airflow_s - plain_s:+.1f}"]


def _sample(project: Path, *command: str) -> Counter[str]:
    """Wall seconds of one run, by place."""
    _forget_runs(project)
    found = project / "var" / "samples.json"
    sampler = Path(__file__).with_name("sample_stacks.py")
    run([".venv/bin/python", sampler, found, json.dumps(PLACES), *command], project)
    return Counter({name or ELSE: seconds for name, seconds in json.loads(found.read_text(encoding="utf-8")).items()})
