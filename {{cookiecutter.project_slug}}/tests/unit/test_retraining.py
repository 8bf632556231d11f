import pytest

from {{ cookiecutter.__package_name }}.config import Retraining
from {{ cookiecutter.__package_name }}.retraining import Decision, Situation, decide, months_since

NOTHING = Retraining(on_decay="never", on_drift="never", every_months=0)


def now(**found: object) -> Situation:
    """June, with a champion that learned from the months up to May."""
    return Situation(**{"month": "2013-06", "labelled_months": 6, "learned_through": "2013-05", **found})  # type: ignore[arg-type]


def policy(**knobs: object) -> Retraining:
    return Retraining(**{**NOTHING.model_dump(), **knobs})  # type: ignore[arg-type]


def test_first_model_waits_for_its_months() -> None:
    assert decide(now(learned_through=None, labelled_months=3), policy(first_after_months=3)) == Decision(
        True, "no champion yet"
    )
    waiting = decide(now(learned_through=None, labelled_months=2), policy(first_after_months=3))
    assert waiting == Decision(False, "no champion yet: the first is trained on 3 months, and there are 2")


def test_nothing_is_asked_where_the_policy_answers_nothing() -> None:
    alarms = {"decay": [("2013-06", True)], "drift": [("2013-06", True)]}
    assert not decide(now(**alarms), NOTHING).retrain


@pytest.mark.parametrize("name", ["decay", "drift"])
def test_alarm_asks_by_its_own_knob(name: str) -> None:
    wanted = policy(**{f"on_{name}": "1 of 1"})
    assert decide(now(**{name: [("2013-06", True)]}), wanted) == Decision(True, f"{name} in 2013-06")
    assert not decide(now(**{name: [("2013-06", False)]}), wanted).retrain


def test_two_alarms_of_three_months_are_wanted_and_named() -> None:
    wanted = policy(on_decay="2 of 3")
    found = [("2013-04", True), ("2013-05", False), ("2013-06", True)]
    assert decide(now(decay=found), wanted).reason == "decay in 2013-04, 2013-06"
    assert not decide(now(decay=found[1:]), wanted).retrain
    assert not decide(now(decay=[("2013-03", True), ("2013-04", False), *found[1:]]), wanted).retrain


def test_old_alarm_alone_does_not_ask_again() -> None:
    found = [("2013-04", True), ("2013-05", True), ("2013-06", False)]
    assert not decide(now(decay=found), policy(on_decay="1 of 3")).retrain


def test_age_is_counted_from_the_newest_month_learned_from() -> None:
    by_age = policy(every_months=3)
    assert not decide(now(learned_through="2013-04"), by_age).retrain
    asked = decide(now(learned_through="2013-03"), by_age)
    assert asked == Decision(True, "the champion learned from nothing after 2013-03, 3 months ago")


def test_cooldown_holds_back_and_says_so() -> None:
    decayed = {"decay": [("2013-06", True)]}
    wanted = policy(on_decay="1 of 1", cooldown_months=2)
    held = decide(now(last_asked="2013-04", **decayed), wanted)
    assert held == Decision(False, "decay in 2013-06; but it was asked for a new model 2 months ago, in 2013-04")
    assert decide(now(last_asked="2013-03", **decayed), wanted).retrain
    assert decide(now(last_asked="2013-06", **decayed), policy(on_decay="1 of 1")) == Decision(
        False, "decay in 2013-06; but it was asked for a new model 0 months ago, in 2013-06"
    )


def test_months_are_counted_across_years_and_backwards() -> None:
    assert months_since("2012-11", "2013-02") == 3
    assert months_since("2013-02", "2012-11") == -3


@pytest.mark.parametrize("window", ["3 of 2", "0 of 1", "often"])
def test_window_that_cannot_be_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="on_decay"):
        Retraining(on_decay=window)
