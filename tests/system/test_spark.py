"""The data layer on real Spark: a standalone master with two workers and a Connect server, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bakes import REPOSITORY, Bake, BakedProject, succeed
from champions import model_files
from documents import Reader, steps_of
from live_project import wait_until
from spark_cluster import Cluster, spark_cluster

pytestmark = pytest.mark.slow

JOB = "from {package}.jobs import main; main()"
CONNECTION = "airflow://spark_connect_default"
VARIABLE = "AIRFLOW_CONN_SPARK_CONNECT_DEFAULT"


@pytest.fixture(scope="module")
def cluster(template: Path, uv: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Spark, for all tests of this file."""
    with spark_cluster(tmp_path_factory.mktemp("spark"), template, uv) as running:
        yield running


@pytest.fixture(scope="module")
def on_spark(bake: Bake) -> BakedProject:
    """A project with Spark's thin client, whose raw periods are in its storage, and with a module of jobs."""
    project = bake(frameworks="spark, xgboost")
    succeed(project, "make", "setup")
    succeed(project, project.command, "ingest")
    shutil.copy(REPOSITORY / "tests" / "spark_jobs.py", project.package_dir / "jobs.py")
    return project


def command(project: BakedProject, cluster: Cluster, way: str, *words: str) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of a driver: by Connect, as a classic driver, or without Spark."""
    job = ["-c", JOB.format(package=project.package_dir.name), *words]
    if way == "classic":
        sources = [project.path / "src", project.path / "vendor" / "modelworks" / "src"]
        paths = {"PYTHONPATH": os.pathsep.join(map(str, sources))}
        return [str(cluster.python), *job, cluster.master], os.environ | cluster.environment | paths
    python = str(project.path / ".venv" / "bin" / "python")
    if way == "local":
        return [python, *job], dict(os.environ)
    return [python, *job, CONNECTION], os.environ | {VARIABLE: cluster.connect_with_token}


def run(project: BakedProject, cluster: Cluster, way: str, *words: str, status: int = 0) -> list[Any]:
    """What a job comes to."""
    line, environment = command(project, cluster, way, *words)
    done = subprocess.run(line, cwd=project.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert cluster.token not in done.stdout + done.stderr
    results: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return results


def files_of(storage: Path) -> dict[str, bytes]:
    """Every file of a storage; of a manifest, all but the time at which it was made."""
    found = {str(path.relative_to(storage)): path.read_bytes() for path in storage.rglob("*") if path.is_file()}
    assert found
    return {
        name: b"\n".join(line for line in content.splitlines() if b'"created_at"' not in line)
        if name.endswith("manifest.json")
        else content
        for name, content in found.items()
    }


@pytest.fixture(scope="module")
def local_results(on_spark: BakedProject, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The year, validated by a loop: the results and the storage."""
    storage = tmp_path_factory.mktemp("local")
    results = run(on_spark, cluster, "local", "validate", str(storage))
    assert len(results) == 12
    assert all(facts["quarantined"] >= 4 for *_, facts in results)
    return results, files_of(storage)


@pytest.mark.parametrize("way", ["connect", "classic"])
def test_a_year_validated_on_spark_is_that_of_a_loop_byte_for_byte(
    way: str, on_spark: BakedProject, cluster: Cluster, local_results: Any, tmp_path: Path
) -> None:
    assert run(on_spark, cluster, way, "validate", str(tmp_path)) == local_results[0]
    assert files_of(tmp_path) == local_results[1]


def test_stages_make_the_same_files_on_spark_as_in_one_process(
    on_spark: BakedProject, cluster: Cluster, tmp_path: Path
) -> None:
    """By the settings alone; files are named by their content."""
    found = {}
    for executor in ("local", "spark"):
        storage = tmp_path / executor
        compute = {"executor": executor, "spark_url": CONNECTION, "rows_per_part": "3000"}
        environment = {f"MODELWORKS_COMPUTE__{key.upper()}": value for key, value in compute.items()}
        environment |= {"MODELWORKS_STORAGE__URI": str(storage), VARIABLE: cluster.connect_with_token}
        raw = succeed(on_spark, on_spark.command, "ingest", "--period", "2013-02", **environment)
        succeed(on_spark, on_spark.command, "validate", "--dataset", json.loads(raw)["dataset_uri"], **environment)
        found[executor] = {str(path.relative_to(storage)) for path in storage.rglob("*.parquet")}
    assert len(found["local"]) >= 14  # two months, as they came and clean, of three and four parts each
    assert found["spark"] == found["local"]


