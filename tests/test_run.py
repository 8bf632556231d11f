"""What a user does, done: from a clean copy to a deployed model, on real Airflow and real MLflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Bake, BakedProject, tool
from live_project import free_ports

pytestmark = pytest.mark.slow

HOSTILE = {
    "project_name": 'It\'s "late" \\ {again} & <again>',
    "project_slug": "a-name-of-fifty-characters-which-is-the-most-there",
    "author_name": "Zoë O'Hara-Ñandú 🛫",
}


@pytest.fixture(scope="session")
def clone(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the template, as a user's git makes it."""
    origin = tmp_path_factory.mktemp("origin") / "template"
    shutil.copytree(template, origin)
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *command], cwd=origin, check=True)
    copy = tmp_path_factory.mktemp("clone") / "template"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(copy)], check=True)
    return copy


def new_machine(home: Path) -> dict[str, str]:
    """The environment of a machine without uv and with an empty home; only uv's download cache is shared."""
    cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "uv").exists()]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "UV_"))}
    return kept | {"PATH": os.pathsep.join(folders), "HOME": str(home), "UV_CACHE_DIR": cache}


def call(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command that has to succeed; what it printed."""
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def status_of(project: Path) -> dict[str, Any]:
    """The project's own account of its state."""
    printed: dict[str, Any] = json.loads(call(project / ".venv/bin" / project.name, "status", "--json", cwd=project))
    return printed


@pytest.fixture(scope="session")
def demo(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The project that `make demo` leaves, and what it printed."""
    home = tmp_path_factory.mktemp("home")
    printed = call("make", "demo", cwd=clone, environment=new_machine(home))
    # Airflow and MLflow keep caches of their own in the home; of the template and of uv there must be nothing.
    assert not [
        path for path in home.rglob("*") if path.name in {"uv", "uvx", ".cookiecutters", ".cookiecutter_replay"}
    ]
    return clone / "build/demo/flight-delays", printed


@pytest.fixture(scope="session")
def project(demo: tuple[Path, str]) -> Path:
    """The generated project of `make demo`, with its environment and a deployed model."""
    return demo[0]


def test_demo_on_a_new_machine_ends_in_a_deployed_model(demo: tuple[Path, str]) -> None:
    project, printed = demo
    for stage in ("ingest", "validate", "train", "evaluate", "deploy"):
        assert re.search(rf"✓ \S+ +{stage} ", printed)
    assert "version 1 is the champion" in printed
    champion = status_of(project)["champion"]
    assert champion["version"] == "1"
    assert 0.60 <= champion["metrics"]["roc_auc"] <= 0.80


def test_demo_again_works_and_git_sees_nothing_new(demo: tuple[Path, str], clone: Path, tmp_path: Path) -> None:
    before = status_of(demo[0])
    assert "is the champion" in call("make", "demo", cwd=clone, environment=new_machine(tmp_path))
    after = status_of(demo[0])
    assert int(after["champion"]["version"]) == int(before["champion"]["version"]) + 1
    assert after["previous"]["version"] == before["champion"]["version"]
    assert call("git", "status", "--porcelain", cwd=clone) == ""


def test_plain_run_gives_the_model_and_figures_of_the_dag_run(project: Path) -> None:
    dag = status_of(project)["champion"]
    assert "is the champion" in call(project / ".venv/bin/flight-delays", "run", cwd=project)
    plain = status_of(project)["champion"]
    assert plain["run_id"] != dag["run_id"]
    assert plain["data_digest"] == dag["data_digest"]
    own = {name: value for name, value in plain["metrics"].items() if "champion" not in name}
    assert own.items() <= dag["metrics"].items()
    assert plain["metrics"]["loss_over_champion"] == 0


def test_tests_and_checks_of_the_generated_project_pass(project: Path) -> None:
    assert " passed" in call("make", "test", cwd=project)
    assert "0 broken" in call("make", "check", cwd=project)


def test_every_command_of_the_project_explains_itself(project: Path) -> None:
    printed = call(project / ".venv/bin/flight-delays", "--help", cwd=project)
    stages = ("run", "search", "ingest", "validate", "train", "evaluate", "deploy")
    releases = ("approve", "reject", "rollback", "history", "reproduce", "score")
    for command in (*stages, *releases, "status", "up", "down", "trigger", "logs"):
        assert f" {command} " in printed


def test_releases_are_told_made_again_and_used_for_scores(project: Path) -> None:
    command = project / ".venv/bin/flight-delays"
    assert "passed every check on 2013-12" in call(command, "history", cwd=project)
    version = status_of(project)["champion"]["version"]
    assert "equal in all 111,279 predictions" in call(command, "reproduce", version, cwd=project)
    for found in ("scored", "found"):
        assert f"8,710 rows {found}, by version {version}" in call("make", "score", "MONTH=2013-11", cwd=project)


def test_refused_model_fails_make_run_and_leaves_the_champion(project: Path) -> None:
    before = status_of(project)
    environment = os.environ | {"FLIGHT_DELAYS_TRAINING__FEATURES": '["distance"]'}
    done = subprocess.run(["make", "run"], cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert re.search(r"✗ \S+ +evaluate", done.stdout)
    assert "Not released" in done.stdout
    assert re.search(r"log: \S+\.log", done.stdout)
    assert status_of(project) == before


def test_search_tells_of_every_family_and_releases_nothing(project: Path) -> None:
    before = status_of(project)
    environment = os.environ | {"FLIGHT_DELAYS_TRAINING__FEATURES": '["recent_delay", "carrier", "visibility"]'}
    printed = call("make", "search", "TRIALS=2", "ARGS=--month 2013-04", cwd=project, environment=environment)
    for trial in ("boosting 0 (default)", "boosting 1", "blend 0", "blend 1", "forest 0", "linear 1", "baseline"):
        assert f" {trial} " in printed
    kept = tomllib.loads(printed.partition("```toml")[2].partition("```")[0])["model"]
    assert kept["family"] in {"blend", "boosting", "forest", "linear"}
    assert status_of(project) == before


def test_user_path_with_uvx(clone: Path, uv: str, tmp_path: Path) -> None:
    locked = re.search(r"^cookiecutter==(\S+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
    assert locked
    environment = os.environ | {"HOME": str(tmp_path / "home")}
    environment.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    command = [uv, "tool", "run", f"cookiecutter@{locked[1]}", "--no-input", str(clone)]
    printed = call(*command, cwd=tmp_path, environment=environment)
    assert "cd flight-delays" in printed
    assert "is the champion" in call("make", "run", cwd=tmp_path / "flight-delays")


def test_other_names_and_choices_run_as_well(bake: Bake) -> None:
    project = bake(**HOSTILE, license="Proprietary", ci="GitLab CI", git_init=False).path
    assert "is the champion" in call("make", "run", cwd=project)
    assert "0 broken" in call("make", "check", cwd=project)
    assert " passed" in call(project / ".venv/bin/pytest", "tests/unit", "tests/dags", cwd=project)


def test_lock_installs_with_plain_pip(bake: Bake) -> None:
    project = bake().path
    call(sys.executable, "-m", "venv", ".venv", cwd=project)
    pip = [".venv/bin/pip", "--quiet", "--disable-pip-version-check", "install"]
    call(*pip, "--require-hashes", "-r", "requirements.lock", cwd=project)
    call(*pip, "--no-deps", "--no-build-isolation", "-e", ".", cwd=project)
    assert status_of(project)["champion"] is None


@pytest.fixture(scope="session")
def web(project: Path) -> Iterator[str]:
    """The project's sample files behind HTTP."""
    with serving([sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"], project / "data") as url:
        yield url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3-compatible server with a bucket named `lake`; yields its endpoint."""
    folder = tmp_path_factory.mktemp("s3")
    access = {"name": "tester", "credentials": [{"accessKey": "key", "secretKey": "secret"}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [access]}))
    ports = dict(zip(("master", "volume", "filer"), free_ports(0, 0, 0), strict=True))
    # Without ports of their own for gRPC, the servers take theirs plus 10,000.
    command = [tool("weed"), "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.config=s3.json", "-dir=."]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    grpc_ports = zip((*ports, "s3"), free_ports(0, 0, 0, 0), strict=True)
    command += [f"-{name}.port.grpc={port}" for name, port in grpc_ports]
    with serving([*command, "-s3.port={port}"], folder, path="/healthz") as url:
        yield url


@contextmanager
def serving(command: list[str], folder: Path, path: str = "/") -> Iterator[str]:
    """Run a server on a free port of 127.0.0.1 until the block ends; yields its URL once it answers."""
    port = str(free_ports(0)[0])
    url = f"http://127.0.0.1:{port}"
    log = (folder / "server.log").open("w")
    server = subprocess.Popen([word.replace("{port}", port) for word in command], cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not answers(url + path):
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline, f"{url} did not answer within 60 s"
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


def answers(url: str) -> bool:
    """Whether a server answers a request well."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own server
            return bool(response.status == 200)
    except OSError:
        return False


def test_source_may_be_a_web_server(project: Path, web: str, tmp_path: Path) -> None:
    facts = ingest(project, f"{web}/flights-{{month}}.csv.gz", str(tmp_path))
    assert facts["result"] == "2 months 2013-01 to 2013-02, 17,582 rows (2 new)"
    refused = call_ingest(project, f"{web}/nothing-{{month}}.csv.gz", str(tmp_path))
    assert refused.returncode == 1
    assert f"{web}/nothing-2013-01.csv.gz: no such file" in refused.stderr


def test_source_and_storage_may_be_s3(project: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    put = (
        "import fsspec; fs = fsspec.filesystem('s3'); fs.makedirs('lake', exist_ok=True)\n"
        "for m in ('01', '02'): fs.put(f'data/flights-2013-{m}.csv.gz', f'lake/in/flights-2013-{m}.csv.gz')"
    )
    call(".venv/bin/python", "-c", put, cwd=project)
    first, again = (ingest(project, "s3://lake/in/flights-{month}.csv.gz", "s3://lake/store") for _ in range(2))
    assert first["result"].endswith("(2 new)")
    assert again["result"].endswith("(0 new)")
    assert again["dataset_uri"] == first["dataset_uri"]
    assert first["dataset_uri"].startswith("s3://lake/store/datasets/")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    refused = call_ingest(project, "s3://lake/in/flights-{month}.csv.gz", "s3://lake/store")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr


def ingest(project: Path, source: str, storage: str) -> dict[str, Any]:
    """Ingest two months from elsewhere; what the stage printed."""
    done = call_ingest(project, source, storage)
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def call_ingest(project: Path, source: str, storage: str) -> subprocess.CompletedProcess[str]:
    """Start the ingest stage with another source and storage."""
    return BakedProject(project, {}).run(
        project / ".venv/bin/flight-delays",
        "ingest",
        "--month",
        "2013-02",
        FLIGHT_DELAYS_SOURCE__URI=source,
        FLIGHT_DELAYS_STORAGE__URI=storage,
    )
