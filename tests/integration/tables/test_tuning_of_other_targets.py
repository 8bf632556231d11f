"""Tuning under other contracts: many classes without time, numbers with time, groups of rows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.contract import Contract
from modelworks.data import splits
from modelworks.errors import ContractError
from modelworks.models.tuning import folds, plots, report
from modelworks.models.tuning.choice import choose
from modelworks.models.tuning.trial import Trial
from modelworks.models.tuning.tune import tune_model_type
from modelworks.project import Project
from modelworks.settings import Model, Training, Tuning
from tables import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP, make_rows, project_of

TUNING = Tuning(trials=3)
SMALL = Model(parameters={"max_iter": 20, "min_samples_leaf": 5})
MODEL_TYPES = ("boosting", "blend", "forest", "linear")


def tune(project: Project, rows: folds.FoldedRows, model_types: Sequence[str]) -> list[Trial]:
    return [
        trial
        for model_type in model_types
        for trial in tune_model_type(project, rows, model_type, SMALL, Training(), TUNING, [], lambda _: None)
    ]


@pytest.mark.parametrize("contract", [CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME], ids=["classes", "numbers"])
def test_every_model_type_is_better_than_the_baseline(contract: Contract) -> None:
    project = replace(project_of(contract), model_types=FLIGHTS.model_types)
    rows = folds.arrange(project, make_rows(contract, 400), TUNING, Training(), "month")
    baseline = folds.measure_baseline(project, rows)
    found = tune(project, rows, MODEL_TYPES)
    assert [trial.error for trial in found] == [""] * 12
    for model_type in MODEL_TYPES:
        assert min(trial.loss for trial in found if trial.model_type == model_type) < baseline / 1.2
    choice = choose(project, found, found[0], TUNING, seed=1)
    text = report.leaderboard(project, found, found[0], baseline, choice)
    assert choice.summary in text
    assert contract.target.loss_name in text
    assert plots.plot_tuning(project, found, found[0], baseline, seed=1).keys() >= {"tuning_history.png"}


@pytest.mark.parametrize("contract", [TWO_TEXTS_BY_GROUP, CLASSES_WITHOUT_TIME], ids=["groups", "rows without time"])
def test_folds_separate_no_rows_that_belong_together(contract: Contract) -> None:
    frame = make_rows(contract, 400)
    if contract.group:
        frame = frame.assign(**{contract.group: np.repeat(np.arange(40), 10)})
    found = splits.make_folds(contract, frame, 3)
    units = frame[contract.group or contract.key[0]]
    for fold in found:
        assert set(units.iloc[fold.train]).isdisjoint(units.iloc[fold.test])
        assert len(fold.train) + len(fold.test) == len(frame)
    assert sorted(np.concatenate([fold.test for fold in found]).tolist()) == list(range(len(frame)))


def test_too_few_groups_are_reported() -> None:
    one_patient: pd.DataFrame = make_rows(TWO_TEXTS_BY_GROUP, 40).assign(patient=1)
    with pytest.raises(ContractError, match=r"1 blocks by patient in 40 .* too few"):
        splits.make_folds(TWO_TEXTS_BY_GROUP, one_patient, 3)
