"""The labelled rows of a part that a model is trained or measured on, taken where the part lies."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data import splits
from modelworks.data.manifests import Part, Partition
from modelworks.data.parts import read_part_batches
from modelworks.data.splits import Selection


@dataclass(frozen=True)
class PartToSample:
    """A part of clean rows.

    Attributes
    ----------
    folder, part : where the rows are
    columns : key, group and target among them; None: all
    """

    where: str
    contract: Contract
    selection: Selection
    folder: str
    part: Part
    columns: list[str] | None


@dataclass(frozen=True)
class Sample:
    """Chosen rows with a label, of how many, and how many chosen ones have none."""

    of_rows: int
    frame: pd.DataFrame
    unlabelled: int


def list_parts(
    contract: Contract, selection: Selection, partitions: list[Partition], columns: list[str] | None
) -> list[PartToSample]:
    """The parts of some partitions, in the order of their rows."""
    return [
        PartToSample(located.where, contract, selection, partition.uri, located.part, columns)
        for partition in partitions
        for located in partition.located
    ]


def sample_part(part: PartToSample) -> Sample:
    """The chosen rows of a part."""
    return join(list(read_samples(part)))


def read_samples(part: PartToSample) -> Iterator[Sample]:
    """The chosen rows of a part, batch by batch."""
    for batch in read_part_batches(part.folder, part.part, part.columns):
        frame = pa.Table.from_batches([batch]).to_pandas()
        rows, unlabelled = splits.select(part.contract, frame, part.selection)
        yield Sample(len(frame), frame if rows.all() else frame[rows], unlabelled)


def join(samples: list[Sample]) -> Sample:
    """The rows one after the other, with a fresh index."""
    frame = pd.concat([each.frame for each in samples], ignore_index=True)
    return Sample(sum(each.of_rows for each in samples), frame, sum(each.unlabelled for each in samples))
