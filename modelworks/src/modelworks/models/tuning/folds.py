"""The training rows as tuning uses them: folds, blocks, and the loss of a model on them."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from modelworks.calendar import Frequency
from modelworks.data import splits
from modelworks.data.blocks import number_blocks
from modelworks.data.splits import Fold
from modelworks.errors import ContractError, PipelineError
from modelworks.evaluation.baseline import choose_baseline
from modelworks.models import pipeline
from modelworks.models.tuning.trial import State, Trial
from modelworks.progress import track, waiting
from modelworks.project import Project
from modelworks.settings import Model, Training, Tuning

IsBehind = Callable[[np.ndarray, np.ndarray], bool]
"""Whether a trial is to be pruned, by the sums of losses and the numbers of rows of a fold's blocks."""


@dataclass(frozen=True)
class FoldedRows:
    """Training rows with their folds.

    Attributes
    ----------
    blocks : number of each row's block, shape (n_rows,)
    scale : what losses are divided by, see `modelworks.targets.Baseline`
    holdout : periods that are held out from these rows; 0 where rows have no time
    frequency : what a period is
    """

    frame: pd.DataFrame
    folds: list[Fold]
    blocks: np.ndarray
    scale: float
    holdout: int
    frequency: Frequency

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return int(self.blocks.max()) + 1


@dataclass(frozen=True)
class BlockLosses:
    """Sums of losses and numbers of rows, by block; shape (n_blocks,) each."""

    losses: np.ndarray
    rows: np.ndarray

    def __add__(self, other: "BlockLosses") -> "BlockLosses":
        """Both together."""
        return BlockLosses(self.losses + other.losses, self.rows + other.rows)


def arrange(
    project: Project, frame: pd.DataFrame, tuning: Tuning, training: Training, frequency: Frequency
) -> FoldedRows:
    """Rows with their folds and blocks.

    Parameters
    ----------
    frequency : what a period is

    Raises
    ------
    ContractError
        If there are too few rows for the folds.
    """
    contract, holdout = project.contract, splits.holdout_periods(project.contract, training)
    scale = choose_baseline(contract, frame, holdout, frequency).scale
    folds = splits.make_folds(contract, frame, tuning.folds)
    return FoldedRows(frame, folds, number_blocks(contract, frame)[0], scale, holdout, frequency)


def measure(
    project: Project,
    rows: FoldedRows,
    model: Model,
    training: Training,
    number: int,
    seconds: float,
    is_behind: IsBehind | None = None,
) -> Trial:
    """Fit and measure a model on one fold after the other.

    Parameters
    ----------
    seconds : for all folds. The next fold is expected to take as long as the last for each row; if that is too long,
        the trial is abandoned
    is_behind : asked after each fold but the last; the trial is pruned if it is
    """
    # Processor time: a busy machine measures as many trials as a quiet one.
    started, fitted = time.process_time(), 0.0
    total = BlockLosses(np.zeros(rows.n_blocks), np.zeros(rows.n_blocks, "int64"))
    state: State = "complete"
    pairs = list(zip_longest(rows.folds, rows.folds[1:]))
    for at, (fold, following) in enumerate(track(pairs, f"{model.type} {number}", "folds"), 1):
        before = time.process_time()
        with waiting(f"fitting {model.type} {number}, fold {at}"):
            fit = _fit(project, rows, fold, training, model, at)
        took = time.process_time() - before
        fitted += took
        measured = _measure_fold(project, rows, fold, fit)
        total += measured
        if following is None:
            continue
        if is_behind and is_behind(measured.losses, measured.rows):
            state = "pruned"
            break
        if time.process_time() - started + took * len(following.train) / len(fold.train) > seconds:
            state = "abandoned"
            break
    return Trial(
        model.type,
        number,
        model.model_dump(),
        state,
        float(total.losses.sum() / total.rows.sum()),
        fitted,
        time.process_time() - started,
        total.losses.tolist(),
        total.rows.tolist(),
    )


def _fit(project: Project, rows: FoldedRows, fold: Fold, training: Training, model: Model, number: int) -> Pipeline:
    try:
        with warnings.catch_warnings():
            # Of a model that does not suit these rows, once a tree; its loss says enough.
            warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
            return pipeline.fit(project, rows.frame.iloc[fold.train], training, model)
    except ContractError as error:
        raise ContractError(
            f"fold {number} of [tuning] folds = {len(rows.folds)}: {error}; fewer folds train on more rows, and "
            "[tuning] trials = 0 turns tuning off"
        ) from None


def _measure_fold(project: Project, rows: FoldedRows, fold: Fold, fitted: Pipeline) -> BlockLosses:
    target, tested = project.contract.target, rows.frame.iloc[fold.test]
    prediction = pipeline.predict(project, fitted, tested)
    losses = target.row_losses(target.encode(tested[target.column]), prediction, rows.scale)
    if not np.isfinite(losses).all():
        raise PipelineError("a prediction is not a finite number")
    blocks = rows.blocks[fold.test]
    return BlockLosses(np.bincount(blocks, losses, rows.n_blocks), np.bincount(blocks, minlength=rows.n_blocks))


def measure_baseline(project: Project, rows: FoldedRows) -> float:
    """Loss of the baseline on the folds."""
    target = project.contract.target
    encoded = target.encode(rows.frame[target.column])
    losses = []
    for fold in rows.folds:
        baseline = choose_baseline(project.contract, rows.frame.iloc[fold.train], rows.holdout, rows.frequency)
        losses.append(target.row_losses(encoded[fold.test], baseline.predict(len(fold.test)), rows.scale))
    return float(np.concatenate(losses).mean())
