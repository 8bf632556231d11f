"""What becomes of a challenger: it waits, takes the next step, is promoted, waits for a person, or is taken back."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Literal

from modelworks.evaluation.pairing import Comparison
from modelworks.monitoring.traffic import Traffic
from modelworks.settings import Rollout
from modelworks.wording import count

Move = Literal["wait", "advance", "promote", "ask", "take_back"]

MIN_TIMED = 50
"""Requests of each model below which their latency is not compared."""
MIN_COMPARED = 100
"""Compared rows below which differences are not judged."""


@dataclass(frozen=True)
class Situation:
    """What is known in a step.

    Attributes
    ----------
    share : of the requests that the challenger answers; 0: it is in the shadow
    minutes, hours : since the step, and since the rollout began
    traffic : of this step; its champion's counts are of the whole rollout, since the last step has none
    compared : rows since this step began that both models have predicted, where there are so many
    comparison : of both models on logged rows since the rollout began; None where it was not made yet
    """

    share: float
    is_last: bool
    minutes: float
    hours: float
    traffic: Traffic
    compared: int
    comparison: Comparison | None


@dataclass(frozen=True)
class Decision:
    """What to do, and why."""

    move: Move
    reason: str


def decide(found: Situation, settings: Rollout, level: float) -> Decision:
    """The next move; a broken limit comes first, then the time, then what is still to be seen.

    Parameters
    ----------
    level : confidence level of the interval of the errors
    """
    if broken := find_broken(found, settings, level):
        return Decision("take_back", "; ".join(broken))
    if found.hours > settings.max_hours:
        return Decision("take_back", f"not decided within {settings.max_hours:g} hours ([rollout] max_hours)")
    seen, unit = (found.traffic.challenger.requests, "request") if found.share else (found.compared, "compared row")
    progress = f"{count(seen, unit)} of {settings.min_requests:,}"
    if seen < settings.min_requests:
        return Decision("wait", progress)
    if found.minutes < settings.step_minutes:
        return Decision("wait", f"{count(seen, unit)}; {found.minutes:.0f} of {settings.step_minutes:g} minutes")
    if found.comparison is None or not found.comparison.rows:
        return Decision("wait", f"{count(seen, unit)}; no logged row is there to compare the models on yet")
    passed = f"{count(seen, unit)}, {describe(found)}"
    if not found.is_last:
        return Decision("advance", passed)
    if settings.promotion == "manual":
        return Decision("ask", f"{passed}; every limit is kept, and a person has to say `rollout promote`")
    return Decision("promote", passed)


def find_broken(found: Situation, settings: Rollout, level: float) -> list[str]:
    """The limits that the challenger breaks beyond chance, in words."""
    broken = [_errors(found, settings, level), _latency(found, settings)]
    if found.comparison:
        broken += _differences(found.comparison, settings)
    return [each for each in broken if each]


def describe(found: Situation) -> str:
    """The figures of a step in words."""
    parts = [f"{count(found.traffic.challenger.errors, 'error')}"] if found.share else []
    if compared := found.comparison:
        if compared.changed_decisions:
            parts.append(f"changed decisions {compared.changed_decisions}")
        if compared.difference:
            parts.append(f"difference of predictions {compared.difference}")
        if compared.gain:
            parts.append(f"gain over the champion {compared.gain}")
    return ", ".join(parts)


def lower_share(errors: int, total: int, level: float) -> float:
    """The lower end of Wilson's interval of a share.

    References
    ----------
    Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22 (1927).
    """
    if not errors:
        return 0.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = errors / total
    spread = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (share + z * z / (2 * total) - spread) / (1 + z * z / total)


def _errors(found: Situation, settings: Rollout, level: float) -> str:
    counts, compared = found.traffic.challenger, found.comparison
    for errors, total, where in (
        (counts.errors, counts.requests, "requests"),
        (compared.errors, compared.rows + compared.errors, "compared rows") if compared else (0, 0, ""),
        (found.traffic.shadow_errors, found.traffic.shadow_rows + found.traffic.shadow_errors, "shadow rows"),
    ):
        if lower_share(errors, total, level) > settings.max_error_fraction:
            limit = f"[rollout] max_error_fraction = {settings.max_error_fraction:g}"
            return f"the challenger failed in {errors:,} of {total:,} {where}; {limit}"
    return ""


def _latency(found: Situation, settings: Rollout) -> str:
    champion, challenger = found.traffic.champion, found.traffic.challenger
    if min(champion.requests, challenger.requests) < MIN_TIMED:
        return ""
    slow, usual = challenger.quantile_ms(0.95), champion.quantile_ms(0.95)
    # An end of a bucket may be 1.41 times the latency itself.
    if slow <= max(settings.latency_floor_ms * sqrt(2), settings.max_latency_ratio * usual * sqrt(2)):
        return ""
    limit = f"[rollout] max_latency_ratio = {settings.max_latency_ratio:g}"
    return f"95 % of the challenger's answers came within {slow:.0f} ms, of the champion's {usual:.0f} ms; {limit}"


def _differences(compared: Comparison, settings: Rollout) -> list[str]:
    broken = []
    judged = compared.rows >= MIN_COMPARED
    changed, difference, gain = compared.changed_decisions, compared.difference, compared.gain
    if judged and changed and changed.low > settings.max_changed_decisions:
        limit = f"[rollout] max_changed_decisions = {settings.max_changed_decisions:g}"
        broken.append(f"changed decisions {changed}; {limit}")
    if judged and difference and difference.low > settings.max_prediction_difference:
        limit = f"[rollout] max_prediction_difference = {settings.max_prediction_difference:g}"
        broken.append(f"difference of predictions {difference}; {limit}")
    if gain and gain.high < -settings.max_loss_over_champion:
        limit = f"[rollout] max_loss_over_champion = {settings.max_loss_over_champion:g}"
        broken.append(f"gain over the champion {gain} on {compared.labelled:,} labelled rows; {limit}")
    slow = max(settings.max_latency_ratio * compared.champion_ms, settings.latency_floor_ms)
    if judged and compared.challenger_ms > slow:
        limit = f"[rollout] max_latency_ratio = {settings.max_latency_ratio:g}"
        broken.append(f"{compared.challenger_ms:.1f} ms a row, the champion {compared.champion_ms:.1f} ms; {limit}")
    return broken
