"""Further files after the first: rows that were there before are known again, and the source moves on."""

import io
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from adopting import adopt, commit
from modelworks.adopt import import_file
from modelworks.adopt.seen_rows import SeenRows
from modelworks.errors import AdoptionError

PERIOD = "2031-05"


def plain(rows: int, seed: int = 7) -> pd.DataFrame:
    """Rows without a time and without a key."""
    random = np.random.default_rng(seed)
    x = random.random(rows).round(3)
    churned = (x + random.normal(0, 0.3, rows) > 0.5).astype("int64")
    return pd.DataFrame({"x": x, "y": np.arange(rows) % 9, "churned": churned})


def timed(start: str, end: str, seed: int = 7) -> pd.DataFrame:
    """Rows with a time and a number of their own, one every six hours."""
    at = pd.date_range(start, end, freq="6h", inclusive="left")
    frame = plain(len(at), seed).assign(at=at.astype("str"))
    return frame.assign(order_id=[f"o{each:%Y%m%d%H}" for each in at])


def bring(project: Path, frame: pd.DataFrame, period: str | None = None, *, replace: bool = False) -> str:
    """Import a table; returns what is said."""
    file, output = project / "var" / "delivery.csv", io.StringIO()
    frame.to_csv(file, index=False)
    import_file(project, str(file), period, replace, Console(file=output, width=300))
    return output.getvalue()


def last_of(project: Path) -> str:
    return str(tomllib.loads((project / "pipeline.toml").read_text())["source"]["last"])


def files_of(project: Path) -> dict[str, int]:
    found = sorted((project / "data").glob("*.parquet"))
    return {file.stem.removeprefix("table-"): pq.read_metadata(file).num_rows for file in found}


def test_rows_of_the_first_file_make_nothing_new(project: Path) -> None:
    first = plain(344)
    adopt(project, first, "churned")
    before, files = (project / "pipeline.toml").read_bytes(), files_of(project)
    said = bring(project, first.head(120), PERIOD)
    assert "120 rows seen before, by all of their values: left out" in said
    assert "nothing new: no file is written" in said
    assert files_of(project) == files
    assert (project / "pipeline.toml").read_bytes() == before


def test_new_rows_of_a_delivery_are_kept_and_the_source_ends_with_them(project: Path) -> None:
    first, more = plain(344), plain(90, seed=8).assign(y=10)  # unlike any row of the first
    adopt(project, first, "churned")
    said = bring(project, pd.concat([first.head(120), more]), PERIOD)
    assert "120 rows seen before" in said
    assert f"90 new rows: table-{PERIOD}.parquet" in said
    rows = pd.read_parquet(project / "data" / f"table-{PERIOD}.parquet")
    assert rows["x"].tolist() == more["x"].tolist()
    assert rows["row_number"].min() > 344, "numbers of rows go on, since they are the key"
    assert last_of(project) == PERIOD
    assert f"[source] last is {PERIOD} now" in said


def test_row_counts_as_seen_as_often_as_it_was_there(project: Path) -> None:
    file = project / "seen.parquet"
    table = pa.table({"x": [1, 1, 2, None]})
    pq.write_table(table, file)
    seen = SeenRows([file], [], ["x"])
    assert seen.find(pa.table({"x": [1, 3, 1]})).tolist() == [True, False, True]
    assert seen.find(pa.table({"x": pa.array([1, 2, None, None], pa.int64())})).tolist() == [False, True, True, False]
    assert seen.rows == 4


def test_rows_are_known_again_by_their_key_and_changed_ones_are_counted(project: Path) -> None:
    adopt(project, timed("2024-01-01", "2024-06-01"), "churned", key=["order_id"])
    overlapping = timed("2024-05-20", "2024-07-01", seed=9)
    said = bring(project, overlapping)
    assert "48 rows seen before, by order_id: left out" in said
    assert "of them with other values, which --replace takes" in said
    assert "120 new rows: table-2024-06.parquet" in said
    assert files_of(project)["2024-05"] == 124
    assert last_of(project) == "2024-06"
    assert "nothing new" in bring(project, overlapping)


def test_late_rows_are_added_to_their_period_and_said_to_want_a_refresh(project: Path) -> None:
    table = timed("2024-01-01", "2024-06-01")
    late = table["order_id"].isin(["o2024030206", "o2024030212"])
    adopt(project, table[~late], "churned", key=["order_id"])
    said = bring(project, table)
    assert "2 new rows: table-2024-03.parquet" in said
    assert "2024-03: changed since it was ingested, perhaps; `make run ARGS=--refresh` takes the new rows" in said
    assert files_of(project)["2024-03"] == 124
    assert last_of(project) == "2024-05"


def test_stub_of_a_period_is_completed_by_a_delivery(project: Path) -> None:
    adopt(project, timed("2024-01-01", "2024-06-03"), "churned", key=["order_id"])
    assert last_of(project) == "2024-05"
    said = bring(project, timed("2024-06-01", "2024-06-10"))
    assert "2024-06 is not complete, so it is not used yet" in said
    assert last_of(project) == "2024-05"
    bring(project, timed("2024-06-01", "2024-07-01"))
    assert (files_of(project)["2024-06"], last_of(project)) == (120, "2024-06")


def test_delivery_after_a_gap_and_one_of_the_future(project: Path) -> None:
    adopt(project, timed("2024-01-01", "2024-06-01"), "churned", key=["order_id"])
    said = bring(project, timed("2024-08-01", "2024-09-01"))
    assert "no rows in 2024-06, 2024-07: [source] gaps is true now" in said
    assert tomllib.loads((project / "pipeline.toml").read_text())["source"]["gaps"] is True
    said = bring(project, timed("2094-08-01", "2094-09-01"))
    assert "2094-08: rows of the future are converted, and not used" in said
    assert last_of(project) == "2024-08"


def test_source_that_is_open_stays_open(project: Path) -> None:
    adopt(project, timed("2024-01-01", "2024-06-01"), "churned", key=["order_id"])
    text = (project / "pipeline.toml").read_text().replace('last = "2024-05"', 'last = ""       ')
    (project / "pipeline.toml").write_text(text)
    commit(project)
    bring(project, timed("2024-06-01", "2024-07-01"))
    assert last_of(project) == ""
    assert files_of(project)["2024-06"] == 120


def test_replaced_period_has_the_rows_of_the_delivery_alone(project: Path) -> None:
    adopt(project, timed("2024-01-01", "2024-06-01"), "churned", key=["order_id"])
    bring(project, timed("2024-05-01", "2024-05-11", seed=9), replace=True)
    assert files_of(project)["2024-05"] == 40


def test_period_of_a_delivery_is_asked_for_in_its_form(project: Path) -> None:
    adopt(project, plain(344), "churned", period="quarter")
    with pytest.raises(AdoptionError, match=r"say by --period in which quarter the file came, such as 2024-Q1"):
        bring(project, plain(10, seed=8), "2031-05")
    bring(project, plain(10, seed=8), "2031-Q2")
    assert files_of(project)["2031-Q2"] == 10
