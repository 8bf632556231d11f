"""Render the Helm charts of a project as `helm` does, and look for what a careful cluster would refuse."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml
from kubernetes_validate import utils

Values = dict[str, Any]
Document = dict[str, Any]

NAME = "flight-delays"
OLDEST, NEWEST = "1.30", "1.37"  # Kubernetes, whose schemas kubernetes-validate has
OFFICIAL_VERSION = "1.22.0"  # of Airflow's chart
ENVIRONMENTS = ["dev", "staging", "prod"]
WORKLOADS = {"Deployment", "StatefulSet", "Job", "CronJob", "Pod"}
# The scheduler starts the pods of tasks, and Airflow's API server reads their logs.
CALL_KUBERNETES = {"airflow-scheduler", "airflow-api-server"}
SECRET = re.compile(
    r"(PASSWORD|SECRET|TOKEN|ACCESS_KEY|_KEY|SQL_ALCHEMY_CONN|STORE_URI|BROKER_URL)(?= |$)|://[^/@]*:[^/@]+@"
)


def merge(values: Values, over: Mapping[str, Any]) -> Values:
    """Values with others on top: maps are merged, all else is replaced, as Helm does."""
    merged = dict(values)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = merge(merged[name], value) if both else value
    return merged


def values_of(folder: Path, chart: str, environment: str) -> Values:
    """The values of an environment: those for all, and its own on top."""
    values: Values = {}
    for name in (chart, f"{chart}-{environment}"):
        values = merge(values, helm.values_from_yaml((folder / "values" / f"{name}.yaml").read_text(encoding="utf-8")))
    if chart == "airflow":
        values["podTemplate"] = (folder / "pod-template.yaml").read_text(encoding="utf-8")
    return values


def render(chart: Path, values: Values, name: str, namespace: str = "team") -> list[Document]:
    """What would be applied, the template of the pods of tasks included."""
    files = helm.Chart.load(chart).render(values, name=name, namespace=namespace)
    texts = [text for file, text in sorted(files.items()) if not file.endswith(".txt") and "kind:" in text]
    documents = [document for text in texts for document in yaml.load_all(text, yaml.CSafeLoader) if document]
    pods = [each["data"].get("pod_template_file.yaml") for each in documents if each["kind"] == "ConfigMap"]
    return documents + [yaml.safe_load(pod) for pod in pods if pod]


# By itself kubernetes-validate reads the definitions of all kinds, some megabytes, for each document.
setattr(utils, "schema_contents", cache(utils.schema_contents))  # noqa: B010 - mypy knows no assignment to a module


def invalid(documents: list[Document], version: str) -> list[str]:
    """What the schema of a version of Kubernetes refuses, unknown fields and kinds among it."""
    found = []
    for document in documents:
        try:
            utils.validate(document, version, strict=True)
        except utils.ValidationError as error:
            found.append(f"{name_of(document)}: {'.'.join(map(str, error.path))}: {error.message}")
        except utils.SchemaNotFoundError as error:
            found.append(f"{name_of(document)}: {error.message}")
    return found


def write_helm(folder: Path) -> Path:
    """`helm`, of Helm's own library, as a command in a folder."""
    path = folder / "helm"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).parent / "helm_cli.py"}" "$@"\n')
    path.chmod(0o755)
    return path


def name_of(document: Document) -> str:
    """`Deployment/flight-delays-api`."""
    return f"{document['kind']}/{document['metadata']['name']}"


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    """The documents of some kinds."""
    return [document for document in documents if document["kind"] in kinds]


def find(documents: list[Document], name: str) -> Document:
    """The one document of a kind and name, such as `Service/flight-delays-api`."""
    [found] = [document for document in documents if name_of(document) == name]
    return found


def pod_of(workload: Document) -> Document:
    """The pod of a workload, its metadata included."""
    if workload["kind"] == "Pod":
        return workload
    spec = workload["spec"]
    pod: Document = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return pod


def containers_of(pod: Document) -> list[Document]:
    """The containers of a pod, those that run before the others among them."""
    return [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]


def selected(documents: list[Document], labels: Mapping[str, str]) -> list[Document]:
    """The workloads whose pods have all of the labels."""
    return [
        workload
        for workload in of_kind(documents, *WORKLOADS)
        if labels.items() <= pod_of(workload)["metadata"].get("labels", {}).items()
    ]


def find_problems(documents: list[Document]) -> list[str]:
    """Everything that is not as it should be, each with the name of its document."""
    found = [(workload, problem) for workload in of_kind(documents, *WORKLOADS) for problem in _of_workload(workload)]
    found += [(each, problem) for each in documents for problem in _of_references(each, documents)]
    for workload in of_kind(documents, *WORKLOADS):
        account = pod_of(workload)["spec"].get("serviceAccountName", "default")
        if _has_token(workload, account, documents) and account not in CALL_KUBERNETES:
            found.append((workload, f"has a token of {account}"))
    return [f"{name_of(document)}: {problem}" for document, problem in found]


