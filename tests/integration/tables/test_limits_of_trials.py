"""The trial of `adopt`: folds like the hold-out, and limits that each of its folds keeps."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelworks.adopt.pipeline_settings import choose_settings
from modelworks.adopt.plan import Plan, PlannedColumn
from modelworks.adopt.reading import Layout
from modelworks.adopt.recipe import Recipe
from modelworks.adopt.rolling_trial import TrialResult, run_trial
from modelworks.adopt.splitting import Split
from modelworks.adopt.statistics import ColumnStatistics
from modelworks.contract import Contract, binary, column, identifier, regression
from modelworks.evaluation.bootstrap import Estimate
from modelworks.targets import Kind


def limits_of(
    task: Kind, metrics: dict[str, Estimate], rows: int = 100_000, **trial: Any
) -> dict[str, dict[str, float]]:
    """[gates.metrics] after a trial, of so many rows that their own noise is small."""
    columns = [
        PlannedColumn("id", "int64", "key", "which"),
        PlannedColumn("x", "float64", "feature", "a number"),
        PlannedColumn("y", "float64", "target", "what is predicted", nullable=True),
    ]
    plan = Plan(
        Recipe(Layout("csv"), [], "y"),
        ColumnStatistics(rows=100_000),
        task,
        [0.0, 1.0] if task == "binary" else [],
        columns,
        ["id"],
        "",
        Split("random", "2024-01", "2024-01"),
        [],
        trial=TrialResult(metrics, **trial),
    )
    settings, _ = choose_settings(plan, "table", 1)
    return {name: value for (section, name), (value, _) in settings.items() if section == "gates.metrics" and value}


def test_limits_of_classes_are_half_way_to_chance_and_to_perfection() -> None:
    found = limits_of("binary", {"roc_auc": Estimate(0.8, 0.78, 0.82), "calibration_error": Estimate(0.02, 0.01, 0.04)})
    assert found == {"roc_auc": {"min": 0.65, "max": 0.9}, "calibration_error": {"max": 0.15}}


def test_no_limit_is_within_what_the_trial_reached() -> None:
    found = limits_of("binary", {"roc_auc": Estimate(0.8, 0.61, 0.973), "calibration_error": Estimate(0.2, 0.1, 0.312)})
    assert found == {"roc_auc": {"min": 0.61, "max": 0.98}, "calibration_error": {"max": 0.32}}
    found = limits_of("regression", {"r2": Estimate(0.4, 0.1, 0.903), "bias": Estimate(-0.2, -0.801, 0.1)})
    assert found == {"r2": {"min": 0.1, "max": 0.91}, "bias": {"min": -0.81, "max": 0.81}}


def test_floor_lies_below_zero_where_the_level_moves_and_not_below_the_baseline() -> None:
    metrics = {"r2": Estimate(-0.5, -2.0, 0.3), "bias": Estimate(0.0, -0.1, 0.1)}
    assert limits_of("regression", metrics, baseline_r2=-3.0)["r2"] == {"min": -2.0, "max": 0.3}
    assert limits_of("regression", metrics, baseline_r2=-1.5)["r2"] == {"min": -1.5, "max": 0.3}


def test_ceiling_of_a_perfect_trial_is_open() -> None:
    assert limits_of("regression", {"r2": Estimate(0.999, 0.998, 1.0)})["r2"]["max"] == 1.0


def contract_of(target: Any, time: str) -> Contract:
    columns = [
        column("at", "datetime64[us]", "when"),
        identifier("id", "int64", "which"),
        column("x", "float64", "a number"),
    ]
    return Contract(target=target, columns=columns, key=["id"], time=time)


def rows_of(days: int) -> pd.DataFrame:
    """A row a day, without the number of the row that is its key; the target is above the middle where x is."""
    at = pd.date_range("2024-01-01", periods=days, freq="D").astype("datetime64[us]")
    x = np.random.default_rng(0).random(days)
    return pd.DataFrame({"at": at, "x": x, "late": (x > 0.5).astype("float64"), "price": x})


@pytest.mark.parametrize(("months", "holdout", "folds"), [(12, 1, 3), (12, 3, 1), (12, 2, 2), (2, 1, 1), (5, 1, 2)])
def test_folds_are_of_a_rolling_origin_and_as_long_as_the_holdout(months: int, holdout: int, folds: int) -> None:
    contract = contract_of(binary("late", "whether it was late"), "at")
    found = run_trial(contract, rows_of(months * 30), ["x"], 5, holdout, "month")
    assert (found.folds, found.is_level_moving) == (folds, False)
    assert found.metrics["roc_auc"].value > 0.95


def test_rows_without_time_are_measured_by_cross_validation() -> None:
    contract = contract_of(regression("price", "what was paid"), "")
    found = run_trial(contract, rows_of(300), ["x"], 5, 0, "month")
    assert (found.folds, found.model_type, found.trend) == (3, "boosting", False)
    assert 0.95 < found.metrics["r2"].low < found.metrics["r2"].value < found.metrics["r2"].high < 1
    assert -0.2 < found.baseline_r2 <= 0