def test_results_are_in_the_order_of_items_and_not_of_their_ends(
    on_spark: BakedProject, cluster: Cluster, tmp_path: Path
) -> None:
    results = run(on_spark, cluster, "connect", "sleep", str(tmp_path))
    assert [number for number, _ in results] == list(range(12))
    assert len({process for _, process in results}) > 1


@pytest.mark.parametrize("way", ["connect", "classic"])
def test_worker_that_is_killed_is_replaced(way: str, on_spark: BakedProject, cluster: Cluster, tmp_path: Path) -> None:
    [survivor] = run(on_spark, cluster, way, "die", str(tmp_path))
    assert survivor != int((tmp_path / "killed").read_text())


@pytest.mark.parametrize("way", ["connect", "classic"])
def test_first_error_in_order_arrives_as_itself_with_the_worker_s_traceback(
    way: str, on_spark: BakedProject, cluster: Cluster, tmp_path: Path
) -> None:
    module, name, text, note = run(on_spark, cluster, way, "refuse", str(tmp_path), status=1)
    assert (module, name) == ("modelworks.errors", "ContractError")
    assert text == "part 2: column 'carrier': 12 nulls, 0 allowed"
    assert note.startswith("On worker ")
    assert "jobs.py" in note


def test_driver_that_is_killed_leaves_nothing_wrong_and_its_retry_finishes(
    on_spark: BakedProject, cluster: Cluster, local_results: Any, tmp_path: Path
) -> None:
    line, environment = command(on_spark, cluster, "connect", "validate-slowly", str(tmp_path))
    driver = subprocess.Popen(line, cwd=on_spark.path, env=environment, stdout=subprocess.DEVNULL)
    wait_until("the first part", lambda: list(tmp_path.glob("clean/*/v1/manifest.json")), timeout_s=180)
    driver.send_signal(signal.SIGKILL)
    driver.wait(timeout=30)
    assert len(list(tmp_path.glob("clean/*/v1/manifest.json"))) < 12
    # The server goes on beside the retry: both write the same files under the same names.
    assert run(on_spark, cluster, "connect", "validate", str(tmp_path)) == local_results[0]
    assert files_of(tmp_path) == local_results[1]


