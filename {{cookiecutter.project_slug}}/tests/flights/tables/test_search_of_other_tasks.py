"""The search under other contracts: many classes without time, numbers with time, groups of rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import schema, split, task
from {{ cookiecutter.__package_name }}.automl import report, trials
from {{ cookiecutter.__package_name }}.automl.choice import choose
from {{ cookiecutter.__package_name }}.config import Model, Search, Training
from {{ cookiecutter.__package_name }}.errors import ContractError

from other_contract import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP, make_rows, run_under

SEARCH = Search(trials=3)
SMALL = Model(max_iter=20, min_samples_leaf=5)


def search(rows: trials.Rows) -> list[trials.Trial]:
    return [
        trial
        for family in ("boosting", "blend", "forest", "linear")
        for trial in trials.search_family(
            rows, trials.default_model(family, SMALL), Training(), SEARCH, [], lambda _: None
        )
    ]


def check_every_family_is_better_than_the_baseline() -> None:
    frame = make_rows(400)
    rows = trials.arrange(frame, SEARCH)
    baseline = trials.measure_baseline(rows, task.code(frame[schema.TARGET]))
    found = search(rows)
    assert [trial.error for trial in found] == [""] * 12
    for family in ("boosting", "blend", "forest", "linear"):
        assert min(trial.loss for trial in found if trial.family == family) < baseline / 1.2
    choice = choose(found, found[0], SEARCH, seed=1)
    told = report.leaderboard(found, found[0], baseline, choice)
    assert choice.in_short in told
    assert task.LOSS_NAME in told
    assert report.draw_search(found, found[0], baseline, seed=1).keys() >= {"search_history.png"}


def check_folds_tear_nothing_apart() -> None:
    frame = make_rows(400)
    if schema.GROUP:
        frame = frame.assign(**{schema.GROUP: np.repeat(np.arange(40), 10)})
    folds = split.make_folds(frame, 3)
    units = frame[schema.GROUP or schema.KEY[0]]
    for fold in folds:
        assert set(units.iloc[fold.learned]).isdisjoint(units.iloc[fold.measured])
        assert len(fold.learned) + len(fold.measured) == len(frame)
    assert sorted(np.concatenate([fold.measured for fold in folds]).tolist()) == list(range(len(frame)))


def check_too_few_groups_are_told() -> None:
    frame = make_rows(40)
    one_patient: pd.DataFrame = frame.assign(**{schema.GROUP: 1})
    with pytest.raises(ContractError, match="1 blocks by patient in 40 rows of training are too few"):
        split.make_folds(one_patient, 3)


@pytest.mark.parametrize("contract", [CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME], ids=["classes", "numbers"])
def test_search_is_the_same_for_other_targets(contract: str, tmp_path: Path) -> None:
    run_under(contract, tmp_path, check_every_family_is_better_than_the_baseline)


def test_rows_of_a_group_are_in_one_fold(tmp_path: Path) -> None:
    run_under(TWO_TEXTS_BY_GROUP, tmp_path, check_folds_tear_nothing_apart, check_too_few_groups_are_told)


def test_rows_without_time_are_measured_once(tmp_path: Path) -> None:
    run_under(CLASSES_WITHOUT_TIME, tmp_path, check_folds_tear_nothing_apart)
