"""Counts that are made batch by batch are those of all rows."""

import numpy as np
import pandas as pd
import pytest

from modelworks.contract import binary, multiclass, regression
from modelworks.explore.columns import find_kinds, name_category, to_shown, unit_of
from modelworks.explore.counts import ColumnCounts, TargetCounts, new_counts
from tables import NUMBER_WITH_TIME


def test_numbers_of_two_batches() -> None:
    column = ColumnCounts("number")
    column.add("2013-01", pd.Series([1.0, 2.0, None]))
    column.add("2013-02", pd.Series([6.0]))
    assert (column.known, column.n_missing, column.missing_share) == (3, 1, 0.25)
    assert column.missing == {"2013-01": 1, "2013-02": 0}
    assert (column.low, column.high, column.mean) == (1.0, 6.0, 3.0)
    assert column.deviation == pytest.approx(np.sqrt((4 + 1 + 9) / 3))
    assert column.frequencies == {1.0: 1, 2.0: 1, 6.0: 1}


def test_mean_and_deviation_do_not_depend_on_the_batches() -> None:
    numbers = pd.Series(np.random.default_rng(1).normal(1e6, 1, 1000))
    column = ColumnCounts("number")
    for start in range(0, 1000, 70):
        column.add("2013-01", numbers.iloc[start : start + 70])
    assert column.mean == pytest.approx(numbers.mean())
    assert column.deviation == pytest.approx(numbers.std(ddof=0), rel=1e-6)


def test_values_are_counted_up_to_a_number_of_them_and_rows_always() -> None:
    column = ColumnCounts("category", max_distinct=2)
    column.add("2013-01", pd.Series(["a", "b", "a"], dtype="str"))
    assert column.frequencies == {"a": 2, "b": 1}
    column.add("2013-01", pd.Series(["c"], dtype="str"))
    assert column.frequencies is None
    column.add("2013-01", pd.Series(["d"], dtype="str"))
    assert column.known == 5


@pytest.mark.parametrize(
    ("kind", "values", "is_constant"),
    [
        ("number", [2.0, 2.0, None], True),
        ("number", [2.0, 3.0], False),
        ("category", ["a", "a"], True),
        ("category", ["a", "b"], False),
        ("date", pd.to_datetime(["2013-01-01", "2013-01-01"]), True),
        ("number", [None], False),
    ],
)
def test_column_with_one_value_is_constant(kind: str, values: list[object], is_constant: bool) -> None:
    column = ColumnCounts(kind)
    column.add("2013-01", pd.Series(values, dtype="float64" if kind == "number" else None))
    assert column.is_constant == is_constant


GROUPS = ["2013-01-01", "2013-01-02"], np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("target", "encoded", "first", "second", "overall"),
    [
        (binary("y", "-"), [1, 0, 1, np.nan], [0.5], [1.0], [2 / 3]),
        (multiclass("y", "-", classes=["a", "b", "c"]), [0, 2, 2, np.nan], [0.5, 0, 0.5], [0, 0, 1], [1 / 3, 0, 2 / 3]),
        (regression("y", "-"), [10.0, 20.0, 60.0, np.nan], [15.0], [60.0], [30.0]),
    ],
)
def test_target_by_day_leaves_out_what_is_unknown(target, encoded, first, second, overall) -> None:
    counts = TargetCounts(target)
    counts.add(*GROUPS, np.array(encoded, "float64"))
    assert [row.tolist() for row in counts.means().values()] == [first, second]
    assert counts.mean() == pytest.approx(overall)
    assert counts.labelled == 3
    counts.add(["2013-01-01"], np.array([0, 0]), np.array([np.nan, encoded[0]]))
    assert counts.labelled == 4


def test_days_and_periods_without_a_label_have_no_mean() -> None:
    counts = TargetCounts(binary("y", "-"))
    counts.add(["2013-01"], np.zeros(2, "int64"), np.array([np.nan, np.nan]))
    assert (counts.means(), counts.labelled, counts.mean().tolist()) == ({}, 0, [0.0])


def test_table_counts_rows_by_period_and_the_target_by_day() -> None:
    frame = pd.DataFrame({
        "sold at": pd.to_datetime(["2024-01-03T01:00", "2024-01-03T23:00", "2024-01-05T00:00"]).astype(
            "datetime64[us]"
        ),
        "house": pd.Series(["a", "b", "c"], dtype="str"),
        "floor area": [1.0, 2.0, 3.0],
        "kind": pd.Series(["flat", "flat", "villa"], dtype="str"),
        "price": [1.0, 3.0, 8.0],
    })
    kinds = find_kinds(NUMBER_WITH_TIME, {"per area": "number"})
    assert list(kinds.values()) == ["date", "category", "number", "category", "number", "number"]
    counts = new_counts(NUMBER_WITH_TIME, kinds)
    counts.add("2024-01", to_shown(frame.assign(**{"per area": True}), kinds))
    counts.add("2024-02", to_shown(frame.assign(**{"per area": False}), kinds).head(0))
    assert (counts.rows, dict(counts.periods)) == (3, {"2024-01": 3, "2024-02": 0})
    assert {day: mean.tolist() for day, mean in counts.by_day.means().items()} == {"2024-01-03": [2], "2024-01-05": [8]}
    assert counts.columns["kind"].frequencies == {"flat": 2, "villa": 1}
    assert counts.columns["per area"].mean == 1
    assert (unit_of(NUMBER_WITH_TIME, "floor area"), unit_of(NUMBER_WITH_TIME, "per area")) == ("100 m2", "")


def test_documents_are_counted_by_their_length_and_size() -> None:
    frame = pd.DataFrame({"a": pd.Series(["four", None], dtype="str"), "b": pd.Series(["A" * 4000, None], dtype="str")})
    shown = to_shown(frame, {"a": "text", "b": "image"})
    assert shown["a"].iloc[0] == 4
    assert shown["b"].iloc[0] == 3  # kB: four digits of base64 are three bytes
    assert shown.iloc[1].isna().all()


def test_category_has_a_name_of_one_short_line() -> None:
    assert [name_category(each, 7) for each in ("a\nb", "", "12345678", 7)] == ["a b", "(empty)", "123456…", "7"]
