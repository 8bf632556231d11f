import pytest

from modelworks.monitoring.retraining_policy import Decision, Situation, decide
from modelworks.settings import Retraining

NOTHING = Retraining(calibration_alarms=0, drift_alarms=0, every_periods=0)


def now(**found: object) -> Situation:
    """June, with a champion trained on the periods up to May."""
    return Situation(**{"period": "2013-06", "labelled_periods": 6, "trained_through": "2013-05", **found})  # type: ignore[arg-type]


def policy(**settings: object) -> Retraining:
    return Retraining(**{**NOTHING.model_dump(), **settings})  # type: ignore[arg-type]


def test_first_model_waits_for_its_periods() -> None:
    assert decide(now(trained_through=None, labelled_periods=3), policy(first_after_periods=3)) == Decision(
        True, "no champion yet"
    )
    waiting = decide(now(trained_through=None, labelled_periods=2), policy(first_after_periods=3))
    assert waiting == Decision(False, "no champion yet: the first is trained on 3 periods, and there are 2")


def test_nothing_is_requested_where_the_policy_has_no_trigger() -> None:
    alarms = {"calibration_drift": [("2013-06", True)], "drift": [("2013-06", True)]}
    assert not decide(now(**alarms), NOTHING).retrain


@pytest.mark.parametrize(("name", "setting"), [("calibration_drift", "calibration_alarms"), ("drift", "drift_alarms")])
def test_alarm_requests_a_model_by_its_own_setting(name: str, setting: str) -> None:
    wanted = policy(**{setting: 1})
    assert decide(now(**{name: [("2013-06", True)]}), wanted) == Decision(True, f"{name.replace('_', ' ')} in 2013-06")
    assert not decide(now(**{name: [("2013-06", False)]}), wanted).retrain


def test_two_alarms_of_three_periods_are_wanted_and_named() -> None:
    wanted = policy(calibration_alarms=2, calibration_window=3)
    found = [("2013-04", True), ("2013-05", False), ("2013-06", True)]
    assert decide(now(calibration_drift=found), wanted).reason == "calibration drift in 2013-04, 2013-06"
    assert not decide(now(calibration_drift=found[1:]), wanted).retrain
    assert not decide(now(calibration_drift=[("2013-03", True), ("2013-04", False), *found[1:]]), wanted).retrain


def test_old_alarm_alone_requests_nothing() -> None:
    found = [("2013-04", True), ("2013-05", True), ("2013-06", False)]
    assert not decide(now(calibration_drift=found), policy(calibration_alarms=1, calibration_window=3)).retrain


def test_age_is_counted_from_the_newest_period_trained_on() -> None:
    by_age = policy(every_periods=3)
    assert not decide(now(trained_through="2013-04"), by_age).retrain
    requested = decide(now(trained_through="2013-03"), by_age)
    assert requested == Decision(True, "the champion is trained through 2013-03, 3 periods ago")


def test_cooldown_holds_back_and_says_so() -> None:
    drifted = {"calibration_drift": [("2013-06", True)]}
    wanted = policy(calibration_alarms=1, calibration_window=1, cooldown_periods=2)
    held = decide(now(last_request="2013-04", **drifted), wanted)
    assert held == Decision(
        False, "calibration drift in 2013-06; but a new model was requested 2 periods ago, in 2013-04"
    )
    assert decide(now(last_request="2013-03", **drifted), wanted).retrain
    assert decide(
        now(last_request="2013-06", **drifted), policy(calibration_alarms=1, calibration_window=1)
    ) == Decision(False, "calibration drift in 2013-06; but a new model was requested 0 periods ago, in 2013-06")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"calibration_alarms": 3, "calibration_window": 2},
            "calibration_alarms 3 cannot occur in calibration_window 2",
        ),
        ({"drift_alarms": 2}, "drift_alarms 2 cannot occur in drift_window 1"),
        ({"calibration_alarms": -1}, "greater than or equal to 0"),
        ({"drift_window": 0}, "greater than or equal to 1"),
    ],
)
def test_alarms_that_cannot_occur_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Retraining(**changes)
