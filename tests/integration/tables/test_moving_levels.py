"""A series whose level moves and one with a season: a good model is released, and shuffled labels are refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from adopting import Adopted, adopt
from modelworks.checks import failures
from modelworks.evaluation.baseline import choose_baseline
from modelworks.evaluation.gates import judge
from modelworks.evaluation.holdout import HoldoutEvaluation, evaluate_holdout
from modelworks.models import pipeline
from modelworks.models.types import boosting, linear
from modelworks.project import Project
from modelworks.settings import Settings, load_settings
from modelworks.targets import Baseline

MODEL_TYPES = {"boosting": boosting.MODEL_TYPE, "linear": linear.MODEL_TYPE}


def daily(count: int = 1200) -> pd.DataFrame:
    return pd.DataFrame({
        "day": pd.date_range("2022-01-01", periods=count, freq="D").astype("str"),
        "x": np.random.default_rng(7).random(count).round(3),
    })


def level_moves() -> pd.DataFrame:
    rows = daily()
    return rows.assign(price=(50 + 0.08 * np.arange(len(rows)) + 10 * rows["x"]).round(2))


def yearly_season() -> pd.DataFrame:
    rows = daily()
    from_middle = (pd.to_datetime(rows["day"]).dt.day_of_year - 183) / 183
    return rows.assign(demand=(100 + 40 * from_middle**2 + 5 * rows["x"]).round(2))


def evaluate(
    adopted: Adopted, settings: Settings, shuffle: int | None = None, baseline: Baseline | None = None
) -> HoldoutEvaluation:
    """The model that the project trains, on its held-out periods; of shuffled labels by a seed, if one is given.

    Parameters
    ----------
    baseline : another than that of the training rows
    """
    contract, rows = adopted.contract, adopted.rows().reset_index(drop=True)
    months = rows[contract.time].to_numpy("datetime64[M]")
    is_held_out = months > np.unique(months)[-1 - int(settings.training.holdout or 1)]
    known, held_out = rows[~is_held_out], rows[is_held_out].reset_index(drop=True)
    if shuffle is not None:
        name = contract.target.column
        known = known.assign(**{name: np.random.default_rng(shuffle).permutation(known[name])})
    project = Project(contract=contract, model_types=MODEL_TYPES)
    with pipeline.limit_threads(settings.training):
        fitted = pipeline.fit(project, known, settings.training, settings.model)
        prediction = pipeline.predict(project, fitted, held_out)
    baseline = baseline or choose_baseline(contract, known, int(settings.training.holdout or 1), settings.source.period)
    return evaluate_holdout(contract, held_out, prediction, baseline, None, settings.evaluation, seed=0)


def names_of_failures(evaluation: HoldoutEvaluation, adopted: Adopted, settings: Settings) -> list[str]:
    checks = judge(adopted.contract, evaluation.report, settings.gates, settings.evaluation)
    return [check.name for check in failures(checks)]


def check_verdicts(adopted: Adopted, settings: Settings, least_r2: float) -> HoldoutEvaluation:
    """The good model passes every gate; models of shuffled labels pass neither the baseline nor the floor."""
    good = evaluate(adopted, settings)
    r2 = good.report.metrics["r2"]
    assert r2.value == pytest.approx(r2_score(good.target, good.prediction))
    assert r2.value > least_r2
    assert names_of_failures(good, adopted, settings) == []
    for seed in range(5):
        shuffled = evaluate(adopted, settings, seed, good.baseline)
        assert {"beats the baseline", "r2 floor"} <= set(names_of_failures(shuffled, adopted, settings)), seed
        # Shuffled labels have no level to follow, so chance alone may beat their own baseline.
        assert "r2 floor" in names_of_failures(evaluate(adopted, settings, seed), adopted, settings), seed
    return good


def test_series_whose_level_moves(project: Path) -> None:
    adopted = adopt(project, level_moves(), "price")
    settings = load_settings()
    assert "the level of 'price' moves with time" in adopted.said
    assert (settings.model.type, settings.training.trend) == ("linear", True)
    good = check_verdicts(adopted, settings, least_r2=0.98)
    assert good.baseline.rows == "the training rows of 2024-05 to 2024-10"
    limits = settings.gates.metrics["r2"]
    assert limits.max is not None
    assert limits.max >= good.report.metrics["r2"].high  # a good model is no leak


def test_series_with_a_season(project: Path) -> None:
    adopted = adopt(project, yearly_season(), "demand")
    settings = load_settings()
    assert "moves with time" not in adopted.said
    assert (settings.model.type, settings.training.trend) == ("boosting", False)
    limits = settings.gates.metrics["r2"]
    assert limits.min is not None
    assert limits.min > 0  # of folds from two years of training rows on, which know the season
    good = check_verdicts(adopted, settings, least_r2=0.8)
    assert good.baseline.rows == "all training rows"
