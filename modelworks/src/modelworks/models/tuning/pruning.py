"""Pruning: a trial that falls behind the best after a fold is not measured on the others."""

from dataclasses import replace

import numpy as np
from scipy.stats import wilcoxon

from modelworks.models.tuning.trial import Trial

PRUNING_P = 0.1


def is_behind(losses: np.ndarray, rows: np.ndarray, best: Trial) -> bool:
    """Whether a trial is significantly worse than the best.

    Parameters
    ----------
    losses, rows : sums of losses and numbers of rows of a fold's blocks, shape (n_blocks,)

    References
    ----------
    Wilcoxon, Individual Comparisons by Ranking Methods, Biometrics Bulletin 1 (1945).
    """
    found = rows > 0
    behind = losses[found] / rows[found] - np.array(best.block_losses)[found] / rows[found]
    if len(behind) < 2 or behind.mean() <= 0:
        return False
    return bool(wilcoxon(behind, alternative="greater", zero_method="zsplit").pvalue < PRUNING_P)


def with_estimated_loss(pruned: Trial, default: Trial, best: Trial) -> Trial:
    """A pruned trial with its loss on all folds estimated.

    The loss is never better than that of the best, which it fell behind; otherwise later trials would be compared with
    one that is half measured.
    """
    return replace(pruned, loss=max(estimate_loss(pruned, default), best.loss))


def estimate_loss(trial: Trial, default: Trial) -> float:
    """The loss of a trial on all folds, from its difference to the default on those that it was measured on."""
    is_measured = np.array(trial.block_rows) > 0
    rows = np.array(trial.block_rows)[is_measured].sum()
    difference = (np.array(trial.block_losses) - np.array(default.block_losses))[is_measured].sum() / rows
    return float(default.loss + difference)
