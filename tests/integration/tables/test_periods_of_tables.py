"""What a period of an adopted table is, and which of its periods are held out."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adopting import Adopted, adopt
from modelworks.adopt.splitting import Split, choose_frequency, choose_split
from modelworks.adopt.statistics import ColumnStatistics
from modelworks.calendar import Frequency
from modelworks.errors import AdoptionError
from modelworks.settings import load_settings


def churn(days: pd.DatetimeIndex, seed: int = 7) -> pd.DataFrame:
    """Rows of these days; one number predicts the target, with noise."""
    random = np.random.default_rng(seed)
    x = random.random(len(days)).round(3)
    churned = (x + random.normal(0, 0.3, len(days)) > 0.5).astype("int64")
    return pd.DataFrame({"day": days.astype("str"), "x": x, "churned": churned})


def quarters() -> pd.DataFrame:
    """Eight rows at the end of each quarter of 24 years."""
    random = np.random.default_rng(7)
    ends = [f"{2000 + at // 4}-{3 * (at % 4) + 3:02}-28" for at in range(96)]
    frame = pd.DataFrame({"quarter_end": np.repeat(ends, 8), "x": random.random(768).round(3), "y": [*range(8)] * 96})
    return frame.assign(growth=(0.02 * np.repeat(np.arange(96), 8) + frame["x"]).round(3))


def settings_of(adopted: Adopted) -> dict:
    return tomllib.loads((adopted.folder / "pipeline.toml").read_text())


def statistics_of(rows: dict[str, int], ends: dict[str, str] | None = None) -> ColumnStatistics:
    found = {period: pd.Timestamp(end) for period, end in (ends or {}).items()}
    return ColumnStatistics(rows=sum(rows.values()), periods=rows, ends=found)


@pytest.mark.parametrize(
    ("times", "frequency", "why"),
    [
        (pd.date_range("2022-01-01", periods=1200), "month", "there are 40 months"),
        (pd.date_range("2000-03-28", periods=96, freq="MS").repeat(2), "month", "96 months"),
        (pd.date_range("2000-03-31", periods=40, freq="QE"), "quarter", "one date in each quarter"),
        (pd.to_datetime([f"2001-{month:02}-28" for month in (3, 6, 9, 12)] * 5), "quarter", "one date in each quarter"),
        (pd.date_range("1980-01-01", periods=40, freq="YS"), "year", "one date in each year"),
        (pd.date_range("2015-01-31", periods=100, freq="ME"), "month", "100 months"),
        (pd.date_range("2020-01-06", periods=150, freq="7D"), "month", "35 months"),
        (pd.date_range("2024-01-08", periods=8, freq="7D").repeat(9), "week", "8 weeks, and too few months"),
        (pd.date_range("2024-01-08", periods=500, freq="2h"), "week", "6 weeks, and too few months"),
        (pd.date_range("2024-01-08", periods=400, freq="1h"), "day", "3 weeks only"),
        (pd.date_range("1990-01-01", periods=600, freq="17D"), "quarter", "with few rows in each"),
        (pd.date_range("1990-01-01", periods=150, freq="70D"), "year", "with few rows in each"),
    ],
)
def test_period_is_chosen_by_the_times(times: pd.DatetimeIndex, frequency: Frequency, why: str) -> None:
    found, reason = choose_frequency(pd.Series(times))
    assert (found, why in reason) == (frequency, True), reason


def test_gaps_are_no_reason_to_split_by_rows() -> None:
    split, [warning] = choose_split(statistics_of({"2024-01": 400, "2024-03": 400, "2024-06": 400}), "2026-01")
    assert split == Split("time", "2024-01", "2024-06", 400, 1, gaps=True)
    assert warning == "3 months without rows from 2024-01 to 2024-06: [source] gaps is true"
    split, [warning] = choose_split(statistics_of({"2024-Q1": 400, "2024-Q3": 400}), "2026-01")
    assert (split.kind, split.gaps, warning.partition(" without")[0]) == ("time", True, "1 quarter")


@pytest.mark.parametrize(
    ("rows", "first", "last", "warning"),
    [
        ({"1970-01": 1, "2024-01": 400, "2024-02": 400}, "2024-01", "2024-02", "1 row of 1970-01 to 1970-01"),
        ({"2024-01": 400, "2024-02": 400, "2099-01": 2}, "2024-01", "2024-02", "2 rows of 2099-01 and later"),
        ({"2014-01": 400, "2024-01": 400, "2024-02": 400}, "2014-01", "2024-02", "119 months without rows"),
    ],
)
def test_few_rows_far_from_all_others_are_not_used(rows: dict[str, int], first: str, last: str, warning: str) -> None:
    split, warnings = choose_split(statistics_of(rows), "2026-01")
    assert (split.first, split.last) == (first, last)
    assert warnings[0].startswith(warning) or warning in warnings[0]


FULL = {"2024-01": "2024-01-31", "2024-02": "2024-02-29", "2024-03": "2024-03-30"}


@pytest.mark.parametrize(
    ("rows", "end", "last"),
    [
        (20, "2024-04-02", "2024-03"),  # a stub of two days
        (300, "2024-04-02", "2024-04"),  # as many rows as ever
        (20, "2024-04-29", "2024-04"),  # few rows, but to its end
    ],
)
def test_period_that_has_only_begun_is_not_held_out(rows: int, end: str, last: str) -> None:
    statistics = statistics_of({**dict.fromkeys(FULL, 300), "2024-04": rows}, {**FULL, "2024-04": end})
    split, warnings = choose_split(statistics, "2026-01")
    assert split.last == last
    assert [each for each in warnings if "is not complete" in each] == (
        []
        if last == "2024-04"
        else [
            "2024-04 is not complete: it has 20 rows, up to 2024-04-02; [source] last is 2024-03, and `import` of its "
            "other rows completes it"
        ]
    )


def test_quarter_dates_are_quarters_and_the_newest_are_held_out(project: Path) -> None:
    adopted = adopt(project, quarters(), "growth")
    settings = settings_of(adopted)
    source = {name: settings["source"].get(name) for name in ("period", "first", "last", "gaps")}
    assert source == {"period": "quarter", "first": "2000-Q1", "last": "2023-Q4", "gaps": None}
    assert settings["schedule"]["cron"] == "0 0 1 1,4,7,10 *"
    assert "Period     quarter, since there is one date in each quarter; another one by --period" in adopted.said
    assert "evaluated on the newest 15 periods up to 2023-Q4" in adopted.said
    assert (project / "data" / "table-2023-Q4.parquet").is_file()
    assert "not by time" not in adopted.said


def test_months_without_rows_do_not_hinder_a_split_by_time(project: Path) -> None:
    days = pd.date_range("2022-01-01", periods=1400)
    adopted = adopt(project, churn(days[(days < "2023-02-01") | (days > "2023-06-30")]), "churned")
    source = settings_of(adopted)["source"]
    assert (source["first"], source["last"], source["gaps"]) == ("2022-01", "2025-10", True)
    assert "5 months without rows" in adopted.said
    assert "by time: models are trained from 2022-01 on" in adopted.said


def test_period_may_be_named(project: Path) -> None:
    adopted = adopt(project, churn(pd.date_range("2024-01-01", periods=600, freq="7h")), "churned", period="week")
    settings = settings_of(adopted)
    assert (settings["source"]["period"], settings["source"]["first"]) == ("week", "2024-W01")
    assert settings["retraining"]["every_periods"] == 4
    assert "Period     week, as --period says" in adopted.said


def test_stub_of_a_period_is_converted_and_not_used(project: Path) -> None:
    adopted = adopt(project, churn(pd.date_range("2024-01-01", "2024-06-02 23:00", freq="6h")), "churned")
    assert settings_of(adopted)["source"]["last"] == "2024-05"
    assert "2024-06 is not complete: it has 8 rows" in adopted.said
    assert (project / "data" / "table-2024-06.parquet").is_file()
    assert load_settings(project).validation.max_row_count_change == 0.5  # the stub would need far more


def test_time_that_is_named_and_cannot_be_honoured_is_refused(project: Path) -> None:
    one_day = churn(pd.DatetimeIndex(["2024-05-05"] * 400))
    assert (
        "all rows are of 2024-05-05: with one period there is no split by time"
        in adopt(project, one_day, "churned").said
    )
    with pytest.raises(AdoptionError, match=r"--time day: no period can be held out by it: all rows are of 2024-05-05"):
        adopt(project, one_day, "churned", time=["day"], force=True)
