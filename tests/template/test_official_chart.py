"""Airflow's official Helm chart with a project's values: valid, careful, and at one with the project's own chart.

The chart is no part of this repository: AIRFLOW_CHART names its archive, or it lies in build/, where CI puts it at
night.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import helm_python as helm
import pytest
import yaml

from bakes import REPOSITORY, Bake, BakedProject
from charts import (
    ENVIRONMENTS,
    NAME,
    NEWEST,
    OFFICIAL_VERSION,
    WORKLOADS,
    Document,
    containers_of,
    find,
    find_problems,
    invalid,
    merge,
    name_of,
    of_kind,
    pod_of,
    render,
    selected,
    values_of,
    write_helm,
)

ARCHIVE = f"airflow-{OFFICIAL_VERSION}.tgz"
SHA256 = "1f7d1dfe3d58e2c54899950aba907a43625a18c8b6fb3c54760c21592129a5b6"  # of Airflow's own index of charts


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    """A project for Kubernetes."""
    return bake(platforms="kubernetes")


@pytest.fixture(scope="module")
def folder(project: BakedProject) -> Path:
    """What it has for Kubernetes."""
    return project.path / "deploy" / "kubernetes"


def ours(folder: Path, environment: str = "prod") -> list[Document]:
    """What our chart applies in an environment."""
    return render(folder / "modelworks", values_of(folder, "modelworks", environment), NAME)


@pytest.fixture(scope="module")
def official() -> Path:
    """The official chart, as it was published."""
    path = Path(os.environ.get("AIRFLOW_CHART") or REPOSITORY / "build" / ARCHIVE)
    if not path.is_file():
        pytest.skip(
            f"no {ARCHIVE}: set AIRFLOW_CHART to its path, or put it into build/; it is published at "
            f"https://archive.apache.org/dist/airflow/helm-chart/1.22.0/{ARCHIVE}"
        )
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    return path


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_airflow_s_official_chart_is_valid_and_careful_with_our_values(
    folder: Path, official: Path, environment: str
) -> None:
    values = values_of(folder, "airflow", environment)
    helm.Chart.load(official).validate_schema(values)
    documents = render(official, values, "airflow")
    assert invalid(documents, NEWEST) == []
    assert find_problems([*documents, *ours(folder, environment)]) == []
    # Nothing of the official image, which ours is not.
    commands = json.dumps([containers_of(pod_of(workload)) for workload in of_kind(documents, *WORKLOADS)])
    assert "/entrypoint" not in commands
    assert "/clean-logs" not in commands
    images = {each["image"] for workload in of_kind(documents, *WORKLOADS) for each in containers_of(pod_of(workload))}
    assert images == {f"registry.example.com/{NAME}:0.1.0"}


def test_airflow_s_processes_have_what_the_pods_of_tasks_have(folder: Path, official: Path) -> None:
    """One environment, by our chart's config map; secrets by reference; and a way from a task to both servers."""
    documents = render(official, values_of(folder, "airflow", "prod"), "airflow")
    prod = ours(folder)
    applied = {name_of(each) for each in prod}
    pod = find(documents, f"Pod/{NAME}-task")
    [task] = pod["spec"]["containers"]
    named = [*(f"ConfigMap/{each['configMapRef']['name']}" for each in task["envFrom"] if "configMapRef" in each)]
    assert {*named, f"ServiceAccount/{pod['spec']['serviceAccountName']}"} <= applied
    for workload in of_kind(documents, "Deployment", "Job"):
        assert all(each["envFrom"] == task["envFrom"] for each in containers_of(pod_of(workload)))
    references = re.findall(r"'secretKeyRef': ({.*?})", str(documents))
    assert {yaml.safe_load(each)["name"] for each in references} == {f"{NAME}-airflow"}
    policy = find(documents, "NetworkPolicy/airflow-api-server-policy")["spec"]["ingress"][0]["from"]
    assert pod in selected(documents, policy[0]["podSelector"]["matchLabels"])
    [mlflow] = find(prod, f"NetworkPolicy/{NAME}-mlflow")["spec"]["ingress"]
    assert pod in selected(documents, mlflow["from"][1]["podSelector"]["matchLabels"])
    environment = find(prod, f"ConfigMap/{NAME}")["data"]
    service = find(documents, "Service/airflow-api-server")
    address = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/execution/"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == address


def test_pgbouncer_has_a_config_of_the_team_where_the_connection_is_a_secret(folder: Path, official: Path) -> None:
    """Without the name the chart writes one for a database called postgres, of a user postgres."""
    values = merge(values_of(folder, "airflow", "prod"), {"pgbouncer": {"enabled": True}})
    assert "Secret/airflow-pgbouncer-config" in {name_of(each) for each in render(official, values, "airflow")}
    named = merge(values, {"pgbouncer": {"configSecretName": "pgbouncer"}})
    assert "Secret/airflow-pgbouncer-config" not in {name_of(each) for each in render(official, named, "airflow")}


def test_make_kubernetes_renders_each_environment(
    project: BakedProject, folder: Path, official: Path, tmp_path: Path
) -> None:
    done = project.run("make", "kubernetes", f"HELM={write_helm(tmp_path)}", f"AIRFLOW_CHART={official}")
    assert done.returncode == 0, done.stderr
    files = sorted((project.path / "var" / "kubernetes").iterdir())
    assert done.stdout.split() == [str(file.relative_to(project.path)) for file in files]
    assert [file.stem for file in files] == [
        f"{chart}-{environment}" for chart in ("airflow", "modelworks") for environment in sorted(ENVIRONMENTS)
    ]
    rendered = list(yaml.load_all((files[-2]).read_text(encoding="utf-8"), yaml.CSafeLoader))
    assert [each for each in rendered if each] == render(
        folder / "modelworks", values_of(folder, "modelworks", "prod"), NAME, f"{NAME}-prod"
    )
    assert "name: flight-delays-task" in files[0].read_text(encoding="utf-8")
    assert project.run("git", "status", "--short").stdout == ""
