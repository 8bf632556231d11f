from dataclasses import replace

import numpy as np
import pytest

from {{ cookiecutter.__package_name }}.checks import failures
from {{ cookiecutter.__package_name }}.config import Evaluation, Gates
from {{ cookiecutter.__package_name }}.evaluation import (
    Report,
    evaluate,
    find_warnings,
    judge,
)
from {{ cookiecutter.__package_name }}.intervals import Estimate
from {{ cookiecutter.__package_name }}.task import Baseline, row_losses

SETTINGS = Evaluation(bootstrap_resamples=100, min_slice_rows=20)


def report_of(rows, probability, champion=None, count: int = 100) -> Report:
    """Of rows whose target alternates 0, 1, 0, 1, ..."""
    frame = rows(count, carrier=np.tile(["AA", "AA", "B6", "B6"], count // 4))
    return evaluate(frame, np.resize(probability, count), Baseline([0.5]), champion, SETTINGS, seed=0)


def names_of_failures(report: Report, **gates: float) -> list[str]:
    return [check.name for check in failures(judge(report, Gates(**gates), SETTINGS))]


def test_row_losses_by_hand() -> None:
    losses = row_losses(np.array([1, 0, 1]), np.array([0.5, 0.5, 1.0]))
    assert losses.tolist() == pytest.approx([np.log(2), np.log(2), 0.0], abs=1e-12)


def test_certain_and_wrong_forecast_has_a_finite_loss() -> None:
    assert np.isfinite(row_losses(np.array([1, 0]), np.array([0.0, 1.0]))).all()


def test_good_model_passes_every_gate(rows) -> None:
    report = report_of(rows, [0.4, 0.6, 0.6, 0.7])  # one of four pairs is ordered wrongly
    assert names_of_failures(report, max_roc_auc=1.0, max_calibration_error=0.7) == []


def test_forecast_that_knows_nothing_is_refused(rows) -> None:
    probability = np.random.default_rng(0).uniform(0.2, 0.8, 100)
    assert {"beats the baseline", "roc_auc floor"} <= set(names_of_failures(report_of(rows, probability)))


def test_forecast_that_knows_too_much_is_refused_as_a_leak(rows) -> None:
    assert "no leak" in names_of_failures(report_of(rows, [0.1, 0.9]), max_calibration_error=1.0)


def test_forecast_that_is_far_too_high_is_refused(rows) -> None:
    assert "calibration" in names_of_failures(report_of(rows, [0.85, 0.95]))


def test_equal_model_is_not_worse_than_the_champion(rows) -> None:
    report = report_of(rows, [0.4, 0.6], champion=np.resize([0.4, 0.6], 100))
    assert report.loss_over_champion == Estimate(0.0, 0.0, 0.0)
    assert not [name for name in names_of_failures(report) if "champion" in name]


def test_worse_model_is_refused(rows) -> None:
    report = report_of(rows, [0.45, 0.55], champion=np.resize([0.3, 0.7], 100))
    assert "not worse than the champion" in names_of_failures(report)


def test_model_that_is_better_but_for_one_slice_is_refused(rows) -> None:
    champion = np.resize([0.4, 0.6], 100)
    report = report_of(rows, [0.1, 0.9, 0.5, 0.5], champion=champion)  # good for AA, ignorant of B6
    assert report.loss_over_champion and report.loss_over_champion.value < 0
    broken = names_of_failures(report)
    assert "no slice worse than the champion" in broken
    assert "not worse than the champion" not in broken


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
    gates = Gates(max_calibration_error=1.0)
    assert find_warnings(report, gates, SETTINGS) == ["this is the first release: there is no champion to compare with"]


def test_equal_model_far_from_its_limits_gives_no_warning(rows) -> None:
    report = report_of(rows, [0.4, 0.6], champion=np.resize([0.4, 0.6], 100))
    assert find_warnings(report, Gates(max_calibration_error=1.0), SETTINGS) == []


def test_what_a_gate_lets_pass_by_its_estimate_is_a_warning(rows) -> None:
    report = report_of(rows, [0.41, 0.59], champion=np.resize([0.4, 0.6], 100))
    auc = replace(report.metrics["roc_auc"], value=0.62, low=0.58)
    calibration = replace(report.metrics["calibration_error"], value=0.14, high=0.17)
    report = replace(report, metrics={**report.metrics, "roc_auc": auc, "calibration_error": calibration})
    found = find_warnings(report, Gates(max_slice_loss_over_champion=0.001), SETTINGS)
    assert [warning.split(":")[0].split(" 0.")[0] for warning in found] == [
        "log loss is above the champion's",
        "roc_auc",
        "calibration error",
        "carrier = AA",
        "carrier = B6",
    ]
