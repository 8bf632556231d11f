"""Spark on loopback for a measurement: PyPI's, in an environment with a project's packages and none of its code."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from processes import clean_environment, run
from projects import REPOSITORY, WORK, find_uv

TEMPLATE = REPOSITORY / "{{cookiecutter.project_slug}}"
LOCKS = ("requirements.lock", "frameworks/spark-classic.lock")
DEPLOY = "org.apache.spark.deploy"
CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
DEFAULTS = REPOSITORY / "tests" / "spark-defaults.conf"
PATIENCE_S = 300
SAMPLE_S = 0.25
MIB = 2**20


@dataclass
class Cluster:
    """Processes of Spark, with all that they start.

    Attributes
    ----------
    url : of the Connect server
    start_s : until it takes connections
    worker_mib, java_mib : the most that a Python process, and all of Java's together, had resident so far
    """

    processes: list[psutil.Process] = field(default_factory=list)
    url: str = ""
    start_s: float = 0.0
    worker_mib: float = 0.0
    java_mib: float = 0.0

    def note_memory(self) -> None:
        """Look at the memory of all processes."""
        java = 0.0
        for each in self._all():
            with suppress(psutil.Error):  # it has just ended
                mib = each.memory_info().rss / MIB
                if each.name() == "java":
                    java += mib
                else:
                    self.worker_mib = max(self.worker_mib, mib)
        self.java_mib = max(self.java_mib, java)

    def _all(self) -> list[psutil.Process]:
        return [each for first in self.processes for each in (first, *first.children(recursive=True))]


@cache
def spark_python() -> Path:
    """Python of an environment with Spark, of driver and workers; made once, of about 1.3 GB."""
    environment = WORK / "spark-classic"
    python = environment / "bin" / "python"
    if not python.exists():
        run([find_uv(), "venv", "--quiet", environment], WORK)
    run([find_uv(), "pip", "sync", "--quiet", "--python", python, *(TEMPLATE / each for each in LOCKS)], WORK)
    return python


@contextmanager
def start_cluster(*, with_workers: bool) -> Iterator[Cluster]:
    """A Connect server with two cores: alone (`local[2]`), or on a master with two workers of one core each.

    Raises
    ------
    SystemExit
        If Java is missing or a process does not come up, with its log.
    """
    if shutil.which("java") is None:
        raise SystemExit("Spark needs Java: apt-get install openjdk-17-jre-headless, or brew install openjdk@17")
    folder = WORK / "spark"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "conf").mkdir(parents=True)
    shutil.copy(DEFAULTS, folder / "conf")
    cluster, stopped = Cluster(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(cluster, stopped))
    started = time.perf_counter()
    try:
        master = _start_workers(cluster, folder) if with_workers else "local[2]"
        port = _free_port()
        binding = f"spark.connect.grpc.binding.address=127.0.0.1 --conf spark.connect.grpc.binding.port={port}"
        server = f"spark-submit --master {master} --class {CONNECT} --conf {binding} spark-internal"
        _start(cluster, folder, "connect", server, lambda _: _listens(port))
        cluster.url = f"sc://localhost:{port}"
        cluster.start_s = time.perf_counter() - started
        watcher.start()
        yield cluster
    finally:
        stopped.set()
        for each in reversed(cluster.processes):
            each.terminate()
            each.wait(timeout=60)


def _start_workers(cluster: Cluster, folder: Path) -> str:
    """A master with two workers; returns its URL."""
    port = _free_port()
    url = f"spark://127.0.0.1:{port}"
    master = f"spark-class {DEPLOY}.master.Master --host 127.0.0.1 --port {port} --webui-port 0"
    _start(cluster, folder, "master", master, lambda log: "New state: ALIVE" in log)
    for number in (1, 2):
        worker = f"spark-class {DEPLOY}.worker.Worker --host 127.0.0.1 --cores 1 --memory 1g --webui-port 0"
        command = f"{worker} --work-dir {folder}/work {url}"
        _start(cluster, folder, f"worker-{number}", command, lambda log: "Successfully registered" in log)
    return url


def _start(cluster: Cluster, folder: Path, name: str, command: str, is_ready: Callable[[str], Any]) -> None:
    """Start one of Spark's processes, and wait until its log, or something else, says that it is there."""
    home = next(spark_python().parents[1].glob("lib/python*/site-packages/pyspark"))
    program, *arguments = command.split()
    environment = clean_environment(
        SPARK_HOME=str(home),
        SPARK_CONF_DIR=str(folder / "conf"),
        SPARK_LOCAL_IP="127.0.0.1",
        PYSPARK_PYTHON=str(spark_python()),
        OMP_NUM_THREADS="1",
    )
    log = folder / f"{name}.log"
    with log.open("w") as output:
        process = psutil.Popen(
            [home / "bin" / program, *arguments], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    cluster.processes.append(process)
    until = time.monotonic() + PATIENCE_S
    while not is_ready(log.read_text(encoding="utf-8")):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"Spark's {name} does not come up:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.2)


def _watch(cluster: Cluster, stopped: threading.Event) -> None:
    while not stopped.wait(SAMPLE_S):
        with suppress(psutil.Error):  # a process that is ended while it is looked at
            cluster.note_memory()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
