"""What is refused where tasks run on workers that share no disk, and that nothing is where they do not."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag

from flights import PACKAGE, enter_home, make_home
from modelworks.airflow.cluster import API_URL, SECRETS, VISIBILITY_TIMEOUT, check_cluster
from modelworks.errors import ConfigError
from modelworks.settings import ENV_PREFIX, load_settings

LONGEST = timedelta(hours=1, seconds=300)
CHART_VALUES = Path(__file__).parents[3] / "{{cookiecutter.project_slug}}" / "deploy" / "kubernetes" / "values"
STORAGE, SOURCE, LABELS = (f"{ENV_PREFIX}{name}__URI" for name in ("STORAGE", "SOURCE", "LABELS"))
REGISTRY = f"{ENV_PREFIX}TRACKING__REGISTRY"
CLUSTER = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__API_AUTH__JWT_SECRET": "one",
    "AIRFLOW__API__SECRET_KEY": "two",
    "AIRFLOW__CORE__FERNET_KEY": "three",
    API_URL: "http://airflow.example.com:8080/execution/",
    VISIBILITY_TIMEOUT: "7200",
    STORAGE: "s3://lake/store",
    SOURCE: "s3://lake/in/flights-{period}.csv.gz",
    "MLFLOW_TRACKING_URI": "http://mlflow.example.com:5000",
    REGISTRY: "team",
}


@pytest.fixture(autouse=True)
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a process of a cluster."""
    enter_home(tmp_path, monkeypatch)
    make_home(tmp_path)
    for name, value in CLUSTER.items():
        monkeypatch.setenv(name, value)


def refusal() -> str:
    """Why the settings are refused; "" if they are not."""
    try:
        check_cluster(load_settings(), LONGEST)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "executor",
    [
        "CeleryExecutor",
        "KubernetesExecutor",
        "LocalExecutor,KubernetesExecutor",
        "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
    ],
)
def test_complete_environment_passes_and_a_local_storage_is_refused(
    executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    assert refusal() == ""
    monkeypatch.delenv(STORAGE)
    name = "KubernetesExecutor" if "Kubernetes" in executor else "CeleryExecutor"
    assert refusal() == (
        f"{name} runs tasks on workers that share no disk: [storage] uri = 'var/data' is a folder of one of them; "
        f"set {STORAGE} to an object store, such as s3://lake/..."
    )


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        (STORAGE, "/mnt/store", f"[storage] uri = '/mnt/store' is a folder of one of them; set {STORAGE}"),
        (
            STORAGE,
            "file:///mnt/store",
            "[storage] uri = 'file:///mnt/store' is a folder of one of them",
        ),
        (SOURCE, "data/flights-{period}.csv.gz", "[source] uri = 'data/flights-{period}.csv.gz' is a folder of one"),
        (LABELS, "data/late-{period}.csv", "[labels] uri = 'data/late-{period}.csv' is a folder of one"),
        ("MLFLOW_TRACKING_URI", "", "[tracking] uri = '' is a file of one of them; set MLFLOW_TRACKING_URI"),
        ("MLFLOW_TRACKING_URI", "sqlite:////srv/mlflow.db", "[tracking] uri = 'sqlite:////srv/mlflow.db' is a file"),
        ("MLFLOW_TRACKING_URI", "mlruns", "[tracking] uri = 'mlruns' is a file of one of them"),
        (
            "MLFLOW_TRACKING_URI",
            "postgresql+psycopg2://ada:s3cret@db/mlflow",
            "[tracking] uri names a postgresql+psycopg2",
        ),
        (REGISTRY, "", '[tracking] registry = "": a server that is reached by two addresses'),
        ("AIRFLOW__API_AUTH__JWT_SECRET", "", "AIRFLOW__API_AUTH__JWT_SECRET is not set: each process would make its"),
        ("AIRFLOW__API__SECRET_KEY", "", "AIRFLOW__API__SECRET_KEY is not set: each process would make its own"),
        ("AIRFLOW__CORE__FERNET_KEY", "", "AIRFLOW__CORE__FERNET_KEY is not set: each process would make its own"),
        (API_URL, "", f"{API_URL} is not set: workers would ask their own machine"),
        (VISIBILITY_TIMEOUT, "3900", f"{VISIBILITY_TIMEOUT} is 3900, and a task may take 3900 seconds"),
    ],
)
def test_each_setting_that_cannot_work_is_refused_by_its_name(
    variable: str, value: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert f"runs tasks on workers that share no disk: {named}" in refusal()
    assert len(refusal().splitlines()) == 1
    assert "s3cret" not in refusal()


def test_all_that_is_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (STORAGE, REGISTRY, "AIRFLOW__CORE__FERNET_KEY"):
        monkeypatch.delenv(name)
    assert [line.partition(" ")[0] for line in refusal().splitlines()[1:]] == [
        "[tracking]",
        "AIRFLOW__CORE__FERNET_KEY",
    ]


def test_secret_may_come_from_a_command_and_a_source_from_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__FERNET_KEY")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY_CMD", "cat /run/secrets/fernet")
    monkeypatch.setenv(SOURCE, "")
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__QUERY", "select * from flights where at >= :start and at < :end")
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__SQL_CONNECTION", "warehouse")
    assert refusal() == ""


def test_visibility_timeout_of_airflow_is_long_enough_and_kubernetes_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBILITY_TIMEOUT, "60")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    assert refusal() == ""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.delenv(VISIBILITY_TIMEOUT)
    assert refusal() == ""


def test_pods_of_tasks_need_none_of_the_secrets_and_celery_s_workers_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name)
    assert [line.count("is not set: each process would make its own") for line in refusal().splitlines()] == [1, 1, 1]
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "KubernetesExecutor")
    assert refusal() == ""
    monkeypatch.delenv(API_URL)
    assert f"{API_URL} is not set: workers would ask their own machine" in refusal()


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_environment_of_the_helm_chart_passes(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its values alone: the pods of tasks have no secret of Airflow's."""
    for name in CLUSTER:
        monkeypatch.delenv(name)
    for file in ("modelworks.yaml", f"modelworks-{environment}.yaml"):
        text = (CHART_VALUES / file).read_text(encoding="utf-8").replace("{{ cookiecutter.project_slug }}", "flights")
        for name, value in yaml.safe_load(text).get("environment", {}).items():
            monkeypatch.setenv(name, value)
    assert "[tracking] uri" in refusal()
    assert len(refusal().splitlines()) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://flights-mlflow:5000")  # which the chart adds
    assert refusal() == ""


def test_nothing_is_refused_where_tasks_run_beside_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CLUSTER:
        monkeypatch.delenv(name)
    assert refusal() == ""


def test_dag_file_shows_what_is_wrong_and_is_imported_once_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(DagBag(tmp_path / "dags").dags) >= {f"{PACKAGE}_training"}
    monkeypatch.setenv(STORAGE, "var/data")
    bag = DagBag(tmp_path / "dags")
    assert bag.dags == {}
    assert len(bag.import_errors) == 4
    assert all("[storage] uri = 'var/data' is a folder of one of them" in each for each in bag.import_errors.values())


def test_registry_has_one_name_whatever_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for address in ("http://mlflow.example.com:5000", "http://mlflow.example.com:5000/", "http://10.0.0.7:5000"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        names.add(load_settings().registry)
    assert names == {"flight-delays@team"}


def test_registry_without_a_name_keeps_the_ledger_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REGISTRY)
    assert load_settings().registry == "flight-delays@507c18aa"
