"""Join served predictions with the labels that came since, part by part and in a memory that does not grow.

Each part of the labels, and of the predictions, is written in buckets by the hash of its key, as many as there are
parts; then each bucket is joined and added up by itself. Two keys of a billion rows have one hash at times: 1 row in
ten billion or fewer gets the label of another.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data.buckets import HASH, read_bucket, write_buckets
from modelworks.data.execution import map_parts
from modelworks.data.key_hashes import hash_keys, look_up
from modelworks.data.manifests import Part, Partition
from modelworks.data.parts import read_part
from modelworks.monitoring.calibration import Batch, PerformanceAccumulator
from modelworks.settings import Compute

LABEL = "encoded_label"


@dataclass(frozen=True)
class PartToJoin:
    """A part, of clean rows or of scores.

    Attributes
    ----------
    folder, part : where the rows are
    is_scores : the rows are scores
    buckets : URI of the file for its buckets
    """

    where: str
    contract: Contract
    folder: str
    part: Part
    is_scores: bool
    buckets: str
    n_buckets: int


@dataclass(frozen=True)
class BucketToJoin:
    """A bucket of all parts.

    Attributes
    ----------
    labels, scores : URIs of the files, in the order of their parts
    scale, origin : of `PerformanceAccumulator`
    """

    contract: Contract
    period: str
    number: int
    labels: tuple[str, ...]
    scores: tuple[str, ...]
    scale: float
    origin: float


def add_up_labelled(
    contract: Contract, clean: Partition, served: Partition, scale: float, compute: Compute, attempt: str
) -> PerformanceAccumulator:
    """The performance of the served rows whose label is known.

    Parameters
    ----------
    scale : of `PerformanceAccumulator`
    attempt : URI of a folder for buckets, which the caller removes
    """
    origin = served.facts["expected"]
    performance = PerformanceAccumulator(contract, scale, origin)
    buckets = distribute(contract, clean, served, scale, origin, compute, attempt)
    for added in map_parts(add_up, buckets, compute, f"measuring {served.period}"):
        performance.merge(added)
    return performance


def distribute(
    contract: Contract,
    clean: Partition,
    served: Partition,
    scale: float,
    origin: float,
    compute: Compute,
    attempt: str,
) -> list[BucketToJoin]:
    """Write the buckets of all parts; see `add_up_labelled`."""
    n_buckets = max(len(clean.parts), len(served.parts))
    labels = [
        PartToJoin(each.where, contract, clean.uri, each.part, False, f"{attempt}/labels-{number}.arrow", n_buckets)
        for number, each in enumerate(clean.located)
    ]
    scores = [
        PartToJoin(each.where, contract, served.uri, each.part, True, f"{attempt}/scores-{number}.arrow", n_buckets)
        for number, each in enumerate(served.located)
    ]
    map_parts(write_part, [*labels, *scores], compute, f"reading the labels of {clean.period}")
    of_labels, of_scores = (tuple(each.buckets for each in parts) for parts in (labels, scores))
    return [
        BucketToJoin(contract, clean.period, number, of_labels, of_scores, scale, origin) for number in range(n_buckets)
    ]


def write_part(rows: PartToJoin) -> None:
    """Write the labels of clean rows, or the keys and predictions of scores, in buckets."""
    contract, target = rows.contract, rows.contract.target
    columns = [*contract.identity, *target.prediction_columns] if rows.is_scores else [*contract.key, target.column]
    table = read_part(rows.folder, rows.part, columns)
    hashes = hash_keys(table, contract.key)
    if not rows.is_scores:
        table = pa.table({LABEL: target.encode(table[target.column].to_pandas()).astype("float64")})
    write_buckets(rows.buckets, hashes, rows.n_buckets, table)


def add_up(bucket: BucketToJoin) -> PerformanceAccumulator:
    """The performance of the bucket's predictions whose label is known."""
    accumulator = PerformanceAccumulator(bucket.contract, bucket.scale, bucket.origin)
    for frame, target, prediction in join(bucket):
        accumulator.add(frame, target, prediction, bucket.period)
    return accumulator


def join(bucket: BucketToJoin) -> list[Batch]:
    """Keys, labels and predictions of the bucket's predictions whose label is known, of each part of the scores."""
    parts = [read_bucket(uri, bucket.number) for uri in bucket.labels]
    hashes, labels = (np.concatenate([each[name].to_numpy() for each in parts]) for name in (HASH, LABEL))
    order = np.argsort(hashes)
    order = order[~np.isnan(labels[order])]
    hashes, labels = hashes[order], labels[order]
    joined = []
    for uri in bucket.scores:
        scores = read_bucket(uri, bucket.number)
        at, known = look_up(hashes, scores[HASH].to_numpy())
        frame = pa.Table.from_batches([scores.filter(pa.array(known))]).to_pandas()
        joined.append((frame, labels[at[known]], bucket.contract.target.from_columns(frame)))
    return joined
