import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import schema
from {{ cookiecutter.__package_name }}.errors import ContractError
from {{ cookiecutter.__package_name }}.split import is_held_out, is_sampled, make_folds


@pytest.fixture
def month(rows) -> pd.DataFrame:
    """Flights of 29 days, three or four a day, in no order."""
    return rows(100).sample(frac=1, random_state=0, ignore_index=True)


def test_each_fold_learns_from_all_days_before_those_that_it_measures(month: pd.DataFrame) -> None:
    days = month[schema.TIME].dt.normalize()
    for fold in make_folds(month, 3):
        assert days[fold.learned].max() < days[fold.measured].min()
        assert set(fold.learned) == set(np.flatnonzero(days < days[fold.measured].min()))


def test_folds_measure_the_last_days_once_each(month: pd.DataFrame) -> None:
    folds = make_folds(month, 3)
    measured = np.concatenate([fold.measured for fold in folds])
    assert len(measured) == len(set(measured))
    days = month[schema.TIME].dt.normalize()
    assert days[folds[0].learned].nunique() == pytest.approx(2 / 5 * days.nunique(), abs=1)
    assert set(measured) == set(np.flatnonzero(days > days[folds[0].learned].max()))


def test_too_few_days_are_told_with_what_to_do(month: pd.DataFrame) -> None:
    few = month[month[schema.TIME].dt.day <= 4]
    with pytest.raises(ContractError, match=r"4 days in \d+ rows .* folds = 3: 5 are wanted; lower it to 2, set"):
        make_folds(few, 3)


@pytest.mark.parametrize("keys", [range(5000), [f"order {number}" for number in range(5000)]], ids=["numbers", "texts"])
def test_sample_of_rows_is_another_than_what_is_held_out(keys: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "KEY", ["key"])
    frame = pd.DataFrame({"key": keys})
    taken, held_out = is_sampled(frame, 0.2), is_held_out(frame, 0.2)
    assert taken.mean() == pytest.approx(0.2, abs=0.03)
    assert held_out[taken].mean() == pytest.approx(0.2, abs=0.05)
    np.testing.assert_array_equal(is_sampled(frame[1000:1100], 0.2), taken[1000:1100])
