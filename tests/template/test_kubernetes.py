"""The Helm charts of a project: valid, careful, and refused with a reason where a value is missing or wrong.

They are rendered by Helm's own library. `test_official_chart.py` renders Airflow's own chart with a project's values.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

from bakes import REPOSITORY, Bake, BakedProject
from charts import (
    ENVIRONMENTS,
    NAME,
    NEWEST,
    OFFICIAL_VERSION,
    OLDEST,
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

AIRFLOW_CFG = REPOSITORY / "modelworks" / "src" / "modelworks" / "stack" / "airflow.cfg"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
HOW_TO = REPOSITORY / "docs" / "how-to"
PAGE = HOW_TO / "run-on-kubernetes.md"
DOCKERFILE = REPOSITORY / "{{cookiecutter.project_slug}}" / "deploy" / "Dockerfile"


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    """A project for Kubernetes."""
    return bake(platforms="kubernetes")


@pytest.fixture(scope="module")
def folder(project: BakedProject) -> Path:
    """What it has for Kubernetes."""
    return project.path / "deploy" / "kubernetes"


def ours(folder: Path, environment: str = "prod", /, **over: Any) -> list[Document]:
    """What our chart applies in an environment, with values on top."""
    return render(folder / "modelworks", merge(values_of(folder, "modelworks", environment), over), NAME)


def refusal(folder: Path, **over: Any) -> str:
    """Why values are refused."""
    chart = helm.Chart.load(folder / "modelworks")
    values = merge(values_of(folder, "modelworks", "prod"), over)
    try:
        chart.validate_schema(values)
        chart.render(values, name=NAME, namespace="team")
    except helm.HelmError as error:
        return str(error)
    return ""


EXTRAS: dict[str, Any] = {
    "with a canary": {"api": {"canary": {"enabled": True, "tag": "0.2.0"}}},
    "by digest": {"image": {"digest": DIGEST}},
    "by identity": {"secrets": {"store": ""}, "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn"}}},
    "with tokens alone": {
        "secrets": {"apiKeys": ""},
        "environment": {"MODELWORKS_ACCESS__OIDC_ISSUER": "https://login.example.com"},
    },
    "with MLflow elsewhere": {
        "mlflow": {"enabled": False},
        "environment": {"MLFLOW_TRACKING_URI": "https://mlflow.example.com"},
    },
    "on some nodes": {
        "nodeSelector": {"pool": "models"},
        "tolerations": [{"key": "models", "operator": "Exists"}],
        "imagePullSecrets": ["registry"],
    },
}


@pytest.mark.parametrize(
    ("environment", "extra"), [*((each, "as it is") for each in ENVIRONMENTS), *(("prod", each) for each in EXTRAS)]
)
def test_own_chart_is_valid_and_careful(folder: Path, environment: str, extra: str) -> None:
    documents = ours(folder, environment, **EXTRAS.get(extra, {}))
    assert invalid(documents, NEWEST) == []
    assert find_problems(documents) == []
    for workload in of_kind(documents, *WORKLOADS):
        labels = pod_of(workload)["metadata"]["labels"]
        policies = of_kind(documents, "NetworkPolicy")
        assert any(each["spec"]["podSelector"]["matchLabels"].items() <= labels.items() for each in policies)


@pytest.mark.slow
def test_own_chart_is_valid_for_the_oldest_kubernetes_that_it_names(folder: Path) -> None:
    named = helm.Chart.load(folder / "modelworks").metadata["kubeVersion"]
    assert named == f">={OLDEST}.0-0"
    assert invalid(ours(folder), OLDEST) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_own_chart_is_linted(folder: Path, environment: str) -> None:
    report = helm.lint(folder / "modelworks", values_of(folder, "modelworks", environment), strict=True)
    # 1 is information: an icon is recommended.
    assert [each for each in report["messages"] if each["severity"] > 1] == report["errors"] == []


def test_airflow_s_values_have_the_settings_of_the_image_and_the_version_of_the_lock(
    folder: Path, project: BakedProject
) -> None:
    values = values_of(folder, "airflow", "prod")
    image = configparser.RawConfigParser()
    image.read(AIRFLOW_CFG, encoding="utf-8")
    hidden = {(part, name): value for part in image.sections() for name, value in image.items(part)}
    given = {(part, name): str(value) for part, each in values["config"].items() for name, value in each.items()}
    # The chart sets these two itself: /app/dags, and no examples. A cluster runs more than four tasks.
    assert hidden.keys() - given.keys() == {("core", "dags_folder"), ("core", "load_examples")}
    assert {name for name in given if given[name] != hidden.get(name)} == {("core", "parallelism")}
    lock = (project.path / "requirements.lock").read_text(encoding="utf-8")
    assert f"\napache-airflow=={values['airflowVersion']} " in lock


def test_canary_gets_its_share_behind_the_same_service(folder: Path) -> None:
    documents = ours(folder, api={"canary": {"enabled": True, "tag": "0.2.0", "replicas": 1}})
    service = find(documents, f"Service/{NAME}-api")
    behind = selected(documents, service["spec"]["selector"])
    images = {name_of(each): pod_of(each)["spec"]["containers"][0]["image"].rpartition(":")[2] for each in behind}
    assert images == {f"Deployment/{NAME}-api": "0.1.0", f"Deployment/{NAME}-api-canary": "0.2.0"}
    # Neither deployment takes the other's pods for its own.
    assert all(selected(documents, each["spec"]["selector"]["matchLabels"]) == [each] for each in behind)
    assert find(documents, f"Deployment/{NAME}-api-canary")["spec"]["replicas"] == 1
    assert f"Deployment/{NAME}-api-canary" not in {name_of(each) for each in ours(folder)}


def test_prometheus_finds_the_api_by_annotations_or_by_the_operator(folder: Path) -> None:
    documents = ours(folder, metrics={"annotations": False, "serviceMonitor": {"enabled": True}})
    assert "prometheus" not in json.dumps(find(documents, f"Deployment/{NAME}-api"))
    assert find_problems(documents) == []
    assert invalid(documents, NEWEST) != []  # a kind of the operator's, and Kubernetes has no schema of it
    annotations = pod_of(find(ours(folder), f"Deployment/{NAME}-api"))["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == "/metrics"


def test_migrations_come_before_everything_else(folder: Path) -> None:
    job = find(ours(folder), f"Job/{NAME}-mlflow-migrations")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    # Of a first installation nothing is there yet but what the team has made: the secret.
    assert "serviceAccountName" not in pod_of(job)["spec"]
    [container] = containers_of(pod_of(job))
    assert container["envFrom"] == [{"secretRef": {"name": f"{NAME}-mlflow"}}]


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"image": {"tag": ""}}, "set image.tag or image.digest to a version of the image"),
        ({"image": {"tag": "latest"}}, "/image/tag"),
        ({"image": {"digest": "sha256:1"}}, "/image/digest"),
        ({"image": {"repository": ""}}, "/image/repository"),
        ({"imge": {"tag": "1"}}, "imge"),
        ({"api": {"replica": 3}}, "replica"),
        ({"api": {"replicas": 0}}, "/api/replicas"),
        ({"api": {"resources": {"limits": None}}}, "limits"),
        ({"api": {"canary": {"enabled": True}}}, "set api.canary.tag or api.canary.digest to a version of the image"),
        ({"api": {"ingress": {"tlsSecret": ""}}}, "set api.ingress.tlsSecret to the secret of the certificate"),
        ({"api": {"ingress": {"host": ""}}}, "set api.ingress.host to the API's name"),
        ({"secrets": {"apiKeys": ""}}, "set secrets.apiKeys to a secret with api-keys.json"),
        ({"api": {"allowedHosts": ["*"]}}, "/api/allowedHosts"),
        ({"secrets": {"mlflow": ""}}, "set secrets.mlflow to the name of a secret with MLFLOW_BACKEND_STORE_URI"),
        ({"mlflow": {"artifacts": ""}}, "set mlflow.artifacts to a place in the object store"),
        ({"mlflow": {"artifacts": "models"}}, "/mlflow/artifacts"),
        ({"mlflow": {"allowedHosts": ["*"]}}, "/mlflow/allowedHosts"),
        ({"mlflow": {"enabled": False}}, "set environment.MLFLOW_TRACKING_URI to the MLflow server"),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": "s3cret"}}, "AWS_SECRET_ACCESS_KEY"),
        ({"environment": {"WAREHOUSE": "postgresql://ada:s3cret@db/x"}}, "/environment/WAREHOUSE"),
        ({"networkPolicy": {"store": {"cidr": "everywhere"}}}, "/networkPolicy/store/cidr"),
    ],
    ids=str,
)
def test_value_that_cannot_work_is_refused_by_its_name(folder: Path, over: dict[str, Any], reason: str) -> None:
    assert reason in refusal(folder, **over)


def edited(*replaced: tuple[str, str]) -> Callable[[str], str]:
    """A change of a chart's text that does change it."""

    def edit(text: str) -> str:
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        return text

    return edit


