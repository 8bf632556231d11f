import gzip
from pathlib import Path

import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.data.sources.files import ValueNotParsedError, read_labels, read_source
from modelworks.errors import ContractError, PipelineError, SourceError
from modelworks.settings import Source

SOURCE = Source(uri="flights-{period}.csv", first="2013-01", last="2013-12")


def read(path: Path, source: Source = SOURCE, **options: bool) -> pd.DataFrame:
    return pd.concat(batch.to_pandas() for batch in read_source(FLIGHTS.contract, path, source, **options))


def write_csv(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(path, index=False)
    return path


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
    assert list(read(path).columns) == list(FLIGHTS.contract.columns)


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
    given = rows(3, arr_delay=[5.0, None, 40.0])[FLIGHTS.contract.label_columns]
    path = tmp_path / name
    if name.endswith("parquet"):
        given.to_parquet(path, index=False)
    else:
        write_csv(path, given)
    pd.testing.assert_frame_equal(read_labels(FLIGHTS.contract, path, SOURCE), given)


def test_labels_with_a_value_that_does_not_parse_are_text(tmp_path: Path, rows) -> None:
    given = rows(2)[FLIGHTS.contract.label_columns].astype({"delayed": "object"}).assign(delayed=["1", "soon"])
    found = read_labels(FLIGHTS.contract, write_csv(tmp_path / "labels.csv", given), SOURCE)
    assert found["delayed"].tolist() == ["1", "soon"]
    assert found["flight"].tolist() == ["1", "1"]


def test_labels_that_are_all_unknown_yet_are_no_mistake(tmp_path: Path, rows) -> None:
    found = read_labels(
        FLIGHTS.contract, write_csv(tmp_path / "labels.csv", rows(1)[FLIGHTS.contract.label_columns].head(0)), SOURCE
    )
    assert (len(found), list(found.columns)) == (0, FLIGHTS.contract.label_columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            [name for name in FLIGHTS.contract.label_columns if name != "delayed"],
            "labels.csv: columns missing 'delayed'; fix",
        ),
        (
            [name for name in FLIGHTS.contract.label_columns if name != "flight"],
            "missing 'flight'; fix the source or change",
        ),
        ([*FLIGHTS.contract.label_columns, "temp"], "columns of another file 'temp'; fix"),
    ],
)
def test_columns_of_labels_are_key_and_outcomes(tmp_path: Path, rows, columns: list[str], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        read_labels(FLIGHTS.contract, write_csv(tmp_path / "labels.csv", rows(2)[columns]), SOURCE)


def test_labels_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    with pytest.raises(SourceError, match=r"labels.csv: empty file"):
        read_labels(FLIGHTS.contract, tmp_path / "labels.csv", SOURCE)
    (tmp_path / "labels.parquet").write_bytes(b"no Parquet")
    with pytest.raises(SourceError, match=r"labels.parquet: cannot be read"):
        read_labels(FLIGHTS.contract, tmp_path / "labels.parquet", SOURCE)


def test_outcomes_in_both_files_or_in_none_are_refused_with_both_ways_out(tmp_path: Path, rows) -> None:
    others = [name for name in FLIGHTS.contract.dtypes if name not in FLIGHTS.contract.outcomes]
    path = write_csv(tmp_path / "rows.csv", rows(2))
    with pytest.raises(ContractError, match=r"of another file 'dep_delay', .*take them out of the source, or set that"):
        list(read_source(FLIGHTS.contract, path, SOURCE, others))
    write_csv(path, rows(2)[others])
    assert sum(batch.num_rows for batch in read_source(FLIGHTS.contract, path, SOURCE, others)) == 2
    with pytest.raises(ContractError, match=r"missing 'dep_delay', .*or name the file that has them in \[labels\] uri"):
        read(path)
