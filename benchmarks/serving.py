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

import psutil

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
    cpu_ms: float  # of the server's processes, for each answer


@dataclass(frozen=True)
class Server:
    """A process and where it is asked."""

    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """Seconds of it and of the processes that it has started, which go on."""
        times = [each.cpu_times() for each in (self.process, *self.process.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))


@dataclass(frozen=True)
class Champion:
    """What the servers serve, and a row for them."""

    model_uri: str
    features: list[str]
    example: dict[str, Any]


def compare(project: Path, connections: Sequence[int], rounds: int, seconds: int) -> None:
    """Drive the three servers in turn with the same rows; print rates, latencies and ratios.

    Once with the project's derived features, which a frame of pandas is made for, and once without.
    """
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk, or brew install wrk")
    for title, folder in (("no derived features", _without_features(project)), ("derived features", project)):
        print(f"\nserving, {title}: one process each, {rounds} rounds of {seconds} s with wrk, in turn; medians")
        run(RUN, folder)
        _print_parts(folder)
        champion = describe_champion(folder)
        bodies = write_bodies(champion, WORK)
        with start_servers(folder, champion, WORK) as servers:
            for rows in ROWS:
                _print_rates(
                    title, servers, {who: bodies[who, rows] for who in servers}, rows, connections, rounds, seconds
                )


def _without_features(project: Path) -> Path:
    """A copy of the project whose function of derived features is taken out."""
    folder = project.parent / "without-features" / project.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(project, folder, symlinks=True, ignore=shutil.ignore_patterns("var"))
    [file] = folder.glob("src/*/project.py")
    text = file.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines(keepends=True) if "add_features" not in line]
    assert len(kept) == len(text.splitlines()) - 2
    file.write_text("".join(kept), encoding="utf-8")
    return folder


def _print_rates(
    title: str,
    servers: dict[str, Server],
    bodies: dict[str, Path],
    rows: int,
    connections: Sequence[int],
    rounds: int,
    seconds: int,
) -> None:
    lines = []
    for count in connections:
        measured = [
            {who: drive(server, bodies[who], count, seconds) for who, server in servers.items()} for _ in range(rounds)
        ]
        lines += _lines(count, measured)
    header = ["", "connections", "requests/s", "p50 ms", "p99 ms", "CPU ms", "the API is times as fast", "by CPU"]
    print_table(f"{rows} row{'s' if rows > 1 else ''} a request, {title}", header, lines)


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
def start_servers(project: Path, champion: Champion, folder: Path) -> Iterator[dict[str, Server]]:
    """Start the three servers, each with the URL that it is asked at. Logs go to `folder`."""
    serve = ["-m", "mlflow", "models", "serve", "--model-uri", champion.model_uri, "--env-manager", "local"]
    servers = {
        API: (uvicorn("modelworks.serving:create_app"), "/ready", "/predict"),
        MLFLOW: ([".venv/bin/python", *serve], "/ping", "/invocations"),
        ECHO: (uvicorn("echo_app:create_app"), "/openapi.json", "/predict"),
    }
    with ExitStack() as stack:
        started = {
            who: (stack.enter_context(start_server(project, command, probe, folder)), path)
            for who, (command, probe, path) in servers.items()
        }
        yield {who: Server(server.url + path, server.process) for who, (server, path) in started.items()}


def _lines(connections: int, rounds: list[dict[str, Figures]]) -> list[list[str]]:
    lines = []
    for who in rounds[0]:
        rate = median(each[who].per_second for each in rounds)
        ratio = median(each[API].per_second / each[who].per_second for each in rounds)
        by_cpu = median(each[who].cpu_ms / each[API].cpu_ms for each in rounds)
        p50, p99, cpu = (median(getattr(each[who], name) for each in rounds) for name in ("p50_ms", "p99_ms", "cpu_ms"))
        figures = [f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu:.2f}", f"{ratio:.2f}", f"{by_cpu:.2f}"]
        lines.append([who, str(connections), *figures])
    return lines


def _print_parts(project: Path) -> None:
    counts = ["1", "64", "1000"]
    found = json.loads(run([".venv/bin/python", HERE / "one_row.py", *counts], project).output.splitlines()[-1])
    lines = [[part, *(f"{found[count][part]:.2f}" for count in counts)] for part in found["1"]]
    print_table("Where the time goes, ms", ["", *(f"{count} rows" for count in counts)], lines)


def uvicorn(factory: str) -> list[str]:
    """The command that serves what a factory makes."""
    return [".venv/bin/python", "-m", "uvicorn", factory, "--factory", "--no-access-log"]


@contextmanager
def start_server(project: Path, command: list[str], path: str, folder: Path, **more: str) -> Iterator[Server]:
    """Start a server on a free port and stop it in the end; gives it once `path` answers.

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
        **more,
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
        yield Server(url, psutil.Process(process.pid))
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


def drive(server: Server, body: Path, connections: int, seconds: int) -> Figures:
    """What wrk measures of a server, with one body from several connections.

    Raises
    ------
    SystemExit
        If an answer is no success.
    """
    options = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--timeout", "30s"]
    before = server.cpu_s()
    said = run(["wrk", *options, "--latency", "--script", HERE / "post.lua", server.url], WORK, BODY=str(body)).output
    cpu_s = server.cpu_s() - before
    if "Non-2xx" in said:
        raise SystemExit(f"{server.url} with {body.name}: not all answers are 2xx\n{said}")
    fields = {words[0]: words[1] for words in (line.split() for line in said.splitlines()) if len(words) > 1}
    [answers] = re.findall(r"(\d+) requests in", said)
    per_second, p50_ms, p99_ms = float(fields["Requests/sec:"]), *map(_milliseconds, (fields["50%"], fields["99%"]))
    return Figures(per_second, p50_ms, p99_ms, 1000 * cpu_s / max(int(answers), 1))


def _milliseconds(text: str) -> float:
    found = DURATION.match(text)
    assert found, text
    return float(found[1]) * MILLISECONDS[found[2]]