def _has_token(workload: Document, account: str, documents: list[Document]) -> bool:
    accounts = [each for each in of_kind(documents, "ServiceAccount") if each["metadata"]["name"] == account]
    by_account = any(each.get("automountServiceAccountToken", True) for each in accounts) if accounts else True
    return bool(pod_of(workload)["spec"].get("automountServiceAccountToken", by_account))


def _of_workload(workload: Document) -> Iterator[str]:
    pod = pod_of(workload)["spec"]
    security = pod.get("securityContext", {})
    if not (security.get("runAsNonRoot") and security.get("runAsUser") == 10001):
        yield "may run as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has all system calls"
    if pod.get("enableServiceLinks") is not False:
        yield "has variables of services"
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in containers_of(pod_of(workload)):
        for problem in _of_container(container, volumes):
            yield f"{container['name']} {problem}"
    if workload["kind"] in {"Deployment", "StatefulSet"}:
        for container in pod["containers"]:
            is_server = container.get("ports") and "triggerer" not in container["name"]
            wanted = {"livenessProbe", *(("startupProbe", "readinessProbe") if is_server else ())}
            if missing := wanted - container.keys():
                yield f"{container['name']} has no {' and no '.join(sorted(missing))}"


def _of_container(container: Document, volumes: set[str]) -> Iterator[str]:
    security = container.get("securityContext", {})
    wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    for name, value in wanted.items():
        if security.get(name) != value:
            yield f"has {name} {security.get(name)}"
    for kind in ("requests", "limits"):
        if container.get("resources", {}).get(kind, {}).keys() != {"cpu", "memory"}:
            yield f"has no {kind}"
    if not re.search(r"(:(?!latest$)[\w][\w.-]*|@sha256:[0-9a-f]{64})$", container["image"]):
        yield f"has the image {container['image']}"
    for variable in container.get("env", []):
        if "value" in variable and SECRET.search(f"{variable['name']} {variable['value']}"):
            yield f"has {variable['name']} in plain sight"
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"mounts {mount['name']}, which is no volume"


def _of_references(document: Document, documents: list[Document]) -> Iterator[str]:
    kind, spec = document["kind"], document.get("spec", {})
    if kind == "Secret":
        yield "is a secret in a chart"
    if kind == "ConfigMap":
        yield from (f"has {name}" for name, value in document["data"].items() if SECRET.search(f"{name} {value}"))
    selector = spec.get("podSelector", spec.get("selector", {}))
    if kind in {"PodDisruptionBudget", "NetworkPolicy", "Service"} and not selected(
        documents, selector if kind == "Service" else selector["matchLabels"]
    ):
        yield "selects no pod"
    if kind == "Service":
        named = {port.get("name") for each in selected(documents, selector) for port in _ports_of(each)}
        numbers = {port["containerPort"] for each in selected(documents, selector) for port in _ports_of(each)}
        for port in spec["ports"]:
            if port.get("targetPort", port["port"]) not in named | numbers:
                yield f"leads to {port.get('targetPort', port['port'])}, which is no port"
    if kind == "HorizontalPodAutoscaler":
        yield from _of_autoscaler(spec, documents)
    if kind == "Ingress":
        yield from _of_ingress(spec, documents)
    if kind == "ServiceMonitor":
        services = of_kind(documents, "Service")
        if not any(
            spec["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
            and spec["endpoints"][0]["port"] in {port["name"] for port in each["spec"]["ports"]}
            for each in services
        ):
            yield "selects no service"


def _ports_of(workload: Document) -> list[Document]:
    return [port for container in pod_of(workload)["spec"]["containers"] for port in container.get("ports", [])]


def _of_autoscaler(spec: Document, documents: list[Document]) -> Iterator[str]:
    target = f"{spec['scaleTargetRef']['kind']}/{spec['scaleTargetRef']['name']}"
    scaled = [document for document in documents if name_of(document) == target]
    if not scaled:
        yield f"scales {target}, which is not there"
    if any("replicas" in document["spec"] for document in scaled):
        yield f"scales {target}, which has replicas of its own"
    if spec["minReplicas"] > spec["maxReplicas"]:
        yield "wants more replicas at least than at most"


def _of_ingress(spec: Document, documents: list[Document]) -> Iterator[str]:
    hosts = {host for each in spec.get("tls", []) for host in each["hosts"] if each.get("secretName")}
    services = {each["metadata"]["name"] for each in of_kind(documents, "Service")}
    for rule in spec["rules"]:
        if rule["host"] not in hosts:
            yield f"has {rule['host']} without TLS"
        for path in rule["http"]["paths"]:
            if path["backend"]["service"]["name"] not in services:
                yield "leads to no service"
