"""The page of the state, from facts typed here."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from flights import FLIGHTS, enter_home, make_home
from modelworks.evaluation.bootstrap import Estimate
from modelworks.monitoring.calibration import Performance
from modelworks.monitoring.drift import ColumnDrift
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.rollouts import RolloutStep
from modelworks.registry.runs import TrackedRun
from modelworks.reporting.markdown import as_text, link, text_table
from modelworks.settings import Settings, load_settings
from modelworks.state.page import to_html
from modelworks.state.rollout import RolloutState
from modelworks.state.status import CleanPeriod, ReleasedVersion, State
from modelworks.state.words import describe_result
from states import empty_state

HOSTILE = (
    "<script>alert(1)</script> a|b \\| [x](javascript:alert(1)) ![y](http://evil/z.png) <http://evil> "
    "**bold** `code` &lt; _c_ $\\undefined$ \\"
)

NOTHING = empty_state(datetime(2013, 12, 1, 6, 30, 5, tzinfo=UTC))
MOVE = LedgerEntry(
    sequence=1,
    at="2013-11-02T06:00:00+00:00",
    action="deploy",
    by="ada",
    reason="passed",
    from_version=None,
    to_version="1",
    run_id="r1",
    pipeline_run="first",
    data_digest="feed",
    code_commit="c0ffee",
)
RUN = TrackedRun("r1", "2013-10 first", "2013-11-02T05:00:00+00:00", "FINISHED", {}, {"roc_auc": 0.7, "log_loss": 0.5})
RECORD = Record(
    sequence=1,
    at="2013-12-01T06:00:00+00:00",
    period="2013-11",
    champion="1",
    clean_sha256="beef",
    drift=[ColumnDrift("temp", 0.3, 0.1), ColumnDrift("dest", 0.01, 0.04)],
    drift_note="",
    drift_alarm=False,
    health=[],
    performance=[],
    retrain=False,
    reason="no trigger of the retraining policy",
    pipeline_run="monitoring 2013-11",
    run_id="m1",
)
FIGURES = Performance(
    rows=90,
    blocks=30,
    observed=0.2,
    expected=0.25,
    loss=Estimate(0.5, 0.4, 0.6),
    skill=Estimate(0.02, -0.01, 0.04),
    gain=Estimate(0.03, 0.02, 0.04),
    calibration_drift=Estimate(0.02, 0.01, 0.03),
)
SERVED = PeriodPerformance("2013-10", "1", "beef", 90, 10, FIGURES, True, "")


class Read(HTMLParser):
    """Tags, addresses and the texts of cells of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.rows: list[list[str]] = []
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "xlink:href"}]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self._in_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    make_home(tmp_path)
    enter_home(tmp_path, monkeypatch)
    return load_settings()


def champion(**facts: Any) -> ReleasedVersion:
    known = {
        "version": "1",
        "run_id": "r1",
        "model_uri": "models:/m1",
        "first_period": "2013-01",
        "last_period": "2013-10",
        "holdout_period": "2013-10",
        "held_out": "2013-09 to 2013-10",
        "data_digest": "feed",
        "code_commit": "c0ffee",
        "since": "2013-11-02T06:00:00+00:00",
        "metrics": {"log_loss": 0.5, "log_loss_low": 0.4, "log_loss_high": 0.6, "holdout_rows": 900.0},
    }
    return ReleasedVersion(**known | facts)


def with_status(state: State, **facts: Any) -> State:
    return replace(state, status=replace(state.status, **facts))


STEP = RolloutStep(
    sequence=1,
    at="2013-12-01T06:00:00+00:00",
    rollout=1,
    action="started",
    by=HOSTILE,
    reason=HOSTILE,
    version=HOSTILE,
    champion="1",
    ledger_entry=1,
    release="canary",
    number=0,
    share=0.05,
    run_id="r2",
    pipeline_run="second",
    data_digest="feed",
    code_commit="c0ffee",
)


