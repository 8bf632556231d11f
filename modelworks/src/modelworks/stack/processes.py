"""The state of the stack's processes, and their logs."""

import socket
import xmlrpc.client
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from supervisor.xmlrpc import SupervisorTransport

from modelworks.errors import StackError
from modelworks.settings import Settings
from modelworks.stack.environment import log_folder, pid_file, socket_file
from modelworks.stack.session import find_leader, find_members, find_supervisor

LOG_LINES = 15

# Which part of Airflow's health a process answers for.
AIRFLOW_PARTS = {
    "airflow-api-server": "metadatabase",
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}
PORTS = {"mlflow": "mlflow_port", "airflow-api-server": "airflow_port", "api": "api_port"}


def read_processes(settings: Settings) -> list[dict[str, Any]]:
    """Each process of the stack: `name`, `state`, `health`, `pid`, `port`, `memory_mb`; none if it is down."""
    leader = find_leader(pid_file(settings), settings.home)
    if not find_supervisor(leader, settings.home) or not socket_file(settings).exists():
        return [_describe_orphan(process.pid) for process in find_members(leader, settings.home)]
    try:
        processes = connect_supervisor(settings).getAllProcessInfo()
    except OSError:
        return []  # it is about to end
    health = _airflow_health(settings)
    return [
        {
            "name": each["name"],
            "state": each["statename"].lower(),
            "health": _health_of(settings, each, health),
            "pid": each["pid"] or None,
            "port": getattr(settings.stack, PORTS[each["name"]]) if each["name"] in PORTS else None,
            "memory_mb": _memory_mb(each["pid"]) if each["pid"] else 0,
        }
        for each in processes
        if settings.is_mlflow_local or each["name"] != "mlflow"
    ]


def _describe_orphan(pid: int) -> dict[str, Any]:
    """A process whose supervisord was killed, or whose files are gone; `up` and `down` end it."""
    state = {"name": "(left over)", "state": "orphaned", "health": "unknown", "pid": pid, "port": None}
    return {**state, "memory_mb": _memory_mb(pid)}


def log_files(settings: Settings, name: str | None = None) -> list[Path]:
    """The processes' logs, or that of one.

    Raises
    ------
    StackError
        If there is none; names those that there are.
    """
    folder = log_folder(settings)
    names = ["mlflow", *AIRFLOW_PARTS, "api"]
    if name not in {None, *names}:
        raise StackError(f"no process {name!r}; there are {', '.join(names)}")
    found = [file for each in names if name in {None, each} and (file := folder / f"{each}.log").is_file()]
    if not found:
        raise StackError(f"no logs in {folder} yet; `make up` starts the processes")
    return found


def connect_supervisor(settings: Settings) -> Any:
    """Supervisord's methods: `getAllProcessInfo`, `startProcess`, ..."""
    transport = SupervisorTransport(None, None, f"unix://{socket_file(settings)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def _health_of(settings: Settings, process: dict[str, Any], airflow: dict[str, Any]) -> str:
    name, is_alive = process["name"], process["statename"] in {"STARTING", "RUNNING"}
    if not is_alive:
        return "down"
    if name in AIRFLOW_PARTS:
        part = airflow.get(AIRFLOW_PARTS[name], {})
        is_healthy = part.get("status") == "healthy" and _beats_since(part, name, process["start"])
    else:
        is_healthy = fetch(f"{settings.stack.url(name)}/health") is not None
    return "healthy" if is_healthy else "waiting"


def _beats_since(part: dict[str, Any], name: str, start: int) -> bool:
    """Whether the last heartbeat is of this process: Airflow calls one that has just been killed healthy as well."""
    beat = part.get(f"latest_{AIRFLOW_PARTS[name]}_heartbeat")
    return name == "airflow-api-server" or (beat is not None and datetime.fromisoformat(beat).timestamp() >= start)


def _airflow_health(settings: Settings) -> dict[str, Any]:
    answer = fetch(f"{settings.stack.url('airflow')}/api/v2/monitor/health")
    return answer.json() if answer else {}


def fetch(url: str, timeout_s: float = 5) -> httpx.Response | None:
    """The answer of a server on this computer; None if there is none, or a bad one."""
    with suppress(httpx.HTTPError):
        answer = httpx.get(url, timeout=timeout_s, trust_env=False)
        return answer if answer.is_success else None
    return None


def _memory_mb(pid: int) -> int:
    """Memory of a process and its children, what they share counted once."""
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                memory = each.memory_full_info()
                total += getattr(memory, "pss", memory.uss)
    return round(total / 1e6)


def last_lines_of(settings: Settings, name: str) -> str:
    """The end of a process's log, and where the rest is."""
    file = log_folder(settings) / f"{name}.log"
    return f"{last_lines(file.read_text(errors='replace') if file.is_file() else '')}\n({file})"


def last_lines(text: str) -> str:
    """The end of a text, indented."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-LOG_LINES:])


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses at the moment."""
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]
