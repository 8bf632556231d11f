"""Roles by what the rows show: keys, groups, ids, ranges and columns that are missing with the target."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adopting import adopt
from modelworks.adopt.ranges import choose_range, grows_with_time


def make_table(rows: int = 600) -> pd.DataFrame:
    """One informative column and a target."""
    random = np.random.default_rng(7)
    x = random.random(rows).round(3)
    return pd.DataFrame({"x": x, "churned": (x + random.normal(0, 0.3, rows) > 0.5).astype(int)})


def with_days(table: pd.DataFrame) -> pd.DataFrame:
    table.insert(0, "day", pd.date_range("2022-01-01", periods=len(table)).strftime("%Y-%m-%d"))
    return table


def test_day_that_is_unique_is_the_key(project: Path) -> None:
    adopted = adopt(project, with_days(make_table()), "churned")
    assert (adopted.contract.time, adopted.contract.key) == ("day", ["day"])


def test_long_ids_are_a_key_or_a_group_by_how_often_each_stands_there(project: Path) -> None:
    first = 1_582_218_195_625_938_900
    adopted = adopt(project, make_table().assign(tweet_id=[first + 3 * at for at in range(600)]), "churned")
    assert adopted.contract.key == ["tweet_id"]
    assert adopted.rows()["tweet_id"].tolist()[1] == first + 3


def test_subjects_that_stand_twice_are_held_out_together_unless_somebody_says_otherwise(project: Path) -> None:
    table = make_table().assign(subject_id=[f"S{at % 450:05}" for at in range(600)])
    adopted = adopt(project, table, "churned")
    assert adopted.contract.group == "subject_id"
    assert "rows of one 'subject_id' are held out together, or not at all (450 in 600 rows)" in adopted.said
    none = adopt(project, table, "churned", group="none", force=True)
    assert none.contract.group == ""
    assert "row by row" in none.said


def test_count_is_no_group_because_of_its_name(project: Path) -> None:
    table = make_table()
    table = table.assign(open_accounts=(table["x"] * 25).astype(int), account=(table["x"] * 11).astype(int))
    adopted = adopt(project, table, "churned")
    assert adopted.contract.group == ""
    assert (adopted.roles["open_accounts"], adopted.roles["account"]) == ("feature", "feature")
    assert "'open_accounts' is taken as a quantity; --group 'open_accounts'" in adopted.said


def test_few_customers_are_a_group_if_something_of_them_stays_the_same(project: Path) -> None:
    customer = np.arange(600) % 20
    adopted = adopt(project, make_table().assign(customer=customer, age=20 + customer * 2), "churned")
    assert adopted.contract.group == "customer"
    assert "'age' is the same in all rows of one" in adopted.said


def test_ids_that_repeat_are_a_warning_with_the_option(project: Path) -> None:
    adopted = adopt(project, make_table().assign(store_id=np.arange(600) % 100 + 1), "churned")
    assert adopted.contract.group == ""
    assert "'store_id': 100 different ids, each in 6.0 rows" in adopted.said
    assert "--group 'store_id'" in adopted.said


def test_codes_that_mostly_differ_are_no_categories(project: Path) -> None:
    table = make_table().assign(
        flight=[f"PAL{1000 + at % 258}" for at in range(600)], plane=[f"P{min(at, 5)}" for at in range(600)]
    )
    adopted = adopt(project, table, "churned")
    assert adopted.roles["flight"] == "unused"
    assert "'flight': 43% of its texts differ, which are no categories; not used; --feature keeps it" in adopted.said
    # Five of the planes flew once, so a later file will have others.
    assert adopted.roles["plane"] == "feature"
    assert 'unseen_categories = "as_missing"' in (project / "pipeline.toml").read_text()


def test_column_that_grows_with_time_has_an_open_range(project: Path) -> None:
    table = with_days(make_table()).assign(serial=1000 + np.arange(600))
    adopted = adopt(project, table, "churned")
    assert adopted.contract.columns["serial"].rules == ()
    assert "'serial' grows or falls with time, so later values are outside: its range is not checked" in adopted.said
    assert adopted.contract.columns["x"].rules


@pytest.mark.parametrize(
    ("name", "low", "high", "expected"),
    [
        ("flag", 0, 0, None),
        ("month", 1, 12, (1, 12)),
        ("Month", 3, 5, (1, 12)),
        ("hour", 0, 23, (0, 24)),
        ("month", 1, 13, (0, 19)),
        ("rating", 1, 5, (0, 7)),
        ("serial", 1000, 2199, (400, 2800)),
        ("balance", -7, 12, (-17, 22)),
    ],
)
def test_ranges_of_whole_numbers(name: str, low: float, high: float, expected: tuple[float, float] | None) -> None:
    assert choose_range(name, low, high, is_whole=True) == expected


def test_growth_is_of_nearly_all_rows() -> None:
    time = pd.Series(pd.date_range("2024-01-01", periods=100))
    random = np.random.default_rng(3)
    steps = pd.Series(np.arange(100.0))
    assert grows_with_time(steps, time)
    assert grows_with_time(-steps.where(steps != 5), time)
    assert not grows_with_time(pd.Series(random.random(100)), time)
    assert not grows_with_time(steps + random.normal(0, 50, 100), time)
    assert not grows_with_time(pd.Series(np.repeat([0.0, 1.0], 50)), time)


def test_column_that_is_missing_with_the_target_arrives_with_it(project: Path) -> None:
    table = with_days(make_table()).drop(columns="churned")
    random = np.random.default_rng(5)
    lost = table["x"] > 0.97
    table = table.assign(
        air_time=random.integers(60, 150, 600).astype(float),
        delay=(20 * table["x"] + random.normal(0, 9, 600)).round(1),
    )
    table.loc[lost, ["air_time", "delay"]] = np.nan
    adopted = adopt(project, table, "delay")
    assert adopted.roles["air_time"] == "outcome"
    assert "'air_time' is missing in the same rows as 'delay', so the two arrive together" in adopted.said
    assert "alone predicts" not in adopted.said
    kept = adopt(project, table, "delay", features=["air_time"], force=True)
    assert kept.roles["air_time"] == "feature"


def test_only_feature_stays_although_it_is_suspicious(project: Path) -> None:
    table = make_table().drop(columns="churned")
    adopted = adopt(project, table.assign(amount=9000 * table["x"]), "amount")
    assert adopted.roles["x"] == "feature"
    assert "'x' alone predicts the target (1.000), and stays, since no other feature is left" in adopted.said
