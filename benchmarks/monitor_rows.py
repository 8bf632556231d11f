"""Monitor a large period; runs in the project's environment, with its settings and a champion.

::

    python monitor_rows.py make PERIOD ROWS   makes a period, up to its scores; prints the columns that monitoring reads
    python monitor_rows.py once PERIOD NAME   runs the stage; whoever started this reads its time and its peak memory
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np  # type: ignore[import-not-found]
import pyarrow as pa  # type: ignore[import-not-found]
import pyarrow.compute as pc  # type: ignore[import-not-found]

import scale_flights
from modelworks import load_project, load_settings, stages
from modelworks.data import partitions

SAMPLE_YEAR = 2013
PASS_ROWS = 10**6  # made at once; each pass goes from the first day to the last

settings = load_settings()
project = load_project(settings.home)
contract = project.contract


def make_period(period: str, n_rows: int) -> None:
    """A period of drawn days, from raw rows to scores by the same stages that any period goes through."""
    year, number = map(int, period.split("-"))
    sample = scale_flights.SampleMonth(settings.home / "data" / f"flights-{SAMPLE_YEAR}-{number:02d}.csv.gz")
    rng, last_flight = np.random.default_rng(scale_flights.SEED), 0
    with partitions.new_partition(settings.storage_uri, "raw", period) as writer:
        for left in range(n_rows, 0, -PASS_ROWS):
            rows = scale_flights.make_month(sample, year, min(left, PASS_ROWS), rng, last_flight)
            last_flight = pc.max(rows["flight"]).as_py()
            time = rows[contract.time].cast(pa.timestamp("us"))
            writer.write(rows.set_column(rows.column_names.index(contract.time), contract.time, time))
        made = {"source": "drawn days", "source_sha256": period, "contract_version": contract.version}
        dataset = partitions.save_dataset(settings.storage_uri, [writer.publish(**made)])
    stages.validate(project, settings, dataset.uri, f"{n_rows} rows of {period}", for_training=False)
    stages.score(project, settings, period)
    read = [*contract.identity, *contract.features, contract.target.column, "probability"]
    print(json.dumps(list(dict.fromkeys(read))))


def monitor(period: str, name: str) -> None:
    """Monitor the period as if for the first time."""
    shutil.rmtree(Path(settings.storage_uri) / "monitoring", ignore_errors=True)
    print(stages.monitor(project, settings, name, period).summary)


def main() -> None:
    """Do what the first word says."""
    what, period, argument = sys.argv[1:]
    if what == "make":
        make_period(period, int(argument))
    else:
        monitor(period, argument)


if __name__ == "__main__":
    main()
