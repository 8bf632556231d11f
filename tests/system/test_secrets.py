"""No secret is in anything that a run leaves: each is given as its page says, is used, and is searched for in the end.

A run that releases a model through Airflow, with its storage on S3, MLflow behind a password and each recipient of
notifications; the API; and every error that has a secret at hand.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import secrets
import sqlite3
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from backends import object_store
from bakes import Bake, BakedProject, restored, serving, tool
from charts import ENVIRONMENTS, NAME, render, values_of
from inbox import Inbox, MailServer
from inbox import serving as receiving
from live_project import free_ports, wait_until

pytestmark = pytest.mark.slow

LIST_FIELDS = """
from pydantic import SecretStr
from modelworks.settings import Settings
for section, each in Settings.model_fields.items():
    for name, value in getattr(each.annotation, "model_fields", {}).items():
        if value.annotation is SecretStr:
            print(f"MODELWORKS_{section}__{name}".upper())
"""
MAKE_BUCKET = "import fsspec; fsspec.filesystem('s3').makedirs('lake', exist_ok=True)"
READ_BUCKET = "import fsspec; fsspec.filesystem('s3').get('lake', 'bucket', recursive=True)"
ALL = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
MLFLOW = "-m modelworks.registry.mlflow_server server --host 127.0.0.1 --port {port} --workers 1"


def secret() -> str:
    """Text that is nowhere by chance, and that is another one when it is quoted."""
    return f"k/+@&{secrets.token_hex(12)}"


@dataclass
class Leaks:
    """The secrets of a run by the variable that brings each, and where they are found."""

    secrets: dict[str, str] = field(default_factory=dict)

    def new(self, variable: str) -> str:
        """A secret of a variable's own."""
        return self.secrets.setdefault(variable, secret())

    def find(self, where: str, content: bytes) -> list[str]:
        """`variable in where`, for each of the secrets that a content has, in whatever form."""
        return [
            f"{variable} in {where}"
            for variable, text in self.secrets.items()
            if any(form in content for form in forms(text))
        ]

    def find_below(self, folder: Path, *, but: tuple[str, ...] = ()) -> list[str]:
        """The same of each file of a folder, the packed ones unpacked, and of its path."""
        found = []
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink() and not name.startswith(but):
                found += self.find(name, name.encode() + b"".join(contents(path)))
        return found


