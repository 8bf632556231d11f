"""A year replayed through a live Airflow against the same without it, and `make backtest` as a person types it."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median

from processes import run, watch
from projects import COMMAND, SLUG
from report import print_table, spread

REPLAY = [COMMAND, "backtest"]
CONFIGURED = ["--policy", "configured"]
PERIOD = re.compile(r"^✓ \d{4}-\d\d ")

START = "start the stack: databases, Airflow, MLflow, the API"
PERIODS = "the periods"
STOP = "stop the stack"
END = "compare, draw, end"


def compare(project: Path, rounds: int, first: str, last: str) -> None:
    """Replay with and without Airflow in turn, then all of `make backtest` once."""
    print(f"\nbacktest: {first} to {last} by the configured policy, rounds: {rounds}, in turn; medians", flush=True)
    replay = [*REPLAY, "--from", first, "--to", last]
    live, plain = [], []
    for _ in range(rounds):
        live.append(_parts(*watch([*replay, *CONFIGURED], project)))
        plain.append(run([*replay, "--without-airflow", *CONFIGURED], project).wall_s)
    _print_parts(live, plain)
    _, whole_s = watch(replay, project)
    print(f"\nmake backtest, with the policies that it compares: {whole_s:.0f} s", flush=True)


def _parts(lines: list[tuple[float, str]], ended_s: float) -> dict[str, float]:
    """Seconds of each part of a live replay, by the lines that it prints."""
    started_s = next(at for at, line in lines if re.search(r"\d DAGs ", line))
    periods = [at for at, line in lines if PERIOD.match(line)]
    stopped_s = next(at for at, line in lines if line.startswith("Stopped"))
    return {START: started_s, PERIODS: periods[-1] - started_s, STOP: stopped_s - periods[-1], END: ended_s - stopped_s}


def _print_parts(live: list[dict[str, float]], plain: list[float]) -> None:
    lines = [[name, f"{median(each[name] for each in live):.1f}"] for name in live[0]]
    totals = [sum(each.values()) for each in live]
    lines.append(["sum: through a live Airflow", f"{median(totals):.1f}"])
    lines.append([f"without Airflow: {SLUG} backtest --without-airflow", f"{median(plain):.1f}"])
    print_table("A year by one policy, whole commands", ["part", "s"], lines)
    shares = [1 - without / total for total, without in zip(totals, plain, strict=True)]
    ratios = [total / without for total, without in zip(totals, plain, strict=True)]
    print(f"\nratio, pair by pair:            min / median / max = {spread(ratios)}")
    print(f"share that is Airflow's:        min / median / max = {spread(shares)}", flush=True)
