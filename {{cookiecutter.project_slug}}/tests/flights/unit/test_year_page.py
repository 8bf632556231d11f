import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from {{ cookiecutter.__package_name }}.replay.figure import draw_year
from {{ cookiecutter.__package_name }}.replay.outcome import MonthOutcome
from {{ cookiecutter.__package_name }}.replay.page import build_page, draw_png
from {{ cookiecutter.__package_name }}.replay.policies import describe

NOTHING = MonthOutcome("2013-03", None, 0, None, None, [], "", "", None, [])
SPAN = ("2013-04", "2013-06")


def served(month: str, loss: float, rows: int = 100, **fields: object) -> MonthOutcome:
    return replace(NOTHING, month=month, served_by="1", rows=rows, loss=loss, **fields)


CONFIGURED = [
    replace(NOTHING, asked="no champion yet", outcome="released version 1", version="1"),
    served("2013-04", 0.5, alarms=["decay in 2013-04"], asked="decay", outcome="released version 2", version="2"),
    served("2013-05", 0.6, alarms=["drift"], incidents=["nulls: temp", "row count: 3"]),
    served("2013-06", 0.4, 200, asked="age", outcome="refused: log loss: 0.1"),
]
FROZEN = [NOTHING, served("2013-04", 0.5), served("2013-05", 0.7), served("2013-06", 0.5, 200)]
OUTCOMES = {"configured": CONFIGURED, "frozen": FROZEN}


def table_rows(page: str) -> list[list[str]]:
    """The cells of every row of every table, as people see them."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [[text_of(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def test_page_compares_what_was_served_by_each_policy() -> None:
    # Of 400 rows in all, the configured ones lose 50 + 60 + 80 and the frozen ones 50 + 70 + 100.
    page = build_page(OUTCOMES, SPAN, "the year")
    assert "configured 0.475, frozen 0.550 (+0.075). Lower is better." in text_of(page)
    rows = table_rows(page)
    assert ["configured", "as pipeline.toml has it", "3 of 3", "0.475", "-", "3", "2", "1", "2"] in rows
    assert ["frozen", "the first model stays", "3 of 3", "0.550", "+0.075", "0", "0", "0", "0"] in rows


def test_page_compares_the_months_of_the_span_only() -> None:
    page = build_page(OUTCOMES, ("2013-05", "2013-05"), "the year")
    assert "configured 0.600, frozen 0.700 (+0.100)" in text_of(page)


def test_page_tells_month_by_month_what_happened() -> None:
    rows = table_rows(build_page(OUTCOMES, SPAN, "the year"))
    header = ["month", "served by", "rows", "log loss, configured", "log loss, frozen"]
    assert [*header, "alarms", "new model asked for", "what came of it", "unusual data"] in rows
    assert ["2013-03", "-", "-", "-", "-", "", "no champion yet", "released version 1", ""] in rows
    assert ["2013-05", "v1", "100", "0.600", "0.700", "drift", "", "", "nulls: temp; row count: 3"] in rows
    assert ["2013-06", "v1", "200", "0.400", "0.500", "", "age", "refused: log loss: 0.1", ""] in rows


def test_page_of_a_year_in_which_nothing_was_measured_says_so() -> None:
    page = build_page({"configured": [NOTHING], "frozen": [NOTHING]}, SPAN, "the year")
    assert "Nothing that was served from 2013-04 to 2013-06 by configured could be measured." in text_of(page)
    assert ["frozen", "the first model stays", "0 of 0", "-", "-", "0", "0", "0", "0"] in table_rows(page)


def test_policy_that_was_never_measured_is_left_out_of_the_comparison() -> None:
    page = build_page({"configured": CONFIGURED, "frozen": [NOTHING]}, SPAN, "the year")
    assert "configured 0.475. Lower is better." in text_of(page)


def test_names_and_reasons_are_only_text() -> None:
    hostile = "<img src=x>|![y](https://elsewhere/y.png) $\\frac{$ *z*"
    months = [replace(each, asked=hostile, outcome=hostile, incidents=[hostile]) for each in CONFIGURED]
    page = build_page({"configured": months, hostile: FROZEN}, SPAN, hostile)
    assert [hostile, "with these settings", "3 of 3", "0.550", "+0.075", "0", "0", "0", "0"] in table_rows(page)
    assert unescape(page).count(f">{hostile}</td>") == 1 + 3 * len(CONFIGURED)
    assert re.findall(r'<img src="(.{5})', page) == ["data:"]


def test_lines_of_the_picture_are_the_served_losses() -> None:
    upper, _ = draw_year(OUTCOMES).axes
    own, other = upper.lines
    assert [own.get_label(), other.get_label()] == ["configured", "frozen"]
    np.testing.assert_array_equal(own.get_ydata(), [np.nan, 0.5, 0.6, 0.4])
    np.testing.assert_array_equal(other.get_ydata(), [np.nan, 0.5, 0.7, 0.5])
    assert own.get_linewidth() > other.get_linewidth()
    assert own.get_zorder() > other.get_zorder()


def test_time_line_marks_what_happened_in_its_month() -> None:
    _, lower = draw_year(OUTCOMES).axes
    labels = [text.get_text() for text in lower.get_yticklabels()]
    assert labels == ["new model released", "refused", "decay alarm", "drift alarm", "data incident"]
    assert [(text.get_text(), text.get_position()) for text in lower.texts] == [("v1", (0, 0)), ("v2", (1, 0))]
    marks = {labels[int(y)]: [int(each) for each in line.get_xdata()] for line in lower.lines for y in line.get_ydata()}
    assert marks == {"refused": [3], "decay alarm": [1], "drift alarm": [2], "data incident": [2]}
    assert [text.get_text() for text in lower.get_xticklabels()] == ["Mar\n2013", "Apr", "May", "Jun"]


@pytest.mark.parametrize("outcome", ["failed", "nobody took it up"])
def test_model_that_was_asked_for_and_never_made_has_a_row_of_its_own(outcome: str) -> None:
    months = [*CONFIGURED[:-1], served("2013-06", 0.4, asked="age", outcome=outcome)]
    _, lower = draw_year({"configured": months}).axes
    labels = [text.get_text() for text in lower.get_yticklabels()]
    marked = next(line for line in lower.lines if labels.index("asked for, not made") in line.get_ydata())
    assert marked.get_xdata().tolist() == [3]


def test_picture_is_higher_where_the_names_of_policies_need_a_line_each() -> None:
    long = "retraining.every_months=1,training.window_months=3"
    assert draw_year({**OUTCOMES, long: FROZEN}).get_figheight() > draw_year(OUTCOMES).get_figheight()


def test_picture_is_a_png() -> None:
    assert draw_png(OUTCOMES).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("always", "a new model each month, and no gate"),
        ("retraining.every_months=1", "with these settings"),
        ("frozen+model.max_iter=40", "the first model stays, with these settings"),
    ],
)
def test_policies_are_described(name: str, meaning: str) -> None:
    assert describe(name) == meaning
