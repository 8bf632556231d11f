"""The policies of the roles for AWS suffice for a release and its API, and for no more, on a real S3 server.

The keys come from an agent as EKS Pod Identity's: no process has one in its environment or in a file.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aws_stacks import Stack, read_stack
from backends import object_store
from bakes import Bake, BakedProject, answer_to_example, serving, succeed

pytestmark = pytest.mark.slow

ROLES = ("Tasks", "Logs", "Mlflow", "Api")
BUCKETS = ("source", "store", "models", "logs")
PERIOD = "2013-02"
# What a process tries to do with the object store, and the first word of what came of it.
TRY = """
import sys, fsspec
what, uri = sys.argv[1:]
fs, path = fsspec.core.url_to_fs(uri)
actions = {"read": fs.cat_file, "write": lambda path: fs.pipe_file(path, b"x"), "delete": fs.rm_file, "list": fs.find}
try:
    actions[what](path)
    print("done")
except PermissionError:
    print("refused")
"""


@dataclass
class Agent:
    """Hands out the keys of roles, each to who has the token of its pod.

    Attributes
    ----------
    asked : how often the keys of a role were asked for
    """

    folder: Path
    keys: dict[str, tuple[str, str]] = field(default_factory=lambda: {role: new_keys() for role in ROLES})
    asked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 0))
    port: int = 0

    def answer(self, role: str, token: str | None) -> dict[str, str] | None:
        """The keys of a role, or None if the token is not that of its pods."""
        if token != (self.folder / role).read_text(encoding="utf-8"):
            return None
        self.asked[role] += 1
        access, secret = self.keys[role]
        expires = datetime.now(UTC) + timedelta(hours=1)
        # Keys of an agent have a session token as well, which SeaweedFS would look up in AWS's manner.
        return {
            "AccessKeyId": access,
            "SecretAccessKey": secret,
            "Token": "",
            "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        }

    def environment(self, role: str) -> dict[str, str]:
        """What EKS Pod Identity puts into the environment of a pod."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{self.port}/{role}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.folder / role),
        }


