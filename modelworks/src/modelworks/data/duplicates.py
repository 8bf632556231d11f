"""Rows whose key an earlier row of the period has, found exactly and in a memory that does not grow with the period.

Each part hashes its keys and stores the hashes by bucket; each bucket holds as many rows as a part, of all parts. Rows
of equal hash are few. Their keys are read and compared, since hashes of a billion rows collide.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data.execution import map_parts
from modelworks.data.filesystems import open_filesystem
from modelworks.data.manifests import Part, Partition
from modelworks.data.parts import read_part
from modelworks.settings import Compute

GOLDEN, MIX, MORE = (np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""Of the generator splitmix64."""
NO_VALUE = 0x7FF8_0000_0000_0001


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
    bucket = (hashes % np.uint64(keys.n_buckets)).astype("uint16" if keys.n_buckets < 2**16 else "uint64")
    order = np.argsort(bucket, kind="stable")
    ends = np.cumsum(np.bincount(bucket, minlength=keys.n_buckets))
    schema = pa.schema([("hash", pa.uint64()), ("row", pa.int64())])
    fs, path = open_filesystem(keys.hashes)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    with fs.open(path, "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for rows in np.split(order, ends[:-1]):
            writer.write_batch(pa.record_batch([hashes[rows], rows], schema=schema))


def find_candidates(bucket: Bucket) -> list[np.ndarray]:
    """Numbers of the rows of each part that share a hash with another row of the bucket."""
    hashes, rows = [], []
    for uri in bucket.files:
        fs, path = open_filesystem(uri)
        with fs.open(path, "rb") as file:
            batch = pa.ipc.open_file(file).get_batch(bucket.number)
            hashes.append(batch["hash"].to_numpy().copy())
            rows.append(batch["row"].to_numpy().copy())
    ends = np.cumsum([len(each) for each in hashes])
    repeated = np.zeros(ends[-1], bool)
    repeated[_find_repeated(np.concatenate(hashes))] = True
    return [each[marks] for each, marks in zip(rows, np.split(repeated, ends[:-1]), strict=True)]


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
    table = read_part(keys.folder, keys.part, list(keys.key), encoded=keys.key)
    hashes = np.zeros(table.num_rows, "uint64")
    for name in keys.key:
        hashes *= MIX
        hashes += np.concatenate([_to_numbers(each) for each in table[name].chunks] or [hashes])
    return _mix(hashes)


def _to_numbers(values: pa.Array) -> np.ndarray:
    """Values as uint64, shape (n_rows,): equal values are equal, and others differ but for hashes of texts."""
    if pa.types.is_dictionary(values.type):
        distinct = values.dictionary.to_numpy(zero_copy_only=False).astype(object)
        hashes = pd.util.hash_array(distinct) if len(distinct) else np.empty(0, "uint64")
        return np.append(hashes, np.uint64(NO_VALUE))[values.indices.fill_null(len(distinct)).to_numpy()]
    if pa.types.is_floating(values.type):
        numbers = values.to_numpy(zero_copy_only=False) + 0.0  # no negative zero
        numbers[np.isnan(numbers)] = np.nan
        return numbers.view("uint64")
    bits = values.view(pa.int64()).fill_null(NO_VALUE).to_numpy()
    found: np.ndarray = bits.view("uint64")
    return found


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Other numbers, whose every bit depends on every bit of the given ones."""
    numbers = numbers + GOLDEN
    numbers = (numbers ^ (numbers >> np.uint64(30))) * MIX
    numbers = (numbers ^ (numbers >> np.uint64(27))) * MORE
    mixed: np.ndarray = numbers ^ (numbers >> np.uint64(31))
    return mixed
