"""Every figure that is reported with an interval lies in it: of each kind of target, few rows, whatever the model."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelworks.contract import Contract, column, identifier
from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.holdout import evaluate_holdout
from modelworks.monitoring import calibration
from modelworks.settings import Evaluation
from modelworks.targets import Target, binary, multiclass, regression

KINDS: dict[str, Target] = {
    "binary": binary("y", "y", negative=0.0, positive=1.0),
    "multiclass": multiclass("y", "y", classes=[0.0, 1.0, 2.0]),
    "regression": regression("y", "y"),
}
SKILLS = ["none", "constant", "some", "perfect"]


def contract_of(target: Target) -> Contract:
    return Contract(
        target=target,
        columns=[
            column("at", "datetime64[us]", "when"),
            identifier("id", "int64", "row"),
            column("group", "str", "group"),
        ],
        key=["id"],
        time="at",
        slices=["group"],
    )


def make_rows(target: Target, seed: int) -> pd.DataFrame:
    """From 4 to 63 rows of 1 to 12 days, in groups of very different sizes; a class may be rare."""
    random = np.random.default_rng(seed)
    n_rows, n_days = int(random.integers(4, 64)), int(random.integers(1, 13))
    rare = random.choice([0.1, 0.5])
    values = random.lognormal(size=n_rows) if target.is_regression else (random.random(n_rows) < rare).astype("float64")
    if target.is_multiclass:
        values = values * random.integers(1, 3, n_rows)
    return pd.DataFrame({
        "at": pd.to_datetime("2024-01-01") + pd.to_timedelta(random.integers(0, n_days, n_rows), unit="D"),
        "id": range(n_rows),
        "group": random.choice(["a", "b", "c"], n_rows, p=[0.7, 0.25, 0.05]),
        "y": values,
    })


def predict(target: Target, values: np.ndarray, skill: str, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    mix = {"none": 0.0, "constant": 0.0, "some": 0.5, "perfect": 1.0}[skill]
    if target.is_multiclass:
        noise = np.full((len(values), 3), 1 / 3) if skill == "constant" else random.dirichlet([1, 1, 1], len(values))
        return mix * np.eye(3)[values.astype("int64")] + (1 - mix) * noise
    noise = np.full(len(values), 0.3) if skill == "constant" else random.random(len(values)).round(1)
    return mix * values + (1 - mix) * noise


def find_estimates(found: Any, name: str = "") -> Iterator[tuple[str, Estimate]]:
    """Every estimate in a result, with where it is."""
    if isinstance(found, Estimate):
        yield name, found
    elif isinstance(found, dict):
        for key, each in found.items():
            yield from find_estimates(each, f"{name}.{key}")
    elif isinstance(found, list):
        for at, each in enumerate(found):
            yield from find_estimates(each, f"{name}.{at}")
    elif is_dataclass(found):
        for each in fields(found):
            yield from find_estimates(getattr(found, each.name), f"{name}.{each.name}")


def is_in_interval(found: Estimate) -> bool:
    """Whether the figure lies in its interval; one that cannot be measured has none."""
    if np.isnan([found.low, found.high]).any():
        return bool(np.isnan([found.low, found.high]).all())
    return found.low <= found.value <= found.high


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_of_an_evaluation_lies_in_its_interval(kind: str, skill: str) -> None:
    target, names = KINDS[kind], set()
    contract = contract_of(target)
    for seed in range(12):
        rows = make_rows(target, seed)
        values = target.encode(rows["y"])
        prediction, champion = predict(target, values, skill, seed), predict(target, values, "some", seed + 1)
        settings = Evaluation(bootstrap_resamples=100, min_slice_rows=2, interval_level=[0.55, 0.95][seed % 2])
        baseline = target.fit_baseline(values)
        report = evaluate_holdout(
            contract, rows, prediction, baseline, champion, settings, seed, fairness_columns=["group"]
        ).report
        for name, found in find_estimates(report):
            assert is_in_interval(found), (seed, name, found)
            if not np.isnan(found.low):
                names.add(name)
    assert len(names) > (8 if target.is_regression else 10)


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_of_a_served_period_lies_in_its_interval(kind: str) -> None:
    target, measured = KINDS[kind], 0
    contract = contract_of(target)
    for seed in range(12):
        rows = make_rows(target, seed)
        values = target.encode(rows["y"])
        if len({*values}) < 2:  # nothing can be recalibrated
            continue
        served, then = (
            calibration.accumulate(contract, [(rows, values, predict(target, values, skill, seed))])
            for skill in ("some", "none")
        )
        found = calibration.measure(served, then, Evaluation(bootstrap_resamples=100), seed)
        estimates = list(find_estimates(found))
        assert len(estimates) == 4
        for name, estimate in estimates:
            assert is_in_interval(estimate), (seed, name, estimate)
        measured += 1
    assert measured > 6
