"""One large period by each executor: seconds of ingest and validate, and the memory of driver and workers."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from processes import Cost, run
from projects import REPOSITORY, WORK
from report import print_table
from spark_clusters import Cluster, spark_python, start_cluster

SCRIPT = Path(__file__).with_name("large_rows.py")
PERIOD = "2014-01"


@dataclass(frozen=True)
class Way:
    """How the parts of a period are worked on; `is_cluster` says whether Spark's server has a master with workers."""

    executor: str
    workers: int
    is_cluster: bool = False


WAYS = {
    "local": Way("local", 1),
    "processes-1": Way("processes", 1),
    "processes-2": Way("processes", 2),
    "spark-local": Way("spark", 2),
    "spark-cluster": Way("spark", 2, is_cluster=True),
}
"""By the word for the command line. Spark is a Connect server: on local[2], or on a master with two workers."""
HEADER = [
    *("executor", "workers", "rows", "start s", "ingest s", "validate s", "CPU s", "start, CPU s"),
    *("driver MiB", "largest worker MiB", "Java MiB"),
]


def compare(project: Path, rows: list[int], names: list[str]) -> None:
    """Make a period of each size, and print a line for each executor.

    "start" is what it takes until the first part can begin: the servers of Spark, the session, the workers' imports,
    MLflow's database.
    The other figures are without it.
    """
    print("\nlarge: ingest and validate one period of Parquet; files in the system's cache", flush=True)
    lines = []
    for n_rows in rows:
        source = WORK / f"large-{n_rows}"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True)
        run([".venv/bin/python", SCRIPT, "make", source / f"flights-{PERIOD}.parquet", str(n_rows)], project)
        lines += [_measure(project, source, name) for name in names]
        shutil.rmtree(source)
    print_table("A period, stage by stage", HEADER, lines)


def _measure(project: Path, source: Path, name: str) -> list[str]:
    way = WAYS[name]
    if way.executor == "spark":
        with start_cluster(with_workers=way.is_cluster) as cluster:
            cost = _run_stages(project, source, way, cluster)
    else:
        cluster = Cluster()
        cost = _run_stages(project, source, way, cluster)
    line = _describe(name, way, json.loads(cost.output.splitlines()[-1]), cluster)
    print("        " + " ".join(line), flush=True)
    return line


def _describe(name: str, way: Way, found: dict[str, float], cluster: Cluster) -> list[str]:
    seconds = [cluster.start_s + found["start_s"], *(found[each] for each in ("ingest_s", "validate_s", "cpu_s"))]
    worker_mib = {"local": 0, "processes": found["largest_worker_mib"], "spark": cluster.worker_mib}[way.executor]
    return [
        *(name, str(way.workers), f"{found['rows']:,}"),
        *(f"{each:.1f}" for each in (*seconds, found["start_cpu_s"])),
        *(f"{each:.0f}" for each in (found["driver_mib"], worker_mib, cluster.java_mib)),
    ]


def _run_stages(project: Path, source: Path, way: Way, cluster: Cluster) -> Cost:
    data = WORK / "data"
    shutil.rmtree(data, ignore_errors=True)
    settings = {
        "SOURCE__URI": f"{source}/flights-{{period}}.parquet",
        "SOURCE__FIRST": PERIOD,
        "SOURCE__LAST": PERIOD,
        "STORAGE__URI": str(data),
        "TRACKING__URI": f"sqlite:///{data}/mlflow.db",
        "COMPUTE__EXECUTOR": way.executor,
        "COMPUTE__WORKERS": str(way.workers),
        "COMPUTE__SPARK_URL": cluster.url,
    }
    variables = {f"MODELWORKS_{name}": value for name, value in settings.items()}
    if cluster.url:  # the environment of Spark has none of the engine's code
        variables["PYTHONPATH"] = str(REPOSITORY / "modelworks" / "src")
    python = spark_python() if cluster.url else ".venv/bin/python"
    pids = [str(each.pid) for each in cluster.processes]
    cost = run([python, SCRIPT, "stages", *pids], project, OMP_NUM_THREADS="1", **variables)
    shutil.rmtree(data)
    return cost
