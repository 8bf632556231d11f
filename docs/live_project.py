"""The generated project's Airflow, MLflow and API, up for as long as a `with` block lasts."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

BROWSERS = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
PATIENCE_S = 1800  # against a hang: what takes seconds may take many minutes on a busy machine


@dataclass(frozen=True)
class Stack:
    """Where a project's servers are reached, and a token of Airflow's first administrator."""

    airflow: str
    mlflow: str
    api: str
    token: str
    environment: dict[str, str]


@contextmanager
def stack(
    project: Path, environment: Mapping[str, str], user: str = "admin", wanted: tuple[int, int, int] = (0, 0, 0)
) -> Iterator[Stack]:
    """The project's `make up`, with `make down` at the end; on the ports wanted, where they are free, else on any."""
    ports = dict(zip(("airflow", "mlflow", "api"), free_ports(*wanted), strict=True))
    variables = {
        **environment,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{user}:admin",
        **{f"MODELWORKS_STACK__{server.upper()}_PORT": str(port) for server, port in ports.items()},
    }
    urls = {server: f"http://127.0.0.1:{port}" for server, port in ports.items()}
    try:
        make("up", project, variables)
        password = json.loads((project / "var" / "stack" / "passwords.json").read_text())[user]
        account = {"username": user, "password": password}
        yield Stack(
            **urls, token=fetch(f"{urls['airflow']}/auth/token", account)["access_token"], environment=variables
        )
    finally:
        make("down", project, variables)


def make(target: str, project: Path, environment: Mapping[str, str]) -> str:
    """What a target that has to succeed prints."""
    done = subprocess.run(["make", target], cwd=project, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"make {target} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def session_of(project: Path) -> list[psutil.Process]:
    """Everything that lives in the session of the project's supervisord."""
    leader = int((project / "var" / "stack" / "supervisord.pid").read_text())
    members = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def find_browser() -> str | None:
    """Path of the system's Chromium or Chrome, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def free_ports(*wanted: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses at the moment: those wanted, or any in place of one that is taken or 0."""
    with ExitStack() as sockets:
        ports = []
        for port in wanted:
            try:
                held = socket.create_server(("127.0.0.1", port))
            except OSError:
                held = socket.create_server(("127.0.0.1", 0))
            ports.append(sockets.enter_context(held).getsockname()[1])
        return ports


def fetch(url: str, body: object = None, token: str = "", method: str | None = None) -> Any:
    """The decoded answer of a web service; a body, as JSON, makes it a POST."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http, and on this computer
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
        text = answer.read().decode()
    return json.loads(text) if text.startswith(("{", "[")) else text


def wait_until(what: str, check: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """Ask again and again until the answer is true, and return it; a service may be down until it is up."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(OSError):  # nobody answers yet
            if answer := check():
                return answer
        time.sleep(1)
    raise TimeoutError(f"waited {timeout_s:.0f} s in vain: {what}")
