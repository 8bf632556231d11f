"""Tables as they really arrive: other forms of numbers, dates and files than a program would write."""

import csv
import gzip
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from adopting import adopt
from modelworks.adopt import formats, recipe
from modelworks.adopt.choices import Choices
from modelworks.adopt.columns import ParsedColumns, check_names, parse_columns
from modelworks.adopt.conversion import convert, parse
from modelworks.adopt.profile import profile_table
from modelworks.adopt.reading import Layout, find_layout, read_batches, read_names
from modelworks.adopt.units import split_units
from modelworks.errors import AdoptionError, SourceError


def take_first(question: str, options: list[str], option: str) -> str:
    return options[0]


def read(table: dict[str, list[object]], delimiter: str = ",", **choices: object) -> ParsedColumns:
    """How the columns of a table are parsed; `y` is the target."""
    columns: dict[str, list[object]] = {"y": [at % 2 for at in range(len(next(iter(table.values()))))], **table}
    as_typed = isinstance(next(iter(table.values()))[0], int) and None in next(iter(table.values()))
    batch = pa.record_batch(
        columns if as_typed else {name: [str(each) for each in values] for name, values in columns.items()}
    )
    chosen = Choices("y", **{"yes": True, **choices})
    profile = profile_table([batch], chosen.null_words)
    return parse_columns(profile, Layout("csv", delimiter), chosen, take_first)


def values_of(parsed: ParsedColumns, name: str, texts: list[str]) -> list[object]:
    return parse(pd.Series(texts, dtype="str"), parsed.recipe.find(name), formats.NULLS).tolist()


@pytest.mark.parametrize(
    ("texts", "number", "unit"),
    [
        (["$1,234.50", "$0.99", "-$3"], [1234.5, 0.99, -3.0], "$"),
        (["1 234,50", "0 099,25", "12"], [1234.5, 99.25, 12.0], ""),
        (["1\u202f234,5", "1\u00a0000\u00a0000,5"], [1234.5, 1_000_000.5], ""),
        (["1'234.50", "7.5"], [1234.5, 7.5], ""),
        (["12.5%", "0.1 %", "-3%"], [12.5, 0.1, -3.0], "%"),
        (["3,5 €", "1.200,00 €"], [3.5, 1200.0], "€"),
        (["CHF 5.5", "CHF 7.25"], [5.5, 7.25], "CHF"),
        (["12.5 km/h", "9.0 km/h"], [12.5, 9.0], "km/h"),
        (["36 months", "60 months"], [36, 60], "months"),
        (["(1,200.5)", "3.5"], [-1200.5, 3.5], ""),
        (["12-", "3"], [-12, 3], ""),
        (["\u221212.5", "3.5"], [-12.5, 3.5], ""),
    ],
)
def test_numbers_with_marks_signs_and_units_are_numbers(texts: list[str], number: list[float], unit: str) -> None:
    parsed = read({"x": texts * 60}, delimiter=";" if "," in texts[0] and "€" in texts[0] else ",")
    assert values_of(parsed, "x", texts) == number
    assert parsed.recipe.find("x").unit == unit


@pytest.mark.parametrize(
    "texts",
    [
        ["PAL1011", "PAL1012"],
        ["S00001", "S00002"],
        ["12A", "12B"],
        ["5 kg", "3 lb"],
        [f"{at} {'x' * 16}" for at in (5, 6)],
    ],
)
def test_codes_and_mixed_units_are_no_numbers(texts: list[str]) -> None:
    assert read({"x": texts * 60}).recipe.find("x").dtype == "str"


def test_value_with_another_unit_is_no_number() -> None:
    plain, units = split_units(pd.Series(["5 kg", "5", "5 lb", "abc", None], dtype="str"))
    assert plain.tolist()[:4] == ["5", "5", "5", "abc"]
    assert units.tolist()[:4] == ["kg", "", "lb", ""]
    column = recipe.ColumnRecipe("x", ["x"], "float64", ["point"], "kg")
    assert np.isnan(parse(pd.Series(["5 lb"], dtype="str"), column, [])[0])


