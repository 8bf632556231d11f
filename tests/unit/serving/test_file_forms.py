"""Rows of a request that are written as in the project's files: read as `import` reads these, or refused by name."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from flights import FLIGHTS, make_home
from modelworks.adopt import formats, recipe
from modelworks.adopt.conversion import convert
from modelworks.adopt.reading import Layout
from modelworks.adopt.recipe import ColumnRecipe, Recipe
from modelworks.contract import Contract, between, binary, column
from modelworks.data import frames
from modelworks.errors import AdoptionError
from modelworks.serving import create_app
from modelworks.serving.file_forms import FileForms
from modelworks.serving.payload import RequestReader
from modelworks.serving.problems import Refusal
from modelworks.settings import load_settings

TIME, INT, FLOAT = "datetime64[us]", "int64", "float64"
FORMS: dict[str, tuple[str, list[str], str]] = {
    "at": (TIME, ["Y-m-d"], ""),
    "opened": (TIME, ["d.m.Y", "d b Y"], ""),
    "packed": (TIME, ["Ymd"], ""),
    "stamp": (TIME, ["unix s"], ""),
    "year": (TIME, ["Y"], ""),
    "month": (TIME, ["b-Y"], ""),
    "visits": (INT, ["int"], ""),
    "months": (INT, ["int"], "months"),
    "gaps": (FLOAT, ["int"], ""),
    "price": (FLOAT, ["point, thousands"], "$"),
    "rate": (FLOAT, ["point"], "%"),
    "area": (FLOAT, ["comma, spaces"], ""),
    "mass": (FLOAT, ["comma, thousands"], "kg"),
    "plan": ("str", [], ""),
    "code": ("str", [], ""),
    "typed": (FLOAT, [], ""),  # as Parquet has it
    "when": (TIME, [], ""),
    "until": (TIME, [], ""),
}
NULLABLE = {"opened", "gaps", "rate", "plan"}
CONTRACT = Contract(
    target=binary("churned", "whether they left", negative=0, positive=1),
    columns=[
        column(name, dtype, name, *([between(-10, 1e6)] * (name == "price")), nullable=name in NULLABLE)
        for name, (dtype, _, _) in FORMS.items()
    ],
    key=["visits"],
    time="at",
)
RECIPE = Recipe(
    Layout("csv"),
    [ColumnRecipe(name, [name], dtype, formats, unit) for name, (dtype, formats, unit) in FORMS.items()],
    "churned",
)
JSON_ROW: dict[str, Any] = {
    **dict.fromkeys(["at", "opened", "packed", "stamp", "year", "month", "when", "until"], "2013-05-06T08:15:00"),
    **dict.fromkeys(["visits", "months", "gaps", "price", "rate", "area", "mass", "typed"], 5),
    "plan": "basic",
    "code": "x",
}
READER = RequestReader(CONTRACT, 10, RECIPE)


def read(reader: RequestReader = READER, **values: object) -> dict[str, Any]:
    """The row of JSON's own forms with other values, as it is read."""
    [row], _ = reader.read(json.dumps({**JSON_ROW, **values}).encode())
    return row


def refuse(reader: RequestReader = READER, **values: object) -> tuple[tuple[str, str], ...]:
    with pytest.raises(Refusal) as raised:
        read(reader, **values)
    assert raised.value.status == 422
    return raised.value.errors


