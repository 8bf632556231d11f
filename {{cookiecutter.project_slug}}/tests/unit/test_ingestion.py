import gzip
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import contract
from {{ cookiecutter.__package_name }}.config import Source
from {{ cookiecutter.__package_name }}.errors import ContractError, PipelineError, SourceError
from {{ cookiecutter.__package_name }}.ingestion import (
    ValueNotParsedError,
    choose_months,
    last_complete_month,
    months_between,
    read_source,
)

SOURCE = Source(uri="flights-{month}.csv", first_month="2013-01", last_month="2013-12")
TODAY = date(2026, 3, 15)


def read(path: Path, source: Source = SOURCE, **options: bool) -> pd.DataFrame:
    return pd.concat(batch.to_pandas() for batch in read_source(path, source, **options))


def write_csv(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(path, index=False)
    return path


def test_months_between_crosses_the_year() -> None:
    assert months_between("2012-11", "2013-02") == ["2012-11", "2012-12", "2013-01", "2013-02"]


def test_last_complete_month_in_january_is_december() -> None:
    assert last_complete_month(date(2026, 1, 31)) == "2025-12"


def test_months_end_at_the_wanted_one_and_keep_the_window() -> None:
    assert choose_months(SOURCE, "2013-06", 2, TODAY) == ["2013-04", "2013-05", "2013-06"]
    assert choose_months(SOURCE, "2013-03", 0, TODAY) == ["2013-01", "2013-02", "2013-03"]


def test_living_source_ends_with_the_last_complete_month() -> None:
    living = Source(uri="{month}", first_month="2025-12")
    assert choose_months(living, None, 0, TODAY) == ["2025-12", "2026-01", "2026-02"]


@pytest.mark.parametrize(
    ("month", "message"),
    [
        ("2013-1", "not a month; write it as 2013-12"),
        ("2014-01", "outside the source, which has 2013-01 to 2013-12"),
        ("2013-01", "no month before it to train on"),
    ],
)
def test_impossible_month_is_refused(month: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        choose_months(SOURCE, month, 0, TODAY)


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet"])
def test_every_format_gives_the_same_typed_rows(tmp_path: Path, rows, name: str) -> None:
    frame = rows(3)
    path = tmp_path / name
    if name.endswith("parquet"):
        frame.to_parquet(path, index=False)
    else:
        write_csv(path, frame)
    pd.testing.assert_frame_equal(read(path), frame)


def test_columns_come_in_the_order_of_the_contract(tmp_path: Path, rows) -> None:
    frame = rows(2)
    path = write_csv(tmp_path / "rows.csv", frame[frame.columns[::-1]])
    assert list(read(path).columns) == list(contract.SCHEMA.columns)


def test_value_that_does_not_parse_can_be_read_as_text(tmp_path: Path, rows) -> None:
    path = write_csv(tmp_path / "rows.csv", rows(2, distance=["2475", "n/a"]))
    with pytest.raises(ValueNotParsedError, match="n/a"):
        read(path)
    assert read(path, as_text=True)["distance"].tolist() == ["2475", "n/a"]


def test_only_the_configured_texts_are_nulls(tmp_path: Path, rows) -> None:
    path = write_csv(tmp_path / "rows.csv", rows(2, carrier=["NA", "AA"], temp=["-", "60.0"]))
    frame = read(path, SOURCE.model_copy(update={"null_values": ["", "-"]}))
    assert frame["carrier"].tolist() == ["NA", "AA"]
    assert frame["temp"].isna().tolist() == [True, False]


def damage(blob: bytes, how: str) -> bytes:
    return {
        "empty": b"",
        "truncated": gzip.compress(blob)[:200],
        "no gzip": b"plain",
        "header only": gzip.compress(blob.splitlines()[0]),
        "semicolons": gzip.compress(blob.replace(b",", b";")),
        "missing column": gzip.compress(blob.replace(b",temp,", b",tmp,")),
        "short row": gzip.compress(blob + b"2013-05-01,AA\n"),
        "not UTF-8": gzip.compress(blob.replace(b"JFK", b"\xff\xfeK")),
    }[how]


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("empty", SourceError, "empty file"),
        ("truncated", SourceError, "truncated or damaged"),
        ("no gzip", SourceError, "truncated or damaged"),
        ("header only", SourceError, "header and no rows|Empty CSV"),
        ("semicolons", SourceError, "delimiter is ';', not ','; set .source. delimiter"),
        ("missing column", ContractError, "missing 'temp'; not in the contract 'tmp'"),
        ("short row", SourceError, "Expected 20 columns, got 2"),
        ("not UTF-8", PipelineError, "UTF"),
    ],
)
def test_damaged_file_is_named_with_its_fault(tmp_path: Path, rows, how: str, error: type, message: str) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(damage(rows(2).to_csv(index=False).encode(), how))
    with pytest.raises(error, match=message) as caught:
        read(path, as_text=True)
    assert str(path) in str(caught.value)


def test_column_that_stands_there_twice_is_refused(tmp_path: Path, rows) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(rows(2).to_csv(index=False).replace("temp", "humidity", 1))
    with pytest.raises(ContractError, match="missing 'temp'; twice 'humidity'"):
        read(path)
