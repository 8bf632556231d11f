"""The held-out rows of a dataset, read and predicted part by part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline

from modelworks.data import partitions, splits
from modelworks.data.blocks import UNIT_HASH
from modelworks.data.execution import is_shared, map_parts
from modelworks.data.manifests import LocatedPart
from modelworks.data.partitions import Dataset
from modelworks.data.parts import read_part
from modelworks.data.shipping import ship
from modelworks.errors import ContractError
from modelworks.evaluation.holdout import measured_columns
from modelworks.models.part_holdout import CHAMPION, PartToPredict, PartToTake, predict_part, stack, take_part
from modelworks.project import Project
from modelworks.settings import Settings
from modelworks.stages.rows import read_rows


@dataclass(frozen=True)
class Predictions:
    """Predictions for the held-out rows whose target is known.

    Attributes
    ----------
    rows : with the columns that metrics need; texts are categories
    champion : None where there is no champion
    unlabelled : held-out rows whose target is unknown
    part_rows : how many rows are of each part
    """

    rows: pd.DataFrame
    candidate: np.ndarray
    champion: np.ndarray | None
    unlabelled: int
    part_rows: list[int]


def predict_held_out(
    project: Project,
    settings: Settings,
    holdout: Dataset,
    candidate: Pipeline,
    champion: tuple[Pipeline, str] | None,
) -> Predictions:
    """The predictions of both models; memory for a few numbers of each row, whatever columns it has.

    Parameters
    ----------
    holdout : the periods that the rows are in
    champion : its model and version, if there is one

    Raises
    ------
    ContractError
        If none of the rows is held out and labelled.
    QualityGateError
        If the champion cannot predict them.
    """
    contract, parts = project.contract, _locate(holdout)
    kept = measured_columns(contract, settings.gates.fairness.columns)
    threads = 1 if is_shared(settings.compute, len(parts)) else settings.training.threads
    selection = splits.choose_rows(contract, settings.training, holdout.rows, held_out=True)
    with partitions.new_attempt(settings.storage_uri, "clean", holdout.periods[-1]) as attempt:
        shipped = ship((project, candidate, champion), attempt, settings.compute, len(parts))
        tasks = [
            PartToPredict(each.where, shipped, selection, folder, each.part, tuple(kept), threads, attempt)
            for folder, each in parts
        ]
        found = map_parts(predict_part, tasks, settings.compute, "predicting held-out rows")
        texts = [name for name in kept if contract.is_text(name)]
        tables = [read_part(attempt, each.part, encoded=texts) for each in found if each.part]
    if not tables:
        raise ContractError(f"{holdout.uri}: none of {holdout.rows:,} rows is held out; more rows are wanted")
    table = pa.concat_tables(tables).unify_dictionaries()
    return Predictions(
        rows=table.select([name for name in table.column_names if name in {*kept, UNIT_HASH}]).to_pandas(),
        candidate=stack(contract.target, table),
        champion=None if champion is None else stack(contract.target, table, CHAMPION),
        unlabelled=sum(each.unlabelled for each in found),
        part_rows=[each.part.rows if each.part else 0 for each in found],
    )


def read_held_out(
    project: Project,
    settings: Settings,
    holdout: Dataset,
    part_rows: list[int],
    columns: Sequence[str] | None,
    at: np.ndarray | None,
) -> pd.DataFrame:
    """The rows that predictions are for, or some of them.

    Parameters
    ----------
    part_rows : of `Predictions`
    columns : default: all
    at : numbers of the rows; default: all
    """
    names = list(project.contract.dtypes if columns is None else columns)
    if at is None:
        by = {*project.contract.key, project.contract.group, project.contract.target.column, *names}
        wanted = [name for name in project.contract.dtypes if name in by]
        return read_rows(project, settings, holdout, held_out=True, columns=wanted)[0][names]
    selection = splits.choose_rows(project.contract, settings.training, holdout.rows, held_out=True)
    ends, at_in_order = np.cumsum(part_rows), np.sort(at)
    tasks = []
    for (folder, each), end, n_rows in zip(_locate(holdout), ends, part_rows, strict=True):
        inside = at_in_order[(at_in_order >= end - n_rows) & (at_in_order < end)] - (end - n_rows)
        if len(inside):
            tasks.append(PartToTake(each.where, project.contract, selection, folder, each.part, inside, tuple(names)))
    frames = map_parts(take_part, tasks, settings.compute, "reading held-out rows")
    return pd.concat(frames).set_axis(at_in_order).loc[at]


def _locate(holdout: Dataset) -> list[tuple[str, LocatedPart]]:
    """Each part, and the folder that it is in."""
    return [(partition.uri, each) for partition in holdout.partitions for each in partition.located]
