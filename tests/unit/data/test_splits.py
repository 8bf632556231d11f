import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.contract import Contract, binary, column, identifier
from modelworks.data.splits import choose_rows, is_held_out, is_sampled, make_folds, select
from modelworks.errors import ContractError
from modelworks.settings import Training


@pytest.fixture
def period(rows) -> pd.DataFrame:
    """Flights of 29 days, three or four a day, in no order."""
    return rows(100).sample(frac=1, random_state=0, ignore_index=True)


def test_each_fold_learns_from_all_days_before_those_that_it_measures(period: pd.DataFrame) -> None:
    days = period[FLIGHTS.contract.time].dt.normalize()
    for fold in make_folds(FLIGHTS.contract, period, 3):
        assert days[fold.train].max() < days[fold.test].min()
        assert set(fold.train) == set(np.flatnonzero(days < days[fold.test].min()))


def test_folds_measure_the_last_days_once_each(period: pd.DataFrame) -> None:
    folds = make_folds(FLIGHTS.contract, period, 3)
    measured = np.concatenate([fold.test for fold in folds])
    assert len(measured) == len(set(measured))
    days = period[FLIGHTS.contract.time].dt.normalize()
    assert days[folds[0].train].nunique() == pytest.approx(2 / 5 * days.nunique(), abs=1)
    assert set(measured) == set(np.flatnonzero(days > days[folds[0].train].max()))


def test_too_few_days_are_refused_with_the_remedy(period: pd.DataFrame) -> None:
    few = period[period[FLIGHTS.contract.time].dt.day <= 4]
    with pytest.raises(
        ContractError, match=r"4 days in 13 training rows .* folds = 3: 5 are wanted; lower it to 2, set"
    ):
        make_folds(FLIGHTS.contract, few, 3)


@pytest.mark.parametrize("keys", [range(5000), [f"order {number}" for number in range(5000)]], ids=["numbers", "texts"])
def test_sample_of_rows_is_another_than_what_is_held_out(keys: list) -> None:
    contract = Contract(
        target=binary("late", "whether it came late"),
        columns=[identifier("key", "str", "order"), column("weight", "float64", "of the parcel", unit="kg")],
        key=["key"],
    )
    frame = pd.DataFrame({"key": keys})
    taken, held_out = is_sampled(contract, frame, 0.2), is_held_out(contract, frame, 0.2)
    assert taken.mean() == pytest.approx(0.2, abs=0.03)
    assert held_out[taken].mean() == pytest.approx(0.2, abs=0.05)
    np.testing.assert_array_equal(is_sampled(contract, frame[1000:1100], 0.2), taken[1000:1100])


@pytest.mark.parametrize("max_rows", [0, 500])
def test_each_labelled_row_is_held_out_or_trained_on_and_none_is_both(max_rows: int) -> None:
    contract = Contract(
        target=binary("late", "whether it came late"),
        columns=[identifier("key", "int64", "order"), column("weight", "float64", "of the parcel", unit="kg")],
        key=["key"],
    )
    frame = pd.DataFrame({"key": range(1000), "late": [1.0, 0.0, None, 1.0] * 250})
    training = Training(holdout=0.3, max_rows=max_rows)
    found = {
        each: select(contract, frame, choose_rows(contract, training, 1000, held_out=each)) for each in (True, False)
    }
    everything, unlabelled = select(contract, frame, choose_rows(contract, training, 1000, held_out=None))
    assert not (found[True][0] & found[False][0]).any()
    np.testing.assert_array_equal(found[True][0] | found[False][0], everything)
    assert found[True][1] + found[False][1] == unlabelled
    labelled = frame["late"].notna().to_numpy()
    np.testing.assert_array_equal(found[True][0][labelled], (is_held_out(contract, frame, 0.3) & everything)[labelled])
    assert everything.sum() == (750 if max_rows == 0 else pytest.approx(375, abs=60))
