"""The reference of metrics names each of them with the direction that it has."""

import re
from dataclasses import fields
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from flights import REPOSITORY
from modelworks.contract import Contract, column, identifier
from modelworks.evaluation.holdout import evaluate_holdout
from modelworks.evaluation.metrics import Report
from modelworks.settings import Evaluation
from modelworks.targets import Target, binary, multiclass, regression

PAGE = (REPOSITORY / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| ([\w ]+) \| (\w+)", re.MULTILINE)
DIRECTIONS = {name: (target, better) for name, target, better in ROW.findall(PAGE.split("## Of a comparison")[0])}
KINDS = {"binary": {"classes", "two classes"}, "multiclass": {"classes", "many classes"}, "regression": {"number"}}

NUMBERS = np.array([0.0, 1.0, 2.0] * 40)
CASES: list[tuple[Target, list[float], np.ndarray, np.ndarray]] = [
    # Each target, its values in turn, a prediction that is nearly right, and one that is worse in every way.
    (binary("y", "y"), [0.0, 1.0], np.tile([0.1, 0.9], 60), np.tile([0.9, 0.3], 60)),
    (
        multiclass("y", "y", classes=[0.0, 1.0, 2.0]),
        [0.0, 1.0, 2.0],
        np.tile(np.eye(3) * 0.7 + 0.1, (40, 1)),
        np.tile([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.8, 0.1, 0.1]], (40, 1)),
    ),
    (regression("y", "y"), [0.0, 1.0, 2.0], NUMBERS + 0.1, NUMBERS[::-1] + 1.0),
]


def metrics_of(target: Target, values: list[float], prediction: np.ndarray) -> dict[str, float]:
    """Metrics of a prediction for 120 rows whose target goes through the values in turn."""
    contract = Contract(
        target=target,
        columns=[identifier("id", "str", "row"), column("x", "float64", "number")],
        key=["id"],
        example={"id": "a", "x": 0.0},
    )
    frame = pd.DataFrame({
        "id": [f"{at}" for at in range(120)],
        "x": 0.0,
        "y": pd.Series(np.resize(values, 120), dtype="float64"),
    })
    baseline = target.fit_baseline(target.encode(frame["y"]))
    settings = Evaluation(bootstrap_resamples=100)
    found = evaluate_holdout(contract, frame, prediction, baseline, None, settings, seed=0)
    return {name: estimate.value for name, estimate in found.report.metrics.items()}


@pytest.mark.parametrize(("target", "values", "right", "wrong"), CASES, ids=KINDS)
def test_each_metric_has_the_direction_of_the_page(target, values, right, wrong) -> None:
    better, worse = metrics_of(target, values, right), metrics_of(target, values, wrong)
    assert set(better) == {name for name, (kind, _) in DIRECTIONS.items() if kind in KINDS[target.kind]}
    for name, value in better.items():
        gain = {
            "higher": value - worse[name],
            "lower": worse[name] - value,
            "near": abs(worse[name]) - abs(value),
        }
        assert gain[DIRECTIONS[name][1]] > 0, name


def test_figures_of_comparisons_and_of_served_periods_are_on_the_page() -> None:
    served = [each for each in import_module("modelworks.stages.monitor").FIGURES if each != "loss"]
    compared = [each.name for each in fields(Report) if each.name.startswith("gain_over_")]
    assert len(served) == 3
    assert len(compared) == 2
    assert [each for each in (*served, *compared) if f"`{each}`" not in PAGE] == []
