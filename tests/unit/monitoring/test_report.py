import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from flights import FLIGHTS
from modelworks.evaluation.bootstrap import Estimate
from modelworks.monitoring.calibration import BlockPerformance, Performance
from modelworks.monitoring.drift import Binning, ColumnDrift, Counted, Profile
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.monitoring.report import build_page
from modelworks.settings import Monitoring

LIMITS = Monitoring(drift_quantile=0.995, max_drifted_fraction=0.5, max_calibration_drift=0.01)
FIGURES = Performance(
    rows=1200,
    blocks=30,
    observed=0.25,
    expected=0.2,
    loss=Estimate(0.52, 0.48, 0.56),
    skill=Estimate(0.05, 0.02, 0.08),
    gain=Estimate(0.04, 0.03, 0.06),
    calibration_drift=Estimate(0.03, 0.02, 0.04),
)
MEASURED = PeriodPerformance("2013-04", "3", "sha", 1200, 34, FIGURES, True, "")
RECORD = Record(
    sequence=2,
    at="2013-06-01T00:00:00+00:00",
    period="2013-05",
    champion="3",
    clean_sha256="cafe",
    drift=[ColumnDrift("temp", 0.3, 0.1), ColumnDrift("prediction", 0.01, 0.02), ColumnDrift("carrier", 0.0, 0.1)],
    drift_note="",
    drift_alarm=False,
    health=["new categories: carrier: ZZ"],
    performance=[MEASURED],
    retrain=True,
    reason="calibration drift in 2013-04",
    pipeline_run="scheduled__1",
    run_id="run7",
)
NOTHING_YET = replace(
    RECORD,
    champion=None,
    drift=[],
    drift_note="there is no champion",
    drift_alarm=None,
    health=[],
    performance=[],
    retrain=False,
    reason="no champion yet",
)
BY_BLOCK = BlockPerformance(["2013-04-01"], [1200], [300], [240.0], [624.0], [48.0], 0.56)
COUNTS = {"temp": np.array([[1, 1, 0]]), "prediction": np.array([[1, 1, 0]]), "carrier": np.array([[1, 0, 1]])}
PROFILE = Profile(["2013-05-01"], COUNTS, [])
COUNTED = Counted(Binning({"temp": [50.0], "prediction": [0.5]}, {"carrier": ["AA"]}), PROFILE, PROFILE)


