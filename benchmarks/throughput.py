"""Rows per second and peak memory of ingest and validate, against only reading the same files."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from statistics import median

from processes import Cost, run
from projects import SLUG, WORK, find_uv
from report import print_table

POLARS = "polars==2.1.0"  # in an environment of its own: neither the template nor the project depends on it
ENGINE = "modelworks"
PERIODS = 120
FIRST_YEAR = 2014
FEWER_PERIODS = 12
STAGES = ("ingest", "validate")

Costs = dict[str, Cost]  # by who reads: the engine, pyarrow, polars


def compare(project: Path, rows: int, file_format: str, rounds: int) -> None:
    """Read, ingest and validate the same files in turn; print rates, ratios and memory."""
    print(
        f"\ningest: {rows:,} rows in {PERIODS} months of {file_format}; whole processes, files in the system's cache,"
    )
    print(f"        rounds: {rounds}, medians; pyarrow and polars read every column of a file and drop it", flush=True)
    source = make_source(project, rows, file_format)
    everything = [_round(project, source, PERIODS) for _ in range(rounds)]
    fewer = _round(project, source, FEWER_PERIODS)
    for stage in STAGES:
        _print_stage(stage, rows, [costs[stage] for costs in everything])
    _print_memory(everything[0], fewer)
    shutil.rmtree(source)


def make_source(project: Path, rows: int, file_format: str) -> Path:
    """A folder of enlarged months."""
    target = WORK / f"source-{rows}-{file_format}"
    shutil.rmtree(target, ignore_errors=True)
    generator = Path(__file__).with_name("scale_flights.py")
    size = [str(rows), "--months", str(PERIODS), "--format", file_format]
    made = run([".venv/bin/python", generator, "data", target, *size], project)
    print(f"        made in {made.wall_s:.0f} s with a peak of {made.peak_mib:.0f} MiB", flush=True)
    return target


def _round(project: Path, source: Path, periods: int) -> dict[str, Costs]:
    """Costs by stage and reader; each stage has an empty storage and a tracking server of its own."""
    data = WORK / "data"
    shutil.rmtree(data, ignore_errors=True)
    files = sorted(source.iterdir())
    variables = _variables(source, files[0].name.removeprefix(f"flights-{FIRST_YEAR}-01"), data, periods)
    stage = [".venv/bin/python", "-m", ENGINE]
    ingest = _read(project, files[:periods])
    ingest[ENGINE] = run([*stage, "ingest"], project, **variables)
    output = ingest[ENGINE].output  # after lines of progress, where it takes long
    dataset = json.loads(output[output.index("{\n") :])["dataset_uri"]
    validate = _read(project, sorted((data / "raw").rglob("*.parquet")))
    validate[ENGINE] = run([*stage, "validate", "--dataset", dataset], project, **variables)
    shutil.rmtree(data)
    return {"ingest": ingest, "validate": validate}


def _variables(source: Path, suffix: str, data: Path, periods: int) -> dict[str, str]:
    last_year, last_month = divmod(FIRST_YEAR * 12 + periods - 1, 12)
    settings = {
        "SOURCE__URI": f"{source}/flights-{{period}}{suffix}",
        "SOURCE__FIRST": f"{FIRST_YEAR}-01",
        "SOURCE__LAST": f"{last_year}-{last_month + 1:02d}",
        "STORAGE__URI": str(data),
        "TRACKING__URI": f"sqlite:///{data}/mlflow.db",
        "VALIDATION__MAX_NULL_FRACTION_INCREASE": "1",  # months of drawn days differ more than real ones
    }
    return {f"MODELWORKS_{name}": value for name, value in settings.items()}


def _read(project: Path, files: list[Path]) -> Costs:
    reader = Path(__file__).with_name("read_files.py")
    return {
        "pyarrow": run([".venv/bin/python", reader, "pyarrow", *files], project),
        "polars": run([_polars_python(), reader, "polars", *files], project),
    }


@cache
def _polars_python() -> Path:
    environment = WORK / POLARS.replace("==", "-")
    if not environment.exists():
        run([find_uv(), "venv", "--quiet", environment], WORK)
        run([find_uv(), "pip", "install", "--quiet", "--compile-bytecode", "--python", environment, POLARS], WORK)
    return environment / "bin" / "python"


def _print_stage(stage: str, rows: int, rounds: list[Costs]) -> None:
    lines = []
    for name in (ENGINE, "pyarrow", "polars"):
        wall = median(costs[name].wall_s for costs in rounds)
        cpu = median(costs[name].cpu_s for costs in rounds)
        ratio = median(costs[ENGINE].wall_s / costs[name].wall_s for costs in rounds)
        peak = max(costs[name].peak_mib for costs in rounds)
        label = f"{SLUG} {stage}" if name == ENGINE else f"only reading: {name}"
        lines.append([label, f"{wall:.1f}", f"{cpu:.1f}", f"{rows / wall:,.0f}", f"{ratio:.1f}", f"{peak:.0f}"])
    header = ["", "wall s", "CPU s", "rows/s", f"{stage} takes times", "peak MiB"]
    print_table(f"{stage}: {rows:,} rows", header, lines)


def _print_memory(all_periods: dict[str, Costs], fewer_periods: dict[str, Costs]) -> None:
    lines = []
    for stage in STAGES:
        few, many = fewer_periods[stage][ENGINE].peak_mib, all_periods[stage][ENGINE].peak_mib
        lines.append([f"{SLUG} {stage}", f"{few:.0f}", f"{many:.0f}", f"{many / few:.2f}"])
    header = ["peak MiB", f"{FEWER_PERIODS} months", f"{PERIODS} months", "ratio"]
    print_table("Memory with the same rows a month (aim: a ratio of about 1)", header, lines)