@pytest.mark.parametrize(
    ("text", "fmt", "time"),
    [
        ("01-JAN-22", "d-b-y", "2022-01-01"),
        ("31-Dec-2023 17:30", "d-b-Y", "2023-12-31T17:30"),
        ("Mar-2022", "b-Y", "2022-03-01"),
        ("Dec-11", "b-y", "2011-12-01"),
        ("March 5, 2023", "b d, Y", "2023-03-05"),
        ("5. März 2023", "d. b Y", "2023-03-05"),
        ("14 août 2023", "d b Y", "2023-08-14"),
    ],
)
def test_dates_with_names_of_months_are_dates(text: str, fmt: str, time: str) -> None:
    parsed = read({"when": [text] * 60})
    assert parsed.recipe.find("when").formats == [fmt]
    assert values_of(parsed, "when", [text]) == [pd.Timestamp(time)]


@pytest.mark.parametrize(
    ("per_second", "fmt"), [(1, "unix s"), (1000, "unix ms"), (10**6, "unix us"), (10**9, "unix ns")]
)
def test_seconds_since_1970_are_a_time_where_the_name_says_so(per_second: int, fmt: str) -> None:
    numbers: list[object] = [(1_640_995_200 + 86_400 * day) * per_second for day in range(60)]
    parsed = read({"timestamp": numbers})
    assert (parsed.recipe.time, parsed.recipe.find("timestamp").formats) == ("timestamp", [fmt])
    assert values_of(parsed, "timestamp", [str(numbers[1])]) == [pd.Timestamp("2022-01-02")]
    assert any(fmt in warning for warning in parsed.warnings)
    kept = read({"x": numbers})
    assert (kept.recipe.time, kept.recipe.find("x").dtype) == ("", "int64")
    assert any("'x' may be the time of a row" in warning and "--time 'x'" in warning for warning in kept.warnings)
    assert read({"x": numbers}, time=["x"]).recipe.time == "x"
    assert not any("may be the time" in warning for warning in read({"tweet_id": numbers}).warnings)


def test_year_is_a_time_if_somebody_says_so() -> None:
    years: list[object] = [2000 + at % 20 for at in range(60)]
    parsed = read({"year": years})
    assert parsed.recipe.time == ""
    assert any("'year' may be the time of a row" in warning for warning in parsed.warnings)
    parsed = read({"year": years}, time=["year"])
    assert (parsed.recipe.time, values_of(parsed, "year", ["2001"])) == ("year", [pd.Timestamp("2001-01-01")])


