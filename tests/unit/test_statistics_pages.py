"""Figures on the pages about the statistics are those of the code."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, studentized_range

from flights import FLIGHTS, REPOSITORY
from modelworks.data import blocks
from modelworks.evaluation import bootstrap, metrics
from modelworks.evaluation.bootstrap import BlockBootstrap
from modelworks.models.encoders import documents
from modelworks.models.tuning import choice, pruning
from modelworks.monitoring import calibration, drift, recalibration
from modelworks.settings import Evaluation, Gates, Monitoring, Retraining, Tuning

FOLDER = REPOSITORY / "docs" / "explanation"


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("statistics", f"one of {blocks.N_BLOCKS} groups of rows in each delivery"),
        ("block-bootstrap", f"{Evaluation().bootstrap_resamples:,} by default"),
        ("block-bootstrap", f"{Evaluation().interval_level:.0%}".replace("%", " % by default")),
        ("block-bootstrap", f"here over {metrics.CALIBRATION_BINS} bins"),
        ("block-bootstrap", f"more than {bootstrap.MAX_BINS:,} distinct scores"),
        ("block-bootstrap", f"fewer beyond {bootstrap.MAX_CELLS // bootstrap.MAX_BINS} blocks"),
        ("block-bootstrap", f"{bootstrap.MAX_CELLS // 10**6} million cells of blocks and scores are the most"),
        ("paired-comparison", f"the limit is {Gates().min_gain_over_baseline:.0f} by default"),
        ("drift", f"counted in {drift.NUMBER_BINS} bins"),
        ("drift", f"the {drift.MAX_CATEGORIES} most frequent"),
        ("drift", f"with replacement, {drift.DRAWS} times"),
        ("drift", f"q = {Monitoring().drift_quantile} by default"),
        ("calibration-drift", f"the limit of `[monitoring]`, {Monitoring().max_calibration_drift:.0f} by default"),
        ("calibration-drift", f"{recalibration.LOGIT_BINS[1] - recalibration.LOGIT_BINS[0]:.1f} wide from -8 to 8"),
        ("tuning-choice", f"({choice.RESAMPLES:,} draws"),
        ("tuning-choice", f"at least {choice.MIN_BLOCKS} blocks"),
        ("tuning-choice", f"({Tuning().significance} by default"),
        ("tuning-choice", f"p < {pruning.PRUNING_P}"),
        ("policy-choice", f"({1 - Evaluation().interval_level:.0%}".replace("%", " % by default")),
        ("policy-choice", f"fewer than {choice.MIN_BLOCKS} blocks"),
        ("policy-choice", f"(`every_periods = {Retraining().every_periods}`)"),
    ],
)
def test_figure_of_the_page_is_that_of_the_code(page: str, sentence: str) -> None:
    assert sentence in (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def test_five_components_of_a_document_are_watched() -> None:
    assert documents.N_PROJECTIONS == 5


def test_example_of_the_bootstrap() -> None:
    days = BlockBootstrap(np.array([1, 1, 2]), resamples=4000, level=0.9, seed=0)
    drawn = days.ratios(np.array([0.2, 0.4, 0.9]), np.ones(3))
    assert drawn[0] == pytest.approx(0.5)
    for value, share in ((0.3, 0.25), (0.5, 0.5), (0.9, 0.25)):
        assert np.isclose(drawn[1:], value).mean() == pytest.approx(share, abs=0.03)


def test_example_of_the_divergence() -> None:
    assert drift._divergence(np.array([10.0, 0.0]), np.array([5.0, 5.0])) == pytest.approx(0.311, abs=5e-4)


def test_example_of_the_recalibration() -> None:
    """Every row is predicted at 0.5, and 80 of 100 come true."""
    accumulator = calibration.PerformanceAccumulator(FLIGHTS.contract)
    frame = pd.DataFrame({FLIGHTS.contract.time: pd.to_datetime(["2013-05-01"] * 100)})
    accumulator.add(frame, np.array([1.0] * 80 + [0.0] * 20), np.full(100, 0.5))
    assert sum(accumulator.by_block().gain) / 100 == pytest.approx(0.193, abs=5e-4)
    assert math.log(2) - 0.193 == pytest.approx(0.5, abs=5e-4)


def test_example_of_the_policies() -> None:
    """Normal draws: the range of five is Tukey's, which is in errors of a mean; a pair's is the root of 2 larger."""
    ratio = 0.010 / 0.003
    assert 2 * norm.sf(ratio) == pytest.approx(0.001, abs=5e-4)
    assert studentized_range.sf(ratio * math.sqrt(2), 5, np.inf) == pytest.approx(0.008, abs=5e-4)
