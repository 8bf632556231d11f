"""Read files whole, one after the other, and do nothing with them: the floor that ingest and validate stand on.

::

    python read_files.py pyarrow|polars FILE ...
"""

from __future__ import annotations

import sys

FLOATS = (
    "recent_delay temp humidity wind_dir wind_speed wind_gust precip pressure visibility dep_delay arr_delay".split()
)


def read_with_pyarrow(path: str) -> int:
    """Rows of a file, all of its columns read into memory."""
    import pyarrow.csv  # type: ignore[import-not-found]
    import pyarrow.parquet  # type: ignore[import-not-found]

    if path.endswith(".parquet"):
        return int(pyarrow.parquet.read_table(path).num_rows)
    return int(pyarrow.csv.read_csv(path).num_rows)


def read_with_polars(path: str) -> int:
    """Rows of a file, all of its columns read into memory."""
    import polars  # type: ignore[import-not-found]

    if path.endswith(".parquet"):
        return int(polars.read_parquet(path).height)
    # Inferring types from enough rows to get them right would take most of the time.
    types = dict.fromkeys(FLOATS, polars.Float64)
    return int(polars.read_csv(path, try_parse_dates=True, schema_overrides=types).height)


def main() -> None:
    """Print the number of rows read."""
    library, *paths = sys.argv[1:]
    read = {"pyarrow": read_with_pyarrow, "polars": read_with_polars}[library]
    print(sum(read(path) for path in paths))


if __name__ == "__main__":
    main()
