"""The baseline is of all training rows, or of the newest periods where these predict better on a rolling origin."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from modelworks.contract import Contract, binary, column, identifier, regression
from modelworks.evaluation.baseline import choose_baseline, compare_baselines
from modelworks.targets import Target

MONTHS = pd.date_range("2024-01-01", periods=8, freq="MS")


def contract_of(target: Target, time: str = "at") -> Contract:
    columns = [column("at", "datetime64[us]", "when"), identifier("id", "int64", "which")]
    return Contract(target=target, columns=columns, key=["id"], time=time)


PRICE = contract_of(regression("price", "what was paid"))
LATE = contract_of(binary("late", "whether it was late"))


def rows_of(name: str, *months: list[float]) -> pd.DataFrame:
    """A row for each value, month after month."""
    at = [pd.Timestamp(month) for month, values in zip(MONTHS, months, strict=False) for _ in values]
    values = [value for each in months for value in each]
    frame = pd.DataFrame({"at": pd.Series(at, dtype="datetime64[us]"), "id": np.arange(len(at)), name: values})
    return frame.astype({name: "float64"})


RISING = rows_of("price", [9.0, 11.0], [19.0, 21.0], [29.0, 31.0], [39.0, 41.0])


def test_losses_of_both_baselines_by_hand() -> None:
    found = compare_baselines(PRICE, RISING, 1, "month")
    # Newest fold first: 39 and 41 by the mean of the three months before, 20, and by that of the last of them, 30.
    variance = np.var([9, 11, 19, 21, 29, 31])
    assert found.all_rows.tolist() == pytest.approx([(19**2 + 21**2) / 2 / variance, (14**2 + 16**2) / 2 / 26])
    assert found.newest.tolist() == pytest.approx([(9**2 + 11**2) / 2 / variance, (9**2 + 11**2) / 2 / 26])
    assert found.is_level_moving


def test_baseline_follows_a_level_that_moves() -> None:
    found = choose_baseline(PRICE, RISING, 1, "month")
    assert (found.prediction, found.scale, found.rows) == ([40.0], 1.0, "the training rows of 2024-04")
    longer = pd.concat([RISING, rows_of("price", [], [], [], [], [49.0, 51.0], [59.0, 61.0], [69.0, 71.0])])
    found = choose_baseline(PRICE, longer, 2, "month")
    assert (found.prediction, found.rows) == ([65.0], "the training rows of 2024-06 to 2024-07")


def test_baseline_of_a_level_that_stays_is_of_all_rows() -> None:
    random = np.random.default_rng(0)
    months = [random.normal(10, 2, 50).tolist() for _ in range(8)]
    found = choose_baseline(PRICE, rows_of("price", *months), 1, "month")
    assert found.rows == "all training rows"
    assert found.prediction == [pytest.approx(np.mean(months))]
    assert not compare_baselines(PRICE, rows_of("price", *months), 1, "month").is_level_moving


def test_newest_periods_that_are_better_by_chance_only_are_not_taken() -> None:
    # The share of the months jumps up and down; in one of the folds the newest is far better.
    shares = [0.2, 0.28, 0.23, 0.27, 0.23, 0.35, 0.37, 0.27]
    months = [[1.0] * round(100 * each) + [0.0] * (100 - round(100 * each)) for each in shares]
    assert choose_baseline(LATE, rows_of("late", *months), 1, "month").rows == "all training rows"


def test_shares_of_classes_follow_their_level() -> None:
    shares = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75]
    months = [[1.0] * round(100 * each) + [0.0] * (100 - round(100 * each)) for each in shares]
    found = choose_baseline(LATE, rows_of("late", *months), 1, "month")
    assert (found.prediction, found.rows) == ([0.75], "the training rows of 2024-08")


@pytest.mark.parametrize(("holdout", "time"), [(1, "at"), (0, "")])
def test_of_few_periods_or_without_time_all_rows_are_taken(holdout: int, time: str) -> None:
    few = rows_of("price", [9.0, 11.0], [19.0, 21.0], [29.0, 31.0]) if time else RISING
    contract = contract_of(PRICE.target, time)
    found = choose_baseline(contract, few, holdout, "month")
    assert found == replace(contract.target.fit_baseline(few["price"].to_numpy()), rows="all training rows")


def test_periods_without_rows_are_no_periods() -> None:
    gap = rows_of("price", [9.0, 11.0], [19.0, 21.0], [], [], [29.0, 31.0], [39.0, 41.0])
    assert choose_baseline(PRICE, gap, 1, "month").rows == "the training rows of 2024-06"
