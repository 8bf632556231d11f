"""Servers in processes of their own, and requests without a pause."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from modelworks.settings import ENV_PREFIX

PATIENCE_S = 600  # against a hang: what takes a second may take a minute on a busy machine

# httpx's own five seconds are sometimes too few.
get, post = partial(httpx.get, timeout=PATIENCE_S), partial(httpx.post, timeout=PATIENCE_S)


@dataclass
class Server:
    """A running process that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Stop the process and its children, and wait for its end."""
        os.killpg(self.process.pid, signal.SIGTERM)  # MLflow's server is a child of the command that we start
        self.process.wait(timeout=PATIENCE_S)


@contextmanager
def running(
    command: list[str], path: str, folder: Path, host: str = "127.0.0.1", **environment: str
) -> Iterator[Server]:
    """Start a server on a free port, wait until `path` answers, and stop it in the end."""
    port = free_port()
    log = folder / f"server-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--port", str(port), "--host", host],
            env={**os.environ, **environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            start_new_session=True,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_for(lambda: is_up(server, path), log)
        yield server
    finally:
        if process.poll() is None:
            server.stop()


def serving(folder: Path, **environment: str) -> AbstractContextManager[Server]:
    """The API of the project whose home the environment names."""
    quick = {f"{ENV_PREFIX}SERVING__CHAMPION_POLL_S": "0.2"}
    return running(["modelworks.serving"], "/ready", folder, **quick, **environment)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_up(server: Server, path: str) -> bool:
    """Whether a server answers with 200; raises if its process has ended."""
    if server.process.poll() is not None:
        raise RuntimeError(f"the server ended: {server.log.read_text()}")
    try:
        return get(server.url + path).status_code == 200
    except httpx.TransportError:
        return False


def wait_for(is_so: Callable[[], bool], log: Path) -> None:
    """Wait until a condition holds; fails with the server's log where it never does."""
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until, f"not within {PATIENCE_S} s: {log.read_text()}"
        time.sleep(0.05)


def open_client(app: FastAPI) -> TestClient:
    """A client in this process; it calls the API by an address, since the API answers to no name but its own."""
    return TestClient(app, base_url="http://127.0.0.1")


def wait_until_ready(client: TestClient) -> None:
    """Wait until an API in this process has loaded its champion."""
    deadline = time.monotonic() + 600  # against a hang
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < deadline, client.get("/ready").text
        time.sleep(0.1)


def metric(server: Server, name: str) -> float:
    """A metric of the API without labels."""
    lines = get(f"{server.url}/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


class SilentServer(socketserver.ThreadingTCPServer):
    """Takes connections, never answers, and hangs up as soon as `lets_go` is set, as it is at first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Silent)
        self.port: int = self.server_address[1]
        self.lets_go = threading.Event()
        self.lets_go.set()


class _Silent(socketserver.BaseRequestHandler):
    server: SilentServer

    def handle(self) -> None:
        """Hang up when that is wanted."""
        self.server.lets_go.wait()


class InThreads:
    """Calls a function from several threads for as long as a `with` block lasts; it returns once `is_over`."""

    def __init__(self, function: Callable[[], None], threads: int) -> None:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=function) for _ in range(threads)]

    @property
    def is_over(self) -> bool:
        """Whether the block has ended."""
        return self._over.is_set()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


class Load(InThreads):
    """Requests without a pause from several threads; every answer is kept."""

    def __init__(self, server: Server, rows: list[dict[str, Any]], threads: int = 4) -> None:
        super().__init__(partial(self._ask, server, rows[0]), threads)
        self.answers: list[tuple[int, str, float]] = []

    def _ask(self, server: Server, row: dict[str, Any]) -> None:
        with httpx.Client(timeout=PATIENCE_S) as client:
            while not self.is_over:
                answer = client.post(f"{server.url}/predict", json=row)
                found = answer.json()
                probability = found["predictions"][0]["probability"] if answer.status_code == 200 else -1.0
                self.answers.append((answer.status_code, found.get("model_version", ""), probability))
