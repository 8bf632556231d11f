"""The paired comparison of policies on the rows that all of them served, and the policy that it supports."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modelworks.backtest.outcome import Outcomes, PeriodOutcome
from modelworks.backtest.policies import parse_policy
from modelworks.contract import Contract
from modelworks.evaluation.bootstrap import BlockBootstrap, Estimate
from modelworks.evaluation.confidence_set import confidence_set
from modelworks.models.tuning.choice import MIN_BLOCKS
from modelworks.settings import Evaluation
from modelworks.wording import count

Sums = dict[tuple[str, str], tuple[int, float]]
"""Rows, and their losses added up on the scale of the target, by period and block."""


@dataclass(frozen=True)
class PolicyResult:
    """A policy in the comparison.

    Attributes
    ----------
    trainings : models trained in the whole replay, the first one included
    loss : mean of the compared rows; lower is better
    over_best : its loss minus that of the best policy, on the same rows
    p_value : of the hypothesis that it is as good as the best, corrected for the number of policies; None for one that
        releases without gates, which is no candidate
    is_indistinguishable : from the best policy
    """

    name: str
    trainings: int
    loss: float
    over_best: Estimate
    p_value: float | None
    is_indistinguishable: bool

    @property
    def verdict(self) -> str:
        """How it compares with the best policy, in words."""
        if self.p_value is None:
            return "no candidate: it releases without gates"
        return "indistinguishable from the best" if self.is_indistinguishable else "worse than the best"


@dataclass(frozen=True)
class Comparison:
    """Policies compared on the same rows.

    Attributes
    ----------
    rows, n_blocks : that all policies served, and how many blocks, such as days, they are from
    level : of the intervals, and of the set of policies that are indistinguishable from the best
    best : the candidate with the lowest loss
    recommended : the one with the fewest trainings of those that are indistinguishable from the best; None if fewer
        than 30 blocks were compared
    """

    rows: int
    n_blocks: int
    level: float
    best: str
    recommended: str | None
    policies: list[PolicyResult]

    def to_json(self) -> dict[str, Any]:
        """The comparison as `json.dumps` takes it."""
        verdicts = {each.name: each.verdict for each in self.policies}
        found = asdict(self)
        return {**found, "policies": [{**each, "verdict": verdicts[each["name"]]} for each in found["policies"]]}


def compare(outcomes: Outcomes, span: tuple[str, str], settings: Evaluation, seed: int) -> Comparison | None:
    """Compare the policies that keep the gates, and recommend the one with the fewest trainings that is good enough.

    Of as many trainings the configured policy is taken, or else the lower loss. A policy without gates is measured
    beside them, and is never recommended.

    Parameters
    ----------
    span : first and last period to compare
    settings : has the draws and the level

    Returns
    -------
    None if there are no two policies with gates, or no rows that all policies served.
    """
    sums = {name: _sum_blocks(periods, span) for name, periods in outcomes.items()}
    configured, own = next(iter(sums.items()))
    # A block that has another number of rows under another policy does not have the same rows.
    counts = [{key: rows for key, (rows, _) in other.items()} for other in sums.values()]
    common = [key for key, (rows, _) in own.items() if all(each.get(key) == rows for each in counts)]
    candidates = [name for name in outcomes if parse_policy(name).has_own_gates]
    if not common or len(candidates) < 2:
        return None
    level, blocks = settings.interval_level, np.array([block for _, block in common])
    draws = BlockBootstrap(blocks, settings.bootstrap_resamples, level, seed)
    rows = np.array([own[key][0] for key in common], "float64")
    scale = next(each.served.scale for each in outcomes[configured] if each.served)
    losses = {
        name: draws.ratios(np.array([other[key][1] for key in common]) / scale, rows) for name, other in sums.items()
    }
    p_values = dict(zip(candidates, confidence_set(np.array([losses[name] for name in candidates])), strict=True))
    best = min(candidates, key=lambda name: float(losses[name][0]))
    results = [
        PolicyResult(
            name=name,
            trainings=sum(each.is_trained for each in outcomes[name]),
            loss=float(samples[0]),
            over_best=draws.estimate(samples - losses[best]),
            p_value=float(p_values[name]) if name in p_values else None,
            is_indistinguishable=bool(p_values.get(name, 0.0) >= 1 - level),
        )
        for name, samples in losses.items()
    ]
    recommended = _recommend(results, configured) if draws.n_blocks >= MIN_BLOCKS else None
    return Comparison(int(rows.sum()), draws.n_blocks, level, best, recommended, results)


def _sum_blocks(periods: list[PeriodOutcome], span: tuple[str, str]) -> Sums:
    return {
        (each.period, block): (rows, loss * each.served.scale)
        for each in periods
        if each.served and span[0] <= each.period <= span[1]
        for block, rows, loss in zip(each.served.blocks, each.served.rows, each.served.loss, strict=True)
    }


def _recommend(results: list[PolicyResult], configured: str) -> str:
    as_good = [each for each in results if each.is_indistinguishable]
    return min(as_good, key=lambda each: (each.trainings, each.name != configured, each.loss)).name


def summarize(contract: Contract, found: Comparison, shown: Mapping[str, str] | None = None) -> str:
    """The recommendation and its reason in a sentence.

    Parameters
    ----------
    shown : how the policies' names are written, where it differs
    """
    names = {each.name: (shown or {}).get(each.name, each.name) for each in found.policies}
    compared = f"{count(found.rows, 'row')} of {found.n_blocks} {contract.block_unit}"
    if found.recommended is None:
        return f"No policy is recommended: {compared} were compared, and {MIN_BLOCKS} {contract.block_unit} are needed."
    own = next(each for each in found.policies if each.name == found.recommended)
    candidates = [each for each in found.policies if each.p_value is not None]
    equal = [names[each.name] for each in candidates if each.is_indistinguishable and each is not own]
    worse = [names[each.name] for each in candidates if not each.is_indistinguishable]
    reasons = []
    if equal:
        reasons.append(f"the fewest of those that are indistinguishable from the best, as {', '.join(equal)}")
    if worse:
        reasons.append(f"{', '.join(worse)} {'is' if len(worse) == 1 else 'are'} worse beyond chance")
    trained = count(own.trainings, "training")
    return f"Recommended: {names[own.name]}, {trained}: {'; '.join(reasons)} ({compared})."


def to_json(outcomes: Outcomes, compared: Comparison | None) -> dict[str, Any]:
    """The periods of each policy, and their comparison, as `json.dumps` takes them."""
    return {
        "policies": {policy: [each.to_json() for each in periods] for policy, periods in outcomes.items()},
        "comparison": compared.to_json() if compared else None,
    }
