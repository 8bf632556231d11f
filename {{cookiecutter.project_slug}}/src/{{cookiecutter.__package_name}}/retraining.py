"""When a new model is wanted: the policy of `[retraining]`, applied to what monitoring has found so far."""

from dataclasses import dataclass, field

from .config import Retraining
from .ingestion import months_between

Alarm = tuple[str, bool]
"""A month, and whether what was found in it is an alarm."""


@dataclass(frozen=True)
class Situation:
    """What the policy looks at when a month has been monitored.

    Attributes
    ----------
    month : the one that has come
    labelled_months : how many there are to learn from, the one to hold out included
    learned_through : newest month that the champion learned from; None if there is no champion
    decay, drift : of the champion's own months in order; the last is what was found now, none if nothing was
    last_asked : month in which a new model was asked for the last time
    """

    month: str
    labelled_months: int
    learned_through: str | None
    decay: list[Alarm] = field(default_factory=list)
    drift: list[Alarm] = field(default_factory=list)
    last_asked: str | None = None


@dataclass(frozen=True)
class Decision:
    """Whether to train, and why or why not."""

    retrain: bool
    reason: str


def decide(now: Situation, policy: Retraining) -> Decision:
    """Apply the policy."""
    if now.learned_through is None:
        if now.labelled_months < policy.first_after_months:
            return Decision(
                False,
                f"no champion yet: the first is trained on {policy.first_after_months} months, "
                f"and there are {now.labelled_months}",
            )
        return Decision(True, "no champion yet")
    reasons = [
        *_alarms("decay", now.decay, policy.decay_window),
        *_alarms("drift", now.drift, policy.drift_window),
        *_age(now.month, now.learned_through, policy.every_months),
    ]
    if not reasons:
        return Decision(False, "nothing that the policy answers")
    reason = "; ".join(reasons)
    if now.last_asked and (passed := months_since(now.last_asked, now.month)) <= policy.cooldown_months:
        return Decision(False, f"{reason}; but it was asked for a new model {passed} months ago, in {now.last_asked}")
    return Decision(True, reason)


def _alarms(name: str, found: list[Alarm], window: tuple[int, int] | None) -> list[str]:
    """The reason that alarms give, if there is one; an old alarm alone has been answered in its own month."""
    if window is None or not found or not found[-1][1]:
        return []
    wanted, last = window
    alarmed = [month for month, is_alarm in found[-last:] if is_alarm]
    return [f"{name} in {', '.join(alarmed)}"] if len(alarmed) >= wanted else []


def _age(month: str, learned_through: str, every_months: int) -> list[str]:
    age = months_since(learned_through, month)
    if not every_months or age < every_months:
        return []
    return [f"the champion learned from nothing after {learned_through}, {age} months ago"]


def months_since(month: str, now: str) -> int:
    """How many months lie between; negative for a later month."""
    return len(months_between(month, now)) - 1 if month <= now else 1 - len(months_between(now, month))
