"""What looks suspicious is named with its reason, and what is usual is not."""

import numpy as np
import pandas as pd
import pytest

from modelworks.contract import Contract, binary, column, identifier, multiclass, outcome
from modelworks.explore.columns import add_time_parts, find_kinds, to_shown
from modelworks.explore.counts import new_counts
from modelworks.explore.relations import Relation, features_of
from modelworks.explore.suspects import Suspicion, find_suspects

ROWS = 200
RANDOM = np.random.default_rng(5)
TIMES = pd.date_range("2024-01-01", periods=ROWS, freq="h").astype("datetime64[us]")


def suspects(
    dtype: str, values: object, target: object = None, relations: list[Relation] | None = None, **periods: slice
) -> list[Suspicion]:
    """What is found in a table whose feature `x` has these values."""
    contract = Contract(
        target=binary("y", "-"),
        time="at",
        key=["id"],
        columns=[
            identifier("id", "int64", "-"),
            column("at", "datetime64[us]", "-"),
            column("x", dtype, "-", nullable=True),
            outcome("later", "float64", "-"),
        ],
    )
    usual = np.tile([0.0, 1.0], ROWS // 2)
    frame = pd.DataFrame({"id": range(ROWS), "at": TIMES, "later": 0.0, "y": usual if target is None else target})
    return found_in(contract, frame.assign(x=pd.Series(values, dtype=dtype)), relations or [], periods)


def found_in(
    contract: Contract, frame: pd.DataFrame, relations: list[Relation], periods: dict[str, slice]
) -> list[Suspicion]:
    kinds = find_kinds(contract, {})
    counts, shown = new_counts(contract, kinds), to_shown(frame, kinds)
    for period, rows in (periods or {"2024-01": slice(None)}).items():
        counts.add(period, shown.iloc[rows])
    sample = add_time_parts(contract, shown)
    return find_suspects(contract, counts, sample, features_of(contract, kinds, sample), relations, 0.25)


def test_usual_column_is_not_suspicious() -> None:
    assert suspects("float64", RANDOM.random(ROWS)) == []
    assert suspects("str", RANDOM.choice([*"abc"], ROWS)) == []
    assert suspects("int64", RANDOM.integers(0, 9, ROWS)) == []


@pytest.mark.parametrize(
    ("dtype", "values", "found"),
    [
        ("float64", [None] * ROWS, "has no value in any row"),
        ("float64", [1.0] * ROWS, "has one value only"),
        ("str", ["a"] * (ROWS - 1) + [None], "has one value only, or none"),
        ("float64", [0.0] * (ROWS - 2) + [1.0, 2.0], "has the same value in 99.0% of the rows that have one"),
        ("str", ["a"] * (ROWS - 1) + ["b"], "has the same value in 99.5% of the rows that have one"),
        ("float64", [None] * 100 + list(range(100, 110)) * 10, "is missing in 50% of the rows"),
        ("int64", range(ROWS), "is different in every row"),
        ("str", [f"name {at}" for at in range(ROWS)], "is different in every row"),
        ("datetime64[us]", TIMES + pd.Timedelta("1h"), "lies after at in 100% of the rows"),
    ],
)
def test_suspicious_values(dtype: str, values: object, found: str) -> None:
    [suspicion] = suspects(dtype, values)
    assert (suspicion.column, suspicion.found) == ("x", found)
    assert suspicion.advice


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("float64", [0.0] * (ROWS - 3) + [1.0, 2.0, 3.0]),  # 98.5 %
        ("float64", [None] * 99 + [1.0, 2.0, 3.0] * 33 + [1.0, 2.0]),
        ("float64", np.arange(ROWS) + 0.5),  # measured numbers may all differ
        ("datetime64[us]", TIMES),
    ],
)
def test_nearly_suspicious_values(dtype: str, values: object) -> None:
    assert suspects(dtype, values) == []


@pytest.mark.parametrize(
    ("alone", "found"),
    [
        (0.99, ["alone predicts the target nearly perfectly: ROC-AUC 0.990"]),
        (0.85, ["alone predicts the target well: ROC-AUC 0.850"]),
        (0.79, []),
    ],
)
def test_column_that_predicts_too_well(alone: float, found: list[str]) -> None:
    named = suspects("float64", RANDOM.random(ROWS), relations=[Relation("x", alone, 0.5)])
    assert [each.found for each in named] == found


def test_column_that_arrives_with_the_target() -> None:
    target = np.where(np.arange(ROWS) % 5 == 0, np.nan, np.arange(ROWS) % 2)
    together = suspects("float64", np.where(np.isnan(target), np.nan, RANDOM.random(ROWS)), target)
    assert [each.found for each in together] == ["is missing exactly where the target is"]
    assert suspects("float64", np.where(np.arange(ROWS) % 7 == 0, np.nan, RANDOM.random(ROWS)), target) == []


def test_missing_values_that_jump() -> None:
    values = [*RANDOM.random(100), *[None] * 40, *RANDOM.random(60)]
    [jump] = suspects("float64", values, **{"2024-01": slice(0, 100), "2024-02": slice(100, 200)})
    assert jump.found == "is missing in 0% of 2024-01, and in 40% of 2024-02"
    assert suspects("float64", values, **{"2024-01": slice(0, 200)}) == []


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ([None] * ROWS, "has no value in any row"),
        ([1.0] * ROWS, "has one value only"),
        ([1.0] + [0.0] * (ROWS - 1), "has rare classes: 1 0.50%"),
        ([0.0, 1.0] * 50 + [None] * 100, "is missing in 50% of the rows"),
    ],
)
def test_suspicious_target(target: list[float | None], found: str) -> None:
    [suspicion] = suspects("float64", RANDOM.random(ROWS), pd.Series(target, dtype="float64"))
    assert (suspicion.column, suspicion.found) == ("y", found)


def test_class_without_a_row_is_rare() -> None:
    contract = Contract(
        target=multiclass("y", "-", classes=["a", "b", "c"]),
        key=["id"],
        columns=[identifier("id", "int64", "-"), column("x", "float64", "-")],
    )
    target = pd.Series(["a", "b"] * 100, dtype="str")
    [suspicion] = found_in(contract, pd.DataFrame({"id": range(ROWS), "x": RANDOM.random(ROWS), "y": target}), [], {})
    assert suspicion.found == "has rare classes: c 0.00%"
