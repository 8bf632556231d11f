"""Scores of clean rows: what a model says of each, under the key of the row."""

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from . import contract, training

KEY = list(dict.fromkeys([contract.TIME, *contract.KEY]))
CHUNK_ROWS = 50_000  # predicted at once: larger chunks leave the processor's caches, and cost memory


def columns(model: Pipeline) -> list[str]:
    """What has to be read of a month, in the contract's order: keys and features, and no outcome."""
    return [name for name in contract.DTYPES if name in {*KEY, *model.feature_names_in_}]


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
