import re
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pytest

from flights import FLIGHTS
from modelworks.backtest.comparison import Comparison, PolicyResult
from modelworks.backtest.figure import draw_outcomes
from modelworks.backtest.outcome import PeriodOutcome
from modelworks.backtest.page import build_page, draw_png
from modelworks.evaluation.bootstrap import Estimate

NOTHING = PeriodOutcome("2013-03", None, 0, None, None, [], False, "", "", "", None, [])
SPAN = ("2013-04", "2013-06")


def served(period: str, loss: float, rows: int = 100, **fields: Any) -> PeriodOutcome:
    return replace(NOTHING, period=period, served_by="1", rows=rows, loss=loss, **fields)


CONFIGURED = [
    replace(NOTHING, request="no champion yet", status="released", version="1"),
    served("2013-04", 0.5, calibration_alarms=["2013-04"], request="calibration drift", status="released", version="2"),
    served("2013-05", 0.6, drift_alarm=True, incidents=["nulls: temp", "row count: 3"]),
    served("2013-06", 0.4, 200, request="age", status="refused", refusal="log loss: 0.1"),
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
    page = build_page(FLIGHTS.contract, OUTCOMES, SPAN, "a backtest")
    assert "configured 0.475, frozen 0.550 (+0.075). Lower is better." in text_of(page)
    rows = table_rows(page)
    assert ["configured", "as pipeline.toml has it", "3 of 3", "0.475", "-", "3", "2", "1", "2"] in rows
    assert ["frozen", "the first model stays", "3 of 3", "0.550", "+0.075", "0", "0", "0", "0"] in rows


def test_page_recommends_a_policy_with_its_reasons() -> None:
    policies = [
        PolicyResult("configured", 3, 0.475, Estimate(0.0, 0.0, 0.0), 1.0, True),
        PolicyResult("frozen", 1, 0.55, Estimate(0.075, 0.02, 0.11), 0.004, False),
        PolicyResult("always", 4, 0.47, Estimate(-0.005, -0.01, 0.001), None, False),
    ]
    compared = Comparison(400, 91, 0.95, "configured", "configured", policies)
    page = build_page(FLIGHTS.contract, OUTCOMES, SPAN, "a backtest", compared)
    sentence = "Recommended: configured, 3 trainings: frozen is worse beyond chance (400 rows of 91 days)."
    assert sentence in text_of(page)
    assert [row for row in table_rows(page) if "verdict" in row or "0.4750" in row or len(row) == 6] == [
        ["policy", "trainings", "log loss of the same rows", "minus the best's", "p", "verdict"],
        ["always", "4", "0.4700", "-0.0050 [-0.0100, +0.0010]", "-", "no candidate: it releases without gates"],
        ["configured", "3", "0.4750", "-", "1.000", "indistinguishable from the best"],
        ["frozen", "1", "0.5500", "+0.0750 [+0.0200, +0.1100]", "0.004", "worse than the best"],
    ]
    assert "<strong>configured</strong></td>" in page
    assert "Recommended" not in build_page(FLIGHTS.contract, OUTCOMES, SPAN, "a backtest")


def test_page_compares_the_periods_of_the_span_only() -> None:
    page = build_page(FLIGHTS.contract, OUTCOMES, ("2013-05", "2013-05"), "a backtest")
    assert "configured 0.600, frozen 0.700 (+0.100)" in text_of(page)


def test_page_shows_period_by_period_what_happened() -> None:
    rows = table_rows(build_page(FLIGHTS.contract, OUTCOMES, SPAN, "a backtest"))
    header = ["period", "served by", "rows", "log loss, configured", "log loss, frozen"]
    assert [*header, "alarms", "new model requested", "result", "unusual data"] in rows
    assert ["2013-03", "-", "-", "-", "-", "", "no champion yet", "released version 1", ""] in rows
    assert ["2013-05", "v1", "100", "0.600", "0.700", "drift", "", "", "nulls: temp; row count: 3"] in rows
    assert ["2013-06", "v1", "200", "0.400", "0.500", "", "age", "refused: log loss: 0.1", ""] in rows


def test_page_of_a_backtest_in_which_nothing_was_measured_says_so() -> None:
    page = build_page(FLIGHTS.contract, {"configured": [NOTHING], "frozen": [NOTHING]}, SPAN, "a backtest")
    assert "No predictions that configured served from 2013-04 to 2013-06 could be measured." in text_of(page)
    assert ["frozen", "the first model stays", "0 of 0", "-", "-", "0", "0", "0", "0"] in table_rows(page)


def test_policy_that_was_never_measured_is_left_out_of_the_comparison() -> None:
    page = build_page(FLIGHTS.contract, {"configured": CONFIGURED, "frozen": [NOTHING]}, SPAN, "a backtest")
    assert "configured 0.475. Lower is better." in text_of(page)


def test_names_and_reasons_are_only_text() -> None:
    hostile = "<img src=x>|![y](https://elsewhere/y.png) $\\frac{$ *z*"
    written = {"request": hostile, "status": "refused", "refusal": hostile, "incidents": [hostile]}
    periods = [replace(each, **written) for each in CONFIGURED]
    page = build_page(FLIGHTS.contract, {"configured": periods, hostile: FROZEN}, SPAN, hostile)
    assert [hostile, "with these settings", "3 of 3", "0.550", "+0.075", "0", "0", "0", "0"] in table_rows(page)
    assert unescape(page).count(f">{hostile}</td>") == 1 + 2 * len(CONFIGURED)
    assert unescape(page).count(f">refused: {hostile}</td>") == len(CONFIGURED)
    assert re.findall(r'aria-label="plot: ([^"]+)"', page) == ["outcomes"]
    assert "<img" not in page
    assert set(re.findall(r'(?:href|src)="(.)', page)) == {"#"}  # of the figure's own parts


def test_lines_of_the_picture_are_the_served_losses() -> None:
    upper, _ = draw_outcomes(FLIGHTS.contract, OUTCOMES).axes
    own, other = upper.lines
    assert [own.get_label(), other.get_label()] == ["configured", "frozen"]
    np.testing.assert_array_equal(own.get_ydata(), [np.nan, 0.5, 0.6, 0.4])
    np.testing.assert_array_equal(other.get_ydata(), [np.nan, 0.5, 0.7, 0.5])
    assert own.get_linewidth() > other.get_linewidth()
    assert own.get_zorder() > other.get_zorder()


def test_time_line_marks_what_happened_in_its_period() -> None:
    _, lower = draw_outcomes(FLIGHTS.contract, OUTCOMES).axes
    labels = [text.get_text() for text in lower.get_yticklabels()]
    assert labels == ["new model released", "refused", "calibration drift", "drift", "data incident"]
    assert [(text.get_text(), text.get_position()) for text in lower.texts] == [("v1", (0, 0)), ("v2", (1, 0))]
    marks = {labels[int(y)]: [int(each) for each in line.get_xdata()] for line in lower.lines for y in line.get_ydata()}
    assert marks == {"refused": [3], "calibration drift": [1], "drift": [2], "data incident": [2]}
    assert [text.get_text() for text in lower.get_xticklabels()] == ["Mar\n2013", "Apr", "May", "Jun"]


@pytest.mark.parametrize("status", ["failed", "unclaimed"])
def test_model_that_was_requested_and_never_made_has_a_row_of_its_own(status: str) -> None:
    periods = [*CONFIGURED[:-1], served("2013-06", 0.4, request="age", status=status)]
    _, lower = draw_outcomes(FLIGHTS.contract, {"configured": periods}).axes
    labels = [text.get_text() for text in lower.get_yticklabels()]
    marked = next(line for line in lower.lines if labels.index("requested, not made") in line.get_ydata())
    assert marked.get_xdata().tolist() == [3]


def test_picture_is_higher_where_the_names_of_policies_need_a_line_each() -> None:
    long = "retraining.every_periods=1,training.window=3"
    assert (
        draw_outcomes(FLIGHTS.contract, {**OUTCOMES, long: FROZEN}).get_figheight()
        > draw_outcomes(FLIGHTS.contract, OUTCOMES).get_figheight()
    )


def test_picture_is_a_png() -> None:
    assert draw_png(FLIGHTS.contract, OUTCOMES).startswith(b"\x89PNG")
