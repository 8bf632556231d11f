"""A Spark cluster on loopback: a standalone master with two workers, and a Connect server that lets nobody in without
its token. Spark is PyPI's, in an environment that has the packages of a project and none of its code.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakes import PROJECT_FOLDER, answers
from live_project import fetch, free_ports, wait_until

JAVA = "no Java, which Spark runs on; on Debian: apt-get install -y --no-install-recommends openjdk-17-jre-headless"
LOCKS = ("requirements.lock", "frameworks/xgboost.lock", "frameworks/spark-classic.lock")
# A worker may have another modelworks among its packages; that of the job counts.
DECOY = 'raise ImportError("the worker\'s own modelworks, and not that of the job")\n'
DEFAULTS = Path(__file__).with_name("spark-defaults.conf")


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes
    ----------
    python : of the workers
    environment : what a classic driver beside it needs
    master : URL of the standalone master
    connect : URL of the Connect server, without the token
    """

    python: Path
    environment: dict[str, str]
    master: str
    connect: str
    token: str

    @property
    def connect_with_token(self) -> str:
        """The whole URL of the Connect server."""
        return f"{self.connect}/;token={self.token}"


def make_environment(folder: Path, template: Path, uv: str) -> Path:
    """What the workers have: the locked packages, pyspark, and a package that only bears the engine's name."""
    locks = [str(template / PROJECT_FOLDER / lock) for lock in LOCKS]
    for command in (["venv", "--quiet", str(folder)], ["pip", "sync", "--quiet", "--python", str(folder), *locks]):
        done = subprocess.run([uv, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "modelworks").mkdir()
    (packages / "modelworks" / "__init__.py").write_text(DECOY, encoding="utf-8")
    return packages / "pyspark"


@contextmanager
def spark_cluster(folder: Path, template: Path, uv: str) -> Iterator[Cluster]:
    """Master, workers and Connect server, started one after the other and ended by their process ids."""
    if not shutil.which("java"):
        pytest.fail(JAVA)
    home = make_environment(folder / "environment", template, uv)
    (folder / "conf").mkdir()
    shutil.copy(DEFAULTS, folder / "conf")
    port, page, connect, *pages = free_ports(0, 0, 0, 0, 0)
    cluster = Cluster(
        python=folder / "environment" / "bin" / "python",
        environment={
            "SPARK_HOME": str(home),
            "SPARK_CONF_DIR": str(folder / "conf"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": str(folder / "environment" / "bin" / "python"),
            "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        },
        master=f"spark://127.0.0.1:{port}",
        connect=f"sc://localhost:{connect}",
        token=secrets.token_hex(16),
    )
    deploy = "org.apache.spark.deploy"
    master = f"spark-class {deploy}.master.Master --host 127.0.0.1 --port {port} --webui-port {page}"
    worker = f"spark-class {deploy}.worker.Worker --host 127.0.0.1 --cores 2 --memory 2g --work-dir {folder}/work"
    server = (
        f"spark-submit --master {cluster.master} --class org.apache.spark.sql.connect.service.SparkConnectServer "
        f"--conf spark.connect.grpc.binding.address=127.0.0.1 --conf spark.connect.grpc.binding.port={connect} "
        "spark-internal"
    )
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.append(start(cluster, folder, "master", master))
        wait_until("Spark's master", lambda: answers(f"http://127.0.0.1:{page}/json/"), timeout_s=600)
        for number, port in enumerate(pages, 1):
            command = f"{worker} --webui-port {port} {cluster.master}"
            processes.append(start(cluster, folder, f"worker-{number}", command))
        wait_until(
            "Spark's workers", lambda: fetch(f"http://127.0.0.1:{page}/json/")["aliveworkers"] == 2, timeout_s=600
        )
        processes.append(start(cluster, folder, "connect", server))
        wait_until("Spark Connect", lambda: listens(connect), timeout_s=600)
        yield cluster
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=60)


def listens(port: int) -> bool:
    """Whether something on 127.0.0.1 takes connections on a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def start(cluster: Cluster, folder: Path, name: str, command: str) -> subprocess.Popen[bytes]:
    """One of Spark's processes; its programs become Java, so its id is that of the process."""
    program, *arguments = command.split()
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [f"{cluster.environment['SPARK_HOME']}/bin/{program}", *arguments],
            cwd=folder,
            env=os.environ | cluster.environment | {"SPARK_CONNECT_AUTHENTICATE_TOKEN": cluster.token},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
