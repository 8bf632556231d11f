from dataclasses import replace

import numpy as np
import pytest

from flights import FLIGHTS
from modelworks.checks import failures
from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.gates import find_warnings, judge
from modelworks.evaluation.holdout import HoldoutEvaluation, evaluate_holdout
from modelworks.evaluation.metrics import Report
from modelworks.settings import Evaluation, Gates, Limits
from modelworks.targets import Baseline

SETTINGS = Evaluation(bootstrap_resamples=100, min_slice_rows=20)


def evaluation_of(rows, probability, champion=None, count: int = 100) -> HoldoutEvaluation:
    """Of rows whose target alternates 0, 1, 0, 1, ..."""
    frame = rows(count, carrier=np.tile(["AA", "AA", "B6", "B6"], count // 4))
    prediction, baseline = np.resize(probability, count), Baseline([0.5])
    return evaluate_holdout(FLIGHTS.contract, frame, prediction, baseline, champion, SETTINGS, seed=0)


def report_of(rows, probability, champion=None, count: int = 100) -> Report:
    """Of rows whose target alternates 0, 1, 0, 1, ..."""
    return evaluation_of(rows, probability, champion, count).report


def names_of_failures(report: Report, **limits: Limits) -> list[str]:
    return [check.name for check in failures(judge(FLIGHTS.contract, report, Gates(metrics=limits), SETTINGS))]


def test_row_losses_by_hand() -> None:
    losses = FLIGHTS.contract.target.row_losses(np.array([1, 0, 1]), np.array([0.5, 0.5, 1.0]))
    assert losses.tolist() == pytest.approx([np.log(2), np.log(2), 0.0], abs=1e-12)


def test_certain_and_wrong_forecast_has_a_finite_loss() -> None:
    assert np.isfinite(FLIGHTS.contract.target.row_losses(np.array([1, 0]), np.array([0.0, 1.0]))).all()


def test_good_model_passes_every_gate(rows) -> None:
    report = report_of(rows, [0.4, 0.6, 0.6, 0.7])  # one of four pairs is ordered wrongly
    assert names_of_failures(report, roc_auc=Limits(max=1.0), calibration_error=Limits(max=0.7)) == []


def test_forecast_that_knows_nothing_is_refused(rows) -> None:
    probability = np.random.default_rng(0).uniform(0.2, 0.8, 100)
    assert {"beats the baseline", "roc_auc floor"} <= set(names_of_failures(report_of(rows, probability)))


def test_forecast_that_knows_too_much_is_refused_as_a_leak(rows) -> None:
    assert "no leak" in names_of_failures(report_of(rows, [0.1, 0.9]), calibration_error=Limits())


def test_forecast_that_is_far_too_high_is_refused(rows) -> None:
    assert "calibration_error ceiling" in names_of_failures(report_of(rows, [0.85, 0.95]))


def test_equal_model_is_not_worse_than_the_champion(rows) -> None:
    report = report_of(rows, [0.4, 0.6], champion=np.resize([0.4, 0.6], 100))
    assert report.gain_over_champion == Estimate(0.0, 0.0, 0.0)
    assert not [name for name in names_of_failures(report) if "champion" in name]


def test_worse_model_is_refused(rows) -> None:
    report = report_of(rows, [0.45, 0.55], champion=np.resize([0.3, 0.7], 100))
    assert "not worse than the champion" in names_of_failures(report)


def test_model_that_is_better_but_for_one_slice_is_refused(rows) -> None:
    champion = np.resize([0.4, 0.6], 100)
    report = report_of(rows, [0.1, 0.9, 0.5, 0.5], champion=champion)  # good for AA, ignorant of B6
    assert report.gain_over_champion
    assert report.gain_over_champion.value > 0
    broken = names_of_failures(report)
    assert "no slice worse than the champion" in broken
    assert "not worse than the champion" not in broken


def test_worst_slices_are_named_once_and_the_others_counted(rows) -> None:
    report = report_of(rows, [0.1, 0.9, 0.5, 0.5], champion=np.resize([0.4, 0.6], 100))
    losses = [-0.06, -0.4, -0.1, -0.3, -0.2]
    some = report.slices[0]
    slices = [
        replace(some, value=f"v{at}", rows=1000, gain_over_champion=Estimate(loss, loss - 0.01, loss + 0.01))
        for at, loss in enumerate(losses)
    ]
    report = replace(report, slices=slices)
    [refused] = [
        each for each in judge(FLIGHTS.contract, report, Gates(), SETTINGS) if each.name.startswith("no slice")
    ]
    named = [f"{some.column} = v{at}: {slices[at].gain_over_champion}" for at in (1, 3, 4)]
    assert refused.detail == f"gain over the champion by slice: {'; '.join(named)}; and 2 more"
    assert not [each for each in find_warnings(FLIGHTS.contract, report, Gates(), SETTINGS) if some.column in each]


def test_small_slices_are_not_judged(rows) -> None:
    report = report_of(rows, [0.1, 0.9, 0.5, 0.5], champion=np.resize([0.4, 0.6], 100))
    small = replace(report, slices=[replace(each, rows=5) for each in report.slices])
    assert "no slice worse than the champion" not in names_of_failures(small)


def test_slices_are_by_carrier_and_hour(rows) -> None:
    report = report_of(rows, [0.4, 0.6])
    assert [each.name for each in report.slices if each.column == "carrier"] == ["carrier = AA", "carrier = B6"]
    assert sum(each.rows for each in report.slices if each.column == "hour") == report.rows


def test_first_release_is_a_warning(rows) -> None:
    report = report_of(rows, [0.4, 0.6, 0.6, 0.7])
    gates = Gates(metrics={"calibration_error": Limits()})
    assert find_warnings(FLIGHTS.contract, report, gates, SETTINGS) == [
        "this is the first release: there is no champion to compare with"
    ]


def test_equal_model_far_from_its_limits_gives_no_warning(rows) -> None:
    report = report_of(rows, [0.4, 0.6], champion=np.resize([0.4, 0.6], 100))
    assert find_warnings(FLIGHTS.contract, report, Gates(metrics={"calibration_error": Limits()}), SETTINGS) == []


def test_what_a_gate_lets_pass_by_its_estimate_is_a_warning(rows) -> None:
    report = report_of(rows, [0.41, 0.59], champion=np.resize([0.4, 0.6], 100))
    auc = replace(report.metrics["roc_auc"], value=0.62, low=0.58)
    calibration = replace(report.metrics["calibration_error"], value=0.14, high=0.17)
    uncertain = Estimate(-0.02, -0.05, 0.01)
    carriers = [replace(each, gain_over_champion=uncertain) for each in report.slices if each.column == "carrier"]
    metrics = {**report.metrics, "roc_auc": auc, "calibration_error": calibration}
    report = replace(report, metrics=metrics, slices=carriers)
    found = find_warnings(FLIGHTS.contract, report, Gates(max_slice_loss_over_champion=0.001), SETTINGS)
    assert [warning.split(":")[0].split(" 0.")[0] for warning in found] == [
        "log loss is above the champion's",
        "roc_auc",
        "calibration_error",
        "carrier = AA",
        "carrier = B6",
    ]