MONTHS = [1 + at % 12 for at in range(60)]
YEARS = [2001 + at // 12 for at in range(60)]


@pytest.mark.parametrize(
    ("parts", "second"),
    [
        ({"Year": YEARS, "Month": MONTHS}, "2001-02-01"),
        ({"year": YEARS, "month": [f"{month:02}" for month in MONTHS]}, "2001-02-01"),
        ({"year": YEARS, "month": ["Jan", "Feb", "march"] * 20}, "2001-02-01"),
        ({"year": YEARS, "monat": ["Januar", "Februar", "März"] * 20, "tag": [31, 28, 1] * 20}, "2001-02-28"),
        ({"year": YEARS, "quarter": [1 + at % 4 for at in range(60)]}, "2001-04-01"),
        ({"year": YEARS, "month": MONTHS, "day": ["Mon", "Tue"] * 30}, "2001-02-01"),
        ({"year": [*YEARS[1:], None], "month": [*MONTHS[1:], 12], "other": [None] * 60}, None),
    ],
)
def test_year_and_month_or_quarter_are_put_together(parts: dict[str, list[object]], second: str | None) -> None:
    """What is not of that part, such as the name of a weekday, or has gaps, stays a column of its own."""
    parsed = read(parts)
    if second is None:
        assert parsed.recipe.time == ""
        return
    table = pa.table({"y": ["0"] * 60} | {name: [str(each) for each in values] for name, values in parts.items()})
    frame, rejected = convert(table, parsed.recipe)
    assert rejected.empty
    assert frame[parsed.recipe.time][1] == pd.Timestamp(second)
    named = parsed.recipe.find(parsed.recipe.time).sources
    assert read(parts, time=named).recipe == parsed.recipe


def test_part_of_a_time_that_is_none_is_named() -> None:
    parts: dict[str, list[object]] = {"year": YEARS, "period": ["spring", "autumn"] * 30}
    with pytest.raises(AdoptionError, match=r"--time 'period': no month, such as 'spring'; name the parts of a time"):
        read(parts, time=["year", "period"])
    with pytest.raises(AdoptionError, match=r"--time 'period': no year, nor a date that can be read, such as 'spring'"):
        read(parts, time=["period", "year"])


def test_quarters_and_months_behind_their_year_are_dates() -> None:
    for texts, third in (
        ([f"{2001 + at // 4}Q{1 + at % 4}" for at in range(60)], "2001-07-01"),
        ([f"{2001 + at // 4}-Q{1 + at % 4}" for at in range(60)], "2001-07-01"),
        (["2001-Jan", "2002-Feb", "2003-Mar"] * 20, "2003-03-01"),
    ):
        parsed = read({"when": texts})
        assert (parsed.recipe.time, values_of(parsed, "when", [texts[2]])) == ("when", [pd.Timestamp(third)])


def test_first_line_that_is_a_row_or_comes_again_is_a_warning() -> None:
    [warning] = read({"ham": ["ham", "ham", "spam"] * 20, "see you": [f"at {at}" for at in range(60)]}).warnings
    assert "the first line says 'ham', and so do 40 rows: if it is a row itself" in warning
    [warning] = read({"age": [*("1234567" * 8), "age", *"123"], "kind": [*"ab" * 28, "kind", *"abc"]}).warnings[-1:]
    assert "the first line says 'age', 'kind', and so does 1 row" in warning
    assert read({"0": ["0", "1", "2"] * 20, "class": ["first", "second"] * 30}).warnings == []


def test_time_that_cannot_be_read_is_a_warning() -> None:
    parsed = read({"booking date": [f"day {at} of spring" for at in range(60)], "daytime": ["morning", "noon"] * 30})
    [warning] = [each for each in parsed.warnings if "sounds like a time" in each]
    assert "'booking date'" in warning
    assert "'day 0 of spring'" in warning
    assert "without regard to time" in warning


def test_date_and_time_of_day_become_one_time() -> None:
    days = [f"{date(2022, 1, 1) + timedelta(days=at // 2)}" for at in range(60)]
    clock = [f"{7 + at % 2:02}:30:00" for at in range(60)]
    parsed = read({"day": days, "at": clock})
    assert parsed.recipe.find(parsed.recipe.time).sources == ["day", "at"]
    assert any("'day', 'at' are put together as the time" in warning for warning in parsed.warnings)
    batch = pa.record_batch({"y": ["1"], "day": ["2022-01-31"], "at": ["08:30:00"]})
    assert convert(batch, parsed.recipe)[0]["time"].tolist() == [pd.Timestamp("2022-01-31T08:30")]
    assert read({"day": days, "at": clock}, features=["at"]).recipe.time == "day"
    assert read({"day": days, "at": clock}, no_time=True).recipe.time == ""
    # A second time of day leaves open which one belongs to the date.
    assert read({"day": days, "opens": clock, "closes": clock}).recipe.time == "day"


def test_whole_numbers_keep_all_their_digits() -> None:
    first = 1_582_218_195_625_938_900
    parsed = read({"tweet_id": [first + 3 * at for at in range(60)]})
    assert parsed.recipe.find("tweet_id").dtype == "int64"
    assert values_of(parsed, "tweet_id", [str(2**63 - 1), str(2**63)]) == [2**63 - 1, pd.NA]
    with_gaps = read({"tweet_id": [first, ""] * 30})
    assert with_gaps.recipe.find("tweet_id").dtype == "str"
    assert any("whole numbers with gaps, too long for floats" in warning for warning in with_gaps.warnings)
    typed = read({"tweet_id": [first, None] * 30})
    assert typed.recipe.find("tweet_id").dtype == "str"
    assert parse(pd.Series([first, None], dtype="object"), typed.recipe.find("tweet_id"), [])[0] == str(first)
    too_long = read({"hash": [10**22 + at for at in range(60)]})
    assert too_long.recipe.find("hash").dtype == "str"
    assert any("more than 64 bits" in warning for warning in too_long.warnings)


def test_column_that_is_nearly_of_numbers_says_what_is_not() -> None:
    parsed = read({"x": [*map(str, range(95)), "about 5", "unknown", "about 5", "7 or 8", "many"]})
    assert parsed.recipe.find("x").dtype == "str"
    [warning] = [each for each in parsed.warnings if each.startswith("'x'")]
    assert "95.0% of its values are numbers" in warning
    assert "'about 5'" in warning
    assert "--null" in warning
    cleaned = read({"x": [*map(str, range(95)), *["unknown"] * 5]}, null_words=["", "unknown"])
    assert cleaned.recipe.find("x").dtype == "float64"


def test_class_that_is_called_like_no_value_is_kept_by_an_option() -> None:
    batch = pa.record_batch({"x": ["1", "2"] * 30, "region": ["NA", "EU"] * 30})
    with pytest.raises(AdoptionError, match=r"'EU' in all rows with a value.*if 'NA' is a class: --null"):
        check_names(profile_table([batch]), Choices("region"))
    profile = profile_table([batch], [""])
    check_names(profile, Choices("region"))
    assert profile.columns["region"].counts == {"NA": 30, "EU": 30}
    kept = recipe.Recipe(
        Layout("csv"), [recipe.ColumnRecipe("region", ["region"], "str", [])], "region", null_words=[""]
    )
    assert convert(batch, kept)[0]["region"].tolist()[:2] == ["NA", "EU"]


def test_words_for_no_value_are_kept_for_later_files(tmp_path: Path) -> None:
    kept = recipe.Recipe(
        Layout("csv", ";", header=1),
        [recipe.ColumnRecipe("x", ["x"], "float64", ["point"], "%")],
        "x",
        null_words=["", "-9"],
    )
    (tmp_path / "import.toml").write_text(recipe.dump(kept))
    assert recipe.load(tmp_path / "import.toml") == kept


def read_file(path: Path) -> dict[str, list[str]]:
    layout = find_layout(path)
    return pa.Table.from_batches(list(read_batches(path, layout))).to_pydict()


def test_line_that_names_the_delimiter_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sep=;\r\nx;y\r\n1,5;2\r\n", encoding="utf-8-sig")
    assert read_file(path) == {"x": ["1,5"], "y": ["2"]}


def test_compression_is_known_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"x,y\n1,2\n"))
    (tmp_path / "b.csv.gz").write_bytes(b"x,y\n1,2\n")
    assert read_file(tmp_path / "a.csv") == read_file(tmp_path / "b.csv.gz") == {"x": ["1"], "y": ["2"]}
    (tmp_path / "c.csv").write_bytes(b"BZh91AY")
    with pytest.raises(SourceError, match="bzip2-compressed, not CSV"):
        find_layout(tmp_path / "c.csv")


