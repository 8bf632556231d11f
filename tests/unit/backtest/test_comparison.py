from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flights import FLIGHTS
from modelworks.backtest.comparison import Comparison, compare, summarize, to_json
from modelworks.backtest.outcome import Outcomes, PeriodOutcome, ServedBlocks
from modelworks.settings import Evaluation

DAYS = [f"2013-05-{day:02d}" for day in range(1, 32)]
HARD = np.random.default_rng(0).normal(0.5, 0.2, len(DAYS))  # loss a row of each day, the same for every policy
SPAN = ("2013-05", "2013-05")
SETTINGS = Evaluation(bootstrap_resamples=500)


def period(name: str, status: str, served: ServedBlocks | None = None) -> PeriodOutcome:
    loss = None if served is None else sum(served.loss) / sum(served.rows)
    rows = 0 if served is None else sum(served.rows)
    return PeriodOutcome(name, "1", rows, loss, None, [], False, "", status, "", None, [], served)  # type: ignore[arg-type]


def policy(above: float, trainings: int, rows: int = 10, scale: float = 1.0, days: int = 31) -> list[PeriodOutcome]:
    """April, in which it was trained, and May, in which it lost so much more a row than the days are hard."""
    noise = np.random.default_rng(round(1000 * above)).normal(0, 0.01, days) if above else np.zeros(days)
    loss = rows * (HARD[:days] + above + noise) / scale
    served = ServedBlocks(DAYS[:days], [rows] * days, loss.tolist(), scale)
    earlier = [period(f"2013-{4 - number:02d}", "released") for number in range(trainings)]
    return [*earlier[::-1], period("2013-05", "unclaimed", served)]


def compared(**policies: list[PeriodOutcome]) -> Comparison:
    found = compare(policies, SPAN, SETTINGS, seed=1)
    assert found is not None
    return found


def test_policy_that_is_clearly_worse_is_named_so_and_not_recommended() -> None:
    found = compared(configured=policy(0.0, 3), frozen=policy(0.1, 1))
    own, frozen = found.policies
    assert (found.best, found.recommended, found.rows, found.n_blocks) == ("configured", "configured", 310, 31)
    assert (own.verdict, own.trainings, own.loss) == (
        "indistinguishable from the best", 3, pytest.approx(HARD.mean()),
    )  # fmt: skip
    assert (frozen.verdict, frozen.is_indistinguishable, frozen.p_value) == ("worse than the best", False, 0.0)
    assert frozen.over_best.value == pytest.approx(0.1, abs=0.005)
    assert 0.09 < frozen.over_best.low < frozen.over_best.high < 0.11
    assert summarize(FLIGHTS.contract, found) == (
        "Recommended: configured, 3 trainings: frozen is worse beyond chance (310 rows of 31 days)."
    )


def test_policies_that_served_the_same_are_indistinguishable_and_the_fewest_trainings_win() -> None:
    found = compared(configured=policy(0.0, 3), frozen=policy(0.0, 1), alarms=policy(0.0, 2))
    assert [each.p_value for each in found.policies] == [1.0, 1.0, 1.0]
    assert found.recommended == "frozen"
    assert summarize(FLIGHTS.contract, found, {"frozen": "*frozen*"}) == (
        "Recommended: *frozen*, 1 training: the fewest of those that are indistinguishable from the best, "
        "as configured, alarms (310 rows of 31 days)."
    )


def test_configured_policy_stays_where_another_one_is_as_good_with_as_many_trainings() -> None:
    found = compared(configured=policy(0.001, 2), alarms=policy(0.0, 2))
    assert found.best == "alarms"
    assert found.policies[0].is_indistinguishable
    assert found.recommended == "configured"


def test_policy_without_gates_is_measured_and_never_recommended() -> None:
    found = compared(configured=policy(0.1, 3), frozen=policy(0.2, 1), always=policy(0.0, 1))
    always = found.policies[2]
    assert (found.best, found.recommended) == ("configured", "configured")
    assert (always.p_value, always.verdict) == (None, "no candidate: it releases without gates")
    assert always.over_best.high < -0.09


def test_difficulty_of_the_days_is_no_difference_between_policies() -> None:
    """Alone, each loss is known to 0.07 only; on the same days a difference of 0.02 is found."""
    found = compared(configured=policy(0.0, 2), frozen=policy(0.02, 1))
    assert not found.policies[1].is_indistinguishable


def test_only_blocks_with_the_same_rows_are_compared() -> None:
    frozen = policy(0.1, 1)
    served = frozen[-1].served
    assert served
    fewer = replace(served, rows=[9, *served.rows[1:]], loss=[99.0, *served.loss[1:]])
    found = compared(configured=policy(0.0, 2), frozen=[*frozen[:-1], replace(frozen[-1], served=fewer)])
    assert (found.rows, found.n_blocks) == (300, 30)
    assert found.policies[1].over_best.value == pytest.approx(0.1, abs=0.005)


def test_losses_of_a_regression_are_compared_on_the_scale_of_one_model() -> None:
    found = compared(configured=policy(0.0, 2, scale=4.0), frozen=policy(0.1, 1, scale=2.0))
    assert found.policies[0].loss == pytest.approx(HARD.mean() / 4)
    assert found.policies[1].over_best.value == pytest.approx(0.1 / 4, abs=0.002)


def test_few_days_give_no_recommendation() -> None:
    found = compared(configured=policy(0.0, 2, days=29), frozen=policy(0.1, 1, days=29))
    assert found.recommended is None
    assert summarize(FLIGHTS.contract, found) == (
        "No policy is recommended: 290 rows of 29 days were compared, and 30 days are needed."
    )


@pytest.mark.parametrize(
    "outcomes",
    [
        {"configured": policy(0.0, 2)},
        {"configured": policy(0.0, 2), "always": policy(0.0, 2)},
        {"configured": policy(0.0, 2), "frozen": policy(0.0, 2)[:-1]},
    ],
    ids=["one", "one with gates", "nothing in common"],
)
def test_nothing_to_compare_is_no_comparison(outcomes: Outcomes) -> None:
    assert compare(outcomes, SPAN, SETTINGS, seed=1) is None
    assert to_json(outcomes, None)["comparison"] is None


def test_comparison_is_written_as_json() -> None:
    outcomes = {"configured": policy(0.0, 3), "frozen": policy(0.1, 1)}
    found: dict[str, Any] = to_json(outcomes, compare(outcomes, SPAN, SETTINGS, seed=1))
    assert [each["period"] for each in found["policies"]["frozen"]] == ["2013-04", "2013-05"]
    assert "served" not in found["policies"]["frozen"][1]
    comparison = found["comparison"]
    assert (comparison["recommended"], comparison["best"], comparison["n_blocks"]) == ("configured", "configured", 31)
    assert {each["name"]: each["verdict"] for each in comparison["policies"]} == {
        "configured": "indistinguishable from the best",
        "frozen": "worse than the best",
    }