WRITTEN: list[tuple[str, str, Any]] = [
    ("at", "2013-05-06", datetime(2013, 5, 6)),
    ("at", "2013-05-06 08:15", datetime(2013, 5, 6, 8, 15)),
    ("at", "2013-05-06T08:15:00.5", datetime(2013, 5, 6, 8, 15, 0, 500_000)),
    ("at", "2013-05-06T08:15:00.1234567", datetime(2013, 5, 6, 8, 15, 0, 123_456)),
    ("at", "2013-05-06T08:15:00Z", datetime(2013, 5, 6, 8, 15)),
    ("at", "2013-05-06 08:15:00+02:00", datetime(2013, 5, 6, 6, 15)),
    ("at", "2013-05-06 00:15-0130", datetime(2013, 5, 6, 1, 45)),
    ("at", "2013-05-06T08:15:00.1234567Z", datetime(2013, 5, 6, 8, 15, 0, 123_456)),
    ("at", "2013-5-6 8:15:00 PM", datetime(2013, 5, 6, 20, 15)),
    ("opened", "6.5.2013", datetime(2013, 5, 6)),
    ("opened", "06.05.2013 08:15", datetime(2013, 5, 6, 8, 15)),
    ("opened", "6 May 2013", datetime(2013, 5, 6)),
    ("opened", "NA", None),
    ("opened", "--", None),
    ("packed", "20130506", datetime(2013, 5, 6)),
    ("stamp", "1367828100", datetime(2013, 5, 6, 8, 15)),
    ("year", "2013", datetime(2013, 1, 1)),
    ("month", "May-2013", datetime(2013, 5, 1)),
    ("visits", "5", 5),
    ("visits", "+7", 7),
    ("visits", " 5 ", 5),
    ("visits", "9223372036854775807", 2**63 - 1),
    ("months", "36 months", 36),
    ("months", "36", 36),
    ("gaps", "5", 5.0),
    ("gaps", "", None),
    ("price", "$1,234.50", 1234.5),
    ("price", "1,234.5", 1234.5),
    ("price", "-$3", -3.0),
    ("price", "($3)", -3.0),
    ("rate", "12 %", 12.0),
    ("rate", "12.5%", 12.5),
    ("rate", "1e-2", 0.01),
    ("rate", "-", None),
    ("area", "1\u202f234,5", 1234.5),
    ("area", "1 234,5", 1234.5),
    ("mass", "1.234 kg", 1234.0),
    ("plan", " gold ", "gold"),
    ("plan", "NA", None),
    ("plan", "-", "-"),
    ("plan", "none", "none"),
    ("code", " y\t", "y"),
]


@pytest.mark.parametrize(("name", "text", "value"), WRITTEN)
def test_value_is_read_as_import_reads_the_same_text(name: str, text: str, value: object) -> None:
    got = read(**{name: text})[name]
    assert (got, type(got)) == (value, type(value))
    batch = pa.record_batch({other: pa.array([text], pa.string()) for other in FORMS})
    kept, rejected = convert(batch, Recipe(RECIPE.layout, [RECIPE.find(name)], "churned"))
    assert rejected.empty
    imported = frames.to_frame(CONTRACT, [{name: got}])[name]
    assert imported.astype("object").where(imported.notna(), None).tolist() == (
        kept[name].astype("object").where(kept[name].notna(), None).tolist()
    )


@pytest.mark.parametrize("fmt", sorted(formats.DATES))
def test_date_that_a_refusal_shows_is_read_and_so_is_a_time_of_day_where_it_says_so(fmt: str) -> None:
    """Of each format that a recipe may have, so that a new one is not forgotten here."""
    known = Recipe(RECIPE.layout, [ColumnRecipe("at", ["at"], TIME, [fmt])], "churned")
    reader = FileForms(CONTRACT, ["at"], known)
    [schema] = reader.to_schemas("at")
    shown, clock, _ = schema["description"].removeprefix("as in the files, such as ").partition("; a time of day")
    read_at = reader.read([{"at": shown}, {"at": f"{shown} 8:15"}], {"at"})
    assert read_at[0]["at"].startswith("2013-10-01" if fmt == "Y-Q" else "2013-12-")
    assert read_at[1]["at"].endswith("T08:15:00.000000") == bool(clock), read_at


