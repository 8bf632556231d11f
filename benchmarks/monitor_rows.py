"""Monitor a large month; runs in the project's environment, with its settings and a champion.

::

    python monitor_rows.py make MONTH ROWS   brings a month in, to its scores; prints the columns that monitoring reads
    python monitor_rows.py once MONTH NAME   runs the stage; whoever started this reads its time and its peak memory
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
from flight_delays import schema, scoring, stages, storage  # type: ignore[import-not-found]
from flight_delays.config import load_settings  # type: ignore[import-not-found]

SAMPLE_YEAR = 2013
PASS_ROWS = 10**6  # made at once; each pass goes from the first day to the last

settings = load_settings()


def make_month(month: str, n_rows: int) -> None:
    """A month of drawn days, from raw rows to scores by the same stages that any month goes through."""
    year, number = map(int, month.split("-"))
    sample = scale_flights.SampleMonth(settings.home / "data" / f"flights-{SAMPLE_YEAR}-{number:02d}.csv.gz")
    rng, last_flight = np.random.default_rng(scale_flights.SEED), 0
    with storage.new_partition(settings.storage_uri, "raw", month) as writer:
        for left in range(n_rows, 0, -PASS_ROWS):
            rows = scale_flights.make_month(sample, year, min(left, PASS_ROWS), rng, last_flight)
            last_flight = pc.max(rows["flight"]).as_py()
            time = rows[schema.TIME].cast(pa.timestamp("us"))
            writer.write(rows.set_column(rows.column_names.index(schema.TIME), schema.TIME, time))
        made = {"source": "drawn days", "source_sha256": month, "contract_version": schema.version()}
        dataset = storage.save_dataset(settings.storage_uri, [writer.publish(**made)])
    stages.validate(dataset.uri, f"{n_rows} rows of {month}", for_training=False)
    stages.score(month)
    print(json.dumps(list(dict.fromkeys([*scoring.KEY, *schema.FEATURES, schema.TARGET, "probability"]))))


def monitor(month: str, name: str) -> None:
    """Monitor the month as if for the first time."""
    shutil.rmtree(Path(settings.storage_uri) / "monitoring", ignore_errors=True)
    print(stages.monitor(name, month)["result"])


def main() -> None:
    """Do what the first word says."""
    what, month, argument = sys.argv[1:]
    if what == "make":
        make_month(month, int(argument))
    else:
        monitor(month, argument)


if __name__ == "__main__":
    main()
