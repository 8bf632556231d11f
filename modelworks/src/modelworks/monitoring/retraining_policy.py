"""When to retrain: the policy of `[retraining]`, applied to the findings of monitoring."""

from dataclasses import dataclass, field

from modelworks.calendar import count_between
from modelworks.settings import Retraining
from modelworks.wording import count

Alarm = tuple[str, bool]
"""A period, and whether its finding is an alarm."""


@dataclass(frozen=True)
class Situation:
    """What the policy decides by, when a period has been monitored.

    Attributes
    ----------
    period : the one that was monitored
    labelled_periods : how many there are to train on, the held-out one included
    trained_through : newest period that the champion was trained on; None if there is no champion
    calibration_drift, drift : of the champion's own periods in order, the last one new; empty if nothing is new
    last_request : period in which a new model was last requested
    """

    period: str
    labelled_periods: int
    trained_through: str | None
    calibration_drift: list[Alarm] = field(default_factory=list)
    drift: list[Alarm] = field(default_factory=list)
    last_request: str | None = None


@dataclass(frozen=True)
class Decision:
    """Whether to train, and why or why not."""

    retrain: bool
    reason: str


def decide(now: Situation, policy: Retraining) -> Decision:
    """Apply the policy."""
    if now.trained_through is None:
        return _decide_first(now, policy)
    reasons = [
        *_alarms("calibration drift", now.calibration_drift, policy.calibration_alarms, policy.calibration_window),
        *_alarms("drift", now.drift, policy.drift_alarms, policy.drift_window),
        *_age(now.period, now.trained_through, policy.every_periods),
    ]
    if not reasons:
        return Decision(False, "no trigger of the retraining policy")
    reason = "; ".join(reasons)
    if now.last_request:
        passed = count_between(now.last_request, now.period)
        if passed <= policy.cooldown_periods:
            return Decision(
                False, f"{reason}; but a new model was requested {count(passed, 'period')} ago, in {now.last_request}"
            )
    return Decision(True, reason)


def _decide_first(now: Situation, policy: Retraining) -> Decision:
    if now.labelled_periods >= policy.first_after_periods:
        return Decision(True, "no champion yet")
    return Decision(
        False,
        f"no champion yet: the first is trained on {count(policy.first_after_periods, 'period')}, "
        f"and there are {now.labelled_periods}",
    )


def _alarms(name: str, found: list[Alarm], wanted: int, window: int) -> list[str]:
    """The reason that alarms give, if any; an old alarm alone gives none, as its own period decided about it.

    Parameters
    ----------
    wanted : alarms among the last `window` periods; 0: never a reason
    """
    if not wanted or not found or not found[-1][1]:
        return []
    alarmed = [period for period, is_alarm in found[-window:] if is_alarm]
    return [f"{name} in {', '.join(alarmed)}"] if len(alarmed) >= wanted else []


def _age(period: str, trained_through: str, every_periods: int) -> list[str]:
    age = count_between(trained_through, period)
    if not every_periods or age < every_periods:
        return []
    return [f"the champion is trained through {trained_through}, {count(age, 'period')} ago"]