def test_whole_row_as_text_is_the_row_as_json_and_many_keep_their_order() -> None:
    written = {name: text for name, text, value in reversed(WRITTEN) if value is not None}
    expected = {name: value for name, _, value in reversed(WRITTEN) if value is not None}
    own = {"typed": 5.0, **dict.fromkeys(["when", "until"], datetime(2013, 5, 6, 8, 15))}
    assert read(**written) == {**expected, **own}
    rows, is_many = READER.read(json.dumps([JSON_ROW, {**JSON_ROW, **written}, JSON_ROW]).encode())
    assert is_many
    assert rows[1] == {**expected, **own}
    assert rows[0] == rows[2] == read()
    assert read()["at"] == datetime(2013, 5, 6, 8, 15)


def test_text_that_has_to_be_there_may_be_a_word_for_no_value() -> None:
    assert [read(code=text)["code"] for text in ("NA", "", "x")] == ["NA", "", "x"]


def test_time_since_1970_may_be_a_number_as_well() -> None:
    assert read(stamp=1367828100)["stamp"] == datetime(2013, 5, 6, 8, 15)
    assert read(year=2013)["year"] == datetime(2013, 1, 1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("at", "05/06/2013", "'05/06/2013' is no time here; accepted: 2013-12-31 or 2013-12-31T08:15:00, or as in"),
        ("at", "2013-02-30", "'2013-02-30' is no time here"),
        ("at", "20130506", "'20130506' is no time here"),
        ("at", 1367828100, "1367828100 is no time here"),
        ("at", True, "True is no time here"),
        (
            "opened",
            "05/06/2013",
            "or as in the files, such as 31.12.2013 or 31 Dec 2013; a time of day may follow",
        ),
        ("at", "NA", "'NA' means no value, and this column needs one"),
        ("packed", 20130506, "20130506 is no time here"),
        ("packed", "1367828100", "'1367828100' is no time here"),
        (
            "stamp",
            5,
            "5 is no time here; accepted: 2013-12-31 or 2013-12-31T08:15:00, or as in the files, such as 13",
        ),
        ("stamp", True, "True is no time here"),
        ("stamp", 10**30, f"{10**30} is no time here"),
        ("visits", "5.0", "'5.0' is no whole number here; accepted: a whole number, or as in the files, such as 1234"),
        ("visits", "5 kg", "'5 kg' is no whole number here"),
        ("visits", "9223372036854775808", "'9223372036854775808' is no whole number here"),
        ("visits", "", "'' means no value, and this column needs one"),
        ("visits", True, "True is no whole number here; accepted: a whole number, or as in the files, such as 1234"),
        ("visits", 5.5, "5.5 is no whole number here"),
        (
            "price",
            "1.234,5",
            "'1.234,5' is no number here; accepted: a number, or as in the files, such as 1,234.5",
        ),
        ("price", "€5", "'€5' is no number here"),
        ("price", "1e3", "'1e3' is no number here"),
        ("price", "$2,000,000", "Input should be less than or equal to 1000000"),
        ("price", True, "True is no number here"),
        ("rate", "NaN%", "'NaN%' is no number here"),
        ("rate", "inf", "'inf' is no number here"),
        ("rate", "1e999", "'1e999' is no number here"),
        ("rate", float("inf"), "Input should be a finite number"),
        ("mass", "1234.5", "'1234.5' is no number here"),
        ("typed", "5", "'5' is no number here; accepted: a number, not as text"),
        ("when", "2013-05-06T08:15:00Z", "is no time here; accepted: 2013-12-31 or 2013-12-31T08:15:00, without an"),
        ("price", "x" * 200, f"'{'x' * 79}... is no number here"),
    ],
)
def test_what_the_files_do_not_have_is_refused_by_field_and_value(name: str, value: object, message: str) -> None:
    [(field, said)] = refuse(**{name: value})
    assert field == name
    assert message in said
    with pytest.raises(Refusal) as raised:
        READER.read(json.dumps([{**JSON_ROW, "rate": "5 %"}, {**JSON_ROW, name: value}]).encode())
    assert raised.value.errors == ((f"[1].{name}", said),)


def test_number_of_json_is_a_number_whatever_the_files_have() -> None:
    row = read(price=1.234, mass=1.234, visits=5.0, rate=None)
    assert (row["price"], row["mass"], row["visits"], row["rate"]) == (1.234, 1.234, 5, None)


