"""Which rows are held out, which are sampled if there are too many, and the folds of tuning."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from modelworks.contract import Contract
from modelworks.data.blocks import hash_units, number_blocks
from modelworks.errors import ConfigError, ContractError
from modelworks.settings import Training

HELD_OUT_PERIODS, HELD_OUT_FRACTION = 1, 0.2
"""By default."""


def check_holdout(contract: Contract, settings: Training) -> None:
    """Make sure that [training] holdout is a number of periods where rows have a time, else a share of the rows.

    Raises
    ------
    ConfigError
        If it is the other one.
    """
    holdout = settings.holdout
    if holdout is None or (holdout >= 1) == bool(contract.time):
        return
    wanted = "a number of periods, such as 1" if contract.time else "a share of the rows between 0 and 1, such as 0.2"
    has = "rows have a time" if contract.time else "rows have no time"
    raise ConfigError(f"[training] holdout = {holdout:g}: {has} (contract.py), so it has to be {wanted}")


def holdout_periods(contract: Contract, settings: Training) -> int:
    """How many of the newest periods are held out; 0 where rows have no time."""
    check_holdout(contract, settings)
    return int(settings.holdout or HELD_OUT_PERIODS) if contract.time else 0


def holdout_fraction(contract: Contract, settings: Training) -> float:
    """The share of the rows that is held out where rows have no time."""
    check_holdout(contract, settings)
    return settings.holdout or HELD_OUT_FRACTION


def is_held_out(contract: Contract, frame: pd.DataFrame, fraction: float) -> np.ndarray:
    """Whether a row is held out, if rows have no time; shape (n_rows,), bool.

    A row, or a group of rows, is held out by its key alone: in each run, from each model.
    """
    return hash_units(contract, frame) < _limit(fraction)


def is_sampled(contract: Contract, frame: pd.DataFrame, fraction: float) -> np.ndarray:
    """Whether a row is among a fraction of all, drawn by their keys; shape (n_rows,), bool."""
    # Hash twice: reusing the hold-out hash would sample only hold-out rows.
    hashes = pd.util.hash_array(pd.util.hash_pandas_object(frame[contract.key], index=False).to_numpy())
    return hashes < _limit(fraction)


@dataclass(frozen=True)
class Selection:
    """Which labelled rows of a dataset are taken, each by its key alone.

    Attributes
    ----------
    held_out : the held-out rows, or the others; None: both
    holdout : share of the rows that is held out; 0 where periods are
    sample : share of the rows that is taken, if there are too many; else 1
    """

    held_out: bool | None
    holdout: float
    sample: float


def choose_rows(contract: Contract, settings: Training, n_rows: int, *, held_out: bool | None) -> Selection:
    """The rows of a dataset to take, about `[training] max_rows` at most.

    Parameters
    ----------
    n_rows : of the dataset
    held_out : without effect where periods are held out
    """
    holdout = 0.0 if contract.time else holdout_fraction(contract, settings)
    return Selection(held_out, holdout, settings.max_rows / n_rows if 0 < settings.max_rows < n_rows else 1.0)


def select(contract: Contract, frame: pd.DataFrame, selection: Selection) -> tuple[np.ndarray, int]:
    """Which rows are taken, shape (n_rows,), bool; and how many more would be, if they had a label.

    Parameters
    ----------
    frame : has the key, the group and the target
    """
    taken = np.ones(len(frame), bool)
    if selection.held_out is not None and selection.holdout:
        taken &= is_held_out(contract, frame, selection.holdout) == selection.held_out
    if selection.sample < 1:
        taken &= is_sampled(contract, frame, selection.sample)
    known = frame[contract.target.column].notna().to_numpy()
    return taken & known, int((taken & ~known).sum())


@dataclass(frozen=True)
class Fold:
    """Positions of the rows to train on, and of those to measure the loss on."""

    train: np.ndarray
    test: np.ndarray


def make_folds(contract: Contract, frame: pd.DataFrame, n_folds: int) -> list[Fold]:
    """Folds of a rolling origin; without a time, each fold measures every n-th block.

    With a time, each fold trains on all days before the span that it measures; the first two spans are only trained on.

    Parameters
    ----------
    frame : the training rows; the rows of one block are in one part of a fold

    Raises
    ------
    ContractError
        If there are too few blocks.
    """
    numbers, names = number_blocks(contract, frame)
    wanted = n_folds + 2 if contract.time else n_folds
    if len(names) < wanted:
        raise ContractError(
            f"{len(names)} {contract.block_unit} in {len(frame):,} training rows are too few for "
            f"[tuning] folds = {n_folds}: {wanted} are wanted; lower it to {max(len(names) - wanted + n_folds, 0)}, "
            "set [tuning] trials to 0, or gather more data"
        )
    if not contract.time:
        return [
            Fold(np.flatnonzero(numbers % n_folds != each), np.flatnonzero(numbers % n_folds == each))
            for each in range(n_folds)
        ]
    in_order = np.argsort(np.array(names, "datetime64[D]")).argsort()[numbers]  # rank of each row's day
    edges = np.linspace(0, len(names), wanted + 1).round().astype("int64")[2:]
    return [
        Fold(np.flatnonzero(in_order < start), np.flatnonzero((in_order >= start) & (in_order < end)))
        for start, end in pairwise(edges)
    ]


def _limit(fraction: float) -> np.uint64:
    return np.uint64(min(fraction * 2.0**64, 2.0**64 - 2048))


def describe(contract: Contract, periods: list[str], settings: Training) -> str:
    """What is held out, in words.

    Parameters
    ----------
    periods : the held-out ones
    """
    if contract.time:
        return periods[0] if len(periods) == 1 else f"{periods[0]} to {periods[-1]}"
    unit = f"of all by {contract.group}" if contract.group else "of the rows, by chance"
    return f"{holdout_fraction(contract, settings):.0%} {unit}"