def clean(period: str, rows: int, unlabelled: int, quarantined: int, version: int) -> CleanPeriod:
    return CleanPeriod(period, version, rows, unlabelled, quarantined, "beef")


def captions(page: str) -> list[str]:
    """What the pictures show, in their order."""
    return re.findall(r'<span class="figure" role="img" aria-label="([^"]*)"><svg ', page)


@pytest.mark.parametrize("in_force", [True, False])
def test_rollout_that_goes_on_is_at_the_top_and_its_steps_below(settings: Settings, *, in_force: bool) -> None:
    moving = RolloutState(in_force, "version 3 answers 5 % of the requests", [replace(STEP, reason="a try")], None)
    page = to_html(FLIGHTS, settings, replace(NOTHING, rollout=moving))
    assert ("<strong>Rollout:</strong> version 3 answers 5 % of the requests" in page) == in_force
    assert "a try" in page


def test_page_of_a_new_project_says_what_to_do_and_has_no_figure(settings: Settings) -> None:
    page = to_html(FLIGHTS, settings, NOTHING)
    assert "There is none yet; <code>make run</code> trains and releases the first." in page
    assert "No period has been monitored yet" in page
    assert "All times are in UTC" in page
    assert "<svg" not in page
    assert '<div class="status waiting"><b>? No champion yet</b>' in page


def test_page_shows_what_is_known(settings: Settings) -> None:
    state = replace(
        with_status(
            NOTHING,
            champion=champion(),
            partitions=[clean("2013-10", 9000, 7, 2, 1), clean("2013-11", 1000, 0, 1, 3)],
            ledger=[MOVE],
        ),
        registry_champion="1",
        records=[replace(RECORD, performance=[SERVED], health=["row count: twice as many"])],
        runs=[replace(RUN, tags={"held_out": "2013-10", "model_version": "1"})],
        links={"r1": "http://mlflow/r1", "m1": "http://mlflow/m1"},
    )
    page = to_html(FLIGHTS, settings, state)
    read = Read(page)
    for row in (
        ["version", "1"],
        ["since", "2013-11-02 06:00"],
        ["trained on", "2013-01 to 2013-10"],
        ["released by", "ada: passed"],
        ["approved by", "no approval was asked for"],
        ["code commit", "c0ffee"],
        ["data digest", "feed"],
        ["log_loss", "0.500", "[0.400, 0.600]", "lower ↓"],
        [
            "2013-10",
            "1",
            "0.500 [0.400, 0.600]",
            "0.020 [-0.010, 0.040]",
            "0.020 [0.010, 0.030]",
            "calibration drift",
            "90",
            "10",
        ],
        ["temp", "0.3000", "0.1000", "3.00", "drifted"],
        ["dest", "0.0100", "0.0400", "0.25", ""],
        [
            "2013-11",
            "calibration drift in 2013-10",
            "no",
            "no trigger of the retraining policy",
            "",
            "1",
            "2013-12-01 06:00",
        ],
        ["2013-11-02 06:00", "deploy", "", "1", "ada", "", "passed"],
        ["2013-10 first", "2013-11-02 05:00", "2013-10", "0.700", "0.500", "released as version 1"],
        ["2013-10", "9,000", "7", "2", "1"],
    ):
        assert row in read.rows
    assert "2 clean periods, 2013-10 to 2013-11, with 10,000 rows" in page
    assert "are quarantined: 3." in page
    assert "row count: twice as many" in page
    assert "Measured on 2013-09 to 2013-10, before it was refitted with those rows; intervals by days." in page
    assert captions(page) == [
        "log loss and calibration drift by period",
        "skill by period",
        "drift of each column in 2013-11",
    ]
    assert '<td style="text-align:right">9,000</td>' in page
    assert read.addresses.count("http://mlflow/m1") == 1


