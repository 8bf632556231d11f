"""Requests per second of the prediction API, against MLflow's own server and an endpoint that only echoes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from processes import clean_environment, run
from projects import RUN, WORK
from report import print_table

HERE = Path(__file__).parent
API, MLFLOW, ECHO = "prediction API", "mlflow models serve", "echo (FastAPI + pydantic)"
ROWS = (1, 100)
DURATION = re.compile(r"([\d.]+)(us|ms|s|m)$")
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Figures:
    """What wrk says of one server."""

    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Champion:
    """What the servers serve, and a row for them."""

    model_uri: str
    features: list[str]
    example: dict[str, Any]


def compare(project: Path, connections: Sequence[int], rounds: int, seconds: int) -> None:
    """Drive the three servers in turn with the same rows; print rates, latencies and ratios."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk, or brew install wrk")
    print(f"\nserving: one process each, {rounds} rounds of {seconds} s with wrk, in turn; medians", flush=True)
    run(RUN, project)
    _print_parts(project)
    champion = describe_champion(project)
    bodies = write_bodies(champion, WORK)
    with start_servers(project, champion, WORK) as urls:
        for rows in ROWS:
            lines = []
            for count in connections:
                measured = [
                    {who: _drive(urls[who], bodies[who, rows], count, seconds) for who in urls} for _ in range(rounds)
                ]
                lines += _lines(count, measured)
            header = ["", "connections", "requests/s", "p50 ms", "p99 ms", "the API is times as fast"]
            print_table(f"{rows} row{'s' if rows > 1 else ''} a request", header, lines)


def describe_champion(project: Path) -> Champion:
    """The champion of a project that has released a model."""
    said = run([".venv/bin/python", HERE / "describe_champion.py"], project).output
    return Champion(**json.loads(said.splitlines()[-1]))


def write_bodies(champion: Champion, folder: Path) -> dict[tuple[str, int], Path]:
    """Files with the request of each server for each number of rows."""
    # MLflow's server knows the model's columns only.
    features = {name: champion.example[name] for name in champion.features}
    bodies = {}
    for rows in ROWS:
        plain = champion.example if rows == 1 else [champion.example] * rows
        for who, content in ((API, plain), (ECHO, plain), (MLFLOW, {"dataframe_records": [features] * rows})):
            bodies[who, rows] = folder / f"body-{who.split()[0]}-{rows}.json"
            bodies[who, rows].write_text(json.dumps(content), encoding="utf-8")
    return bodies


@contextmanager
def start_servers(project: Path, champion: Champion, folder: Path) -> Iterator[dict[str, str]]:
    """Start the three servers; gives the URL that each is asked at. Logs go to `folder`."""
    serve = ["-m", "mlflow", "models", "serve", "--model-uri", champion.model_uri, "--env-manager", "local"]
    servers = {
        API: (_uvicorn("modelworks.serving:create_app"), "/ready", "/predict"),
        MLFLOW: ([".venv/bin/python", *serve], "/ping", "/invocations"),
        ECHO: (_uvicorn("echo_app:create_app"), "/openapi.json", "/predict"),
    }
    with ExitStack() as stack:
        yield {
            who: stack.enter_context(_server(project, command, probe, folder)) + path
            for who, (command, probe, path) in servers.items()
        }


def _lines(connections: int, rounds: list[dict[str, Figures]]) -> list[list[str]]:
    lines = []
    for who in rounds[0]:
        rate = median(each[who].per_second for each in rounds)
        ratio = median(each[API].per_second / each[who].per_second for each in rounds)
        p50, p99 = (median(getattr(each[who], name) for each in rounds) for name in ("p50_ms", "p99_ms"))
        lines.append([who, str(connections), f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{ratio:.2f}"])
    return lines


def _print_parts(project: Path) -> None:
    counts = ["1", "64", "1000"]
    found = json.loads(run([".venv/bin/python", HERE / "one_row.py", *counts], project).output.splitlines()[-1])
    lines = [[part, *(f"{found[count][part]:.2f}" for count in counts)] for part in found["1"]]
    print_table("Where the time goes, ms", ["", *(f"{count} rows" for count in counts)], lines)


def _uvicorn(factory: str) -> list[str]:
    return [".venv/bin/python", "-m", "uvicorn", factory, "--factory", "--no-access-log"]


@contextmanager
def _server(project: Path, command: list[str], path: str, folder: Path) -> Iterator[str]:
    """Start a server on a free port and stop it in the end; gives its URL once `path` answers.

    Raises
    ------
    SystemExit
        If it does not answer, with its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = clean_environment(
        OMP_NUM_THREADS="1",
        PATH=f"{project / '.venv' / 'bin'}:{os.environ['PATH']}",
        PYTHONPATH=f"{HERE}:{project / 'src'}",  # the model calls the project's function of derived features
        MLFLOW_TRACKING_URI=f"sqlite:///{project / 'var' / 'mlflow' / 'mlflow.db'}",
    )
    log = folder / f"server-{port}.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=project,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # `mlflow models serve` starts a shell that starts the server
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url + path, process, log)
        yield url
    finally:
        with suppress(ProcessLookupError):  # it ended by itself, and `_wait_for` says why
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer:\n{log.read_text(encoding='utf-8')}")


def _drive(url: str, body: Path, connections: int, seconds: int) -> Figures:
    options = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "30s"]
    said = run(["wrk", *options, "--latency", "--script", HERE / "post.lua", url], WORK, BODY=str(body)).output
    if "Non-2xx" in said:
        raise SystemExit(f"{url} with {body.name}: not all answers are 2xx\n{said}")
    fields = {words[0]: words[1] for words in (line.split() for line in said.splitlines()) if len(words) > 1}
    return Figures(float(fields["Requests/sec:"]), _milliseconds(fields["50%"]), _milliseconds(fields["99%"]))


def _milliseconds(text: str) -> float:
    found = DURATION.match(text)
    assert found, text
    return float(found[1]) * MILLISECONDS[found[2]]
