import gzip
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import schema
from {{ cookiecutter.__package_name }}.config import Source
from {{ cookiecutter.__package_name }}.errors import ContractError, PipelineError, SourceError
from {{ cookiecutter.__package_name }}.ingestion import (
    ValueNotParsedError,
    choose_months,
    last_complete_month,
    months_between,
    newest_labelled,
    read_labels,
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


@pytest.mark.parametrize(("delay_months", "month"), [(0, "2013-02"), (1, "2013-01"), (2, "2012-12"), (14, "2011-12")])
def test_newest_labelled_month_is_the_delay_before(delay_months: int, month: str) -> None:
    assert newest_labelled("2013-02", delay_months) == month


def test_months_end_the_delay_before_the_last_unless_one_is_named() -> None:
    assert choose_months(SOURCE, None, 1, TODAY, delay_months=2) == ["2013-09", "2013-10"]
    assert choose_months(SOURCE, "2013-12", 1, TODAY, delay_months=2) == ["2013-11", "2013-12"]


def test_months_that_are_not_to_train_on_end_with_the_last_and_reach_back_to_the_labels_that_may_have_come() -> None:
    assert choose_months(SOURCE, None, 1, TODAY, 2, to_train=False) == ["2013-09", "2013-10", "2013-11", "2013-12"]
    assert choose_months(SOURCE, "2013-01", 1, TODAY, 2, to_train=False) == ["2013-01"]
    assert len(choose_months(SOURCE, None, 0, TODAY, 2, to_train=False)) == 12


@pytest.mark.parametrize(("delay_months", "message"), [(11, "the first of the source"), (12, "outside the source")])
def test_delay_that_leaves_nothing_is_named(delay_months: int, message: str) -> None:
    with pytest.raises(SourceError, match=rf"newest whose labels are known, .*{delay_months}\): {message}"):
        choose_months(SOURCE, None, 0, TODAY, delay_months)


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
    assert list(read(path).columns) == list(schema.SCHEMA.columns)


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


FORMATS = ["labels.csv", "labels.csv.gz", "labels.parquet"]


@pytest.mark.parametrize("name", FORMATS)
def test_labels_are_typed_in_every_format(tmp_path: Path, rows, name: str) -> None:
    given = rows(3, arr_delay=[5.0, None, 40.0])[schema.LABEL_COLUMNS]
    path = tmp_path / name
    if name.endswith("parquet"):
        given.to_parquet(path, index=False)
    else:
        write_csv(path, given)
    pd.testing.assert_frame_equal(read_labels(path, SOURCE), given)


def test_labels_with_a_value_that_does_not_parse_are_text(tmp_path: Path, rows) -> None:
    given = rows(2)[schema.LABEL_COLUMNS].astype({"delayed": "object"}).assign(delayed=["1", "soon"])
    found = read_labels(write_csv(tmp_path / "labels.csv", given), SOURCE)
    assert found["delayed"].tolist() == ["1", "soon"]
    assert found["flight"].tolist() == ["1", "1"]


def test_labels_of_which_none_is_known_yet_are_no_mistake(tmp_path: Path, rows) -> None:
    found = read_labels(write_csv(tmp_path / "labels.csv", rows(1)[schema.LABEL_COLUMNS].head(0)), SOURCE)
    assert (len(found), list(found.columns)) == (0, schema.LABEL_COLUMNS)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([name for name in schema.LABEL_COLUMNS if name != "delayed"], "labels.csv: columns missing 'delayed'; mend"),
        ([name for name in schema.LABEL_COLUMNS if name != "flight"], "missing 'flight'; mend the source or change"),
        ([*schema.LABEL_COLUMNS, "temp"], "columns of another file 'temp'; mend"),
    ],
)
def test_columns_of_labels_are_key_and_outcomes(tmp_path: Path, rows, columns: list[str], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        read_labels(write_csv(tmp_path / "labels.csv", rows(2)[columns]), SOURCE)


def test_labels_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    with pytest.raises(SourceError, match=r"labels.csv: empty file"):
        read_labels(tmp_path / "labels.csv", SOURCE)
    (tmp_path / "labels.parquet").write_bytes(b"no Parquet")
    with pytest.raises(SourceError, match=r"labels.parquet: cannot be read"):
        read_labels(tmp_path / "labels.parquet", SOURCE)


def test_outcomes_in_both_files_or_in_none_are_refused_with_both_ways_out(tmp_path: Path, rows) -> None:
    others = [name for name in schema.DTYPES if name not in schema.OUTCOMES]
    path = write_csv(tmp_path / "rows.csv", rows(2))
    with pytest.raises(ContractError, match=r"of another file 'dep_delay', .*take them out of the source, or set that"):
        list(read_source(path, SOURCE, others))
    write_csv(path, rows(2)[others])
    assert sum(batch.num_rows for batch in read_source(path, SOURCE, others)) == 2
    with pytest.raises(ContractError, match=r"missing 'dep_delay', .*or name the file that has them in \[labels\] uri"):
        read(path)