def test_whatever_people_and_data_hold_is_shown_as_text(settings: Settings) -> None:
    served = replace(SERVED, period="2013-10", model_version=HOSTILE, note=HOSTILE, is_alarm=False)
    state = replace(
        with_status(
            NOTHING,
            model=HOSTILE,
            champion=champion(
                first_period=HOSTILE,
                last_period=HOSTILE,
                held_out=HOSTILE,
                data_digest=HOSTILE,
                code_commit=HOSTILE,
            ),
            partitions=[clean(HOSTILE, 1, 0, 0, 1)],
            ledger=[replace(MOVE, by=HOSTILE, reason=HOSTILE, from_version=HOSTILE, approved_by=HOSTILE)],
        ),
        registry_champion=HOSTILE,
        records=[
            replace(
                RECORD,
                champion=HOSTILE,
                drift=[ColumnDrift(HOSTILE, 0.3, 0.1)],
                health=[HOSTILE],
                performance=[served],
                retrain=True,
                reason=HOSTILE,
            ),
            replace(RECORD, sequence=2, period=HOSTILE, drift=[], drift_note=HOSTILE),
        ],
        claims={1: HOSTILE},
        runs=[replace(RUN, name=HOSTILE, tags={"verdict": "refused", "refusal": HOSTILE, "held_out": HOSTILE})],
        links={"r1": "javascript:alert(1)", "m1": "http://mlflow/<script>"},
        rollout=RolloutState(in_force=True, summary=HOSTILE, steps=[STEP], comparison=None),
    )
    page = to_html(FLIGHTS, settings, state, [HOSTILE])
    read = Read(page)
    assert read.tags <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "blockquote", "strong"),
        *("div", "table", "thead", "tbody", "tr", "th", "td", "a", "code", "b", "span"),
        *("svg", "g", "path", "text", "defs", "use", "clippath", "rect"),
    }
    servers = [settings.mlflow_url, settings.stack.url("airflow"), f"{settings.stack.url('api')}/docs"]
    monitoring_runs = ["http://mlflow/%3Cscript%3E"] * 2
    shown = [address for address in read.addresses if not address.startswith("#")]
    assert sorted(shown) == sorted(servers + monitoring_runs)
    cells = [cell for row in read.rows for cell in row]
    for said in (HOSTILE, f"{HOSTILE}: {HOSTILE}", f"refused: {HOSTILE}"):
        assert said in cells
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20


def test_period_without_figures_says_why_and_is_not_drawn(settings: Settings) -> None:
    note = "only 3 of 100 rows have a label"
    few = replace(SERVED, labelled=3, unlabelled=97, figures=None, is_alarm=None, note=note)
    page = to_html(FLIGHTS, settings, replace(NOTHING, records=[replace(RECORD, drift=[], performance=[few])]))
    assert ["2013-10", "1", "", "", "", note, "3", "97"] in Read(page).rows
    assert "<svg" not in page


def test_period_that_was_not_compared_says_why_and_the_one_before_is_shown(settings: Settings) -> None:
    later = replace(RECORD, sequence=2, period="2013-12", drift=[], drift_note="there is no champion", drift_alarm=None)
    page = to_html(FLIGHTS, settings, replace(NOTHING, records=[RECORD, later]))
    assert "2013-12 was not compared: there is no champion." in page
    assert "2013-11 against what version 1 was trained on: no alarm." in page
    assert ["temp", "0.3000", "0.1000", "3.00", "drifted"] in Read(page).rows


def test_request_for_a_new_model_is_followed_to_its_end(settings: Settings) -> None:
    requests = [replace(RECORD, sequence=number, period=f"2013-{number:02d}", retrain=True) for number in range(1, 5)]
    state = replace(
        NOTHING,
        records=requests,
        claims={1: "first", 2: "second", 3: "third", 4: None},
        claiming={
            "first": replace(RUN, tags={"model_version": "7"}),
            "second": replace(RUN, tags={"verdict": "refused", "refusal": "roc_auc floor: 0.5"}),
        },
    )
    results = {row[0]: row[4] for row in Read(to_html(FLIGHTS, settings, state)).rows if row[2:3] == ["yes"]}
    assert results == {
        "2013-01": "released as version 7",
        "2013-02": "refused: roc_auc floor: 0.5",
        "2013-03": "claimed by third, which is not in MLflow",
        "2013-04": "not claimed yet",
    }


