"""Two models on the same rows, by values worked by hand."""

from dataclasses import replace
from math import log

import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.evaluation.pairing import Pairs, compare
from modelworks.settings import Evaluation

SETTINGS = Evaluation(bootstrap_resamples=200)


def pairs(rows, count: int = 40) -> Pairs:
    frame = rows(count=count, flight=list(range(count))).assign(request_id=[f"r{number}" for number in range(count)])
    return Pairs(
        frame=frame,
        champion=np.full(count, 0.4),
        challenger=np.full(count, 0.4),
        labels=np.full(count, np.nan),
        errors=0,
        champion_s=0.04,
        challenger_s=0.08,
    )


def test_equal_models_differ_by_nothing(rows) -> None:
    found = compare(FLIGHTS.contract, pairs(rows), SETTINGS, seed=1)
    assert found.changed_decisions is not None
    assert found.difference is not None
    assert (found.changed_decisions.high, found.difference.high, found.gain) == (0, 0, None)
    assert (found.champion_ms, found.challenger_ms) == pytest.approx((1.0, 2.0))


def test_differences_and_changed_decisions_are_shares_and_means_of_rows(rows) -> None:
    given = pairs(rows)
    challenger = given.challenger.copy()
    challenger[:10] = 0.6
    found = compare(FLIGHTS.contract, replace(given, challenger=challenger), SETTINGS, seed=1)
    assert found.changed_decisions is not None
    assert found.difference is not None
    assert found.changed_decisions.value == 0.25
    assert found.difference.value == pytest.approx(0.05)
    assert found.changed_decisions.low < 0.25 < found.changed_decisions.high
    assert found.difference_quantiles == pytest.approx({"0.5": 0.0, "0.9": 0.2, "0.99": 0.2, "1.0": 0.2})


def test_gain_is_the_champions_loss_minus_the_challengers_once_for_each_key(rows) -> None:
    given = pairs(rows)
    labels = np.ones(40)
    labels[30:] = np.nan
    better = replace(given, labels=labels, challenger=np.full(40, 0.8))
    found = compare(FLIGHTS.contract, better, SETTINGS, seed=1)
    assert found.gain is not None
    assert found.labelled == 30
    assert found.gain.value == pytest.approx(log(0.8) - log(0.4))
    twice = replace(
        better, frame=pd.concat([given.frame[:20], given.frame[:20]], ignore_index=True), labels=np.ones(40)
    )
    assert compare(FLIGHTS.contract, twice, SETTINGS, seed=1).labelled == 20


def test_labels_of_few_days_are_not_judged(rows) -> None:
    given = pairs(rows, count=10)  # of three days
    found = compare(FLIGHTS.contract, replace(given, labels=np.ones(10)), SETTINGS, seed=1)
    assert (found.labelled, found.blocks, found.gain) == (10, 3, None)


def test_no_rows_have_no_figures(rows) -> None:
    given = pairs(rows)
    empty = np.array([])
    none = Pairs(given.frame[:0], empty, empty, empty, 7, 0.0, 0.0)
    found = compare(FLIGHTS.contract, none, SETTINGS, seed=1)
    assert (found.rows, found.errors, found.difference) == (0, 7, None)
