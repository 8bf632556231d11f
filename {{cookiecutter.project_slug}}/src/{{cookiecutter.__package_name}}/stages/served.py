"""Predictions that were served, and the labels that have come for them since."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from .. import schema, scoring, storage
from ..performance import Batch
from ..storage import Partition

NO_LABEL = 2
LABEL_BITS = np.uint64(3)


def join_labels(served: Partition, clean: Partition) -> Iterator[Batch]:
    """Time, label and probability of the served rows whose label is known, batch by batch."""
    labels = _read_labels(clean)
    for frame in storage.read_batches(served, [*scoring.KEY, "probability"]):
        found = _look_up(labels, frame)
        known = found != NO_LABEL
        if known.any():
            yield frame.loc[known, schema.TIME], found[known], frame["probability"].to_numpy()[known]


def _read_labels(clean: Partition) -> np.ndarray:
    """Hashes of the keys, in order, with the label in the two lowest bits of each.

    This is all of a month that is in memory at once: 8 bytes a row, however many columns the key has.
    """
    labels, start = np.empty(clean.rows, "uint64"), 0
    for frame in storage.read_batches(clean, [*scoring.KEY, schema.TARGET]):
        target = frame[schema.TARGET].fillna(NO_LABEL).to_numpy("uint64")
        labels[start : start + len(frame)] = _hash(frame) | target
        start += len(frame)
    labels.sort()
    return labels


def _look_up(labels: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
    """The label of each row, shape (n_rows,); `NO_LABEL` where it is not known.

    Parameters
    ----------
    labels : as `_read_labels` gives them
    frame : has the key
    """
    if not len(labels):
        return np.full(len(frame), NO_LABEL)
    wanted = _hash(frame)
    # In order, they are found in a sixth of the time: what is looked at next is in the processor's cache.
    order = np.argsort(wanted)
    found = np.empty_like(wanted)
    found[order] = labels[np.minimum(np.searchsorted(labels, wanted[order]), len(labels) - 1)]
    return np.where(found & ~LABEL_BITS == wanted, found & LABEL_BITS, NO_LABEL).astype("int64")


def _hash(frame: pd.DataFrame) -> np.ndarray:
    """A number for each key, shape (n_rows,), its two lowest bits free; 62 are enough to tell many millions apart."""
    return pd.util.hash_pandas_object(frame[scoring.KEY], index=False).to_numpy() & ~LABEL_BITS