@pytest.mark.parametrize(
    ("status", "tags", "described"),
    [
        ("FINISHED", {"model_version": "3", "verdict": "accepted"}, "released as version 3"),
        ("FINISHED", {"unchanged": "", "model_version": "3"}, "released as version 3"),
        (
            "FINISHED",
            {"unchanged": "2"},
            "nothing new: version 2 was trained from the same data, code and settings",
        ),
        ("FAILED", {"verdict": "refused", "refusal": "a: b"}, "refused: a: b"),
        (
            "FAILED",
            {"verdict": "accepted", "approval": "rejected", "answered_by": "ada", "answer_reason": "no"},
            "rejected by ada: no",
        ),
        ("FAILED", {}, "failed"),
        ("FAILED", {"verdict": "accepted", "approval": "not needed"}, "failed"),
        ("RUNNING", {"verdict": "accepted", "approval": "pending"}, "accepted, waits for approval"),
        ("RUNNING", {"verdict": "accepted", "approval": "not needed"}, "accepted, not released yet"),
        ("RUNNING", {}, "not finished"),
    ],
)
def test_result_of_a_run_is_described_in_words(status: str, tags: dict[str, str], described: str) -> None:
    assert describe_result(replace(RUN, status=status, tags=tags)) == described


def test_registry_that_contradicts_the_ledger_is_reported(settings: Settings) -> None:
    agreeing = replace(with_status(NOTHING, ledger=[MOVE]), registry_champion="1")
    assert "<blockquote>" not in to_html(FLIGHTS, settings, agreeing)
    page = to_html(FLIGHTS, settings, replace(agreeing, registry_champion="2"))
    assert "The champion is version 1 by the ledger, and version 2 by the registry" in page


def test_long_histories_show_their_latest_part(settings: Settings) -> None:
    moves = [replace(MOVE, sequence=number, to_version=f"v{number}") for number in range(1, 26)]
    records = [replace(RECORD, sequence=number, period=f"20{number:02d}-01", drift=[]) for number in range(1, 15)]
    page = to_html(
        FLIGHTS, settings, replace(with_status(NOTHING, ledger=moves), registry_champion="v25", records=records)
    )
    rows = Read(page).rows
    moved = [row[3] for row in rows if row[1:2] == ["deploy"]]
    monitored = [row[0] for row in rows if row[3:4] == ["no trigger of the retraining policy"]]
    assert (moved[0], moved[-1], len(moved)) == ("v25", "v6", 20)
    assert (monitored[0], monitored[-1], len(monitored)) == ("2014-01", "2003-01", 12)


def test_passwords_in_addresses_are_not_shown(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@mlflow")
    state = replace(with_status(NOTHING, champion=champion()), links={"r1": "http://ada:secret@mlflow/#/r1"})
    page = to_html(FLIGHTS, load_settings(), state, ["http://ada:secret@mlflow does not answer"])
    assert "secret" not in page
    assert 'href="http://mlflow/#/r1"' in page


def render(markdown: str) -> str:
    return MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)


@pytest.mark.parametrize("text", ["a|b", "a\\|b", "|", "\\", "a\\\\|"])
def test_separator_in_a_cell_does_not_end_it(text: str) -> None:
    assert render(text_table(["", ""], [[text, "next"]])).count(f"<td>{text}</td>\n<td>next</td>") == 1


def test_text_is_protected_once_and_nothing_is_nothing() -> None:
    assert as_text(as_text("*")) == as_text("*") == "\\*"
    assert as_text(None) == ""


def test_link_leads_to_the_web_or_is_none() -> None:
    assert render(link("a]b", "http://here/x>y |(z)")) == '<p><a href="http://here/x%3Ey%20%7C(z)">a]b</a></p>\n'
    assert link("run", "run 7 at sqlite") == link("run", "javascript:alert(1)") == "run"
