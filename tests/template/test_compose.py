"""The servers of Docker Compose: valid, closed to other machines, without a password of our own, and never half up."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
from typing import Any

import pytest
import yaml

from bakes import REPOSITORY, Bake, BakedProject, tool

PAGE = REPOSITORY / "docs" / "how-to" / "run-on-a-cluster.md"
ONCE = {"load", "migrate"}
# With images of their own, which need a folder to write to or a user to change to.
OTHERS = {"grafana", "postgres", "prometheus", "proxy", "redis", "s3"}


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    """A project with Compose."""
    return bake(platforms="compose", git_init=False)


def compose(project: BakedProject, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`make compose`, with the Docker Compose of the template's environment."""
    arguments = " ".join(words)
    return project.run(
        "make", "--silent", "compose", f"COMPOSE={tool('docker-compose')}", f"ARGS={arguments}", **variables
    )


@pytest.fixture(scope="module")
def config(project: BakedProject) -> dict[str, Any]:
    """The file as Compose reads it, with every variable in its place."""
    done = compose(project, "config", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def services(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = config["services"]
    return found


def test_all_servers_are_there(services: dict[str, dict[str, Any]]) -> None:
    assert services.keys() == ONCE | OTHERS | {
        *("airflow", "api", "dag-processor", "mlflow", "scheduler", "triggerer", "worker")
    }
    assert services["api"]["deploy"]["replicas"] == 2


def test_each_server_has_a_health_check_and_what_runs_once_is_awaited(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == ONCE
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how["condition"] == expected, f"{name} -> {other}"


def test_health_check_that_is_too_slow_leaves_no_process(services: dict[str, dict[str, Any]]) -> None:
    """Docker kills the one process that it has started, and who has lost its parent is left to the first process."""
    for name, service in services.items():
        if name not in OTHERS:
            assert service["init"] is True, name
            kind, *words = service.get("healthcheck", {}).get("test", ["CMD"])
            assert kind == "CMD" or words[0].startswith("exec "), name


def test_airflow_sends_its_metrics_to_where_prometheus_receives_them(services: dict[str, dict[str, Any]]) -> None:
    """The alert TasksFailed has nothing else. While it is away, a process that ends tries again for seconds."""
    environment = services["scheduler"]["environment"]
    assert environment["AIRFLOW__METRICS__OTEL_ON"] == "True"
    assert environment["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] == "http://prometheus:9090/api/v1/otlp/v1/metrics"
    assert "--web.enable-otlp-receiver" in services["prometheus"]["command"]
    assert services["prometheus"]["image"].startswith("prom/prometheus:v3.")
    assert "depends_on" not in services["prometheus"]


def test_no_server_is_open_to_other_machines(services: dict[str, dict[str, Any]]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert {name: [each["host_ip"] for each in open_] for name, open_ in ports.items()} == {
        name: ["127.0.0.1"] for name in ("airflow", "grafana", "mlflow", "prometheus", "proxy")
    }


def test_each_has_a_limit_and_no_more_rights_than_it_needs(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert int(service["mem_limit"]) > 0, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert service.get("read_only") or name in {"postgres", "s3"}, name
        assert not service.get("cap_add") or name in {"postgres", "s3"}, name  # which change to a user of their own
        assert not any("docker.sock" in str(each) for each in service.get("volumes", [])), name


def test_each_image_is_named_by_its_version(services: dict[str, dict[str, Any]]) -> None:
    images = {name: service["image"] for name, service in services.items()}
    assert {image for name, image in images.items() if name not in OTHERS} == {"flight-delays:local"}
    for name in OTHERS:
        assert re.search(r":v?\d+\.\d+", images[name]), images[name]


def test_workers_have_the_environment_of_the_page_about_them(services: dict[str, dict[str, Any]]) -> None:
    named = set(re.findall(r"^([A-Z][A-Z_0-9]+)=", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(named) > 15
    assert named - services["worker"]["environment"].keys() == set()
    assert services["worker"]["environment"]["MODELWORKS_SOURCE__URI"] == "s3://lake/in/flights-{period}.csv.gz"


def test_every_file_that_is_mounted_is_there(services: dict[str, dict[str, Any]]) -> None:
    mounted = [
        each["source"] for service in services.values() for each in service.get("volumes", []) if each["type"] == "bind"
    ]
    assert len(mounted) > 4
    assert [path for path in mounted if not os.path.exists(path)] == []  # noqa: PTH110 - a text of Compose


def test_passwords_are_drawn_once_for_each_project_and_for_its_user_alone(
    project: BakedProject, bake: Bake, services: dict[str, dict[str, Any]]
) -> None:
    file = project.path / "var" / "compose.env"
    drawn = dict(line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(set(drawn.values())) == len(drawn)
    assert all(len(value) >= 32 for value in drawn.values())
    assert services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == drawn["GRAFANA_PASSWORD"]
    compose(project, "config", "--quiet")
    assert dict(line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines()) == drawn
    other = bake(platforms="compose", git_init=False)
    assert compose(other, "config", "--quiet").returncode == 0
    text = (other.path / "var" / "compose.env").read_text(encoding="utf-8")
    assert [name for name, value in drawn.items() if value in text] == []


def test_keys_of_the_api_are_drawn_once_and_are_those_that_it_reads(
    project: BakedProject, services: dict[str, dict[str, Any]]
) -> None:
    folder = project.path / "var" / "compose-keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    mounted = {each["target"]: each["source"] for each in services["api"]["volumes"]}
    file = mounted["/run/keys"] + "/api-keys.json"
    assert services["api"]["environment"]["MODELWORKS_ACCESS__API_KEYS"] == "/run/keys/api-keys.json"
    keys = {name: (folder / name / "key").read_text() for name in ("me", "prometheus")}
    code = (
        "import sys, pathlib; from modelworks.access.api_keys import hash_key, read_keys;"
        "keys, known = read_keys(pathlib.Path(sys.argv[1])), [*map(hash_key, sys.argv[2:])];"
        "print({each.name: (each.sha256 in known, *each.scopes) for each in keys})"
    )
    read = subprocess.check_output(
        [REPOSITORY / ".venv-engine/bin/python", "-c", code, file, *keys.values()], text=True
    )
    assert ast.literal_eval(read) == {"prometheus": (True, "read"), "me": (True, "predict", "explain", "read")}
    compose(project, "config", "--quiet")
    assert keys == {name: (folder / name / "key").read_text() for name in keys}


def test_files_that_git_tracks_hold_no_secret(project: BakedProject) -> None:
    """Each value of a variable that holds one is a reference."""
    text = (project.path / "deploy" / "compose" / "compose.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    for service in content["services"].values():
        for name, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD$|SECRET|FERNET|_KEY$", name):
                assert str(value).startswith("${"), name
    ignored = project.run("git", "check-ignore", "--no-index", "var/compose.env")
    assert (ignored.returncode, ignored.stdout) in {(0, "var/compose.env\n"), (128, "")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "S3_SECRET_KEY", "AIRFLOW_JWT_SECRET", "GRAFANA_PASSWORD"])
def test_without_a_secret_nothing_starts(name: str, bake: Bake) -> None:
    project = bake(platforms="compose", git_init=False)
    assert compose(project, "config", "--quiet").returncode == 0
    file = project.path / "var" / "compose.env"
    kept = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith(name)]
    file.write_text("\n".join(kept), encoding="utf-8")
    done = compose(project, "config", "--quiet")
    assert done.returncode != 0
    assert f"required variable {name} is missing a value: in var/compose.env" in done.stderr


def test_source_of_a_table_of_one_s_own_is_that_of_its_settings(bake: Bake) -> None:
    project = bake(platforms="compose", example="text", git_init=False)
    done = compose(project, "config", "--format", "json")
    environment = json.loads(done.stdout)["services"]["worker"]["environment"]
    assert environment["MODELWORKS_SOURCE__URI"] == "s3://lake/in/changes-{period}.csv.gz"
