"""Workers that share no disk: a release by Airflow on two of Celery; one dies in training, and one in `deploy`.

PostgreSQL, Redis, an S3 store and MLflow's server are real. Each process of Airflow has a home of its own with what an
image holds, closed to the others where the tests run as root.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from backends import PostgreSQL, object_store, postgresql, redis
from bakes import REPOSITORY, BakedProject, serving, succeed
from champions import READ, model_files
from live_project import PATIENCE_S, fetch, free_ports, wait_until

pytestmark = pytest.mark.slow

TRAINING = "flight_delays_training"
PAGE = REPOSITORY / "docs" / "how-to" / "run-on-a-cluster.md"
SCHEMA = "kubernetes-validate==1.37.0"
FAULTS = REPOSITORY / "tests" / "system" / "faults" / "faults"
# What an image holds beside its environment.
IN_AN_IMAGE = ["pipeline.toml", "pyproject.toml", "requirements.lock", "dags"]
# Users that each Debian has; each home belongs to one, where the tests run as root.
USERS = {"control": "root", "one": "daemon", "two": "games", "api": "nobody"}
EXAMPLE = """
import json
from modelworks import load_project
from modelworks.settings import find_home
print(json.dumps(load_project(find_home()).contract.example))
"""
ON_A_LAPTOP = {"EVALUATION__BOOTSTRAP_RESAMPLES": "200", "MODEL__PARAMETERS__MAX_ITER": "40"}


@dataclass(frozen=True)
class Cluster:
    """Where the processes of a cluster find each other, and the environment that all have.

    Attributes
    ----------
    code : the environment with the project's and the engine's code, which all may read
    has_users : whether each home belongs to a user of its own
    """

    folder: Path
    code: Path
    has_users: bool
    variables: dict[str, str]

    @property
    def orders(self) -> Path:
        """The orders to `FAULTS`."""
        return self.folder / "orders"

    def user(self, name: str) -> str | None:
        """Whose process and home it is; None: those of the user who runs the tests."""
        return USERS[name] if self.has_users else None

    def home(self, name: str) -> Path:
        """The home of a process."""
        return self.folder / name

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a process."""
        home = self.home(name)
        own = {
            "HOME": str(home),
            "LOGNAME": USERS[name],
            "MODELWORKS_HOME": str(home),
            "AIRFLOW_HOME": str(home / "airflow"),
            "PATH": f"{self.code / 'bin'}:{os.environ['PATH']}",
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "MLFLOW", "PYTHON"))}
        return kept | self.variables | own

    def start(self, name: str, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program of the environment, as the user of a home and in it."""
        log = self.folder / f"{name}-{words[1]}.log"
        with log.open("a") as output:
            return subprocess.Popen(
                [str(self.code / "bin" / words[0]), *words[1:]],
                cwd=self.home(name),
                env=self.environment(name) | environment,
                user=self.user(name),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @contextmanager
    def running(self, name: str, *words: str) -> Iterator[None]:
        """A program, up until the block ends."""
        process = self.start(name, *words)
        try:
            yield
        finally:
            end(process)

    def call(self, name: str, *words: str) -> str:
        """What a program prints that has to succeed."""
        done = subprocess.run(
            [str(self.code / "bin" / words[0]), *words[1:]],
            cwd=self.home(name),
            env=self.environment(name),
            user=self.user(name),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started, as a power cut does."""
    for pid in [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def code(project: BakedProject, folder: Path, uv: str) -> Path:
    """The environment of an image: nothing in it leads to the folder of the project."""
    python = next(
        (each for each in ("/usr/bin/python3.11", "/usr/bin/python3.12") if may_be_shared(each)), sys.executable
    )
    succeed(project, uv, "venv", "--quiet", "--python", python, folder / "code")
    words = "pip install --quiet --no-sources --no-editable --constraints requirements.lock --python".split()
    succeed(project, uv, *words, folder / "code", "./vendor/modelworks[cluster]", ".")
    return folder / "code"


def may_be_shared(python: str | Path) -> bool:
    """Whether this process may become another user, who may start a Python."""
    if os.geteuid() or not Path(python).exists():
        return False
    try:
        return subprocess.run([python, "-c", ""], user=USERS["one"], cwd="/", check=False).returncode == 0
    except PermissionError:
        return False


@pytest.fixture(scope="module")
def cluster(project: BakedProject, folder: Path, code: Path) -> Iterator[Cluster]:
    """All but the workers."""
    with ExitStack() as up:
        (folder / "s3").mkdir()
        database, s3 = up.enter_context(postgresql()), up.enter_context(object_store(folder / "s3"))
        broker = up.enter_context(redis(folder))
        access = {"AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        put_data(project, access)
        for name in ("airflow", "mlflow"):
            database.psql(f"create database {name}", folder, "postgres")
        store = ["--backend-store-uri", database.url(database="mlflow"), "--artifacts-destination", "s3://lake/mlflow"]
        mlflow = [str(code / "bin" / "mlflow"), "server", "--host", "127.0.0.1", "--port", "{port}", *store]
        found = Cluster(folder, code, may_be_shared(code / "bin" / "python"), {})
        found.orders.mkdir()
        found.orders.chmod(0o777)
        shutil.copytree(FAULTS, folder / "faults")
        url = up.enter_context(serving(mlflow, folder, "/health", **access))
        [port] = free_ports(0)
        [config] = code.glob("lib/*/site-packages/modelworks/stack/airflow.cfg")
        found.variables.update(access | variables_of(database, broker, url, port) | {"AIRFLOW_CONFIG": str(config)})
        for name in USERS:
            make_home(project.path, found.home(name), found.user(name))
        found.call("control", "airflow", "db", "migrate")
        for words in (["api-server", "--host", "127.0.0.1", "--port", str(port)], ["scheduler"], ["dag-processor"]):
            up.enter_context(found.running("control", "airflow", *words))
        wait_until("Airflow", lambda: get(found, "monitor/health")["scheduler"]["status"] == "healthy")
        yield found


def put_data(project: BakedProject, access: dict[str, str]) -> None:
    """The year in the bucket."""
    put = (
        "import fsspec; from pathlib import Path; fs = fsspec.filesystem('s3'); fs.makedirs('lake', exist_ok=True)\n"
        "for file in Path('data').glob('flights-*.csv.gz'): fs.put(str(file), f'lake/in/{file.name}')"
    )
    succeed(project, project.path / ".venv" / "bin" / "python", "-c", put, **access)


def make_home(project: Path, home: Path, user: str | None) -> None:
    """A home with what an image holds; it belongs to its user alone."""
    home.mkdir()
    for name in IN_AN_IMAGE:
        copy = shutil.copytree if (project / name).is_dir() else shutil.copy2
        copy(project / name, home / name)
    if user:
        for path in (home, *home.rglob("*")):
            shutil.chown(path, user)
    home.chmod(0o700)


def variables_of(database: PostgreSQL, broker: int, mlflow: str, port: int) -> dict[str, str]:
    """The variables of `docs/how-to/run-on-a-cluster.md`, with the addresses of these servers."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url(database="airflow"),
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{broker}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database.url(database='airflow')}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of all processes, and long enough for SHA-512: 0123456789012345678901234567",
        "AIRFLOW__API__SECRET_KEY": "of the pages",
        "AIRFLOW__CORE__FERNET_KEY": "cryptography_not_used_but_required_here_44c=",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://lake/logs",
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "store",
        "AIRFLOW_CONN_STORE": "aws://",
        "MLFLOW_TRACKING_URI": mlflow,
        "MODELWORKS_TRACKING__REGISTRY": "team",
        "MODELWORKS_STORAGE__URI": "s3://lake/store",
        "MODELWORKS_SOURCE__URI": "s3://lake/in/flights-{period}.csv.gz",
        # Of this test alone: anybody may ask, one DAG is enough, and a worker that is gone is missed soon.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "MODELWORKS_SCHEDULE__CRON": "",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        **{f"MODELWORKS_{name}": value for name, value in ON_A_LAPTOP.items()},
    }


def get(cluster: Cluster, path: str, body: object = None) -> Any:
    """What Airflow's REST API answers."""
    url = cluster.variables["AIRFLOW__API__BASE_URL"]
    return fetch(f"{url}/api/v2/{path}", body, fetch(f"{url}/auth/token")["access_token"])


class Workers:
    """Two Celery workers; the one with a task can be killed, as if its machine were gone."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._processes = {name: self._start(name) for name in ("one", "two")}

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        words = ["celery", "worker", "--skip-serve-logs", "--celery-hostname", f"{name}@%h"]
        orders = {"PYTHONPATH": str(self._cluster.folder / "faults"), "FAULT_ORDERS": str(self._cluster.orders)}
        return self._cluster.start(name, "airflow", *words, **orders)

    def kill_the_one_that_is(self, moment: str) -> str:
        """Wait until a task has reached a moment that it was ordered to wait at, and kill its worker for good."""
        orders = self._cluster.orders
        [waiting] = wait_until(f"a task is {moment}", lambda: list(orders.glob(f"{moment} *")))
        parents = {parent.pid for parent in psutil.Process(int(waiting.name.rpartition(" ")[2])).parents()}
        [name] = [name for name, process in self._processes.items() if process.pid in parents]
        end(self._processes.pop(name))
        (orders / moment).unlink()
        return name

    def restart(self, name: str) -> None:
        """Another machine in the place of the one that is gone."""
        self._processes[name] = self._start(name)

    def stop(self) -> None:
        """End those that are up."""
        for process in self._processes.values():
            end(process)


@pytest.fixture(scope="module")
def released(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """The run of a release through which a worker was killed in training, and the other one after it had registered."""
    moments = ["before pipeline.fit", "after versions.Versions.register"]
    for moment in moments:
        (cluster.orders / moment).write_text("wait")
    workers = Workers(cluster)
    try:
        wait_until("the DAG", lambda: TRAINING in {dag["dag_id"] for dag in get(cluster, "dags")["dags"]})
        run = get(cluster, f"dags/{TRAINING}/dagRuns", {"logical_date": None, "conf": {"period": "2013-12"}})
        for moment in moments:
            killed = workers.kill_the_one_that_is(moment)
            workers.restart(killed)
        path = f"dags/{TRAINING}/dagRuns/{run['dag_run_id']}"
        wait_until("the run has ended", lambda: get(cluster, path)["state"] in {"success", "failed"})
        tasks = get(cluster, f"{path}/taskInstances")["task_instances"]
        yield get(cluster, path) | {"tries": {each["task_id"]: each["try_number"] for each in tasks}}
    finally:
        workers.stop()


def test_a_killed_worker_costs_a_try_and_no_more(cluster: Cluster, released: dict[str, Any]) -> None:
    assert released["state"] == "success"
    assert {name for name, tries in released["tries"].items() if tries > 1} == {"train", "deploy"}
    status = json.loads(cluster.call("api", "flight-delays", "status", "--json"))
    assert status["champion"]["version"] == "1"
    assert [(each["action"], each["to_version"]) for each in status["ledger"]] == [("deploy", "1")]


def test_year_leads_to_the_champion_of_a_laptop_byte_for_byte(
    cluster: Cluster, released: dict[str, Any], project: BakedProject
) -> None:
    """All months from ingest to a release: the same data, figures, verdict and files of models."""
    assert released["state"] == "success"
    here = {f"MODELWORKS_{name}": value for name, value in ON_A_LAPTOP.items()}
    succeed(project, project.command, "run", "--without-airflow", "--period", "2013-12", **here)
    ours = model_files(project.path / ".venv" / "bin" / "python", project.path, here)
    theirs = json.loads(cluster.call("api", "python", "-c", READ).splitlines()[-1])
    assert {period for _, period, *_ in ours["manifests"]} == {f"2013-{month:02d}" for month in range(1, 13)}
    assert {layer for layer, *_ in ours["manifests"]} >= {"raw", "clean"}
    assert ours["models"].keys() == {"candidate", "champion"}
    assert ours["files"]["verdict.json"]
    assert theirs == ours


def test_api_on_a_third_home_serves_it(cluster: Cluster, released: dict[str, Any]) -> None:
    assert released["state"] == "success"
    [port] = free_ports(0)
    words = ["modelworks.serving:create_app", "--factory", "--host", "127.0.0.1", "--port", str(port)]
    row = json.loads(cluster.call("api", "python", "-c", EXAMPLE))
    with cluster.running("api", "uvicorn", *words):
        wait_until("the API", lambda: fetch(f"http://127.0.0.1:{port}/ready"))
        answer = fetch(f"http://127.0.0.1:{port}/predict", row)
    assert answer["model_version"] == "1"
    assert 0 < answer["predictions"][0]["probability"] < 1


def test_nothing_of_it_is_on_a_disk_of_the_workers(cluster: Cluster, released: dict[str, Any]) -> None:
    """Partitions, models and the ledger are in the stores; downloads are gone."""
    assert released["state"] == "success"
    for name in ("one", "two"):
        files = {path.name for path in cluster.home(name).rglob("*") if path.is_file()}
        assert not [file for file in files if file.endswith((".parquet", ".skops", ".db"))], files


def test_page_names_the_environment_that_was_run(cluster: Cluster) -> None:
    page = PAGE.read_text(encoding="utf-8")
    [block] = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    named = {line.partition("=")[0] for line in block.splitlines()}
    of_the_test = {"AIRFLOW_CONFIG", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "MODELWORKS_SCHEDULE__CRON"}
    of_the_test |= {f"MODELWORKS_{name}" for name in ON_A_LAPTOP}
    run = {name for name in cluster.variables if not name.startswith("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT")}
    assert named == run - of_the_test


@pytest.mark.parametrize("dag", ["ingestion", "scoring"])
def test_pod_of_each_task_is_valid(cluster: Cluster, uv: str, dag: str) -> None:
    """Airflow renders the template of the page; Kubernetes' own schema, and what a careful cluster asks of a pod."""
    subprocess.run([uv, "pip", "install", "--quiet", "--python", cluster.code, SCHEMA], check=True)
    [template] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file = cluster.home("control") / "pod.yaml"
    file.write_text(template, encoding="utf-8")
    kubernetes = {
        "AIRFLOW__CORE__EXECUTOR": "KubernetesExecutor",
        "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE": str(file),
        "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": "flight-delays",
    }
    words = ["kubernetes", "generate-dag-yaml", "--logical-date", "2013-12-01", "--output-path", f"pods-{dag}"]
    replace(cluster, variables=cluster.variables | kubernetes).call(
        "control", "airflow", *words, f"flight_delays_{dag}"
    )
    pods = sorted((cluster.home("control") / f"pods-{dag}").rglob("*.yml"))
    labels = [yaml.safe_load(pod.read_text(encoding="utf-8"))["metadata"]["labels"] for pod in pods]
    assert {each["task_id"] for each in labels} == {
        "ingestion": {"ingest", "validate"},
        "scoring": {"retraining_done", "score"},
    }[dag]
    cluster.call("control", "kubernetes-validate", "--strict", *map(str, pods))
    for pod in pods:
        spec = yaml.safe_load(pod.read_text(encoding="utf-8"))["spec"]
        [container] = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert not spec["automountServiceAccountToken"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["resources"].keys() == {"requests", "limits"}
        assert not container["image"].endswith(":latest")
        assert cluster.variables["AIRFLOW__API_AUTH__JWT_SECRET"] not in pod.read_text(encoding="utf-8")
