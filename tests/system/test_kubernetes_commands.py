"""The containers of the Helm chart run: their commands, with their environment, on this machine.

There is no cluster. What Helm renders is started as processes: the migrations, MLflow's server and the prediction API,
which are asked what Kubernetes' probes ask. The engine's environment stands for the image, a folder for the volume
/app/var and for the object store, and a file for the database.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from bakes import REPOSITORY, Bake, BakedProject
from charts import Document, containers_of, find, pod_of, render, values_of
from live_project import PATIENCE_S, free_ports, wait_until

NAME = "flight-delays"


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    """A project for Kubernetes, without an environment."""
    return bake(platforms="kubernetes")


@pytest.fixture(scope="module")
def documents(project: BakedProject) -> list[Document]:
    """What the chart applies in production."""
    folder = project.path / "deploy" / "kubernetes"
    return render(folder / "modelworks", values_of(folder, "modelworks", "prod"), NAME)


def command_of(documents: list[Document], name: str) -> list[str]:
    """What the one container of a workload runs."""
    [container] = containers_of(pod_of(find(documents, name)))
    return [*container["command"], *container.get("args", [])]


def replaced(command: list[str], over: Mapping[str, str]) -> list[str]:
    """A command with other words in the place of some that it has."""
    assert over.keys() <= set(command)
    return [over.get(word, word) for word in command]


def status(port: int, path: str, host: str = "localhost", key: str = "") -> int:
    """The status of an answer, as a probe sees it; 0 if there is none."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers={"Host": host, **({"X-API-Key": key} if key else {})})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def process(command: list[str], environment: Mapping[str, str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A container's process and its children, stopped in the end."""
    with (home / f"{Path(command[0]).name}.log").open("wb") as log:
        started = subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True)
    try:
        yield started
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(timeout=PATIENCE_S)


def test_migrations_server_and_api_run_as_the_chart_says(
    project: BakedProject, documents: list[Document], tmp_path: Path
) -> None:
    home, database = tmp_path / "var", tmp_path / "mlflow.db"
    home.mkdir()
    mlflow_port, api_port = free_ports(0, 0)
    address = f"http://127.0.0.1:{mlflow_port}"
    given = {
        "PATH": f"{REPOSITORY / '.venv-engine' / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(project.path / "src"),
        "HOME": str(home),
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{database}",
    }
    subprocess.run(command_of(documents, f"Job/{NAME}-mlflow-migrations"), env=given, cwd=home, check=True)
    tables = "select count(*) from sqlite_master where name in ('experiments', 'registered_models', 'alembic_version')"
    with sqlite3.connect(database) as connection:
        assert connection.execute(tables).fetchone() == (3,)
    # Again, as with each upgrade.
    subprocess.run(command_of(documents, f"Job/{NAME}-mlflow-migrations"), env=given, cwd=home, check=True)

    environment = find(documents, f"ConfigMap/{NAME}")["data"] | given
    environment |= {"MLFLOW_TRACKING_URI": address, "MODELWORKS_STORAGE__URI": str(tmp_path / "store")}
    local = {"0.0.0.0": "127.0.0.1", "5000": str(mlflow_port)}  # noqa: S104 - that of the container
    local["--artifacts-destination=s3://lake-prod/mlflow"] = f"--artifacts-destination={tmp_path / 'models'}"
    mlflow = replaced(command_of(documents, f"Deployment/{NAME}-mlflow"), local)
    with ExitStack() as running:
        running.enter_context(process(mlflow, environment, home))
        wait_until("MLflow", lambda: status(mlflow_port, "/health") == 200)
        experiments = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
        called = [f"{NAME}-mlflow:5000", f"{NAME}-mlflow.team.svc:5000", f"{NAME}-mlflow", "localhost:5000"]
        assert [status(mlflow_port, experiments, host) for host in called] == [200] * 4
        assert status(mlflow_port, experiments, "mlflow.example.org") == 403
        assert status(mlflow_port, "/health", "10.0.0.7:5000") == 200  # of a probe: the pod's own address

        local = {"0.0.0.0": "127.0.0.1", "8000": str(api_port)}  # noqa: S104
        api = replaced(command_of(documents, f"Deployment/{NAME}-api"), local)
        [container] = containers_of(pod_of(find(documents, f"Deployment/{NAME}-api")))
        variables = {each["name"]: each["value"] for each in container["env"]}
        variables |= {"MODELWORKS_ACCESS__API_KEYS": str(home / "api-keys.json"), "MODELWORKS_HOME": str(project.path)}
        command = ["modelworks", "api-keys", "add", "prometheus", "--scopes", "read"]
        key = subprocess.check_output(command, env=environment | variables, cwd=home, text=True).strip()
        running.enter_context(process(api, environment | variables, home))
        paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
        wait_until("API", lambda: status(api_port, paths["startup"]) == 200)
        assert status(api_port, paths["liveness"]) == 200
        # There is no model yet: it gets no requests, and is not restarted.
        assert status(api_port, paths["readiness"]) == 503
        assert status(api_port, "/metrics") == 401
        for name in ("10.0.0.7:8000", f"{NAME}-api.team.svc", "flight-delays.example.com"):
            assert status(api_port, "/metrics", name, key) == 200
        assert status(api_port, "/metrics", "example.org", key) == 421
