"""How tables are written, and what is found in them."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from modelworks.adopt import formats
from modelworks.adopt.column_profile import ColumnAccumulator
from modelworks.adopt.profile import SAMPLE_ROWS, profile_table
from modelworks.adopt.reading import find_layout, open_file, read_batches, read_names
from modelworks.errors import SourceError


def profile_column(*texts: str) -> ColumnAccumulator:
    return profile_table([pa.record_batch({"x": list(texts)})]).columns["x"]


@pytest.mark.parametrize(
    ("texts", "fmt", "numbers"),
    [
        (["1", "-20", "+3"], "int", [1, -20, 3]),
        (["1.5", ".5", "2e3"], "point", [1.5, 0.5, 2000]),
        (["1,5", "-0,25", "3"], "comma", [1.5, -0.25, 3]),
        (["1.234,5", "987,0", "1.000.000"], "comma, thousands", [1234.5, 987, 1_000_000]),
        (["1,234.5", "987"], "point, thousands", [1234.5, 987]),
        (["1,234", "12,345"], "point, thousands", [1234, 12_345]),
    ],
)
def test_numbers_are_read_as_they_are_written(texts: list[str], fmt: str, numbers: list[float]) -> None:
    assert profile_column(*texts).number_format(prefers_comma=False) == fmt
    assert formats.parse_numbers(pd.Series(texts), fmt).tolist() == numbers


def test_comma_is_a_decimal_mark_where_the_rest_of_the_file_has_it_so() -> None:
    assert profile_column("1,234", "5,678").number_format(prefers_comma=True) == "comma"
    assert profile_column("1.234", "5.678").number_format(prefers_comma=True) == "comma, thousands"


def test_codes_with_leading_zeros_are_no_numbers() -> None:
    assert profile_column("01067", "80331").number_format(prefers_comma=False) == ""


def test_one_typing_error_in_a_hundred_leaves_a_column_of_numbers() -> None:
    assert profile_column(*map(str, range(199)), "oops").number_format(prefers_comma=False) == "int"
    assert profile_column(*map(str, range(49)), "oops").number_format(prefers_comma=False) == ""


@pytest.mark.parametrize(
    ("text", "fmt", "time"),
    [
        ("2024-02-29", "Y-m-d", "2024-02-29"),
        ("2024-02-29T23:59:58.25", "Y-m-d", "2024-02-29T23:59:58.25"),
        ("2024-03-01 00:30:00+02:00", "Y-m-d", "2024-02-29T22:30"),
        ("2024-02-29T10:00Z", "Y-m-d", "2024-02-29T10:00"),
        ("29.2.2024 7:05", "d.m.Y", "2024-02-29T07:05"),
        ("29.02.24", "d.m.y", "2024-02-29"),
        ("29/02/2024", "d/m/Y", "2024-02-29"),
        ("02/29/2024 12:15 AM", "m/d/Y", "2024-02-29T00:15"),
        ("20240229", "Ymd", "2024-02-29"),
        ("2024-02", "Y-m", "2024-02-01"),
    ],
)
def test_dates_are_read_as_they_are_written(text: str, fmt: str, time: str) -> None:
    assert profile_column(text).date_formats(prefers_month_first=False) == ([fmt], True)
    assert formats.parse_dates(pd.Series([text], dtype="str"), [fmt]).tolist() == [pd.Timestamp(time)]


def test_day_that_is_none_is_no_date() -> None:
    assert formats.parse_dates(pd.Series(["31.02.2024", "12.12.2024 25:00"], dtype="str"), ["d.m.Y"]).isna().all()


def test_order_of_day_and_month_is_certain_only_if_a_date_shows_it() -> None:
    assert profile_column("01/02/2024", "13/02/2024").date_formats(prefers_month_first=True) == (["d/m/Y"], True)
    assert profile_column("01/02/2024", "03/04/2024").date_formats(prefers_month_first=True) == (["m/d/Y"], False)
    assert profile_column("01/02/2024", "03/04/2024").date_formats(prefers_month_first=False) == (["d/m/Y"], False)


def test_dates_of_several_formats_are_all_read() -> None:
    texts = ["2024-01-31", "31.01.2024"]
    found, _ = profile_column(*texts).date_formats(prefers_month_first=False)
    assert formats.parse_dates(pd.Series(texts, dtype="str"), found).tolist() == [pd.Timestamp("2024-01-31")] * 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f'a{delimiter}b\n1{delimiter}"x, y; z"\n2{delimiter}w\n')
    layout = find_layout(file)
    [batch] = read_batches(file, layout)
    assert batch.to_pydict() == {"a": ["1", "2"], "b": ["x, y; z", "w"]}


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("größe,b\nä,1\n".encode(), "utf-8"),
        ("größe,b\nä,1\n".encode("utf-8-sig"), "utf-8"),
        ("größe,b\nä,€\n".encode("cp1252"), "cp1252"),
        ("größe,b\nä,\x81\n".encode("latin-1"), "latin-1"),
    ],
)
def test_letters_are_read_in_their_encoding(tmp_path: Path, content: bytes, encoding: str) -> None:
    for file, whole in ((tmp_path / "a.csv", content), (tmp_path / "a.csv.gz", gzip.compress(content))):
        file.write_bytes(whole)
        layout = find_layout(file)
        assert layout.encoding == encoding
        assert read_names(file, layout) == ["größe", "b"]
        [batch] = read_batches(file, layout)
        assert batch["größe"].to_pylist() == ["ä"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"a,b\n", "a header and no rows"),
        (b"a,b,a\n1,2,3\n", "columns that stand there twice: 'a'"),
        (b"a\n1\n", "one column only"),
        (b"a,b\n1,2\n1,2,3\n", "cannot be read: CSV parse error"),
        (b"PK\x03\x04", "a zip archive or a spreadsheet"),
        (b"\xff\xfea\0", "UTF-16"),
        (b"a,b\n\0\0\0", "binary data"),
    ],
)
def test_file_that_is_no_table_is_refused_by_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content)

    def read() -> None:
        with open_file(str(file)) as path:
            layout = find_layout(path)
            read_names(path, layout)
            profile_table(read_batches(path, layout))

    with pytest.raises(SourceError, match=message):
        read()


def test_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"), open_file(str(tmp_path / "a.csv")):
        pass
    with pytest.raises(SourceError, match="a folder"), open_file(str(tmp_path)):
        pass


def test_memory_is_for_a_part_of_the_rows() -> None:
    """A million rows are seen; a sample, spread over all of them, and few of the many values are kept."""
    batches = (
        pa.record_batch({"at": np.arange(start, start + 100_000), "text": [f"t{at}" for at in range(100_000)]})
        for start in range(0, 1_000_000, 100_000)
    )
    profile = profile_table(batches)
    assert profile.rows == 1_000_000
    assert SAMPLE_ROWS / 2 < len(profile.sample) <= SAMPLE_ROWS
    assert profile.sample["at"].to_pylist()[-1] > 990_000
    assert profile.columns["text"].counts is None
    assert profile.repeated == 0


def test_repeated_rows_and_nulls_are_counted() -> None:
    batch = pa.record_batch({"a": ["1", "1", "NA", "", "1"], "b": ["x", "x", "x", "x", "y"]})
    profile = profile_table([batch, batch])
    assert profile.repeated == 6
    assert profile.columns["a"].nulls == 4
    assert profile.columns["a"].null_texts == {"NA": 2, "": 2}


def test_values_that_no_column_can_hold_are_refused() -> None:
    with pytest.raises(SourceError, match="column 'a' holds list"):
        profile_table([pa.record_batch({"a": [[1], [2]], "b": [1, 2]})])
