"""Each command of benchmarks/run.py ends with its tables, on sizes that say nothing of speed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bakes import REPOSITORY

pytestmark = pytest.mark.slow

SMALL = {
    "run": ["--pairs", "1", "--profile"],
    "ingest": ["--rows", "24000", "--format", "parquet", "csv.gz"],
    "serving": ["--connections", "1", "--serving-rounds", "1", "--seconds", "1"],
    "shadow": ["--connections", "1", "--shares", "1", "--serving-rounds", "1", "--seconds", "1"],
    "score": ["--score-rows", "20000", "40000", "--rate-rows", "20000", "--score-rounds", "1"],
    "monitor": ["--monitor-rows", "10000", "20000", "--monitor-rounds", "1"],
    "adopt": ["--adopt-rows", "2000", "4000"],
    "evaluate": ["--evaluate-rows", "2000", "30000", "--resamples", "100", "--holdout-rows", "3000"],
    "production": ["--phase-seconds", "5", "--rate", "20"],
    "large": ["--large-rows", "20000", "--executors", "local", "processes-2", "spark-cluster"],
    "model-types": ["--model-types", "boosting", "lightgbm", "xgboost", "linear", "--model-type-rounds", "1"],
    "tuning": ["--tuning-seconds", "2", "--seeds", "1", "--tuning-only", "default", "tune", "halving"],
}
PRINTED = {
    "run": ["ratio of wall seconds", "Where the wall seconds go"],
    "cold": ["From a clone to a deployed model", "ratio to the aim"],
    "ingest": ["ingest: 24,000 rows", "validate: 24,000 rows", "Memory with the same rows a month"],
    "serving": ["Where the time goes, ms", "1 row a request", "100 rows a request"],
    "shadow": ["The champion beside a shadow", "shadow_share 1", "ratio of p99"],
    "score": ["score with one thread: 20,000 rows", "peak memory"],
    "monitor": ["A period, from the start of the process to its end", "peak memory"],
    "adopt": ["adopt, eight columns"],
    "evaluate": [
        *("evaluate: seconds of the evaluation alone", "sums by block (the engine)", "each row in each draw"),
        *("evaluate: a hold-out", "part by part (the engine)", "all rows in one frame"),
    ],
    "backtest": ["A year by one policy, whole commands", "make backtest, with the policies"],
    "production": [
        *("release", "canary, to its promotion", "rollback", "registry outage", "object store outage"),
        *("restart of each replica", "kill -9 of replica 2", "kill -9 of the object store"),
        *("failed requests: 0", "predictions lost outside the kills of a replica: 0"),
    ],
    "large": ["A period, stage by stage", "processes-2", "spark-cluster"],
    "model-types": ["| boosting |", "| lightgbm |", "| xgboost |", "| linear |"],
    "images": ["| network, linear (the default) |", "| pixels, boosting |"],
    "tuning": ["the default alone", "the project's tuning", "HalvingRandomSearchCV"],
}


def measure(what: str, *options: str) -> str:
    """What a command of the benchmarks prints."""
    command = [sys.executable, "benchmarks/run.py", what, *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [title for title in PRINTED[what] if title not in done.stdout] == [], done.stdout
    return done.stdout


@pytest.fixture(autouse=True)
def _wrk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where wrk is not installed, a stand-in sends a few requests and prints as wrk does."""
    if shutil.which("wrk"):
        return
    stand_in = tmp_path / "wrk"
    stand_in.write_text(f"#!{sys.executable}\n{WRK}")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


WRK = """
import os, sys, urllib.request
with open(os.environ["BODY"], "rb") as file:
    body = file.read()
for _ in range(3):
    request = urllib.request.Request(sys.argv[-1], body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
print("     50%    1.00ms")
print("     99%    2.00ms")
print("Requests/sec:    3.00")
"""


@pytest.mark.parametrize("what", SMALL)
def test_command_ends_with_its_tables(what: str) -> None:
    measure(what, *SMALL[what])


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("what", "options"), [("cold", []), ("backtest", ["--span", "2013-03", "2013-06"]), ("images", [])]
)
def test_long_command_ends_with_its_tables(what: str, options: list[str]) -> None:
    measure(what, *options)


def test_every_command_has_a_smoke_run() -> None:
    help_text = subprocess.run(
        [sys.executable, "benchmarks/run.py", "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert all(f"benchmarks/run.py {what} " in help_text for what in PRINTED)
    [choices] = {*re.findall(r"\{(run,[\w,-]*)\}", help_text)}
    assert {*choices.split(",")} == PRINTED.keys()


def test_server_that_ends_by_itself_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import serving

    command = [sys.executable, "-c", "raise ImportError('no such name')"]
    with (
        pytest.raises(SystemExit, match=r"does not answer:\n(?s:.*)ImportError: no such name"),
        serving.start_server(tmp_path, command, "/ready", tmp_path),
    ):
        pass
