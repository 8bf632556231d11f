"""Ingest and validate one large period; runs in the project's environment, with its settings.

::

    python large_rows.py make FILE ROWS   makes a period as a Parquet file of the source
    python large_rows.py stages PID...    prints as JSON the seconds of both stages, the memory, and the seconds of the
                                          CPU, with those of these processes and their children
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np  # type: ignore[import-not-found]
import psutil
import pyarrow.compute as pc  # type: ignore[import-not-found]
import pyarrow.parquet as pq  # type: ignore[import-not-found]

import scale_flights
from modelworks import load_project, load_settings, stages
from modelworks.data import execution
from modelworks.registry.tracker import Tracker

PASS_ROWS = 10**6  # made at once; each pass goes from the first day to the last
PASSES = 60  # that flight numbers of four digits suffice for; later ones depart some seconds after the minute


def make(file: Path, n_rows: int) -> None:
    """A month of drawn days, with a row group for each 200,000 rows."""
    sample = scale_flights.SampleMonth(Path("data/flights-2013-01.csv.gz"))
    rng, last_flight, writer = np.random.default_rng(scale_flights.SEED), 0, None
    for number, left in enumerate(range(n_rows, 0, -PASS_ROWS)):
        last_flight = last_flight if number % PASSES else 0
        rows = scale_flights.make_month(
            sample, scale_flights.FIRST_YEAR, min(left, PASS_ROWS), rng, last_flight, second=number // PASSES
        )
        last_flight = pc.max(rows["flight"]).as_py()
        writer = writer or pq.ParquetWriter(file, rows.schema, compression="zstd")
        writer.write_table(rows, row_group_size=200_000)
    assert writer
    writer.close()


def run_stages(cluster: list[psutil.Process]) -> None:
    """Both stages, as any run calls them, once the workers and MLflow's database are there."""
    settings = load_settings()
    project = load_project(settings.home)
    execution.map_parts(prepare, range(2 * settings.compute.workers), settings.compute)
    Tracker(project, settings, settings.monitoring_experiment).runs.experiment_id  # noqa: B018 - makes the database
    started, start_cpu_s = time.perf_counter(), _cpu_s(cluster)
    raw = stages.ingest(project, settings, for_training=False)
    ingested = time.perf_counter()
    clean = stages.validate(project, settings, raw.dataset_uri, "large", for_training=False)
    validated, cpu_s = time.perf_counter(), _cpu_s(cluster)
    for pool in execution._pools.values():
        pool.shutdown()
    driver, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    found = {
        "rows": clean.rows + clean.quarantined,
        "quarantined": clean.quarantined,
        "start_s": time.time() - psutil.Process().create_time() - (time.perf_counter() - started),
        "start_cpu_s": start_cpu_s,
        "ingest_s": ingested - started,
        "validate_s": validated - ingested,
        "cpu_s": cpu_s - start_cpu_s,
        "driver_mib": driver.ru_maxrss // 1024,
        "largest_worker_mib": workers.ru_maxrss // 1024,
    }
    print(json.dumps(found))


def prepare(_: int) -> None:
    """Import in a worker what the stages import; takes long enough for each of the workers to get one."""
    from modelworks import stages  # noqa: F401

    time.sleep(0.5)


def _cpu_s(cluster: list[psutil.Process]) -> float:
    """CPU seconds so far of this process and a cluster's, and of all that they started, ended ones included."""
    processes = [each for first in (psutil.Process(), *cluster) for each in (first, *first.children(recursive=True))]
    times = [each.cpu_times() for each in processes]
    return float(sum(each.user + each.system + each.children_user + each.children_system for each in times))


def main() -> None:
    """Do what the first word says."""
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        run_stages([psutil.Process(int(each)) for each in sys.argv[2:]])


if __name__ == "__main__":
    main()
