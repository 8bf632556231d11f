"""Two models on the same rows of live traffic: how far their predictions differ, and which loses less."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from modelworks.contract import Contract
from modelworks.data.blocks import N_BLOCKS, number_blocks
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.settings import Evaluation

QUANTILES = (0.5, 0.9, 0.99, 1.0)
MIN_BLOCKS = 5
"""Fewer blocks of labelled rows, such as days, say nothing of chance."""


@dataclass(frozen=True)
class Pairs:
    """Predictions of both models for the same rows.

    Attributes
    ----------
    frame : the columns that name a block, and `request_id`
    champion, challenger : as `modelworks.targets` describes predictions
    labels : encoded, shape (n_rows,), NaN where unknown
    errors : further rows that the challenger could not predict
    champion_s, challenger_s : seconds that the predictions of all rows took
    """

    frame: pd.DataFrame
    champion: np.ndarray
    challenger: np.ndarray
    labels: np.ndarray
    errors: int
    champion_s: float
    challenger_s: float


@dataclass(frozen=True)
class Comparison:
    """What the predictions of both models differ by; JSON of it is kept in the storage.

    Attributes
    ----------
    errors : rows that the challenger could not predict, beside `rows`
    changed_decisions : share of the rows with another decision; None where the target is a number
    difference : mean absolute difference of the predictions: of a probability, or in standard deviations of the number
    difference_quantiles : of the same, by row
    champion_ms, challenger_ms : milliseconds a row
    gain : champion's loss minus the challenger's on labelled rows; above 0 the challenger is better
    labelled, blocks : how many rows and blocks `gain` is of; None with fewer than `MIN_BLOCKS`
    """

    rows: int
    errors: int
    changed_decisions: Estimate | None
    difference: Estimate | None
    difference_quantiles: dict[str, float]
    champion_ms: float
    challenger_ms: float
    labelled: int
    blocks: int
    gain: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """The figures as `json.dumps` takes them."""
        return asdict(self)


def compare(
    contract: Contract, pairs: Pairs, settings: Evaluation, seed: int, scale: float = 1.0, threshold: float = 0.5
) -> Comparison:
    """The figures of both models on the same rows, with intervals.

    Differences are resampled by request, losses by the contract's blocks and once for each key: a row whose prediction
    was asked for twice has one outcome.

    Parameters
    ----------
    scale : what losses are divided by, and the variance that a number's differences are measured in
    threshold : of decisions between two classes
    """
    n_rows = len(pairs.champion)
    per_row = 1000 / max(n_rows, 1)
    common = {
        "rows": n_rows,
        "errors": pairs.errors,
        "champion_ms": pairs.champion_s * per_row,
        "challenger_ms": pairs.challenger_s * per_row,
    }
    if not n_rows:
        return Comparison(
            **common,  # type: ignore[arg-type]
            changed_decisions=None,
            difference=None,
            difference_quantiles={},
            labelled=0,
            blocks=0,
            gain=None,
        )
    requests = pd.util.hash_array(pairs.frame["request_id"].to_numpy(dtype="object")) % np.uint64(N_BLOCKS)
    draws = BlockBootstrap(requests, settings.bootstrap_resamples, settings.interval_level, seed)
    difference = _difference(contract, pairs, scale)
    decisions = [contract.target.decide(each, threshold) for each in (pairs.champion, pairs.challenger)]
    changed = None
    if decisions[0] is not None and decisions[1] is not None:
        changed = draws.mean((decisions[0].to_numpy() != decisions[1].to_numpy()).astype("float64"))
    labelled, blocks, gain = _gain(contract, pairs, settings, seed, scale)
    quantiles = np.quantile(difference, QUANTILES)
    return Comparison(
        **common,  # type: ignore[arg-type]
        changed_decisions=changed,
        difference=draws.mean(difference),
        difference_quantiles={str(each): float(value) for each, value in zip(QUANTILES, quantiles, strict=True)},
        labelled=labelled,
        blocks=blocks,
        gain=gain,
    )


def _difference(contract: Contract, pairs: Pairs, scale: float) -> np.ndarray:
    """By how much the predictions of each row differ; of many classes, the probability that has moved."""
    difference = np.abs(pairs.champion - pairs.challenger)
    if contract.target.is_multiclass:
        return np.asarray(difference.sum(axis=1) / 2)
    return np.asarray(difference / np.sqrt(scale)) if contract.target.is_regression else difference


def _gain(
    contract: Contract, pairs: Pairs, settings: Evaluation, seed: int, scale: float
) -> tuple[int, int, Estimate | None]:
    """Labelled keys, their blocks, and the champion's loss minus the challenger's on them."""
    is_used = ~np.isnan(pairs.labels) & ~pairs.frame.duplicated(contract.key, keep="last").to_numpy()
    if not is_used.any():
        return 0, 0, None
    labels = pairs.labels[is_used]
    losses = [contract.target.row_losses(labels, each[is_used], scale) for each in (pairs.champion, pairs.challenger)]
    numbers, blocks = number_blocks(contract, pairs.frame[is_used].reset_index(drop=True))
    if len(blocks) < MIN_BLOCKS:
        return len(labels), len(blocks), None
    draws = BlockBootstrap(numbers, settings.bootstrap_resamples, settings.interval_level, seed)
    return len(labels), len(blocks), draws.mean(losses[0] - losses[1])
