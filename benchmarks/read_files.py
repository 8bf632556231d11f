"""Read files whole, one after the other, and do nothing with them: the floor that ingest and validate stand on.

::

    python read_files.py pyarrow|polars FILE ...
    python read_files.py batches FILE ... --columns NAME ...    with pyarrow, batch by batch, and only these columns
"""

from __future__ import annotations

import argparse

BATCH_ROWS = 200_000  # as the project's `storage` has it
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


def read_in_batches(path: str, columns: list[str]) -> int:
    """Rows of a Parquet file, read as the project's stages read it: some columns, and never all rows at once."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
        present = [name for name in columns if name in file.schema_arrow.names]
        return sum(batch.num_rows for batch in file.iter_batches(BATCH_ROWS, columns=present))


def main() -> None:
    """Print the number of rows read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("how", choices=["pyarrow", "polars", "batches"])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--columns", nargs="+", default=[])
    arguments = parser.parse_args()
    if arguments.how == "batches":
        print(sum(read_in_batches(path, arguments.columns) for path in arguments.files))
    else:
        read = {"pyarrow": read_with_pyarrow, "polars": read_with_polars}[arguments.how]
        print(sum(read(path) for path in arguments.files))


if __name__ == "__main__":
    main()
