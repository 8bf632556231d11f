"""Scores of clean rows: what a model says of each, under the key of the row."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from . import schema, task, training

KEY = schema.IDENTITY
CHUNK_ROWS = 50_000  # predicted at once: larger chunks leave the processor's caches, and cost memory


def columns(model: Pipeline) -> list[str]:
    """What has to be read of a month, in the contract's order: keys and features, and no outcome."""
    return [name for name in schema.DTYPES if name in {*KEY, *model.feature_names_in_}]


def score(frame: pd.DataFrame, model: Pipeline, version: str, threshold: float) -> pd.DataFrame:
    """One row per row of `frame`, in its order: key, `task.COLUMNS`, decision and the model's version.

    The decision is a class; where the target is a number there is no such column.

    Parameters
    ----------
    frame : keys and features
    threshold : probability from which the decision is the second of two classes

    Raises
    ------
    ContractError
        If a column is missing that the model was trained with.
    """
    # scikit-learn refuses to predict no rows.
    nothing = pd.DataFrame(columns=task.COLUMNS)
    prediction = training.predict(model, frame) if len(frame) else task.from_columns(nothing)
    decision = task.decide(prediction, threshold)
    decided = {} if decision is None else {"decision": decision.array}
    return frame[KEY].assign(**task.to_columns(prediction), **decided, model_version=version)


def score_batches(
    frames: Iterable[pd.DataFrame], model: Pipeline, version: str, threshold: float, threads: int
) -> Iterator[pd.DataFrame]:
    """Scores of each frame, in order, as `score` gives them; one frame more than `threads` is in memory at once.

    Each thread has a frame of its own. The estimator's own threads would have to wait for each other at every tree,
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
            waiting.append(pool.submit(score, frame, model, version, threshold))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
