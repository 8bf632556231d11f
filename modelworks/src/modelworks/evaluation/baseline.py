"""The baseline: the mean, or the shares of the classes, of all training rows or of the newest ones."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from modelworks.calendar import Frequency
from modelworks.contract import Contract
from modelworks.data.periods import name_periods
from modelworks.targets import Baseline

ALL_ROWS = "all training rows"
STANDARD_ERRORS = 2.0
"""By how many the newest rows have to be better over the folds; by less, a baseline would change by chance."""


@dataclass(frozen=True)
class Comparison:
    """Losses of two baselines on the folds of a rolling origin, shape (n_folds,) each.

    Attributes
    ----------
    all_rows : the baseline of all rows before the fold
    newest : the baseline of the newest periods before the fold
    """

    all_rows: np.ndarray
    newest: np.ndarray

    @property
    def is_level_moving(self) -> bool:
        """Whether the newest periods predict better, by more than chance; False of fewer than two folds."""
        gains = self.all_rows - self.newest
        return len(gains) > 1 and bool(gains.mean() > STANDARD_ERRORS * gains.std(ddof=1) / np.sqrt(len(gains)))


def choose_baseline(contract: Contract, frame: pd.DataFrame, holdout: int, frequency: Frequency) -> Baseline:
    """The better baseline of the training rows: that of all, or that of the newest periods, where the level moves.

    Parameters
    ----------
    frame : training rows whose target is known
    holdout : periods that are held out, and as many are the newest ones; 0 where rows have no time
    frequency : what a period is
    """
    target = contract.target.encode(frame[contract.target.column])
    if not compare_baselines(contract, frame, holdout, frequency).is_level_moving:
        return replace(contract.target.fit_baseline(target), rows=ALL_ROWS)
    numbers, names = _number_periods(contract, frame, frequency)
    is_newest = numbers >= len(names) - holdout
    first, last = names[-holdout], names[-1]
    rows = f"the training rows of {first}" + (f" to {last}" if last != first else "")
    return replace(contract.target.fit_baseline(target[is_newest]), rows=rows)


def compare_baselines(contract: Contract, frame: pd.DataFrame, holdout: int, frequency: Frequency) -> Comparison:
    """Both baselines on rolling-origin folds of the hold-out's length, the newest fold first; without time, on none.

    Parameters
    ----------
    frame, holdout, frequency : as `choose_baseline` takes them
    """
    losses: list[tuple[float, float]] = []
    if contract.time and holdout:
        kind = contract.target
        target, (numbers, names) = kind.encode(frame[kind.column]), _number_periods(contract, frame, frequency)
        # At an origin of as many periods as are the newest, both baselines are the same.
        for origin in range(len(names) - holdout, holdout, -holdout):
            tested = target[(numbers >= origin) & (numbers < origin + holdout)]
            of_all = kind.fit_baseline(target[numbers < origin])
            of_newest = kind.fit_baseline(target[(numbers < origin) & (numbers >= origin - holdout)])
            # One unit for both: the scale of a baseline is that of its own rows.
            losses.append((
                float(kind.row_losses(tested, of_all.predict(len(tested)), of_all.scale).mean()),
                float(kind.row_losses(tested, of_newest.predict(len(tested)), of_all.scale).mean()),
            ))
    all_rows, newest = np.array(losses).reshape(-1, 2).T
    return Comparison(all_rows, newest)


def _number_periods(contract: Contract, frame: pd.DataFrame, frequency: Frequency) -> tuple[np.ndarray, list[str]]:
    """The number of each row's period in order of time, shape (n_rows,); and the names of the periods with rows."""
    names, numbers = np.unique(name_periods(frame[contract.time].to_numpy(), frequency), return_inverse=True)
    return numbers, names.tolist()
