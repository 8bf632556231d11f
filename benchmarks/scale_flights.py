"""Enlarge the embedded sample for measurements of speed; runs in the project's environment.

::

    python scale_flights.py SAMPLES TARGET ROWS [--months 120] [--format parquet]

A month of the result is made of whole days of the same calendar month of the sample, drawn with replacement, so
nulls, categories and seasons stay as they are. A day of the result may hold many drawn days; their flights get
numbers of their own, which keeps the key unique, and weather and delays a little noise. Rows repeat all the same:
this is for figures of speed, never for figures of quality. Memory holds one month at a time.
"""

from __future__ import annotations

import argparse
import calendar
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np  # type: ignore[import-not-found]
import pyarrow as pa  # type: ignore[import-not-found]
import pyarrow.csv  # type: ignore[import-not-found]
import pyarrow.parquet as pq  # type: ignore[import-not-found]

FIRST_YEAR = 2014
SEED = 2013
MAX_FLIGHT = 9999

TEXT = ["carrier", "origin", "dest"]
WITH_GAPS = ["wind_dir", "dep_delay", "arr_delay", "delayed"]
"""Whole numbers, which frames and the contract hold as floats; `pandas` writes them as such."""

# Column: standard deviation of the noise, and the range that the contract allows.
NOISE = {
    "recent_delay": (0.5, -120, 2880),
    "temp": (0.7, -80, 135),
    "humidity": (1.5, 0, 100),
    "wind_speed": (0.4, 0, 200),
    "pressure": (0.3, 870, 1090),
}


class SampleMonth:
    """One calendar month of the sample, by day.

    Attributes
    ----------
    month : 1 to 12
    rows : the columns of the contract, text as dictionaries, sorted by time
    seconds : shape (n_rows,), time of day
    starts, lengths : shape (n_days,), first row and number of rows of each day
    slots : shape (n_rows,), numbers the rows that share all of the key but the flight
    """

    def __init__(self, path: Path) -> None:
        types = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(WITH_GAPS, pa.float64()))
        rows = pyarrow.csv.read_csv(path, convert_options=types).sort_by("scheduled_departure")
        when = rows["scheduled_departure"].cast(pa.timestamp("s")).to_numpy()
        days = when.astype("datetime64[D]")
        self.month = int(path.name.split("-")[2][:2])
        self.rows = _map_text(rows, lambda column: column.dictionary_encode()).combine_chunks()
        self.seconds = (when - days).astype("int64")
        self.starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
        self.lengths = np.diff(np.r_[self.starts, len(days)])
        key = rows.select(["scheduled_departure", "carrier", "origin", "dest"]).to_pandas()
        self.slots = key.groupby(key.columns.tolist()).cumcount().to_numpy()


def make_month(
    sample: SampleMonth, year: int, n_rows: int, rng: np.random.Generator, last_flight: int = 0, second: int = 0
) -> pa.Table:
    """Exactly `n_rows` rows of the sample's calendar month in another year, with flight numbers above the last one.

    Parameters
    ----------
    second : of the minute, 0 to 59, at which all depart; with another one, flight numbers may begin anew
    """
    month = sample.month
    drawn = _draw_days(sample, n_rows, rng)
    n_days = calendar.monthrange(year, month)[1]
    # The drawn days are dealt out to the days of the month in turn, then put in order.
    order = np.argsort(np.arange(len(drawn)) % n_days, kind="stable")
    lengths = sample.lengths[drawn]
    of_day = np.repeat(order % n_days, lengths)[:n_rows]
    of_copy = np.repeat(order // n_days, lengths)[:n_rows]
    ends = np.cumsum(lengths)
    at = (np.repeat(sample.starts[drawn] - (ends - lengths), lengths) + np.arange(ends[-1]))[:n_rows]

    midnight = np.datetime64(f"{year}-{month:02d}-01", "s") + second + of_day * np.timedelta64(86_400, "s")
    flight = last_flight + 1 + of_copy * (sample.slots.max() + 1) + sample.slots[at]
    if flight.max() > MAX_FLIGHT:
        raise SystemExit(f"{n_rows:,} rows a month need flight numbers above {MAX_FLIGHT}: ask for more months")
    replaced = {"scheduled_departure": midnight + sample.seconds[at].astype("timedelta64[s]"), "flight": flight}
    rows = sample.rows.take(at)
    replaced |= {name: _add_noise(rows[name], *noise, rng) for name, noise in NOISE.items()}
    for name, values in replaced.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, from_pandas=True))
    return _map_text(rows, lambda column: column.cast(pa.string()))


def _draw_days(sample: SampleMonth, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of days that have `n_rows` rows together, or a few more."""
    drawn = rng.integers(len(sample.starts), size=math.ceil(n_rows / sample.lengths.min()))
    return drawn[: np.searchsorted(np.cumsum(sample.lengths[drawn]), n_rows) + 1]


def _add_noise(
    column: pa.ChunkedArray, deviation: float, low: float, high: float, rng: np.random.Generator
) -> np.ndarray:
    values = column.to_numpy()
    return np.clip(values + deviation * rng.standard_normal(len(values)), low, high).round(1)


def _map_text(rows: pa.Table, function: Callable[[pa.ChunkedArray], pa.ChunkedArray]) -> pa.Table:
    for at, name in enumerate(rows.column_names):
        if name in TEXT:
            rows = rows.set_column(at, name, function(rows[name]))
    return rows


def write_month(rows: pa.Table, path: Path) -> None:
    """Write Parquet or csv.gz, as the name says."""
    if path.suffix == ".parquet":
        pq.write_table(rows, path, compression="zstd")
    else:
        with pa.CompressedOutputStream(path, "gzip") as file:
            pyarrow.csv.write_csv(rows, file)


def main() -> None:
    """Make all months, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path, help="folder of flights-YYYY-MM.csv.gz, twelve months")
    parser.add_argument("target", type=Path)
    parser.add_argument("rows", type=int, help="in all; the same number every month, but for a remainder")
    parser.add_argument("--months", type=int, default=120)
    parser.add_argument("--format", choices=["parquet", "csv.gz"], default="parquet")
    arguments = parser.parse_args()
    samples = [SampleMonth(path) for path in sorted(arguments.samples.glob("flights-*.csv.gz"))]
    rng = np.random.default_rng(SEED)
    arguments.target.mkdir(parents=True)
    for index in range(arguments.months):
        n_rows = arguments.rows // arguments.months + (index < arguments.rows % arguments.months)
        sample, year = samples[index % 12], FIRST_YEAR + index // 12
        rows = make_month(sample, year, n_rows, rng)
        write_month(rows, arguments.target / f"flights-{year}-{sample.month:02d}.{arguments.format}")


if __name__ == "__main__":
    main()
