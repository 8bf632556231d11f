"""Count the features of a part, and the predictions for its rows, by block and bin."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from modelworks.contract import Contract
from modelworks.data.manifests import Part
from modelworks.data.parts import read_part_batches
from modelworks.data.shipping import Shipped, receive
from modelworks.models import part_scores, pipeline
from modelworks.models.part_scores import PartToScore
from modelworks.monitoring.binning import Binning
from modelworks.monitoring.drift import PREDICTION, BinCounts
from modelworks.progress import track


@dataclass(frozen=True)
class PartToCount:
    """A part, of clean rows or of scores.

    Attributes
    ----------
    shipped : project and model
    folder, part : where the rows are
    is_scores : the rows are scores
    to_score : clean rows without scores: count the predictions that it makes
    """

    where: str
    shipped: Shipped
    binning: Binning
    period: str
    folder: str
    part: Part
    is_scores: bool = False
    to_score: PartToScore | None = None


def count_part(rows: PartToCount) -> BinCounts:
    """The features of clean rows, or the predictions in scores, or those for clean rows."""
    contract: Contract = receive(rows.shipped)[0].contract
    counts = BinCounts(contract, rows.binning)
    for frame in _read(rows, contract):
        counts.add(rows.period, frame)
    return counts


def _read(rows: PartToCount, contract: Contract) -> Iterator[pd.DataFrame]:
    if rows.to_score:
        scores = part_scores.score_rows(rows.to_score)
    elif rows.is_scores:
        batches = read_part_batches(rows.folder, rows.part)
        scores = (pa.Table.from_batches([batch]).to_pandas() for batch in batches)
    else:
        yield from _read_features(rows, contract)
        return
    for frame in scores:
        predicted = to_column(contract, contract.target.from_columns(frame))
        yield frame[contract.identity].assign(**{PREDICTION: predicted})


def _read_features(rows: PartToCount, contract: Contract) -> Iterator[pd.DataFrame]:
    model = receive(rows.shipped)[1]
    names = feature_columns(contract, model.feature_names_in_)
    batches = read_part_batches(rows.folder, rows.part, names)
    for batch in track(batches, f"reading the features of {rows.period}", "rows", rows.part.rows, size=len):
        yield pipeline.watched(model, pa.Table.from_batches([batch]).to_pandas())


def feature_columns(contract: Contract, features: np.ndarray) -> list[str]:
    """The columns that drift is measured in, and those that number the blocks."""
    return list(dict.fromkeys([*contract.identity, *features]))


def to_column(contract: Contract, prediction: np.ndarray) -> pd.Series:
    """A prediction as one column: its number, or the most likely of many classes."""
    if contract.target.is_multiclass:
        return contract.target.decode(prediction.argmax(axis=1)).astype("str")
    return pd.Series(prediction)