def forms(text: str) -> set[bytes]:
    """How a secret may be written: as it is, quoted for a URL, escaped in JSON, and within a longer base64 text."""
    plain = text.encode()
    found = {plain, *(quote(text, safe=safe).encode() for safe in ("", "/", "/+@")), json.dumps(text)[1:-1].encode()}
    found |= {each.replace(b"/", rb"\/") for each in found} | {text.encode("utf-16-le")}
    # Three characters become four, wherever the secret begins; what neighbours have a part in is left out.
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            end = (before + len(plain)) // 3 * 4
            found.add(encode(b"_" * before + plain)[(before * 8 + 5) // 6 : end])
    return found


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and of what is packed in it."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif path.suffix == ".gz":
        with suppress(gzip.BadGzipFile), gzip.open(path) as packed:
            yield packed.read()


@dataclass
class Run:
    """What a run has left: the project, everything that was printed or answered, and its environment."""

    project: BakedProject
    leaks: Leaks
    environment: dict[str, str]
    printed: dict[str, str] = field(default_factory=dict)

    def call(self, *command: str | Path, error: str = "", **variables: str) -> str:
        """Run a command of the project, and keep what it prints; with an error, which it is to fail by."""
        done = self.project.run(*command, **{**self.environment, **variables})
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == bool(error), said
        assert error in said
        self.printed[f"{len(self.printed)}: {' '.join(map(str, command))}"] = said
        return said

    def ask(self, url: str, body: object = None) -> str:
        """Keep what a server answers, whatever its status."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - our own server
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
                said: str = str(answer.headers) + answer.read().decode()
        except urllib.error.HTTPError as error:
            said = str(error.headers) + error.read().decode()
        self.printed[f"{len(self.printed)}: {url}"] = said
        return said


def environment_of(leaks: Leaks, at: dict[str, str]) -> dict[str, str]:
    """Every secret that a setting or a page names, as they are given."""
    new = leaks.new
    quoted = {name: quote(new(name), safe="") for name in ("MLFLOW_TRACKING_URI", "WEBHOOK_URL", "SMTP", "WAREHOUSE")}
    signing = leaks.secrets["WEBHOOK_SECRET"] = base64.b64encode(secrets.token_bytes(32)).decode()
    fernet = leaks.secrets["FERNET_KEY"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    slack = {"conn_type": "slackwebhook", "host": f"http://{at['inbox']}", "password": new("SLACK")}
    return {
        "AWS_ENDPOINT_URL": f"http://{at['s3']}",
        "AWS_ACCESS_KEY_ID": "project",
        "AWS_SECRET_ACCESS_KEY": new("AWS_SECRET_ACCESS_KEY"),
        "MLFLOW_TRACKING_URI": f"http://ada:{quoted['MLFLOW_TRACKING_URI']}@{at['mlflow']}",
        "MODELWORKS_STORAGE__URI": "s3://lake/store",
        "MODELWORKS_NOTIFICATIONS__WEBHOOK_URL": f"http://{at['inbox']}/{quoted['WEBHOOK_URL']}",
        "MODELWORKS_NOTIFICATIONS__WEBHOOK_SECRET": f"whsec_{signing}",
        "MODELWORKS_NOTIFICATIONS__SLACK_CONNECTION": "team",
        "MODELWORKS_NOTIFICATIONS__EMAIL_TO": '["ada@example.com"]',
        "AIRFLOW_CONN_TEAM": json.dumps(slack),
        "AIRFLOW_CONN_SMTP_DEFAULT": f"smtp://ada:{quoted['SMTP']}@{at['mail']}/?disable_ssl=true"
        "&disable_tls=true&from_email=ada%40example.com",
        "AIRFLOW_CONN_WAREHOUSE": f"postgresql+psycopg://ada:{quoted['WAREHOUSE']}@{at['closed']}/lake",
        "AIRFLOW_CONN_SPARK_CONNECT_DEFAULT": f"sc://{at['closed']}/;token={new('SPARK_TOKEN')}",
        "AIRFLOW__API_AUTH__JWT_SECRET": new("JWT_SECRET") + "0" * 64,
        "AIRFLOW__API__SECRET_KEY": new("SECRET_KEY"),
        "AIRFLOW__CORE__FERNET_KEY": fernet,
        "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=lake;AccountKey={new('AZURE_ACCOUNT_KEY')};",
        "MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "40",
    }


@pytest.fixture(scope="module")
def run(installed: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A release, an API, and errors, with every secret given."""
    project = restored(installed)
    leaks, folder = Leaks(), tmp_path_factory.mktemp("servers")
    (folder / "s3").mkdir()
    roles = {"project": ("project", leaks.new("AWS_SECRET_ACCESS_KEY"), ALL)}
    python = project.path / ".venv/bin/python"
    command = [str(python), *MLFLOW.split(), "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with ExitStack() as servers:
        inbox, mail = servers.enter_context(receiving(Inbox())), servers.enter_context(receiving(MailServer()))
        addresses = {
            "inbox": inbox.address,
            "mail": f"127.0.0.1:{mail.server_address[1]}",
            "s3": servers.enter_context(object_store(folder / "s3", roles)).removeprefix("http://"),
            "mlflow": servers.enter_context(serving(command, folder, "/health")).removeprefix("http://"),
        }
        addresses["closed"] = f"127.0.0.1:{free_ports(0)[0]}"
        environment = environment_of(leaks, addresses)
        found = Run(project, leaks, environment)
        found.call(python, "-c", MAKE_BUCKET)
        assert "is the champion" in found.call("make", "run", "ARGS=--period 2013-03")
        assert f"/{quote(leaks.secrets['WEBHOOK_URL'], safe='')}" in {path for path, _ in inbox.received}
        ask_api(found)
        for command_ in ("status --json", "report", "events"):
            found.call(project.command, *command_.split())
        fail_everywhere(found, addresses["closed"])
        found.call(python, "-c", READ_BUCKET)
        yield found


def ask_api(run: Run) -> None:
    """All that the API answers, and an error of each kind."""
    command = [".venv/bin/uvicorn", "modelworks.serving:create_app", "--factory", "--port", "{port}"]
    with serving(command, run.project.path, "/ready", **run.environment) as url:
        page = json.loads(run.ask(f"{url}/openapi.json").partition("\n\n")[2])
        body = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        assert "probability" in run.ask(f"{url}/predict", body["examples"]["one row"]["value"])
        for path, sent in (("/predict", {"distance": "far"}), ("/predict", []), ("/nothing", None)):
            run.ask(url + path, sent)
        for path in ("/health", "/ready", "/model", "/docs"):
            run.ask(url + path)
        wait_until("the figures of the pipeline", lambda: "model_champion_info{" in run.ask(f"{url}/metrics"))


def fail_everywhere(run: Run, closed: str) -> None:
    """Each server refuses or is away in turn, the recipients of notifications as well."""
    environment, new = run.environment, run.leaks.new
    away = {
        name: re.sub(r"127\.0\.0\.1:\d+", closed, environment[name])
        for name in ("MODELWORKS_NOTIFICATIONS__WEBHOOK_URL", "AIRFLOW_CONN_TEAM", "AIRFLOW_CONN_SMTP_DEFAULT")
    }
    gone = {"MLFLOW_TRACKING_URI": f"http://ada:{quote(new('GONE_MLFLOW'), safe='')}@{closed}"}
    query = {"URI": "", "QUERY": "select 1 where :start < :end", "SQL_CONNECTION": "warehouse"}
    sql = {f"MODELWORKS_SOURCE__{name}": value for name, value in query.items()}
    spark = {
        "MODELWORKS_COMPUTE__EXECUTOR": "spark",
        "MODELWORKS_COMPUTE__SPARK_URL": "airflow://spark_connect_default",
    }
    run.call("make", "run", error="make: ***", **away, **sql)  # a task of Airflow fails, and nobody can be notified
    command = run.project.command
    run.call(command, "ingest", error="error: ", AWS_SECRET_ACCESS_KEY=new("WRONG_S3"))
    run.call(command, "ingest", error="error: ", **spark)
    run.call(command, "ingest", error="error: ", MODELWORKS_STORAGE__URI="abfs://lake/store")
    run.call(command, "rollback", "--reason", "a test", error="error: ", **gone)
    run.call(command, "status", MODELWORKS_SERVING__MAX_ROWS="0", error="error: ")
    database = f"postgresql+psycopg2://ada:{quote(new('AIRFLOW_DATABASE'), safe='')}@{closed}/airflow"
    run.call("make", "run", error="make: ***", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=database)
    run.call(command, "events", "--send", **away)


def test_a_secret_is_found_however_it_is_written(tmp_path: Path) -> None:
    """Else what the others do not find would mean nothing."""
    leaks = Leaks()
    text = leaks.new("TOKEN")
    planted = {
        "a.log": f"Authorization: Basic {base64.b64encode(f'ada:{text}'.encode()).decode()}".encode(),
        "b.log": f"http://ada:{quote(text, safe='')}@db/lake".encode(),
        "c.json": json.dumps({"error": f'"{text}"'}).encode(),
        "d.gz": gzip.compress(f"... {text}".encode()),
        "e.txt": base64.urlsafe_b64encode(f"1{text}".encode()),
        "f.bin": text.encode("utf-16-le"),
        "none.txt": b"TOKEN",
    }
    for name, content in planted.items():
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "g.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/settings", text)
    database = sqlite3.connect(tmp_path / "h.db")
    database.execute("create table params (value text)")
    database.execute("insert into params values (?)", (text,))
    database.commit()
    database.close()
    found = leaks.find_below(tmp_path)
    assert found == [f"TOKEN in {name}" for name in sorted((*planted, "g.zip", "h.db")) if name != "none.txt"]


def test_each_secret_that_settings_have_is_among_those_searched_for(run: Run) -> None:
    fields = run.project.run(run.project.path / ".venv/bin/python", "-c", LIST_FIELDS).stdout.split()
    assert len(fields) >= 2
    assert set(fields) - run.environment.keys() == set()


def test_no_secret_is_in_a_file_that_a_run_leaves(run: Run) -> None:
    """Logs, reports, ledger, manifests, partitions, the predictions, MLflow's database and artifacts, the bucket."""
    assert run.leaks.find_below(run.project.path, but=(".venv/", ".tools/")) == []


def test_no_secret_is_printed_or_answered(run: Run) -> None:
    assert [leak for name, said in run.printed.items() for leak in run.leaks.find(name, said.encode())] == []


def test_no_secret_of_the_environment_is_in_what_platforms_get(bake: Bake) -> None:
    """What Compose and Helm make of a project whose .env has every secret: they name each, and hold none."""
    project, leaks = bake(platforms="compose, kubernetes"), Leaks()
    at = dict.fromkeys(("inbox", "mail", "s3", "mlflow", "closed"), "127.0.0.1:9")
    environment = environment_of(leaks, at)
    (project.path / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in environment.items()))
    file = project.path / "deploy/compose/compose.yaml"
    known = {"IMAGE_TAG": "1", "SOURCE_FILE": "a.csv", "S3_SECRET_KEY": "k"}
    known |= {f"AIRFLOW_{name}": "a" for name in ("PASSWORD", "JWT_SECRET", "SECRET_KEY", "FERNET_KEY")}
    known |= {f"{name}_PASSWORD": "p" for name in ("POSTGRES", "GRAFANA")}

    compose = project.run(tool("docker-compose"), "--file", file, "config", **environment, **known)
    assert compose.returncode == 0, compose.stderr
    assert "AIRFLOW__CORE__FERNET_KEY: a" in compose.stdout
    folder = project.path / "deploy" / "kubernetes"
    charts = [render(folder / "modelworks", values_of(folder, "modelworks", each), NAME) for each in ENVIRONMENTS]
    assert leaks.find("Compose", compose.stdout.encode()) == []
    assert leaks.find("the charts", json.dumps(charts).encode()) == []
