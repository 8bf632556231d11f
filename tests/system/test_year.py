"""`make backtest`: a real year through a live scheduler, and the figures on its page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from bakes import BakedProject

pytestmark = [pytest.mark.slow, pytest.mark.heavy]

PERIODS = [f"2013-{period:02d}" for period in range(1, 13)]
SPAN = PERIODS[4:]  # May to December
# In these, a model that is trained on all periods so far is not significantly better than the one of March.
WITHOUT_DAMAGE = {"2013-05", "2013-09", "2013-10", "2013-11"}
FORGETFUL = "training.window=3,retraining.every_periods=1"

Periods = dict[str, dict[str, Any]]
Written = dict[str, Any]


@pytest.fixture(scope="module")
def printed(project: BakedProject) -> Iterator[str]:
    """What `make backtest` prints."""
    done = project.run("make", "backtest")
    assert done.returncode == 0, done.stdout + done.stderr
    yield done.stdout
    assert not [each for each in psutil.process_iter(["cwd"]) if str(project.path) in (each.info["cwd"] or "")]


@pytest.fixture(scope="module")
def written(project: BakedProject, printed: str) -> Written:
    """The figures that `make backtest` writes."""
    assert "backtest.json" in printed
    return read_figures(project)


@pytest.fixture(scope="module")
def outcomes(written: Written) -> dict[str, Periods]:
    """Of each policy, what its periods came to."""
    return by_period(written)


@pytest.fixture(scope="module")
def replayed(project: BakedProject, outcomes: dict[str, Periods]) -> dict[str, Periods]:
    """The same without Airflow, and beside it a model that is trained on three periods only."""
    assert outcomes
    done = project.run(project.command, "backtest", "--without-airflow", "--policy", FORGETFUL)
    assert done.returncode == 0, done.stdout + done.stderr
    return by_period(read_figures(project))


def read_figures(project: BakedProject) -> Written:
    """What the last backtest has written."""
    found: Written = json.loads((project.path / "var" / "backtest" / "backtest.json").read_text())
    return found


def by_period(written: Written) -> dict[str, Periods]:
    """The outcomes by policy and period."""
    return {policy: {each["period"]: each for each in periods} for policy, periods in written["policies"].items()}


def served_loss(periods: Periods) -> float:
    """Log loss a row, from May to December."""
    rows = [periods[period]["rows"] for period in SPAN]
    losses = [periods[period]["rows"] * periods[period]["loss"] for period in SPAN]
    return float(sum(losses) / sum(rows))


def test_each_period_is_replayed_and_shown(printed: str, outcomes: dict[str, Periods]) -> None:
    assert list(outcomes) == ["configured", "frozen", "alarms", "always"]
    for periods in outcomes.values():
        assert list(periods) == PERIODS
        assert periods["2013-03"]["result"] == "released version 1"
    for period in PERIODS:
        assert f"✓ {period}" in printed


def test_served_loss_beats_that_of_the_frozen_model(outcomes: dict[str, Periods]) -> None:
    configured, frozen = served_loss(outcomes["configured"]), served_loss(outcomes["frozen"])
    assert 0.49 < configured < frozen - 0.02


def test_shipped_policy_is_the_recommended_one(written: Written, printed: str) -> None:
    comparison = written["comparison"]
    policies = {each["name"]: each for each in comparison["policies"]}
    assert comparison["recommended"] == comparison["best"] == "configured"
    assert {name for name, each in policies.items() if each["verdict"] == "worse than the best"} == {"frozen", "alarms"}
    assert policies["alarms"]["over_best"]["low"] > 0
    assert (comparison["rows"], comparison["n_blocks"]) == (74_782, 245)
    assert "Recommended: configured, 10 trainings: frozen, alarms are worse beyond chance (74,782 rows" in printed


def test_policy_that_retrains_each_quarter_is_not_recommended(
    project: BakedProject, replayed: dict[str, Periods]
) -> None:
    """The former default; each period has a lower loss beyond chance."""
    assert replayed
    done = project.run(project.command, "backtest", "--without-airflow", "--policy", "retraining.every_periods=3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Recommended: configured, 10 trainings: retraining.every_periods=3 is worse beyond chance" in done.stdout


def test_periods_without_damage_raise_no_alarm(outcomes: dict[str, Periods]) -> None:
    alarmed = {period for period, each in outcomes["configured"].items() if each["alarms"]}
    assert alarmed
    assert not alarmed & WITHOUT_DAMAGE


def test_frozen_model_drifts_where_it_does_damage_and_nowhere_else(outcomes: dict[str, Periods]) -> None:
    alarms = {period: each["alarms"] for period, each in outcomes["frozen"].items()}
    drifted = {period for period, each in alarms.items() if any("calibration drift" in alarm for alarm in each)}
    assert {"2013-06", "2013-07", "2013-08", "2013-12"} <= drifted
    assert not drifted & WITHOUT_DAMAGE


def test_model_that_is_no_better_than_the_base_rate_is_refused(outcomes: dict[str, Periods]) -> None:
    april = outcomes["configured"]["2013-04"]
    age = "the champion is trained through 2013-03, 1 period ago"
    assert april["request"] == f"calibration drift in 2013-04; {age}"
    assert april["result"].startswith("refused: beats the baseline: ")
    assert outcomes["configured"]["2013-05"]["served_by"] == "1"


def test_live_scheduler_and_plain_replay_come_to_the_same(
    outcomes: dict[str, Periods], replayed: dict[str, Periods]
) -> None:
    assert replayed["configured"] == outcomes["configured"]


def test_challenger_that_forgot_the_winter_is_refused(replayed: dict[str, Periods]) -> None:
    december = replayed[FORGETFUL]["2013-12"]
    assert december["result"].startswith("refused: not worse than the champion: ")
    assert december["version"] is None


def test_page_and_picture_show_it(project: BakedProject, outcomes: dict[str, Periods]) -> None:
    assert outcomes
    page = (project.path / "var" / "backtest" / "backtest.html").read_text()
    assert "Backtest: 2013-01 to 2013-12" in page
    assert f"{served_loss(outcomes['configured']):.3f}" in page
    assert "http" not in page.replace("http-equiv", "")  # it needs nothing from elsewhere
    assert (project.path / "var" / "backtest" / "backtest.png").read_bytes().startswith(b"\x89PNG")


def test_project_itself_has_seen_nothing_of_it(project: BakedProject, outcomes: dict[str, Periods]) -> None:
    assert outcomes
    assert project.run("git", "status", "--porcelain").stdout == ""
    status = json.loads(project.run(project.command, "status", "--json").stdout)
    assert (status["champion"], status["ledger"], status["partitions"]) == (None, [], [])


def test_period_that_arrives_changed_shows_its_alarms(project: BakedProject) -> None:
    command = ["simulate-drift", "2013-05", "--column", "delayed", "--flip", "0.4"]
    done = project.run(project.command, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    as_it_was, changed = done.stdout.split("\nchanged\n")
    assert "calibration drift in 2013-05" not in as_it_was
    assert changed.count("new model requested: calibration drift in 2013-05") == 1