@pytest.mark.parametrize(
    ("file", "edit", "problem"),
    [
        ("_helpers.tpl", edited(("runAsNonRoot: true", "runAsNonRoot: false")), "may run as root"),
        ("_helpers.tpl", edited(("runAsUser: 10001", "runAsUser: 0")), "may run as root"),
        ("_helpers.tpl", edited(("RuntimeDefault", "Unconfined")), "has all system calls"),
        (
            "_helpers.tpl",
            edited(("enableServiceLinks: false", "enableServiceLinks: true")),
            "has variables of services",
        ),
        (
            "_helpers.tpl",
            edited(("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true")),
            "api has allowPrivilegeEscalation True",
        ),
        (
            "_helpers.tpl",
            edited(("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")),
            "api has readOnlyRootFilesystem False",
        ),
        ("_helpers.tpl", edited(("drop: [ALL]", "add: [ALL]")), "api has capabilities {'add': ['ALL']}"),
        (
            "_helpers.tpl",
            edited(("automountServiceAccountToken: false", "automountServiceAccountToken: true")),
            f"has a token of {NAME}",
        ),
        (
            "_helpers.tpl",
            edited((
                'required (printf "set %s.tag or %s.digest to a version of the image" .value .value) .tag',
                '"latest"',
            )),
            "api has the image registry.example.com/flight-delays:latest",
        ),
        (
            "_helpers.tpl",
            edited(("- name: tmp\n    emptyDir", "- name: temp\n    emptyDir")),
            "api mounts tmp, which is",
        ),
        ("api.yaml", edited(("resources:", "_resources:")), "api has no limits"),
        ("api.yaml", edited(("readinessProbe:", "_readinessProbe:")), "api has no readinessProbe"),
        ("api.yaml", edited(("livenessProbe:", "_livenessProbe:")), "api has no livenessProbe"),
        ("api.yaml", edited(("targetPort: http", "targetPort: web")), "leads to web, which is no port"),
        (
            "api.yaml",
            edited(("kind: Deployment, name: {{ $name }}", "kind: Deployment, name: other")),
            "scales Deployment/other, which is not there",
        ),
        (
            "api.yaml",
            edited(("backend:\n              service: { name: ", "backend:\n              service: { name: x")),
            "leads to no service",
        ),
        (
            "api.yaml",
            edited((
                "maxUnavailable: 1\n  selector:\n    matchLabels: {{",
                "maxUnavailable: 1\n  selector:\n    matchLabels:\n      a: b\n      {{",
            )),
            "selects no pod",
        ),
        (
            "mlflow.yaml",
            edited((
                "envFrom:\n            - configMapRef",
                "env: [{name: DB_PASSWORD, value: x}]\n          envFrom:\n            - configMapRef",
            )),
            "has DB_PASSWORD in plain sight",
        ),
        (
            "networkpolicies.yaml",
            edited(("podSelector:\n    matchLabels: {{", "podSelector:\n    matchLabels:\n      a: b\n      {{")),
            "selects no pod",
        ),
    ],
)
def test_each_property_is_missed_where_a_template_loses_it(
    folder: Path, tmp_path: Path, file: str, edit: Callable[[str], str], problem: str
) -> None:
    copy = tmp_path / "kubernetes"
    shutil.copytree(folder, copy)
    path = copy / "modelworks" / "templates" / file
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert [each for each in find_problems(ours(copy)) if problem in each]


