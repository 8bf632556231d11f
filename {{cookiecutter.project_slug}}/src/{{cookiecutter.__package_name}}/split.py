"""Which rows are held out, which are taken at all where there are too many, and the folds of a search."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from . import schema
from .config import Training
from .errors import ContractError
from .intervals import BLOCKS, hash_units, number_blocks


def is_held_out(frame: pd.DataFrame, fraction: float) -> np.ndarray:
    """Whether a row is among those that a model is measured on, where there is no time to go by; shape (n_rows,), bool.

    A row, or a group of rows, is held out by its key alone: in each run, from each model.
    """
    return hash_units(frame) < _limit(fraction)


def is_sampled(frame: pd.DataFrame, fraction: float) -> np.ndarray:
    """Whether a row is among a fraction of all, drawn by their keys; shape (n_rows,), bool."""
    # The hash of a hash: by the same one as for what is held out, those taken would be those held out.
    hashes = pd.util.hash_array(pd.util.hash_pandas_object(frame[schema.KEY], index=False).to_numpy())
    return hashes < _limit(fraction)


@dataclass(frozen=True)
class Fold:
    """Positions of the rows that are learned from, and of those that are measured."""

    learned: np.ndarray
    measured: np.ndarray


def make_folds(frame: pd.DataFrame, n_folds: int) -> list[Fold]:
    """Folds that measure what is to come by what has been; where there is no time, blocks of rows by turns.

    By time the origin rolls: each fold learns from all days before the span that it measures, and the first spans,
    as long as two folds, are only learned from.

    Parameters
    ----------
    frame : rows of training; no row of one block is learned from while another is measured

    Raises
    ------
    ContractError
        If there are too few blocks.
    """
    numbers, names = number_blocks(frame)
    wanted = n_folds + 2 if schema.TIME else n_folds
    if len(names) < wanted:
        raise ContractError(
            f"{len(names)} {BLOCKS} in {len(frame):,} rows of training are too few for [search] folds = {n_folds}: "
            f"{wanted} are wanted; lower it to {max(len(names) - wanted + n_folds, 0)}, set [search] trials to 0, or "
            "gather more data"
        )
    if not schema.TIME:
        return [
            Fold(np.flatnonzero(numbers % n_folds != each), np.flatnonzero(numbers % n_folds == each))
            for each in range(n_folds)
        ]
    in_order = np.argsort(np.array(names, "datetime64[D]")).argsort()[numbers]  # which day of all, by each row
    edges = np.linspace(0, len(names), wanted + 1).round().astype("int64")[2:]
    return [
        Fold(np.flatnonzero(in_order < start), np.flatnonzero((in_order >= start) & (in_order < end)))
        for start, end in pairwise(edges)
    ]


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
