from dataclasses import replace

import pytest

from flights import FLIGHTS
from modelworks.checks import Check
from modelworks.data.validation import PeriodFacts
from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.metrics import Report, SliceResult
from modelworks.reporting.documents import Lineage, approval_request, model_card, validation_report
from modelworks.reporting.markdown import count_rows, table, without_secrets

REPORT = Report(
    rows=10,
    blocks=2,
    observed=0.3,
    metrics={"roc_auc": Estimate(0.7, 0.6, 0.8)},
    baseline_loss=0.6,
    gain_over_baseline=Estimate(0.1, 0.05, 0.2),
    gain_over_champion=None,
    slices=[SliceResult("carrier", "AA", 10, 0.3, 0.28, 0.5, None)],
)


def test_table_lines_up_and_escapes_its_separator() -> None:
    assert table(["a", "b|c"], [["x|y", 1]]).splitlines() == [
        "| a    | b\\|c |",
        "|------|-----:|",
        "| x\\|y |    1 |",
    ]


@pytest.mark.parametrize(
    ("cells", "is_right"),
    [
        (["1", "1,234", "-0.5", "+0.012", "12.5 %"], True),
        (["0.700 [0.600, 0.800]", "\\-0\\.020 \\[\\-0\\.040, 0\\.010\\]", "[0.1, 0.2]"], True),
        (["1", "", "-"], True),
        (["version 3", "1,200", "0.25"], True),
        (["2013-05", "2013-06"], False),
        (["c0ffee", "3 of 3"], False),
        (["", "-"], False),
    ],
)
def test_columns_of_numbers_are_aligned_to_the_right(cells: list[str], is_right: bool) -> None:
    rule = table(["value"], [[cell] for cell in cells]).splitlines()[1]
    assert rule.endswith(":|") == is_right


def test_validation_report_names_each_period_and_check() -> None:
    facts = PeriodFacts(rows=9, quarantined=1, reasons={}, null_fraction={"temp": 0.5}, categories={})
    text = validation_report(FLIGHTS.contract, {"2013-05": (facts, [Check("row count", False, "9 rows")])})
    assert "row count: FAIL" in text
    assert "50.0%" in text


def test_rows_without_a_label_are_counted_where_there_are_any() -> None:
    assert count_rows(1234, 0) == "1,234 rows"
    assert count_rows(1234, 56) == "1,234 rows (56 without a label left out)"
    facts = PeriodFacts(rows=9, quarantined=1, reasons={}, null_fraction={}, categories={}, unlabelled=3)
    [line] = [
        each
        for each in validation_report(FLIGHTS.contract, {"2013-05": (facts, [])}).splitlines()
        if each.startswith("| 2013-05")
    ]
    assert [cell.strip() for cell in line.strip("|").split("|")] == ["2013-05", "9", "1", "3", "0 of 0"]
    lineage = Lineage("run", "name", [], ["2013-06"], "2013-07", "2013-06", 30, "feed", "c", "g", "sha", unlabelled=4)
    card = model_card(FLIGHTS.contract, "model", "7", replace(REPORT, unlabelled=2), [], lineage)
    assert "30 rows (4 without a label left out), periods 2013-06" in card
    assert "Measured on 10 rows (2 without a label left out) of 2013-07" in card


@pytest.mark.parametrize(
    "said",
    [
        "version 7",
        "2013-05 to 2013-06",
        "0.700 [0.600, 0.800]",
        "carrier = AA",
        "feed",
        "2013-07",
        *FLIGHTS.contract.features,
    ],
)
def test_model_card_says_what_is_known_of_the_model(said: str) -> None:
    periods = ["2013-05", "2013-06", "2013-07"]
    trained_on = "2 periods 2013-05 to 2013-06"
    lineage = Lineage(
        "run", "name", FLIGHTS.contract.features, periods, "2013-07", trained_on, 30, "feed", "c", "g", "sha"
    )
    assert said in model_card(FLIGHTS.contract, "model", "7", REPORT, [Check("roc_auc floor", True, "0.7")], lineage)


def test_approval_request_sets_the_challenger_against_the_champion_and_the_baseline() -> None:
    better = Estimate(0.02, 0.01, 0.03)
    report = replace(REPORT, metrics={"log_loss": Estimate(0.5, 0.4, 0.6)}, gain_over_champion=better)
    text = approval_request(
        FLIGHTS.contract, report, [], ["few rows"], "3", {"this run": "http://here", "the other": "run 7 at sqlite"}
    )
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["challenger: this model", "0.500 [0.400, 0.600]", ""] in lines
    assert ["champion: version 3", "0.520", "0.020 [0.010, 0.030]"] in lines
    assert ["the baseline", "0.600", "0.100 [0.050, 0.200]"] in lines
    assert ["slice", "rows", "observed share", "predicted share", "log loss", "gain over the champion"] in lines
    assert ["- few rows"] in lines
    assert ["log_loss", "0.500 [0.400, 0.600]", "lower ↓"] in lines
    assert "[this run](http://here), the other: run 7 at sqlite." in text


def test_model_card_sets_the_metrics_beside_the_baseline_and_says_which_way_is_better() -> None:
    lineage = Lineage("run", "name", [], ["2013-06"], "2013-07", "2013-06", 30, "feed", "c", "g", "sha")
    card = model_card(FLIGHTS.contract, "model", "7", REPORT, [], lineage)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines()]
    for row in (
        ["roc_auc", "0.700 [0.600, 0.800]", "higher ↑"],
        ["log_loss, baseline alone", "0.600", "lower ↓"],
        ["gain_over_baseline", "0.100 [0.050, 0.200]", "higher ↑"],
    ):
        assert row in lines


def test_approval_request_of_the_first_release_names_no_champion() -> None:
    first = replace(REPORT, metrics={"log_loss": Estimate(0.5, 0.4, 0.6)})
    assert "champion:" not in approval_request(FLIGHTS.contract, first, [], [], None, {})
    assert "gain over the champion" not in approval_request(FLIGHTS.contract, first, [], [], None, {})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no answer from http://ada:secret@here:5000/a", "no answer from http://here:5000/a"),
        ("postgresql+psycopg2://ada:se/cr:et@here/db", "postgresql+psycopg2://here/db"),
        ("https://token@here/a", "https://here/a"),
        ("s3://bucket/period@v1", "s3://bucket/period@v1"),
        ("sqlite:////home/ada@work/mlflow.db", "sqlite:////home/ada@work/mlflow.db"),
    ],
)
def test_addresses_are_shown_without_user_and_password(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
