"""The API's answers as they were logged, and the labels that are known for them.

::

    <storage>/predictions/date=<YYYY-MM-DD>/<name>.parquet
    <storage>/shadow/date=<YYYY-MM-DD>/<name>.parquet

In the second are predictions of a challenger, which nobody was answered with.
"""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelworks.calendar import find_frequency, period_of
from modelworks.contract import Contract
from modelworks.data import partitions
from modelworks.data.files import upload
from modelworks.data.filesystems import open_filesystem
from modelworks.data.key_hashes import hash_keys, look_up

PERIODS_WITHOUT_TIME = 3
"""So many of the newest periods are searched for labels where rows have no time that names theirs."""


def save_predictions(storage_uri: str, day: str, name: str, rows: pa.Table, layer: str = "predictions") -> None:
    """Write answers of the API as one file of that day; the same name again replaces the file."""
    with tempfile.TemporaryDirectory(prefix="predictions-") as folder:
        local = Path(folder) / "data.parquet"
        pq.write_table(rows, local, compression="zstd")
        upload(local, f"{storage_uri}/{layer}/date={day}/{name}.parquet")


def read_answers(
    storage_uri: str, since: datetime, max_rows: int, layer: str = "predictions", version: str | None = None
) -> pa.Table | None:
    """The newest logged rows since a moment, at most so many, the oldest first; None where there are none.

    Parameters
    ----------
    version : only the rows of this version
    """
    found: list[pa.Table] = []
    for table in _read_newest_first(storage_uri, since, layer):
        kept = pc.greater_equal(table["answered_at"], pa.scalar(since, table["answered_at"].type))
        if version:
            kept = pc.and_(kept, pc.equal(table["model_version"], version))
        found.append(table.filter(kept))
        if sum(map(len, found)) >= max_rows:
            break
    rows = pa.concat_tables(found, promote_options="permissive") if found else pa.table({})
    if not len(rows):
        return None
    rows = rows.sort_by("answered_at")
    return rows.slice(max(0, len(rows) - max_rows))


def _read_newest_first(storage_uri: str, since: datetime, layer: str) -> Iterator[pa.Table]:
    """Files are named by the day and time of their first row; one may hold rows of some seconds after."""
    fs, root = open_filesystem(f"{storage_uri}/{layer}")
    fs.invalidate_cache(root)
    for file in sorted(fs.glob(f"{root}/date=*/*.parquet"), reverse=True):
        if file.rsplit("/date=", 1)[1][:10] < f"{since:%Y-%m-%d}":
            return
        with fs.open(file, "rb") as content:
            yield pq.read_table(content, partitioning=None)


def find_labels(contract: Contract, storage_uri: str, rows: pa.Table) -> np.ndarray:
    """The encoded label of each row, by its key; shape (n_rows,), NaN where it is not known yet."""
    hashes = hash_keys(rows, contract.key)
    labels = np.full(len(hashes), np.nan)
    for period in _periods_of(contract, storage_uri, rows):
        newest = partitions.find_partitions(storage_uri, "clean", period)[-1]
        for batch in partitions.read_batches(newest, [*contract.key, contract.target.column]):
            known = hash_keys(pa.Table.from_pandas(batch, preserve_index=False), contract.key)
            order = np.argsort(known)
            at, is_known = look_up(known[order], hashes)
            target = contract.target.encode(batch[contract.target.column]).astype("float64")
            labels[is_known] = target[order][at[is_known]]
    return labels


def _periods_of(contract: Contract, storage_uri: str, rows: pa.Table) -> list[str]:
    clean = partitions.list_periods(storage_uri, "clean")
    if not contract.time or not clean or not (frequency := find_frequency(clean[0])):
        return clean[-PERIODS_WITHOUT_TIME:]
    days = pd.Series(pc.unique(rows[contract.time].combine_chunks().cast(pa.date32())).to_pandas()).dropna()
    wanted = {period_of(day, frequency) for day in days}
    return [each for each in clean if each in wanted]