def test_a_run_beside_another_has_its_own_code(on_spark: BakedProject, cluster: Cluster, tmp_path: Path) -> None:
    """And both have it from the job: the workers' own `modelworks` cannot be imported."""
    other = tmp_path / "other" / on_spark.path.name
    shutil.copytree(on_spark.path, other, symlinks=True, ignore=shutil.ignore_patterns(".venv", "var"))
    jobs = other / "src" / on_spark.package_dir.name / "jobs.py"
    jobs.write_text(jobs.read_text(encoding="utf-8").replace('"one"', '"two"'), encoding="utf-8")
    line, environment = command(on_spark, cluster, "connect", "version", str(tmp_path))
    sources = os.pathsep.join(str(other / each) for each in ("src", "vendor/modelworks/src"))
    with (
        subprocess.Popen(line, cwd=on_spark.path, env=environment, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(
            line, cwd=other, env=environment | {"PYTHONPATH": sources}, stdout=subprocess.PIPE, text=True
        ) as two,
    ):
        results = [json.loads(process.communicate()[0].splitlines()[-1]) for process in (one, two)]
    versions = [[version for version, *_ in each] for each in results]
    assert versions == [["one", "one"], ["two", "two"]]
    archives = [{path.rsplit("/", 3)[1] for _, path, _ in each} for each in results]
    assert archives[0] == archives[1], "the engine is the same in both"
    [archive] = archives[0]
    assert archive.startswith("modelworks-")
    assert archive.endswith(".zip")


DAG = '''
"""A task that opens a session itself, by a connection that only Airflow has."""

import logging
from pathlib import Path

from airflow.sdk import dag, task
from modelworks import load_settings
from modelworks.airflow.defaults import dag_defaults, spark_arguments

HOME = Path(__file__).absolute().parents[1]


@dag(schedule=None, **dag_defaults(load_settings(HOME), "on_spark", __doc__))
def on_spark() -> None:
    @task(**spark_arguments("{connection}"))
    def square() -> None:
        from modelworks.data.spark import map_on_spark
        from {package}.jobs import square

        logging.getLogger("on_spark").info("squares: %s", map_on_spark(square, [1, 2, 3], "{connection}"))

    square()


on_spark()
'''


@pytest.fixture
def in_airflow(on_spark: BakedProject, cluster: Cluster) -> Iterator[BakedProject]:
    """The project with such a DAG, and with the connection in Airflow's own database."""
    dag = on_spark.path / "dags" / "on_spark.py"
    dag.write_text(DAG.format(package=on_spark.package_dir.name, connection=CONNECTION), encoding="utf-8")
    succeed(on_spark, on_spark.command, "airflow", "db", "migrate")
    add_connection(on_spark, cluster, cluster.token)
    yield on_spark
    dag.unlink()


def add_connection(project: BakedProject, cluster: Cluster, token: str) -> None:
    """Put the server and a token into Airflow's database, as a person does in its pages."""
    project.run(project.command, "airflow", "connections", "delete", "spark_connect_default")
    host, _, port = cluster.connect.rpartition(":")
    words = f"--conn-type spark_connect --conn-host {host} --conn-port {port} --conn-password {token}".split()
    succeed(project, project.command, "airflow", "connections", "add", "spark_connect_default", *words)


def run_dag(project: BakedProject) -> tuple[int, str]:
    """Status and output of a run of the DAG, with the log of its task."""
    dag = f"{project.package_dir.name}_on_spark"
    done = project.run(project.command, "airflow", "dags", "test", dag)
    logs = [path.read_text(encoding="utf-8") for path in project.path.glob("var/**/logs/**/*.log")]
    return done.returncode, "\n".join([done.stdout, done.stderr, *logs])


def test_task_of_airflow_gets_address_and_token_from_its_connection_and_logs_neither_token(
    in_airflow: BakedProject, cluster: Cluster
) -> None:
    status, output = run_dag(in_airflow)
    assert (status, "squares: [1, 4, 9]" in output) == (0, True), output
    assert cluster.token not in output
    wrong = "0123456789abcdef-wrong"
    add_connection(in_airflow, cluster, wrong)
    status, output = run_dag(in_airflow)
    assert status == 1
    assert f"ConfigError: Spark at {cluster.connect}: refuses the token" in output, output
    assert wrong not in output


def copy_project(project: BakedProject, folder: Path) -> dict[str, str]:
    """A home of its own with the project's code and data; returns the environment that has that code."""
    shutil.copytree(project.path, folder, symlinks=True, ignore=shutil.ignore_patterns(".venv", ".tools", "var"))
    sources = [folder / "src", folder / "vendor" / "modelworks" / "src"]
    return {"PYTHONPATH": os.pathsep.join(map(str, sources)), "OMP_NUM_THREADS": "1"}


def set_in(environment: dict[str, str], **settings: object) -> dict[str, str]:
    """The same with settings of the project, such as TRAINING__MAX_ROWS."""
    return environment | {f"MODELWORKS_{name}": str(value) for name, value in settings.items()}


def pipeline_run(python: Path, home: Path, environment: dict[str, str], *words: str) -> tuple[int, str]:
    """Status and output of the project's command in a home."""
    line = [str(python), "-m", "modelworks", *words]
    done = subprocess.run(line, cwd=home, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True)
class Trained:
    """A home in which XGBoost was trained on Spark and released, the environment, and what the run printed."""

    home: Path
    environment: dict[str, str]
    output: str


@pytest.fixture(scope="module")
def trained(on_spark: BakedProject, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """On January, with February held out; and fitted again on both."""
    home = tmp_path_factory.mktemp("trained") / on_spark.path.name
    environment = set_in(
        copy_project(on_spark, home) | cluster.environment,
        MODEL__TYPE="xgboost",
        MODEL__PARAMETERS__MAX_ITER=40,
        TRAINING__SPARK_WORKERS=2,
        TRAINING__MAX_ROWS=3000,
        COMPUTE__EXECUTOR="spark",
        COMPUTE__SPARK_URL=cluster.master,
        COMPUTE__ROWS_PER_PART=3000,
        EVALUATION__BOOTSTRAP_RESAMPLES=200,
    )
    status, output = pipeline_run(cluster.python, home, environment, "run", "--without-airflow", "--period", "2013-02")
    assert status == 0, output
    return Trained(home, environment, output)


def test_xgboost_is_trained_on_all_rows_by_spark_and_released(trained: Trained) -> None:
    home, output = trained.home, trained.output
    assert "9,161 rows of 2013-01, by 2 workers of XGBoost on Spark;" in output, output
    assert "version 1 is the champion" in output
    [card] = home.rglob("model_card.md")
    text = card.read_text(encoding="utf-8")
    assert "17,582 rows, periods 2013-01 to 2013-02" in text
    assert "2 workers of XGBoost on Spark, all rows" in text
    [recipe] = home.rglob("recipe.json")
    assert json.loads(recipe.read_text(encoding="utf-8"))["training"]["spark_workers"] == 2


def test_model_trained_on_spark_is_trained_again_with_equal_predictions(trained: Trained, cluster: Cluster) -> None:
    home, environment = trained.home, trained.environment
    status, output = pipeline_run(cluster.python, home, environment, "reproduce", "1")
    assert status == 0, output
    assert "version 1: trained again from 2 periods 2013-01 to 2013-02, and equal in all" in output


def test_plain_model_predicts_what_sparks_model_does(trained: Trained, cluster: Cluster) -> None:
    home, environment = trained.home, trained.environment
    job = ["-c", JOB.format(package=home.name.replace("-", "_")), "compare-trees", str(home / "var" / "data")]
    line = [str(cluster.python), *job, cluster.master]
    done = subprocess.run(line, cwd=home, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [9161, 2, 0.0, True]


SERVE = """
import json, sys
from pathlib import Path
sys.modules["pyspark"] = None  # as where it is not installed
from modelworks import load_project, load_settings, stages
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
project, settings = load_project(Path.cwd()), load_settings(Path.cwd())
tracker = Tracker(project, settings)
ledger.load_version(project, tracker, tracker.versions.get("1"))
print(stages.score(project, settings, "2013-02").summary)
print(json.dumps(sorted(name for name in sys.modules if name in {"pyspark.sql", "py4j", "xgboost", "xgboost.spark"})))
"""


def test_model_trained_on_spark_is_loaded_and_scores_without_spark_and_java(
    trained: Trained, on_spark: BakedProject
) -> None:
    home, environment = trained.home, trained.environment
    python = on_spark.path / ".venv" / "bin" / "python"
    alone = {"PYTHONPATH": environment["PYTHONPATH"], "PATH": str(python.parent)}
    (home / "serve.py").write_text(SERVE, encoding="utf-8")
    done = subprocess.run([str(python), "serve.py"], cwd=home, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, summary, modules = done.stdout.splitlines()
    assert "8,421" in summary
    assert json.loads(modules) == ["xgboost"]


def test_model_of_shuffled_labels_that_spark_has_trained_is_refused(
    trained: Trained, on_spark: BakedProject, cluster: Cluster, tmp_path: Path
) -> None:
    home = tmp_path / on_spark.path.name
    environment = {**trained.environment, **copy_project(on_spark, home)}
    shuffle = (
        "import pandas as pd\n"
        "for file in ('data/flights-2013-01.csv.gz', 'data/flights-2013-02.csv.gz'):\n"
        "    rows = pd.read_csv(file, dtype=str, keep_default_na=False)\n"
        "    columns = ['arr_delay', 'delayed']\n"
        "    rows[columns] = rows[columns].sample(frac=1, random_state=3).to_numpy()\n"
        "    rows.to_csv(file, index=False)\n"
    )
    subprocess.run([str(cluster.python), "-c", shuffle], cwd=home, check=True)
    status, output = pipeline_run(cluster.python, home, environment, "run", "--without-airflow", "--period", "2013-02")
    assert status == 1, output
    assert "by 2 workers of XGBoost on Spark" in output
    assert "✗ beats the baseline" in output, output


def test_connect_client_is_refused_for_training_before_anything_is_done(
    on_spark: BakedProject, cluster: Cluster, tmp_path: Path
) -> None:
    settings = {
        "MODEL__TYPE": "xgboost",
        "TRAINING__SPARK_WORKERS": 2,
        "TRAINING__MAX_ROWS": 3000,
        "COMPUTE__EXECUTOR": "spark",
        "COMPUTE__SPARK_URL": CONNECTION,
        "STORAGE__URI": tmp_path / "data",
    }
    environment = set_in({VARIABLE: cluster.connect_with_token}, **settings)
    done = on_spark.run(on_spark.command, "run", "--without-airflow", **environment)
    assert done.returncode == 1
    message = "[training] spark_workers = 2: XGBoost cannot train over Spark Connect"
    assert message in " ".join((done.stdout + done.stderr).split())
    assert cluster.token not in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()


def served(home: Path) -> dict[str, Any]:
    """SHA-256 of the scores, and what monitoring found, without who and when."""
    [scores] = (home / "var" / "data" / "scores").glob("2013-12/v1/manifest.json")
    [found] = (home / "var" / "data" / "monitoring").glob("*/*.json")
    record = json.loads(found.read_text(encoding="utf-8"))
    return {"scores": json.loads(scores.read_text(encoding="utf-8"))["sha256"]} | {
        name: record[name] for name in ("drift", "drift_alarm", "health", "performance")
    }


def test_the_year_leads_to_the_same_champion_through_spark_byte_for_byte(
    on_spark: BakedProject, cluster: Cluster, tmp_path: Path
) -> None:
    """All months from ingest to a release, in parts: the same data, figures, verdict, models, scores and drift."""
    found = {}
    python = on_spark.path / ".venv" / "bin" / "python"
    for executor in ("local", "spark"):
        home = tmp_path / executor / on_spark.path.name
        environment = set_in(
            copy_project(on_spark, home) | {VARIABLE: cluster.connect_with_token},
            COMPUTE__EXECUTOR=executor,
            COMPUTE__SPARK_URL=CONNECTION,
            COMPUTE__ROWS_PER_PART=4000,
        )
        status, output = pipeline_run(python, home, environment, "run", "--without-airflow")
        assert status == 0, output
        for stage in ("score", "monitor"):
            status, output = pipeline_run(python, home, environment, stage, "--period", "2013-12")
            assert status == 0, output
        found[executor] = model_files(python, home, environment) | {"served": served(home)}
    local = found["local"]
    assert {layer for layer, *_ in local["manifests"]} >= {"raw", "clean"}
    assert {period for _, period, *_ in local["manifests"]} == {f"2013-{month:02d}" for month in range(1, 13)}
    assert min(len(parts) for layer, _, _, parts, _ in local["manifests"] if layer == "clean") > 1
    assert local["files"]["verdict.json"]
    assert found["spark"] == local


def test_page_about_spark_leads_to_counts_from_the_workers(on_spark: BakedProject, cluster: Cluster) -> None:
    address = {"sc://spark.example.com:15002/;use_ssl=true;token=my-token": cluster.connect_with_token}
    try:
        page = REPOSITORY / "docs" / "how-to" / "when-one-machine-is-too-small.md"
        Reader(on_spark.path, {}, replaced=address).follow(steps_of(page))
    finally:
        (on_spark.path / ".env").unlink()