def table_rows(page: str) -> list[list[str]]:
    """The cells of every row of every table, as people see them."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [[text_of(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


@pytest.fixture(scope="module")
def first_page() -> str:
    """The page of the first period that was monitored."""
    return build_page(FLIGHTS.contract, RECORD, [], {"2013-04": BY_BLOCK}, COUNTED, "2013-01 to 2013-03", LIMITS)


def test_page_says_first_what_was_found_and_decided(first_page: str) -> None:
    page = text_of(first_page)
    said = (
        "In 2013-05 monitoring found calibration drift in 2013-04, and requests a new model: "
        "calibration drift in 2013-04."
    )
    assert page.index(said) < page.index("Performance")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("served by", "version 3"),
        ("rows, labelled", "1,200"),
        ("rows, unlabelled", "34"),
        ("observed share", "0.250"),
        ("predicted share", "0.200"),
        ("log loss", "0.520 [0.480, 0.560]"),
        ("skill", "0.050 [0.020, 0.080]"),
        ("recalibration gain", "0.040 [0.030, 0.060]"),
        ("calibration drift", "0.030 [0.020, 0.040]"),
        ("alarm", "yes"),
    ],
)
def test_page_explains_each_measure_of_the_performance(first_page: str, name: str, value: str) -> None:
    row = next(row for row in table_rows(first_page) if row[0] == name)
    assert row[1] == value
    assert row[2]


def test_page_has_a_column_for_each_period_that_was_measured() -> None:
    late = PeriodPerformance("2013-03", "2", "sha", 0, 900, None, None, "no row has a label")
    page = build_page(
        FLIGHTS.contract, replace(RECORD, performance=[late, MEASURED]), [], {}, None, "2013-01 to 2013-03", LIMITS
    )
    rows = table_rows(page)
    assert ["", "2013-03", "2013-04", "what it is"] in rows
    assert [
        "alarm",
        "not measured: no row has a label",
        "yes",
        "if the whole interval of the calibration drift lies above 0.01",
    ] in rows


def test_page_says_when_calibration_drift_cannot_be_judged() -> None:
    unknown = replace(MEASURED, figures=replace(FIGURES, calibration_drift=None), is_alarm=False)
    rows = table_rows(build_page(FLIGHTS.contract, replace(RECORD, performance=[unknown]), [], {}, None, "", LIMITS))
    assert next(row for row in rows if row[0] == "calibration drift")[1] == "unknown"
    assert next(row for row in rows if row[0] == "alarm")[1].startswith("not judged")


def test_page_sets_each_column_against_its_threshold() -> None:
    page = build_page(FLIGHTS.contract, RECORD, [], {}, COUNTED, "2013-01 to 2013-03", LIMITS)
    assert ["temp", "0.3000", "0.1000", "3.00", "yes"] in table_rows(page)
    assert ["carrier", "0.0000", "0.1000", "0.00", "no"] in table_rows(page)
    text = text_of(page)
    assert "from those of 2013-01 to 2013-03, on which version 3 was trained" in text
    assert "The predictions did not, and 1 of 2 features did." in text
    assert "it covers 99.5 % of each" in text


def test_page_shows_the_period_its_history_and_the_most_drifted_columns(first_page: str) -> None:
    plots = re.findall(r'role="img" aria-label="plot: ([^"]+)"><svg ', first_page)
    assert plots == ["blocks-2013-04", "periods", "columns", "column-1", "column-2", "column-3"]


def test_page_shows_what_earlier_periods_came_to_when_nothing_is_new() -> None:
    page = build_page(FLIGHTS.contract, NOTHING_YET, [RECORD], {}, None, "", LIMITS)
    assert re.findall(r'aria-label="plot: ([^"]+)"', page) == ["periods"]


@pytest.mark.parametrize(
    "said",
    [
        "In 2013-05 monitoring found nothing alarming, and requests no new model: no champion yet.",
        "Nothing to measure",
        "Not measured: there is no champion.",
        "Nothing unusual.",
    ],
)
def test_page_of_a_period_without_champion_says_so(said: str) -> None:
    page = build_page(FLIGHTS.contract, NOTHING_YET, [], {}, None, "", LIMITS)
    assert said in text_of(page)
    assert "<svg" not in page
    assert ["champion", "none"] in table_rows(page)


def test_page_names_the_source_of_its_figures() -> None:
    rows = table_rows(build_page(FLIGHTS.contract, RECORD, [], {}, COUNTED, "2013-01 to 2013-03", LIMITS))
    assert ["champion", "version 3, trained on 2013-01 to 2013-03"] in rows
    assert ["data, SHA-256", "cafe"] in rows
    assert ["pipeline run", "scheduled__1"] in rows


def test_names_from_the_data_are_only_text() -> None:
    hostile = "<img src=x>|![y](https://elsewhere/y.png) $\\frac{$ *z*"
    counts = {name: np.array([[1, 1]]) for name in (hostile, "prediction")}
    counted = Counted(Binning({hostile: [], "prediction": []}, {}), *[Profile(["2013-05-01"], counts, [])] * 2)
    columns = [ColumnDrift(hostile, 0.3, 0.1), ColumnDrift("prediction", 0.0, 0.1)]
    record = replace(RECORD, drift=columns, health=[hostile], reason=hostile, pipeline_run=hostile)
    page = build_page(FLIGHTS.contract, record, [], {}, counted, "", LIMITS)
    assert [hostile, "0.3000", "0.1000", "3.00", "yes"] in table_rows(page)
    assert f"<li>{hostile}</li>" in unescape(page)
    assert "<img" not in page
    assert set(re.findall(r'(?:href|src)="(.)', page)) == {"#"}  # of a figure's own parts
    assert page.count(">&lt;img src=x&gt;|![y](") > 2  # in the figures, too


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({}, "✗ Calibration drift"),
        ({"performance": [], "drift_alarm": True}, "! Drifting"),
        ({"performance": [], "drift_alarm": False}, "✓ No alarm"),
    ],
)
def test_status_line_is_the_worst_of_what_was_found(facts: dict, line: str) -> None:
    page = build_page(FLIGHTS.contract, replace(RECORD, **facts), [], {}, None, "", LIMITS)
    assert f"<b>{line}</b> In 2013-05 monitoring found" in page
    assert "<strong>Next:</strong> the training DAG takes the request, or <code>make run</code>" in page


def test_page_shows_the_drift_of_each_column_over_the_periods() -> None:
    before = replace(RECORD, sequence=1, period="2013-04", drift=[ColumnDrift("temp", 0.05, 0.1)], performance=[])
    page = build_page(FLIGHTS.contract, replace(RECORD, performance=[]), [before], {}, None, "", LIMITS)
    assert re.findall(r'aria-label="plot: ([^"]+)"', page) == ["columns", "history-1"]
