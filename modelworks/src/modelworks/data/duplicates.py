"""Rows whose key an earlier row of the period has, found exactly and in a memory that does not grow with the period.

Each part hashes its keys and stores the hashes by bucket; each bucket holds as many rows as a part, of all parts. Rows
of equal hash are few. Their keys are read and compared, since hashes of a billion rows collide.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data.buckets import HASH, read_bucket, write_buckets
from modelworks.data.execution import map_parts
from modelworks.data.key_hashes import hash_keys
from modelworks.data.manifests import Part, Partition
from modelworks.data.parts import read_part
from modelworks.settings import Compute


@dataclass(frozen=True)
class Keys:
    """The keys of a part.

    Attributes
    ----------
    folder, part : where its rows are
    hashes : URI of the file for its hashes
    n_buckets : batches of that file
    """

    where: str
    key: tuple[str, ...]
    folder: str
    part: Part
    hashes: str = ""
    n_buckets: int = 1


@dataclass(frozen=True)
class Bucket:
    """The hashes of one bucket, of all parts in order."""

    number: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Candidates:
    """Rows of a part that share a hash with others; `rows` are their numbers in the part, in order."""

    where: str
    keys: Keys
    rows: np.ndarray


def find_duplicates(contract: Contract, partition: Partition, compute: Compute, attempt: str) -> list[np.ndarray]:
    """Numbers of the rows of each part whose key is that of an earlier row, of this part or one before.

    Parameters
    ----------
    attempt : URI of a folder for hashes, which the caller removes
    """
    n_parts = len(partition.parts)
    keys = [
        Keys(each.where, tuple(contract.key), partition.uri, each.part, f"{attempt}/keys-{number}.arrow", n_parts)
        for number, each in enumerate(partition.located)
    ]
    found = [_find_repeated(_hash_part(keys[0]))] if n_parts == 1 else _find_in_buckets(keys, compute)
    candidates = [Candidates(each.where, each, rows) for each, rows in zip(keys, found, strict=True) if len(rows)]
    return _compare(contract, candidates, n_parts, compute, keys)


def _find_in_buckets(keys: list[Keys], compute: Compute) -> list[np.ndarray]:
    map_parts(store_hashes, keys, compute, "hashing keys")
    files = tuple(each.hashes for each in keys)
    buckets = [Bucket(number, files) for number in range(len(keys))]
    by_bucket = map_parts(find_candidates, buckets, compute, "comparing keys")
    return [np.sort(np.concatenate([found[number] for found in by_bucket])) for number in range(len(keys))]


def _compare(
    contract: Contract, candidates: list[Candidates], n_parts: int, compute: Compute, keys: list[Keys]
) -> list[np.ndarray]:
    """Of rows that share a hash, those that repeat a key."""
    repeated = [np.empty(0, "int64") for _ in range(n_parts)]
    if not candidates:
        return repeated
    frames = map_parts(read_keys, candidates, compute, "reading keys")
    is_repeated = pd.concat(frames, ignore_index=True).duplicated(contract.key, keep="first").to_numpy()
    ends = np.cumsum([len(each.rows) for each in candidates])
    for each, marks in zip(candidates, np.split(is_repeated, ends[:-1]), strict=True):
        repeated[keys.index(each.keys)] = each.rows[marks]
    return repeated


def store_hashes(keys: Keys) -> None:
    """Write the hashes of a part's keys, with their rows' numbers, by bucket."""
    hashes = _hash_part(keys)
    write_buckets(keys.hashes, hashes, keys.n_buckets, pa.table({"row": np.arange(len(hashes))}))


def find_candidates(bucket: Bucket) -> list[np.ndarray]:
    """Numbers of the rows of each part that share a hash with another row of the bucket."""
    parts = [read_bucket(uri, bucket.number) for uri in bucket.files]
    ends = np.cumsum([len(each) for each in parts])
    repeated = np.zeros(ends[-1], bool)
    repeated[_find_repeated(np.concatenate([each[HASH].to_numpy() for each in parts]))] = True
    marks = np.split(repeated, ends[:-1])
    return [each["row"].to_numpy()[is_repeated] for each, is_repeated in zip(parts, marks, strict=True)]


def read_keys(candidates: Candidates) -> pd.DataFrame:
    """The keys of some rows of a part."""
    keys = candidates.keys
    return read_part(keys.folder, keys.part, list(keys.key)).take(pa.array(candidates.rows)).to_pandas()


def _find_repeated(hashes: np.ndarray) -> np.ndarray:
    """Positions of the values that are there more than once."""
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.flatnonzero(np.isin(hashes, repeated)) if len(repeated) else np.empty(0, "int64")


def _hash_part(keys: Keys) -> np.ndarray:
    """A number for each key, shape (n_rows,), uint64; equal keys have equal numbers."""
    return hash_keys(read_part(keys.folder, keys.part, list(keys.key), encoded=keys.key), keys.key)