def new_keys() -> tuple[str, str]:
    """An access key and a secret one."""
    return secrets.token_hex(10), secrets.token_hex(20)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """The agent, which listens."""
    agent = Agent(tmp_path_factory.mktemp("tokens"))
    for role in ROLES:
        (agent.folder / role).write_text(secrets.token_hex(20), encoding="utf-8")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = agent.answer(self.path.strip("/"), self.headers["Authorization"])
            self.send_response(200 if found else 403)
            self.end_headers()
            self.wfile.write(json.dumps(found or {}).encode())

        def log_message(self, *words: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        agent.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield agent
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def project(bake: Bake, uv: str) -> BakedProject:
    """A project with its stacks for AWS, and boto3, which MLflow's server wants for an artifact store in S3."""
    project = bake(platforms="aws")
    succeed(project, "make", "setup", "aws")
    words = "pip install --quiet --constraints requirements.lock --python .venv boto3".split()
    succeed(project, uv, *words)
    return project


def policy_of(stack: Stack, role: str) -> str:
    """The policy of a role as JSON, for buckets that are named as in the stack; a server without KMS has no keys."""
    statements = []
    for each in stack.role_policy(role):
        resources = [one for one in each["Resource"] if one != "Key"]
        if resources:
            # Names of buckets have lowercase letters only.
            arns = ["arn:aws:s3:::" + one.split("/")[0].lower() + one[len(one.split("/")[0]) :] for one in resources]
            statements.append(each | {"Resource": arns})
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass(frozen=True)
class Cloud:
    """A project, its object store and its agent."""

    project: BakedProject
    agent: Agent
    variables: dict[str, str]

    def environment(self, role: str) -> dict[str, str]:
        """The environment of a pod of a role, in which there are no keys."""
        return self.variables | self.agent.environment(role)

    def attempt(self, role: str, what: str, uri: str) -> str:
        """What came of an attempt with the object store."""
        return succeed(self.project, ".venv/bin/python", "-c", TRY, what, uri, **self.environment(role)).strip()


@pytest.fixture(scope="module")
def cloud(project: BakedProject, agent: Agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The buckets with two periods, and MLflow's server by its role."""
    stack, folder = read_stack(project, "production"), tmp_path_factory.mktemp("cloud")
    roles = {role: (*agent.keys[role], policy_of(stack, role)) for role in ROLES}
    with ExitStack() as up, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_", "MODELWORKS_"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(folder))  # where the AWS SDKs look for files with keys
        s3 = up.enter_context(object_store(folder, roles))
        made = (
            "import fsspec; fs = fsspec.filesystem('s3', key='key', secret='secret')\n"
            f"for name in {BUCKETS}: fs.mkdir(name)\n"
            "for name in ('flights-2013-01.csv.gz', 'flights-2013-02.csv.gz'): fs.put(f'data/{name}', f'source/{name}')"
        )
        variables = {"AWS_ENDPOINT_URL": s3, "AWS_DEFAULT_REGION": "us-east-1"}
        succeed(project, ".venv/bin/python", "-c", made, **variables)
        mlflow = ["mlflow", "server", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1"]
        store = {
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
            "MLFLOW_ARTIFACTS_DESTINATION": "s3://models/mlflow",
        }
        command = [str(project.path / ".venv/bin" / mlflow[0]), *mlflow[1:]]
        url = up.enter_context(serving(command, folder, "/health", **variables, **store, **agent.environment("Mlflow")))
        variables |= {
            "MLFLOW_TRACKING_URI": url,
            "MODELWORKS_TRACKING__REGISTRY": "team",
            "MODELWORKS_SOURCE__URI": "s3://source/flights-{period}.csv.gz",
            "MODELWORKS_STORAGE__URI": "s3://store/store",
            "MODELWORKS_EVALUATION__BOOTSTRAP_RESAMPLES": "200",
            "MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "40",
        }
        yield Cloud(project, agent, variables)


@pytest.fixture(scope="module")
def released(cloud: Cloud) -> str:
    """What a run prints that releases a model, by the role of tasks."""
    command = [cloud.project.command, "run", "--without-airflow", "--period", PERIOD]
    return succeed(cloud.project, *command, **cloud.environment("Tasks"))


@pytest.mark.usefixtures("released")
def test_release_is_made_by_the_roles_of_tasks_and_of_mlflow(cloud: Cloud) -> None:
    status = succeed(cloud.project, cloud.project.command, "status", "--json", **cloud.environment("Tasks"))
    assert json.loads(status)["champion"]["version"] == "1"
    assert cloud.agent.asked["Tasks"] > 0
    assert cloud.agent.asked["Mlflow"] > 0


@pytest.mark.usefixtures("released")
def test_api_serves_the_champion_and_logs_its_predictions_by_its_own_role(cloud: Cloud) -> None:
    logged = {"MODELWORKS_SERVING__LOG_PREDICTIONS": "true"}
    answer: dict[str, Any] = answer_to_example(cloud.project, **cloud.environment("Api") | logged)
    assert answer["model_version"] == "1"
    find = "import fsspec; print(*fsspec.filesystem('s3').find('store/store/predictions'))"
    written = succeed(cloud.project, ".venv/bin/python", "-c", find, **cloud.environment("Api"))
    assert ".parquet" in written


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize(
    ("role", "what", "uri"),
    [
        ("Tasks", "write", "s3://source/flights-2013-01.csv.gz"),
        ("Tasks", "read", "s3://models/mlflow/x"),
        ("Tasks", "write", "s3://store/elsewhere/x"),
        ("Logs", "write", "s3://logs/airflow/x"),
        ("Mlflow", "read", "s3://store/store/raw/x"),
        ("Api", "write", "s3://store/store/ledger/x"),
        ("Api", "read", "s3://store/store/raw/x"),
        ("Api", "delete", "s3://store/store/raw/x"),
        ("Api", "read", "s3://models/mlflow/x"),
    ],
)
def test_role_is_refused_what_is_not_its_own(cloud: Cloud, role: str, what: str, uri: str) -> None:
    assert cloud.attempt(role, what, uri) == "refused"


def test_role_of_logs_reads_what_tasks_have_written(cloud: Cloud) -> None:
    assert cloud.attempt("Tasks", "write", "s3://logs/airflow/task.log") == "done"
    assert cloud.attempt("Logs", "read", "s3://logs/airflow/task.log") == "done"


@pytest.mark.usefixtures("released")
def test_no_key_is_left_in_a_file_of_the_project(cloud: Cloud) -> None:
    keys = [secret.encode() for _, secret in cloud.agent.keys.values()]
    files = [path for path in (cloud.project.path / "var").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if any(key in path.read_bytes() for key in keys)] == []
