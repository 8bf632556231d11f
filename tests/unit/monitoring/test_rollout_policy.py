"""What becomes of a challenger, by counts made by hand."""

from dataclasses import replace

import pytest

from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.pairing import Comparison
from modelworks.monitoring.rollout_policy import Situation, decide, lower_share
from modelworks.monitoring.traffic import Counts, Traffic, add_up
from modelworks.settings import Rollout

SETTINGS = Rollout(step_minutes=10, min_requests=100, max_hours=24)
SAME = Comparison(
    rows=1000,
    errors=0,
    changed_decisions=Estimate(0.01, 0.005, 0.02),
    difference=Estimate(0.005, 0.004, 0.006),
    difference_quantiles={},
    champion_ms=0.1,
    challenger_ms=0.1,
    labelled=0,
    blocks=0,
    gain=None,
)


def counts(requests: int, milliseconds: float = 2.0, errors: int = 0) -> Counts:
    found = Counts()
    for number in range(requests):
        found.count(milliseconds / 1000, is_error=number < errors)
    return found


GOOD = Situation(
    share=0.25,
    is_last=False,
    minutes=11,
    hours=1,
    traffic=Traffic(champion=counts(300), challenger=counts(120)),
    compared=400,
    comparison=SAME,
)


def move(found: Situation, settings: Rollout = SETTINGS) -> tuple[str, str]:
    decision = decide(found, settings, 0.95)
    return decision.move, decision.reason


def with_traffic(challenger: Counts, champion: Counts | None = None) -> Situation:
    return replace(GOOD, traffic=Traffic(champion=champion or counts(300), challenger=challenger))


def with_comparison(**changed: object) -> Situation:
    return replace(GOOD, comparison=replace(SAME, **changed))  # type: ignore[arg-type]


def test_a_step_that_was_long_and_busy_enough_is_followed_by_the_next() -> None:
    assert move(GOOD)[0] == "advance"
    assert move(replace(GOOD, is_last=True))[0] == "promote"
    assert move(replace(GOOD, is_last=True), SETTINGS.model_copy(update={"promotion": "manual"}))[0] == "ask"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (with_traffic(counts(99)), "99 requests of 100"),
        (replace(GOOD, minutes=9), "9 of 10 minutes"),
        (replace(GOOD, comparison=None), "no logged row"),
        (replace(GOOD, share=0.0, compared=99), "99 compared rows of 100"),
    ],
    ids=["few requests", "short", "not compared", "few rows in the shadow"],
)
def test_it_waits_for_requests_time_and_a_comparison(found: Situation, reason: str) -> None:
    assert move(found)[0] == "wait"
    assert reason in move(found)[1]


@pytest.mark.parametrize(
    ("found", "setting"),
    [
        (with_traffic(counts(10, errors=10)), "max_error_fraction"),
        (with_traffic(counts(1, errors=1)), "max_error_fraction"),
        (with_comparison(errors=100), "max_error_fraction"),
        (replace(GOOD, share=0, traffic=Traffic(shadow_rows=90, shadow_errors=10)), "max_error_fraction"),
        (with_traffic(counts(60, 200.0)), "max_latency_ratio"),
        (with_comparison(challenger_ms=30.0), "max_latency_ratio"),
        (with_comparison(changed_decisions=Estimate(0.25, 0.21, 0.3)), "max_changed_decisions"),
        (with_comparison(difference=Estimate(0.2, 0.11, 0.3)), "max_prediction_difference"),
        (with_comparison(gain=Estimate(-0.02, -0.03, -0.01), labelled=500, blocks=30), "max_loss_over_champion"),
        (replace(GOOD, hours=25), "max_hours"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_limit_takes_it_back_at_once_and_is_named(found: Situation, setting: str) -> None:
    early = replace(found, minutes=0)
    assert move(early)[0] == "take_back"
    assert setting in move(early)[1]


@pytest.mark.parametrize(
    "found",
    [
        with_traffic(counts(120, errors=1)),  # 1 of 120 may be chance where 1 % is allowed
        with_traffic(counts(120, 30.0)),  # slower, and below the floor
        with_traffic(counts(49, 900.0)),  # too few to say
        with_traffic(counts(120, 190.0), counts(300, 100.0)),  # within twice the champion's
        with_comparison(changed_decisions=Estimate(0.25, 0.19, 0.3)),
        with_comparison(difference=Estimate(0.2, 0.09, 0.3)),
        with_comparison(gain=Estimate(-0.02, -0.03, 0.001), labelled=500, blocks=30),
    ],
    ids=["errors", "floor", "few", "ratio", "decisions", "difference", "loss"],
)
def test_what_may_be_chance_takes_nothing_back(found: Situation) -> None:
    assert move(found)[0] != "take_back"


def test_wilsons_lower_end_by_hand() -> None:
    # Wilson's interval of 5 of 10 at 95 % is 0.2366 to 0.7634.
    assert lower_share(5, 10, 0.95) == pytest.approx(0.2366, abs=1e-4)
    assert lower_share(0, 10, 0.95) == 0
    assert lower_share(0, 0, 0.95) == 0


def test_replicas_add_up_and_a_quantile_is_the_end_of_its_bucket() -> None:
    both = add_up([Traffic(challenger=counts(95, 1.9)), Traffic(challenger=counts(5, 900.0, errors=2))])
    assert (both.challenger.requests, both.challenger.errors) == (100, 2)
    assert both.challenger.quantile_ms(0.95) == 2.0
    assert both.challenger.quantile_ms(0.96) == pytest.approx(1024)
    assert counts(1, 1e6).quantile_ms(0.5) == float("inf")