def test_without_a_recipe_a_date_is_its_midnight_and_text_is_no_number() -> None:
    plain = RequestReader(CONTRACT, 10)
    assert read(plain, at="2013-05-06")["at"] == datetime(2013, 5, 6)
    assert frames.parse(CONTRACT, "at", pd.Series(["2013-05-06"])).tolist() == [datetime(2013, 5, 6)]
    assert read(plain, plan="NA")["plan"] == "NA"
    accepted = "is no time here; accepted: 2013-12-31 or 2013-12-31T08:15:00, without an offset"
    for text in ("2013-05-06T08:15:00Z", "06.05.2013", "20130506", "1367828100", "2013", "2013-05-06\n"):
        assert refuse(plain, at=text) == (("at", f"{text!r} {accepted}"),)
    assert refuse(plain, visits="5") == (
        ("visits", "'5' is no whole number here; accepted: a whole number, not as text"),
    )


def test_column_that_the_contract_declares_otherwise_is_not_read_by_the_recipe() -> None:
    changed = Recipe(RECIPE.layout, [ColumnRecipe("price", ["price"], "str", []), RECIPE.find("rate")], "churned")
    reader = RequestReader(CONTRACT, 10, changed)
    assert read(reader, rate="5 %")["rate"] == 5.0
    assert refuse(reader, price="$5")[0][1] == "'$5' is no number here; accepted: a number, not as text"


def test_many_rows_with_text_are_refused_by_their_number_as_before() -> None:
    with pytest.raises(Refusal) as raised:
        READER.read(json.dumps([{**JSON_ROW, "rate": "5 %"}] * 11).encode())
    assert raised.value.status == 413
    with pytest.raises(Refusal) as raised:
        READER.read(json.dumps([{**JSON_ROW, "rate": "5 %"}, 7, {"spare": "5 %"}]).encode())
    assert [field for field, _ in raised.value.errors][:2] == ["[1]", "[2].at"]


def test_specification_has_both_forms() -> None:
    described = READER.row_schema()["properties"]
    price = described["price"]["anyOf"]
    assert [each["type"] for each in price] == ["number", "string"]
    assert (price[0]["minimum"], price[0]["maximum"]) == (-10, 1_000_000)
    assert price[1]["description"] == "as in the files, such as 1,234.5, with or without '$'"
    dates = [{"type": "string", "format": "date-time-local"}, {"type": "string", "format": "date"}]
    assert described["when"] == {"anyOf": dates, "description": "when", "title": "When"}
    assert described["at"]["anyOf"][:2] == dates
    assert described["at"]["anyOf"][2]["description"].startswith("as in the files, such as 2013-12-31; a time of day")
    assert described["stamp"]["anyOf"][3] == {"type": "integer", "description": "as in the files, such as 1388448000"}
    assert described["typed"]["type"] == "number"
    assert described["plan"]["anyOf"] == [{"type": "string"}, {"type": "null"}]


def test_app_reads_by_the_recipe_of_its_folder(tmp_path: Path) -> None:
    make_home(tmp_path)
    file = tmp_path / "data" / "import.toml"
    known = ColumnRecipe("temp", ["temp"], FLOAT, ["comma"], "°F")
    file.write_text(recipe.dump(Recipe(Layout("csv", ";"), [known], "delayed")), encoding="utf-8")
    app = create_app(FLIGHTS, load_settings(tmp_path))
    row = {**FLIGHTS.contract.example, "temp": "60,5 °F"}
    assert app.state.api.reader.read(json.dumps(row).encode())[0][0]["temp"] == 60.5
    temp = app.openapi()["components"]["schemas"]["Row"]["properties"]["temp"]
    assert "as in the files, such as 1234,5, with or without '°F'" in json.dumps(temp, ensure_ascii=False)
    file.write_text("columns = 5")
    with pytest.raises(AdoptionError, match=r"import\.toml: no recipe"):
        create_app(FLIGHTS, load_settings(tmp_path))