def test_fields_may_be_long_and_the_header_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["a\nb", "note"], [1, "word " * 40_000], [2, "two\nlines"]])
    assert read_names(path, find_layout(path)) == ["a\nb", "note"]
    assert read_file(path)["note"][1] == "two\nlines"
    path.write_text('a,b\n1,"' + "x\n" * 9_000_000)
    with pytest.raises(SourceError, match="a row is longer than 8 MB, or a quotation mark is never closed"):
        read_file(path)


def test_columns_without_a_name_are_named_and_left_out_if_they_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y,,,\n" + "1,0,,5,\n2,1,,6,\n" * 30)
    assert read_names(path, find_layout(path)) == ["x", "y", "unnamed", "unnamed_2", "unnamed_3"]
    layout = find_layout(path)
    parsed = parse_columns(profile_table(read_batches(path, layout)), layout, Choices("y", yes=True), take_first)
    assert [each.name for each in parsed.recipe.columns] == ["x", "y", "unnamed_2"]
    assert "2 columns without a name and without a value: left out" in parsed.warnings


def test_unit_is_written_into_the_contract(project: Path) -> None:
    random = np.random.default_rng(1)
    price = random.uniform(1, 9000, 300)
    table = pd.DataFrame({
        "price": [f"${value:,.2f}" for value in price],
        "rate": [f"{value:.1f}%" for value in random.uniform(0, 100, 300)],
        "sold": (price + random.normal(0, 2000, 300) > 4500).astype(int),
    })
    adopted = adopt(project, table, "sold")
    assert {name: adopted.contract.columns[name].unit for name in ("price", "rate")} == {"price": "$", "rate": "%"}
    assert np.allclose(adopted.rows()["price"], price, atol=0.006)
