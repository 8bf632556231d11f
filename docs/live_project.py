"""The generated project's Airflow and MLflow, up for as long as a `with` block lasts, on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def serve_mlflow(project: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The project's MLflow, at the URL that is yielded."""
    (port,) = free_ports(5000)  # the port of `make mlflow`, if it is free: `make run` shows it
    store = project / "var" / "mlflow"
    store.mkdir(parents=True)
    command = [".venv/bin/mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{store}/mlflow.db", "--artifacts-destination", f"{store}/artifacts"]
    lean = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with running(command, project, {**environment, **lean}):
        url = f"http://127.0.0.1:{port}"
        wait_until("MLflow answers", lambda: fetch(f"{url}/version"))
        yield url


@contextmanager
def serve_airflow(project: Path, user: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The project's Airflow; yields its URL and a token of `user`, an administrator."""
    port, worker_log_port, trigger_log_port = free_ports(0, 0, 0)
    url, home = f"http://127.0.0.1:{port}", project / "var" / "airflow"
    home.mkdir(parents=True)
    account = {"username": user, "password": secrets.token_urlsafe()}
    (home / "passwords.json").write_text(json.dumps({user: account["password"]}))
    settings = {
        "PATH": f"{project}/.venv/bin:{environment['PATH']}",
        "AIRFLOW_HOME": str(home),
        "PROJECT_HOME": str(project),
        "AIRFLOW_CONFIG": str(project / "airflow.cfg"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,  # tasks find the server by this, not by the port
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{user}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_log_port),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log_port),
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    }
    with running(["airflow", "standalone"], project, {**environment, **settings}):
        wait_until("Airflow is healthy", lambda: is_healthy(fetch(f"{url}/api/v2/monitor/health")))
        # The first request to this interface takes so long that a first task might give up on it.
        wait_until("Airflow's tasks can report", lambda: fetch(f"{url}/execution/health"))
        yield url, fetch(f"{url}/auth/token", account)["access_token"]


def is_healthy(health: dict[str, Any]) -> bool:
    """Whether each part of Airflow that runs DAGs says so of itself."""
    parts = ("metadatabase", "scheduler", "dag_processor")
    return all(health[part]["status"] == "healthy" for part in parts)


@contextmanager
def running(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """A server in a session of its own, of which every process is gone afterwards; its log is shown if we fail."""
    log = folder / "var" / f"{Path(command[0]).name}.log"
    program = shutil.which(command[0], path=environment["PATH"]) or str(folder / command[0])
    with log.open("wb") as output:
        server = subprocess.Popen(
            [program, *command[1:]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    except BaseException:
        last_lines = log.read_text(errors="replace").splitlines()[-30:]
        print(f"--- the end of {log.name}", *last_lines, sep="\n", file=sys.stderr)
        raise
    finally:
        end_session(server)


def end_session(leader: subprocess.Popen[bytes]) -> None:
    """End all processes of a session: Airflow's leave the process group and survive their parent."""
    for how in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        for process_id in session_members(leader):
            with suppress(ProcessLookupError):  # it went by itself
                os.kill(process_id, how)
        deadline = time.monotonic() + 10
        while session_members(leader) and time.monotonic() < deadline:
            time.sleep(0.5)
    leader.wait()


def session_members(leader: subprocess.Popen[bytes]) -> list[int]:
    """Ids of the processes that live in the session which `leader` began."""
    leader.poll()
    listing = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    members = []
    for process_id, state in (line.split() for line in listing.splitlines()):
        with suppress(ProcessLookupError, PermissionError):  # ended since it was listed, or not ours
            if os.getsid(int(process_id)) == leader.pid and not state.startswith("Z"):
                members.append(int(process_id))
    return members


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
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        text = answer.read().decode()
    return json.loads(text) if text.startswith(("{", "[")) else text


def wait_until(what: str, check: Callable[[], Any], timeout_s: float = 300) -> Any:
    """Ask again and again until the answer is true, and return it; a service may be down until it is up."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(OSError):  # nobody answers yet
            if answer := check():
                return answer
        time.sleep(1)
    raise TimeoutError(f"waited {timeout_s:.0f} s in vain: {what}")
