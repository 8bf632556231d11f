"""Training rows where their parts lie: what an encoding needs to know of all of them, and their matrix.

So a model can be trained on more rows than one process holds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from modelworks.data import splits
from modelworks.data.manifests import Part
from modelworks.data.parts import read_part_batches
from modelworks.data.splits import Selection
from modelworks.models.columns import ColumnEncoder, find_extreme_times
from modelworks.models.derived import DerivedFeatures
from modelworks.project import Project

BATCH_ROWS = 50_000
FEATURES, LABEL = "features", "label"
SCHEMA = f"{FEATURES} array<float>, {LABEL} double"


@dataclass(frozen=True)
class PartToTrain:
    """A part of clean rows.

    Attributes
    ----------
    step : derives features; None if the project has no function
    names, texts : the columns that a model may see, and those among them that are categories
    folder, part : where the rows are
    selection : the rows to train on; all of them, so without a sample
    """

    where: str
    project: Project
    selection: Selection
    step: DerivedFeatures | None
    names: list[str]
    texts: list[str]
    folder: str
    part: Part


@dataclass(frozen=True)
class PartsToEncode:
    """The parts of one worker, whose rows become a matrix.

    Attributes
    ----------
    features : that the encoder takes
    classes : those with rows, encoded, which become 0, 1, ...; none where the target is a number
    """

    parts: list[PartToTrain]
    encoder: ColumnEncoder
    features: list[str]
    classes: np.ndarray


@dataclass(frozen=True)
class ColumnCounts:
    """What an encoding needs to know of rows whose target is known.

    Attributes
    ----------
    unlabelled : rows that were left out
    known : columns with a value
    categories : rows of each category, by column
    times : those whose parts are extreme
    targets : the encoded classes, sorted; of a number the extreme values
    """

    rows: int
    unlabelled: int
    known: frozenset[str]
    categories: dict[str, pd.Series]
    times: pd.Series
    targets: np.ndarray


def count_columns(part: PartToTrain) -> ColumnCounts:
    """What an encoding needs to know of the rows of a part."""
    return merge_counts([_count(part, frame, unlabelled) for frame, unlabelled in _read_rows(part)])


def merge_counts(counts: Sequence[ColumnCounts]) -> ColumnCounts:
    """The counts of all rows; the same for any cut into parts."""
    return ColumnCounts(
        rows=sum(each.rows for each in counts),
        unlabelled=sum(each.unlabelled for each in counts),
        known=frozenset(name for each in counts for name in each.known),
        categories={
            name: pd.concat([each.categories[name] for each in counts]).groupby(level=0).sum()
            for name in counts[0].categories
        },
        times=find_extreme_times(pd.concat([each.times for each in counts], ignore_index=True)),
        targets=np.unique(np.concatenate([each.targets for each in counts])),
    )


def encode_parts(task: PartsToEncode) -> Iterator[pa.RecordBatch]:
    """The rows of some parts as `SCHEMA` says, in 32 bits, as XGBoost keeps them."""
    for part in task.parts:
        for frame, _ in _read_rows(part):
            matrix = task.encoder.transform(frame[task.features]).astype("float32")
            target = _encode_target(part, frame)
            labels = np.searchsorted(task.classes, target).astype("float64") if len(task.classes) else target
            offsets = np.arange(0, matrix.size + 1, matrix.shape[1], dtype="int32")
            rows = pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))
            yield pa.record_batch([rows, pa.array(labels)], names=[FEATURES, LABEL])


def assign_parts(parts: Sequence[PartToTrain], rows: Sequence[int], n_workers: int) -> list[list[PartToTrain]]:
    """The parts of each worker, about as many rows each; as many workers as parts, if those are fewer.

    Parameters
    ----------
    rows : of each part, to train on; a part without any is left out, as XGBoost wants rows of each worker
    """
    largest_first = sorted((at for at, n_rows in enumerate(rows) if n_rows), key=lambda at: -rows[at])
    assigned: list[list[int]] = [[] for _ in range(min(n_workers, len(largest_first)))]
    for at in largest_first:
        min(assigned, key=lambda each: sum(rows[one] for one in each)).append(at)
    return [[parts[at] for at in sorted(each)] for each in assigned]


def _read_rows(part: PartToTrain) -> Iterator[tuple[pd.DataFrame, int]]:
    """The labelled rows with their derived columns, and how many had no label; one empty batch of an empty part."""
    contract, target = part.project.contract, part.project.contract.target.column
    for batch in read_part_batches(part.folder, part.part, rows=BATCH_ROWS):
        frame = pa.Table.from_batches([batch]).to_pandas()
        taken, unlabelled = splits.select(contract, frame, part.selection)
        rows = frame[taken]
        derived = part.step.transform(rows) if part.step else rows[part.names]
        yield derived.assign(**{target: rows[target]}), unlabelled


def _count(part: PartToTrain, frame: pd.DataFrame, unlabelled: int) -> ColumnCounts:
    time = part.project.contract.time
    target = _encode_target(part, frame)
    if part.project.contract.target.is_regression:
        target = np.array([target.min(), target.max()] if len(target) else [])
    return ColumnCounts(
        rows=len(frame),
        unlabelled=unlabelled,
        known=frozenset(name for name in part.names if frame[name].notna().any()),
        categories={name: frame[name].value_counts() for name in part.texts},
        times=find_extreme_times(frame[time]) if time in part.names else pd.Series([], dtype="datetime64[us]"),
        targets=np.unique(target),
    )


def _encode_target(part: PartToTrain, frame: pd.DataFrame) -> np.ndarray:
    target = part.project.contract.target
    return target.encode(frame[target.column])
