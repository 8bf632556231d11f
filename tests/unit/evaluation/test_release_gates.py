"""The project's own release gates: what they are given, and what becomes of their answers."""

import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.checks import Check, failures
from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.gates import run_release_gates
from modelworks.evaluation.holdout import HoldoutEvaluation, evaluate_holdout
from modelworks.settings import Evaluation
from modelworks.targets import Baseline

SETTINGS = Evaluation(bootstrap_resamples=100)
LN2 = float(np.log(2))


@pytest.fixture
def evaluation(rows) -> HoldoutEvaluation:
    """Four flights on four days, two of AA and two of B6; the candidate is certain of AA and knows nothing of B6."""
    frame = rows(4, carrier=["AA", "AA", "B6", "B6"], delayed=[0, 1, 0, 1])
    days = pd.to_datetime(["2013-05-01", "2013-05-02", "2013-05-03", "2013-05-04"]).astype("datetime64[us]")
    frame = frame.assign(scheduled_departure=days)
    prediction, champion = np.array([0.0, 1.0, 0.5, 0.5]), np.full(4, 0.5)
    return evaluate_holdout(FLIGHTS.contract, frame, prediction, Baseline([0.5]), champion, SETTINGS, seed=0)


def test_loss_is_over_all_rows_or_the_marked_ones(evaluation: HoldoutEvaluation) -> None:
    assert evaluation.loss().value == pytest.approx(LN2 / 2)
    assert evaluation.loss(evaluation.rows["carrier"].eq("AA")).value == pytest.approx(0, abs=1e-12)
    assert evaluation.loss(np.array([False, False, True, True])) == Estimate(*[pytest.approx(LN2)] * 3)
    assert np.isnan(evaluation.loss(np.zeros(4, bool)).value)


def test_gain_over_the_champion_is_paired_row_by_row(evaluation: HoldoutEvaluation) -> None:
    overall = evaluation.gain_over_champion()
    assert overall
    assert overall == evaluation.report.gain_over_champion
    assert overall.value == pytest.approx(LN2 / 2)
    assert overall.low < overall.value < overall.high
    assert evaluation.gain_over_champion(evaluation.rows["carrier"].eq("B6")) == Estimate(0.0, 0.0, 0.0)


def test_without_a_champion_there_is_no_gain_over_it(rows) -> None:
    alone = evaluate_holdout(FLIGHTS.contract, rows(4), np.full(4, 0.5), Baseline([0.5]), None, SETTINGS, seed=0)
    assert alone.champion_prediction is None
    assert alone.gain_over_champion() is None


def test_gate_judges_the_evaluation_and_its_check_is_kept(evaluation: HoldoutEvaluation) -> None:
    def no_worse_for_jetblue(found: HoldoutEvaluation) -> Check:
        gain = found.gain_over_champion(found.rows["carrier"].eq("B6"))
        assert gain
        return Check("no worse for JetBlue", gain.low >= 0, f"{gain}")

    [check] = run_release_gates([no_worse_for_jetblue], evaluation)
    assert check == Check("no worse for JetBlue", True, "0.000 [0.000, 0.000]")


def test_verdicts_come_in_the_order_of_the_gates(evaluation: HoldoutEvaluation) -> None:
    def first(found: HoldoutEvaluation) -> Check:
        return Check("first", True, f"{len(found.rows)} rows")

    def second(found: HoldoutEvaluation) -> Check:
        return Check("second", False, "never good enough", fatal=False)

    checks = run_release_gates([first, second], evaluation)
    assert [(check.name, check.passed, check.fatal) for check in checks] == [
        ("first", True, True),
        ("second", False, False),
    ]


def test_gate_that_raises_has_failed_under_its_name_and_the_others_still_run(evaluation: HoldoutEvaluation) -> None:
    def broken(found: HoldoutEvaluation) -> Check:
        return Check("never", True, found.rows["no such column"])

    def passes(found: HoldoutEvaluation) -> Check:
        return Check("rows", len(found.rows) == 4, "4 rows")

    checks = run_release_gates([broken, passes], evaluation)
    assert [check.passed for check in checks] == [False, True]
    [failed] = failures(checks)
    assert failed.fatal
    assert (failed.name, failed.detail) == ("broken", "the release gate broken raised KeyError: 'no such column'")


def test_gate_that_returns_no_check_has_failed_under_its_name(evaluation: HoldoutEvaluation) -> None:
    def forgot(found: HoldoutEvaluation) -> bool:
        return True

    [check] = run_release_gates([forgot], evaluation)
    assert not check.passed
    assert check.detail == "the release gate forgot returned bool, not a Check"


def test_gate_cannot_change_the_rows_of_another(evaluation: HoldoutEvaluation) -> None:
    def adds_a_column(found: HoldoutEvaluation) -> Check:
        found.rows["carrier"] = "XX"
        found.rows["new"] = 1
        return Check("adds", True, "")

    def looks(found: HoldoutEvaluation) -> Check:
        return Check("looks", set(found.rows["carrier"]) == {"AA", "B6"} and "new" not in found.rows, "")

    assert all(check.passed for check in run_release_gates([adds_a_column, looks], evaluation))
    assert set(evaluation.rows["carrier"]) == {"AA", "B6"}
