"""Rows of a delivery that the project has already, recognised by their key or by all of their values."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelworks.data.key_hashes import look_up


class SeenRows:
    """The rows of some files, by which those of further batches are known again.

    Parameters
    ----------
    files : Parquet files of earlier deliveries
    key : columns that identify a row; empty where only all of its values do
    columns : of the delivery's file

    Attributes
    ----------
    rows, changed : rows known again so far, and those among them whose other values differ
    """

    def __init__(self, files: Iterable[Path], key: list[str], columns: list[str]) -> None:
        self._key, self._columns = key or columns, columns
        self._is_by_key = bool(key)
        keys: list[np.ndarray] = []
        contents: list[np.ndarray] = []
        for file in files:  # hashes alone stay in memory
            table = pq.read_table(file, columns=columns)
            contents.append(hash_rows(table, columns))
            keys.append(hash_rows(table, key) if key else contents[-1])
        self._keys, self._counts = _count(keys)
        self._contents, _ = _count(contents)
        self._found = np.zeros(len(self._keys), "int64")
        self.rows = self.changed = 0

    def find(self, table: pa.Table) -> np.ndarray:
        """Which rows of a batch are known, shape (n_rows,), bool.

        Without a key, as many rows of the same values are known as there are in the files.
        """
        hashes = hash_rows(table, self._key)
        at, is_known = look_up(self._keys, hashes)
        if self._is_by_key:
            is_same = look_up(self._contents, hash_rows(table, self._columns))[1]
            self.changed += int((is_known & ~is_same).sum())
        elif is_known.any():
            before = pd.Series(hashes).groupby(hashes).cumcount().to_numpy()
            more = at[is_known]
            is_known[is_known] = self._found[more] + before[is_known] < self._counts[more]
            np.add.at(self._found, more, 1)
        self.rows += int(is_known.sum())
        return is_known


def hash_rows(table: pa.Table, names: list[str]) -> np.ndarray:
    """A hash of each row's values, shape (n_rows,), uint64; the same for the same values, whatever else a batch has."""
    total = np.zeros(table.num_rows, "uint64")
    for name in names:
        # As text: a batch of integers with gaps would be floats in pandas, and have other hashes.
        texts = pc.fill_null(table[name].cast(pa.string()), "\0").to_pandas().to_numpy("object")
        total = total * np.uint64(1_000_003) + pd.util.hash_array(texts)
    return total


def _count(hashes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.unique(np.concatenate([np.zeros(0, "uint64"), *hashes]), return_counts=True)