def test_the_page_shows_the_template_of_the_pods_of_tasks(folder: Path) -> None:
    [shown] = re.findall(r"```yaml\n(.*?)```", (HOW_TO / "run-on-a-cluster.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown == (folder / "pod-template.yaml").read_text(encoding="utf-8")


def test_api_s_container_starts_what_the_image_starts(folder: Path) -> None:
    [command] = re.findall(r"^CMD (\[\"python\", \"-m\".*\])$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    [container] = containers_of(pod_of(find(ours(folder), f"Deployment/{NAME}-api")))
    assert container["command"] == json.loads(command)
    assert container["ports"] == [{"name": "http", "containerPort": 8000}]


def test_api_has_its_keys_in_a_folder_and_knows_its_own_names(folder: Path) -> None:
    """A folder, since a secret that is mounted as a file alone never changes."""
    [container] = containers_of(pod_of(find(ours(folder), f"Deployment/{NAME}-api")))
    variables = {each["name"]: each["value"] for each in container["env"]}
    keys = next(each for each in container["volumeMounts"] if each["name"] == "api-keys")
    assert variables["MODELWORKS_ACCESS__API_KEYS"] == f"{keys['mountPath']}/api-keys.json"
    assert keys["readOnly"]
    assert "subPath" not in keys
    names = json.loads(variables["MODELWORKS_ACCESS__ALLOWED_HOSTS"])
    assert {f"{NAME}-api", f"{NAME}-api.team.svc", "flight-delays.example.com"} <= set(names)
    with_operator = {"metrics": {"serviceMonitor": {"enabled": True, "keySecret": "prometheus"}}}
    [endpoint] = find(ours(folder, **with_operator), f"ServiceMonitor/{NAME}-api")["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "prometheus", "key": "key"}


def test_each_value_has_a_comment_on_it_or_on_its_group(folder: Path) -> None:
    """A value is explained on its line, or by the lines above its group, which an empty line ends."""
    groups = (folder / "modelworks" / "values.yaml").read_text(encoding="utf-8").strip().split("\n\n")
    lines = [line for group in groups for line in group.splitlines() if not group.lstrip().startswith("#")]
    assert [line for line in lines if not line.startswith(" ") and "#" not in line and not line.endswith(":")] == []
    assert len(groups) > 8


def test_make_kubernetes_says_what_is_missing_and_leaves_nothing_half_written(bake: Bake, tmp_path: Path) -> None:
    project = bake(platforms="kubernetes")
    done = project.run("make", "kubernetes", "HELM=helm-of-nobody")
    assert done.returncode != 0
    assert "helm is missing: install Helm 3.19 or later, https://helm.sh/docs/intro/install/" in done.stderr
    done = project.run("make", "kubernetes", f"HELM={write_helm(tmp_path)}")
    assert done.returncode != 0
    assert '"https://airflow.apache.org" is not a valid chart repository or cannot be reached' in done.stderr
    assert not (project.path / "var" / "kubernetes").exists()


def test_a_slug_that_yaml_reads_as_no_text_is_text_everywhere(bake: Bake) -> None:
    folder = bake(project_name="Yes", project_slug="yes").path / "deploy" / "kubernetes"
    assert not folder.exists()
    folder = bake(project_name="Yes", project_slug="yes", platforms="kubernetes").path / "deploy" / "kubernetes"
    documents = render(folder / "modelworks", values_of(folder, "modelworks", "prod"), "yes")
    assert (
        invalid([*documents, yaml.safe_load((folder / "pod-template.yaml").read_text(encoding="utf-8"))], NEWEST) == []
    )
    assert find(documents, "ConfigMap/yes")["data"]["MLFLOW_TRACKING_URI"] == "http://yes-mlflow:5000"


def test_secrets_of_the_page_are_those_that_the_charts_read(folder: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = set(re.findall(r"create secret generic (\S+)", page))
    assert made == set(re.findall(r"^\| `(flight-delays-[\w-]+)` \|", page, re.MULTILINE))
    values = values_of(folder, "airflow", "prod")
    named = [values[name] for name in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")]
    named += [values["data"]["metadataSecretName"], *values_of(folder, "modelworks", "prod")["secrets"].values()]
    assert set(named) == made


@pytest.mark.parametrize(("chart", "release"), [("modelworks", NAME), ("airflow", "airflow")])
def test_installation_of_the_page_has_the_files_that_the_tests_render(folder: Path, chart: str, release: str) -> None:
    page = PAGE.read_text(encoding="utf-8").replace("\\\n ", "")
    [line] = re.findall(rf"^helm upgrade --install {release} .*$", page, re.MULTILINE)
    files = [f"values/{name}.yaml" for name in (chart, f"{chart}-dev")]
    assert re.findall(r"--values (\S+)", line) == files
    assert all((folder / file).is_file() for file in files)
    if chart == "airflow":
        assert f"--set-file podTemplate={folder.joinpath('pod-template.yaml').name} " in line
        assert f" airflow --repo https://airflow.apache.org --version {OFFICIAL_VERSION} " in line
        assert f"--version {OFFICIAL_VERSION}\n" in (folder / "targets.mk").read_text(encoding="utf-8")


def test_canary_of_the_page_is_a_value_of_the_chart(folder: Path) -> None:
    [shown] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert find(ours(folder, **yaml.safe_load(shown)), f"Deployment/{NAME}-api-canary")["spec"]["replicas"] == 1
