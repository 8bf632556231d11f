"""Both models of a rollout on live traffic: logged requests are predicted again, or the shadow's log is read."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from modelworks.data import answers, frames
from modelworks.evaluation.pairing import Comparison, Pairs, compare
from modelworks.models import pipeline
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.rollouts import RolloutStep
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings
from modelworks.stages.served import loss_scale

CHAMPION_PREFIX = "champion_"
"""In the shadow's log: before the columns of the champion's prediction of the same row."""
CHUNK_ROWS = 500
MAX_ALONE = 1000
"""Rows of chunks that fail which are predicted one by one; of further chunks each row counts as an error."""

log = logging.getLogger(__name__)

Predict = Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Replayed:
    """A comparison, and how many of its rows came since the step in force began."""

    comparison: Comparison
    in_step: int


def replay(
    project: Project, settings: Settings, tracker: Tracker, step: RolloutStep, since: datetime
) -> Replayed | None:
    """Compare challenger and champion on the rows that were logged since a moment; None where there are none.

    The shadow's process has predicted its share already; otherwise both models predict all of them now.
    """
    is_in_process = step.share == 0 and settings.rollout.shadow_share > 0
    layer, version = ("shadow", step.version) if is_in_process else ("predictions", None)
    rows = answers.read_answers(settings.storage_uri, since, settings.rollout.compared_rows, layer, version)
    if rows is None:
        return None
    with pipeline.limit_threads(settings.training):
        pairs = _read_pairs(project, rows) if is_in_process else _predict_pairs(project, tracker, step, rows)
    pairs = _with_labels(project, settings, pairs)
    scale = loss_scale(tracker, tracker.versions.get(step.champion))
    threshold = settings.evaluation.decision_threshold
    found = compare(project.contract, pairs, settings.evaluation, settings.training.seed, scale, threshold)
    began = pa.scalar(datetime.fromisoformat(step.at), rows["answered_at"].type)
    return Replayed(found, int(pc.sum(pc.greater_equal(rows["answered_at"], began)).as_py() or 0))


def _read_pairs(project: Project, rows: pa.Table) -> Pairs:
    """The pairs that the shadow has logged; its errors are counted by the replicas."""
    frame, target = rows.to_pandas(), project.contract.target
    champion = frame[[f"{CHAMPION_PREFIX}{name}" for name in target.prediction_columns]]
    return Pairs(
        frame=frame,
        champion=target.from_columns(champion.rename(columns=lambda name: name.removeprefix(CHAMPION_PREFIX))),
        challenger=target.from_columns(frame),
        labels=np.full(len(frame), np.nan),
        errors=0,
        champion_s=float(frame["champion_seconds"].sum()),
        challenger_s=float(frame["seconds"].sum()),
    )


def _predict_pairs(project: Project, tracker: Tracker, step: RolloutStep, rows: pa.Table) -> Pairs:
    frame = rows.to_pandas()
    inputs = frames.from_columns(
        project.contract,
        {name: rows[name].to_pylist() for name in rows.column_names if name in project.contract.dtypes},
        [name for name in project.contract.dtypes if name in rows.column_names],
    )
    predicted = []
    for version in (step.champion, step.version):
        model = ledger.load_version(project, tracker, tracker.versions.get(version))
        predicted.append(_predict(lambda some, model=model: pipeline.predict(project, model, some), inputs))  # type: ignore[misc]
    (champion, _, champion_s), (challenger, is_predicted, challenger_s) = predicted
    both = is_predicted & predicted[0][1]
    # A row that the champion cannot predict either says nothing of the challenger.
    errors = int((predicted[0][1] & ~is_predicted).sum())
    frame = frame[both].reset_index(drop=True)
    unknown = np.full(len(frame), np.nan)
    return Pairs(frame, champion[both], challenger[both], unknown, errors, champion_s, challenger_s)


def _predict(predict: Predict, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, float]:
    """Predictions, which rows have one, and the seconds that they took; a row that fails does not fail the others."""
    started, found = perf_counter(), []
    is_predicted, alone = np.ones(len(rows), bool), 0
    for at in range(0, len(rows), CHUNK_ROWS):
        chunk = rows.iloc[at : at + CHUNK_ROWS]
        try:
            found.append((np.arange(at, at + len(chunk)), _finite(predict(chunk))))
            continue
        except Exception as error:  # a model may fail in any way, which is what is measured
            log.warning("rows %d to %d: %s: %s", at, at + len(chunk), type(error).__name__, error)
        is_predicted[at : at + len(chunk)] = False
        for row in range(at, min(at + len(chunk), at + max(0, MAX_ALONE - alone))):
            alone += 1
            try:
                found.append((np.array([row]), _finite(predict(rows.iloc[row : row + 1]))))
                is_predicted[row] = True
            except Exception as error:
                log.info("row %d: %s", row, error)
    seconds = perf_counter() - started
    shape = found[0][1].shape[1:] if found else ()
    predictions = np.full((len(rows), *shape), np.nan)
    for positions, values in found:
        predictions[positions] = values
    return predictions, is_predicted, seconds


def _finite(prediction: np.ndarray) -> np.ndarray:
    if not np.isfinite(prediction).all():
        raise ValueError("a prediction is not finite")
    return prediction


def _with_labels(project: Project, settings: Settings, pairs: Pairs) -> Pairs:
    contract = project.contract
    if not len(pairs.frame):
        return pairs
    keys = pa.Table.from_pandas(pairs.frame[contract.identity], preserve_index=False)
    labels = answers.find_labels(contract, settings.storage_uri, keys)
    return Pairs(**{**vars(pairs), "labels": labels})
