"""The labelled rows of a part that a model is trained or measured on, taken where the part lies."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data import splits
from modelworks.data.manifests import Part, Partition
from modelworks.data.parts import read_part_batches
from modelworks.settings import Training


@dataclass(frozen=True)
class PartToSample:
    """A part of clean rows.

    Attributes
    ----------
    folder, part : where the rows are
    held_out, fraction : as for `splits.choose_rows`
    """

    where: str
    contract: Contract
    training: Training
    folder: str
    part: Part
    held_out: bool | None
    fraction: float


@dataclass(frozen=True)
class Sample:
    """Rows with a label, and how many chosen ones have none."""

    frame: pd.DataFrame
    unlabelled: int


def list_parts(
    contract: Contract, training: Training, partitions: list[Partition], held_out: bool | None, fraction: float
) -> list[PartToSample]:
    """The parts of some partitions, in the order of their rows."""
    return [
        PartToSample(located.where, contract, training, partition.uri, located.part, held_out, fraction)
        for partition in partitions
        for located in partition.located
    ]


def sample_part(part: PartToSample) -> Sample:
    """The chosen rows of a part."""
    frames = (pa.Table.from_batches([batch]).to_pandas() for batch in read_part_batches(part.folder, part.part))
    return join([choose(part, frame) for frame in frames])


def choose(part: PartToSample, frame: pd.DataFrame) -> Sample:
    """The chosen rows of some of a part's."""
    chosen = splits.choose_rows(part.contract, frame, part.training, part.held_out, part.fraction)
    known = frame[part.contract.target.column].notna().to_numpy()
    rows = chosen & known
    return Sample(frame if rows.all() else frame[rows], int((chosen & ~known).sum()))


def join(samples: list[Sample]) -> Sample:
    """The rows one after the other, with a fresh index."""
    frame = pd.concat([each.frame for each in samples], ignore_index=True)
    return Sample(frame, sum(each.unlabelled for each in samples))
