"""R² has one definition, scikit-learn's: against the mean of the rows that are measured."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from modelworks.contract import Contract, column, identifier, regression
from modelworks.evaluation.gates import judge
from modelworks.evaluation.holdout import evaluate_holdout
from modelworks.evaluation.metrics import Report
from modelworks.settings import Evaluation, Gates
from modelworks.targets import Baseline

CONTRACT = Contract(
    target=regression("price", "what was paid"),
    time="at",
    key=["id"],
    columns=[column("at", "datetime64[us]", "when"), identifier("id", "int64", "which")],
)
SETTINGS = Evaluation(bootstrap_resamples=2000)


def report_of(target: np.ndarray, prediction: np.ndarray, baseline: Baseline) -> Report:
    at = pd.date_range("2025-01-01", periods=len(target), freq="D").astype("datetime64[us]")
    frame = pd.DataFrame({"at": at, "id": np.arange(len(target)), "price": target})
    return evaluate_holdout(CONTRACT, frame, prediction, baseline, None, SETTINGS, seed=0).report


def test_r_squared_is_that_of_scikit_learn_whatever_the_baseline_is() -> None:
    random = np.random.default_rng(0)
    target = random.normal(140, 5, 60)
    prediction = target + random.normal(0, 2, 60)
    of_training = report_of(target, prediction, Baseline([95.0], 500.0))
    of_newest = report_of(target, prediction, Baseline([138.0], 8.0))
    for report in (of_training, of_newest):
        found = report.metrics["r2"]
        assert found.value == r2_score(target, prediction)
        assert found.low < found.value < found.high < 1
    assert of_training.metrics["r2"] == of_newest.metrics["r2"]


def test_interval_is_that_of_resampled_rows_each_against_its_own_mean() -> None:
    random = np.random.default_rng(1)
    target = random.normal(0, 1, 200)
    prediction = target + random.normal(0, 0.5, 200)
    drawn = [random.integers(0, 200, 200) for _ in range(2000)]
    low, high = np.quantile([r2_score(target[each], prediction[each]) for each in drawn], [0.025, 0.975])
    found = report_of(target, prediction, Baseline([0.0])).metrics["r2"]
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


@pytest.mark.parametrize(("prediction", "expected"), [(3.0, 1.0), (4.0, 0.0)])
def test_rows_of_one_value_are_measured_as_scikit_learn_does(prediction: float, expected: float) -> None:
    report = report_of(np.full(20, 3.0), np.full(20, prediction), Baseline([3.0]))
    assert report.metrics["r2"].value == expected


def test_mean_of_the_training_rows_has_no_skill_where_the_level_moved() -> None:
    """By the training rows' mean, a model that only knew the level would have R² = 0.98."""
    target = np.random.default_rng(2).normal(140, 5, 60)
    report = report_of(target, np.full(60, 139.0), Baseline([95.0], 500.0))
    assert report.metrics["r2"].value < 0
    failed = [check.name for check in judge(CONTRACT, report, Gates(), SETTINGS) if not check.passed]
    assert failed == ["r2 floor"]
    followed = report_of(target, np.full(60, 139.0), Baseline([139.0], 25.0, "the training rows of 2024-12"))
    beats, *_ = judge(CONTRACT, followed, Gates(), SETTINGS)
    assert not beats.passed
    assert "; baseline of the training rows of 2024-12" in beats.detail
