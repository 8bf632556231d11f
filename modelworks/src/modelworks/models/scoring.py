"""Scores of clean rows: the prediction of a model for each row, under the row's key."""

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from modelworks.data.manifests import Part
from modelworks.data.parts import new_part, read_part_batches
from modelworks.data.shipping import Shipped, receive
from modelworks.models import pipeline
from modelworks.progress import track
from modelworks.project import Project

CHUNK_ROWS = 50_000  # predicted at once: larger chunks leave the processor's caches, and cost memory


@dataclass(frozen=True)
class PartToScore:
    """A part of clean rows.

    Attributes
    ----------
    shipped : project and model
    folder, part : where the rows are
    scores : URI of the folder for the scores
    """

    where: str
    shipped: Shipped
    period: str
    folder: str
    part: Part
    version: str
    threshold: float
    threads: int
    scores: str = ""


@dataclass(frozen=True)
class ScoredPart:
    """Scores of a part, how often each class was decided for, and the sum of `Target.expected`."""

    part: Part
    decisions: Counter[str]
    expected: float


def score_part(rows: PartToScore) -> ScoredPart:
    """Write the scores of a part."""
    project: Project = receive(rows.shipped)[0]
    decisions, expected = Counter[str](), 0.0
    with new_part() as writer:
        for scores in score_rows(rows):
            expected += float(project.contract.target.expected(project.contract.target.from_columns(scores)).sum())
            if "decision" in scores:
                decisions.update({str(name): count for name, count in scores["decision"].value_counts().items()})
            writer.write(scores)
        return ScoredPart(writer.store(rows.scores), decisions, expected)


def score_rows(rows: PartToScore) -> Iterator[pd.DataFrame]:
    """The score of each row of a part, batch by batch."""
    project, model = receive(rows.shipped)
    batches = read_part_batches(rows.folder, rows.part, columns(project, model), CHUNK_ROWS)
    frames = (pa.Table.from_batches([batch]).to_pandas() for batch in batches)
    scores = score_batches(project, frames, model, rows.version, rows.threshold, rows.threads)
    return track(scores, f"scoring {rows.period}", "rows", rows.part.rows, size=len)


def columns(project: Project, model: Pipeline) -> list[str]:
    """Columns of a period to read, in the contract's order: identity and features, and no outcome."""
    return [name for name in project.contract.dtypes if name in {*project.contract.identity, *model.feature_names_in_}]


def score(project: Project, frame: pd.DataFrame, model: Pipeline, version: str, threshold: float) -> pd.DataFrame:
    """One row per row of `frame`, in its order: identity, `Target.prediction_columns`, decision, model version.

    The decision is a class; where the target is a number there is no such column.

    Parameters
    ----------
    frame : `columns`
    threshold : probability from which the decision is the second of two classes

    Raises
    ------
    ContractError
        If a column is missing that the model was trained with.
    """
    target = project.contract.target
    # scikit-learn refuses to predict no rows.
    nothing = pd.DataFrame(columns=target.prediction_columns)
    prediction = pipeline.predict(project, model, frame) if len(frame) else target.from_columns(nothing)
    decision = target.decide(prediction, threshold)
    decided = {} if decision is None else {"decision": decision.array}
    return frame[project.contract.identity].assign(**target.to_columns(prediction), **decided, model_version=version)


def score_batches(
    project: Project, frames: Iterable[pd.DataFrame], model: Pipeline, version: str, threshold: float, threads: int
) -> Iterator[pd.DataFrame]:
    """Scores of each frame, in order, as `score` gives them; one frame more than `threads` is in memory at once.

    Each thread scores a frame of its own. The estimator's own threads would have to wait for each other at every tree,
    which on a busy machine takes longer than the work.

    Parameters
    ----------
    threads : 0 is as many as there are cores
    """
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[pd.DataFrame]] = deque()
    # A limit that is set outside would not reach the threads of the pool.
    with ThreadPoolExecutor(threads, initializer=threadpool_limits, initargs=(1,)) as pool:
        for frame in frames:
            waiting.append(pool.submit(score, project, frame, model, version, threshold))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
