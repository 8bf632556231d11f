"""Scores of clean rows: what a model says of each, under the key of the row."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from . import schema, training

KEY = schema.IDENTITY
CHUNK_ROWS = 50_000  # predicted at once: larger chunks leave the processor's caches, and cost memory


def columns(model: Pipeline) -> list[str]:
    """What has to be read of a month, in the contract's order: keys and features, and no outcome."""
    return [name for name in schema.DTYPES if name in {*KEY, *model.feature_names_in_}]


def score(frame: pd.DataFrame, model: Pipeline, version: str, threshold: float) -> pd.DataFrame:
    """One row per row of `frame`, in its order: key, probability, decision and the model's version.

    Parameters
    ----------
    frame : keys and features
    threshold : the decision is 1 where the probability is at least this

    Raises
    ------
    ContractError
        If a column is missing that the model was trained with.
    """
    # scikit-learn refuses to predict no rows.
    probability = training.predict(model, frame) if len(frame) else np.empty(0)
    decision = (probability >= threshold).astype("int64")
    return frame[KEY].assign(probability=probability, decision=decision, model_version=version)


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
