"""Which rows are held out, and which are taken at all where there are too many."""

import numpy as np
import pandas as pd

from . import schema
from .config import Training
from .intervals import hash_units

ANOTHER_HASH = "sampled, not held"  # sixteen letters; else those taken would be those held out


def is_held_out(frame: pd.DataFrame, fraction: float) -> np.ndarray:
    """Whether a row is among those that a model is measured on, where there is no time to go by; shape (n_rows,), bool.

    A row, or a group of rows, is held out by its key alone: in each run, from each model.
    """
    return hash_units(frame) < _limit(fraction)


def is_sampled(frame: pd.DataFrame, fraction: float) -> np.ndarray:
    """Whether a row is among a fraction of all, drawn by their keys; shape (n_rows,), bool."""
    hashes = pd.util.hash_pandas_object(frame[schema.KEY], index=False, hash_key=ANOTHER_HASH).to_numpy()
    return hashes < _limit(fraction)


def _limit(fraction: float) -> np.uint64:
    return np.uint64(min(fraction * 2.0**64, 2.0**64 - 2048))


def describe(months: list[str], settings: Training) -> str:
    """What is held out, in words.

    Parameters
    ----------
    months : the held-out ones
    """
    if schema.TIME:
        return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
    unit = f"of all by {schema.GROUP}" if schema.GROUP else "of the rows, by chance"
    return f"{settings.holdout_fraction:.0%} {unit}"
