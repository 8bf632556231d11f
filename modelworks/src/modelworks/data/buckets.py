"""Rows of a part in buckets by the hash of their key, so that all rows of a key are in one, of whatever part."""

import numpy as np
import pyarrow as pa

from modelworks.data.filesystems import open_filesystem

HASH = "key_hash"


def write_buckets(uri: str, hashes: np.ndarray, n_buckets: int, rows: pa.Table) -> None:
    """Write rows and their hashes to one file, a batch a bucket; within one in the order of the rows."""
    bucket = (hashes % np.uint64(n_buckets)).astype("uint16" if n_buckets < 2**16 else "uint64")
    order = np.argsort(bucket, kind="stable")
    ends = np.cumsum(np.bincount(bucket, minlength=n_buckets))
    sorted_rows = rows.append_column(HASH, pa.array(hashes)).take(pa.array(order))
    columns = [each.combine_chunks() for each in sorted_rows.columns]
    fs, path = open_filesystem(uri)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    with fs.open(path, "wb") as file, pa.ipc.new_file(file, sorted_rows.schema) as writer:
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            batch = [each.slice(start, end - start) for each in columns]
            writer.write_batch(pa.record_batch(batch, schema=sorted_rows.schema))


def read_bucket(uri: str, number: int) -> pa.RecordBatch:
    """The rows of a bucket in a part, with their hashes."""
    fs, path = open_filesystem(uri)
    with fs.open(path, "rb") as file:
        return pa.ipc.open_file(file).get_batch(number)
