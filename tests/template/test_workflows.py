"""What the workflows run of the tests that are too heavy for each change."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from typing import Any

import yaml

from bakes import REPOSITORY

TESTS = REPOSITORY / "tests" / "system"


def read_jobs(name: str) -> dict[str, Any]:
    """The jobs of a workflow."""
    jobs: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github" / "workflows" / name).read_text())["jobs"]
    return jobs


def commands(job: dict[str, Any]) -> list[str]:
    """The targets of make that a job runs, for each entry of its matrix."""
    runs = [step["run"] for step in job["steps"] if step.get("run", "").startswith("make ")]
    matrix = job.get("strategy", {}).get("matrix", {}).get("part", [""])
    return [run.replace("${{ matrix.part }}", entry) for run in runs for entry in matrix]


def all_commands() -> list[str]:
    """What the jobs of both workflows run."""
    jobs = [job for name in ("ci.yml", "nightly.yml") for job in read_jobs(name).values()]
    return [command for job in jobs for command in commands(job)]


# In one process, which imports the tests once.
COLLECT = """
import json, sys
import pytest

class Selected:
    def pytest_collection_finish(self, session):
        print("\\nSELECTED", json.dumps([item.nodeid for item in session.items]))

for selection in json.loads(sys.argv[1]):
    pytest.main([*sys.argv[2:], "--collect-only", "-q", "-m", "heavy", *selection], plugins=[Selected()])
"""


def heavy_tests(selections: list[list[str]]) -> list[list[str]]:
    """The names of the heavy tests of each selection."""
    files = [str(path) for path in sorted(TESTS.glob("test_*.py")) if "mark.heavy" in path.read_text(encoding="utf-8")]
    command = [sys.executable, "-c", COLLECT, json.dumps(selections), "--confcutdir", "tests/template", *files]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in re.findall(r"^SELECTED (.*)", done.stdout, re.MULTILINE)]
    assert len(found) == len(selections), done.stdout + done.stderr
    for selection, names in zip(selections, found, strict=True):
        assert names, f"no heavy test is selected by {selection}:\n{done.stdout}{done.stderr}"
    return found


def test_each_heavy_test_is_run_by_exactly_one_job() -> None:
    run = [command for command in all_commands() if command.startswith("make test-heavy ")]
    selections = [shlex.split(shlex.split(command.split("ARGS=")[1])[0]) for command in run]
    every, *selected = heavy_tests([[], *selections])
    assert Counter(test for names in selected for test in names) == Counter(every)


def test_night_runs_what_test_all_runs_beyond_test() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    [beyond] = re.findall(r"^test-all: test (.*?) ##", makefile, re.MULTILINE)
    assert {command.split()[1] for command in all_commands()} == {"test", *beyond.split()}
