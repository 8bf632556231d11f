"""Predictions for the held-out rows of a part, and some of these rows, each read where the work is done."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline

from modelworks.contract import Contract
from modelworks.data.blocks import UNIT_HASH, hash_units
from modelworks.data.manifests import Part
from modelworks.data.parts import new_part, read_part_batches
from modelworks.data.shipping import Shipped, receive
from modelworks.data.splits import Selection, select
from modelworks.errors import ContractError, QualityGateError
from modelworks.models import pipeline
from modelworks.models.part_scores import CHUNK_ROWS
from modelworks.models.scoring import map_in_threads
from modelworks.progress import track
from modelworks.project import Project
from modelworks.targets import Target

CHAMPION = "champion "
"""Before the names of `Target.prediction_columns`, in the columns of the champion's prediction."""


@dataclass(frozen=True)
class PartToPredict:
    """A part of clean rows.

    Attributes
    ----------
    shipped : project, candidate, and the champion with its version, or None
    folder, part : where the rows are
    kept : columns that are stored beside the predictions
    predictions : URI of the folder for them
    """

    where: str
    shipped: Shipped
    selection: Selection
    folder: str
    part: Part
    kept: tuple[str, ...]
    threads: int
    predictions: str


@dataclass(frozen=True)
class PredictedPart:
    """Where the predictions for a part are, and the held-out rows whose target is unknown; None: for no row."""

    part: Part | None
    unlabelled: int


@dataclass(frozen=True)
class PartToTake:
    """A part of clean rows; only rows of these numbers are read from it.

    Attributes
    ----------
    rows : their numbers among the selected rows of the part, in order
    columns : to take
    """

    where: str
    contract: Contract
    selection: Selection
    folder: str
    part: Part
    rows: np.ndarray
    columns: tuple[str, ...]


def predict_part(rows: PartToPredict) -> PredictedPart:
    """Store the predictions for the selected rows, and the columns to keep; of a row without a time, its unit."""
    project, candidate, champion = receive(rows.shipped)
    contract: Contract = project.contract

    def predict(selected: tuple[pa.Table, int]) -> tuple[pa.Table, int]:
        frame = selected[0].to_pandas()
        columns = contract.target.to_columns(pipeline.predict(project, candidate, frame)) if len(frame) else {}
        if len(frame) and champion:
            predicted = contract.target.to_columns(predict_as_champion(project, champion[0], champion[1], frame))
            columns |= {f"{CHAMPION}{name}": values for name, values in predicted.items()}
        if not contract.time:
            columns[UNIT_HASH] = hash_units(contract, frame)
        table = selected[0].select(rows.kept)
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values))
        return table, selected[1]

    models = [candidate, champion[0]] if champion else [candidate]
    wanted = {*rows.kept, *(name for model in models for name in model.feature_names_in_)}
    unlabelled = 0
    with new_part() as writer:
        for table, more in map_in_threads(predict, _read_selected(contract, rows, wanted), rows.threads):
            unlabelled += more
            if table.num_rows:
                writer.write(table)
        return PredictedPart(writer.store(rows.predictions) if writer.rows else None, unlabelled)


def predict_as_champion(project: Project, champion: Pipeline, version: str, frame: pd.DataFrame) -> np.ndarray:
    """The champion's predictions.

    Raises
    ------
    QualityGateError
        If it cannot predict these rows, so the candidate cannot be compared with it.
    """
    try:
        return pipeline.predict(project, champion, frame)
    except ContractError as error:
        raise QualityGateError(f"the champion, version {version}, cannot be compared with: {error}") from None


def take_part(rows: PartToTake) -> pd.DataFrame:
    """Some of the selected rows of a part."""
    frames, first = [], 0
    for table, _ in _read_selected(rows.contract, rows, {*rows.columns}):
        inside = rows.rows[(rows.rows >= first) & (rows.rows < first + len(table))]
        if len(inside):
            frames.append(table.select(rows.columns).take(inside - first))
        first += len(table)
    return pa.concat_tables(frames).to_pandas()


def stack(target: Target, predictions: pa.Table, whose: str = "") -> np.ndarray:
    """A prediction from the columns that `predict_part` stores, as `modelworks.targets` describes it."""
    columns = [predictions[f"{whose}{name}"].to_numpy() for name in target.prediction_columns]
    return np.array(columns).T if len(columns) > 1 else columns[0]


def _read_selected(
    contract: Contract, rows: PartToPredict | PartToTake, wanted: set[str]
) -> Iterator[tuple[pa.Table, int]]:
    """The selected rows batch by batch, and how many more would be, if they had a label."""
    by = {*contract.key, contract.group, contract.target.column}
    names = [name for name in contract.dtypes if name in wanted | by]
    batches = read_part_batches(rows.folder, rows.part, names, CHUNK_ROWS)
    for batch in track(batches, "predicting held-out rows", "rows", rows.part.rows, size=len):
        table = pa.Table.from_batches([batch])
        taken, more = select(contract, table.select([name for name in names if name in by]).to_pandas(), rows.selection)
        yield table.filter(pa.array(taken)), more
