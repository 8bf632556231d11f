"""Scores of clean rows: the prediction of a model for each row, under the row's key."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from modelworks.models import pipeline
from modelworks.project import Project

Item = TypeVar("Item")
Result = TypeVar("Result")


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

    def score_frame(frame: pd.DataFrame) -> pd.DataFrame:
        return score(project, frame, model, version, threshold)

    return map_in_threads(score_frame, frames, threads)


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """The result of each item, in order, as `score_batches` describes it."""
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    # A limit that is set outside would not reach the threads of the pool.
    with ThreadPoolExecutor(threads, initializer=threadpool_limits, initargs=(1,)) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
