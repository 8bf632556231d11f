"""Ingest and validate one large period; runs in the project's environment, with its settings.

::

    python large_rows.py make FILE ROWS   makes a period as a Parquet file of the source; at most 80 million rows
    python large_rows.py stages           prints as JSON the seconds of both stages, and the memory
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np  # type: ignore[import-not-found]
import pyarrow.compute as pc  # type: ignore[import-not-found]
import pyarrow.parquet as pq  # type: ignore[import-not-found]

import scale_flights
from modelworks import load_project, load_settings, stages
from modelworks.data import execution

PASS_ROWS = 10**6  # made at once; each pass goes from the first day to the last


def make(file: Path, n_rows: int) -> None:
    """A month of drawn days, with a row group for each 200,000 rows."""
    sample = scale_flights.SampleMonth(Path("data/flights-2013-01.csv.gz"))
    rng, last_flight, writer = np.random.default_rng(scale_flights.SEED), 0, None
    for left in range(n_rows, 0, -PASS_ROWS):
        rows = scale_flights.make_month(sample, scale_flights.FIRST_YEAR, min(left, PASS_ROWS), rng, last_flight)
        last_flight = pc.max(rows["flight"]).as_py()
        writer = writer or pq.ParquetWriter(file, rows.schema, compression="zstd")
        writer.write_table(rows, row_group_size=200_000)
    assert writer
    writer.close()


def run_stages() -> None:
    """Both stages, as any run calls them."""
    settings = load_settings()
    project = load_project(settings.home)
    started = time.perf_counter()
    raw = stages.ingest(project, settings, for_training=False)
    ingested = time.perf_counter()
    clean = stages.validate(project, settings, raw.dataset_uri, "large", for_training=False)
    validated = time.perf_counter()
    for pool in execution._pools.values():
        pool.shutdown()
    driver, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    found = {
        "rows": clean.rows + clean.quarantined,
        "quarantined": clean.quarantined,
        "ingest_s": round(ingested - started, 1),
        "validate_s": round(validated - ingested, 1),
        "cpu_s": round(driver.ru_utime + driver.ru_stime + workers.ru_utime + workers.ru_stime, 1),
        "driver_mib": driver.ru_maxrss // 1024,
        "largest_worker_mib": workers.ru_maxrss // 1024,
    }
    print(json.dumps(found))


def main() -> None:
    """Do what the first word says."""
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        run_stages()


if __name__ == "__main__":
    main()
