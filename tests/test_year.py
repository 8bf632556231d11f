"""`make year`: a real year through a live scheduler, and the figures on its page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from conftest import BakedProject

pytestmark = pytest.mark.slow

MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]
SPAN = MONTHS[4:]  # May to December
# In these, a model that learns from all months so far is not significantly better than the one of March.
WITHOUT_DAMAGE = {"2013-05", "2013-09", "2013-10", "2013-11"}
FORGETFUL = "training.window_months=3,retraining.every_months=1"

Months = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def printed(project: BakedProject) -> Iterator[str]:
    """What `make year` prints."""
    done = project.run("make", "year")
    assert done.returncode == 0, done.stdout + done.stderr
    yield done.stdout
    assert not [each for each in psutil.process_iter(["cwd"]) if str(project.path) in (each.info["cwd"] or "")]


@pytest.fixture(scope="module")
def outcomes(project: BakedProject, printed: str) -> dict[str, Months]:
    """Of each policy, what its months came to."""
    assert "year.json" in printed
    found = json.loads((project.path / "var" / "year" / "year.json").read_text())
    return {policy: {each["month"]: each for each in months} for policy, months in found.items()}


@pytest.fixture(scope="module")
def replayed(project: BakedProject, outcomes: dict[str, Months]) -> dict[str, Months]:
    """The same without Airflow, and beside it a model that learns from three months only."""
    assert outcomes
    done = project.run(".venv/bin/flight-delays", "year", "--policy", FORGETFUL)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((project.path / "var" / "year" / "year.json").read_text())
    return {policy: {each["month"]: each for each in months} for policy, months in found.items()}


def served_loss(months: Months) -> float:
    """Log loss a row, from May to December."""
    rows = [months[month]["rows"] for month in SPAN]
    losses = [months[month]["rows"] * months[month]["loss"] for month in SPAN]
    return float(sum(losses) / sum(rows))


def test_each_month_is_lived_through_and_told(printed: str, outcomes: dict[str, Months]) -> None:
    assert list(outcomes) == ["configured", "frozen", "always"]
    for months in outcomes.values():
        assert list(months) == MONTHS
        assert months["2013-03"]["outcome"] == "released version 1"
    for month in MONTHS:
        assert f"✓ {month}" in printed


def test_served_loss_beats_that_of_the_frozen_model(outcomes: dict[str, Months]) -> None:
    configured, frozen = served_loss(outcomes["configured"]), served_loss(outcomes["frozen"])
    assert 0.49 < configured < frozen - 0.02


def test_months_without_damage_raise_no_alarm(outcomes: dict[str, Months]) -> None:
    alarmed = {month for month, each in outcomes["configured"].items() if each["alarms"]}
    assert alarmed
    assert not alarmed & WITHOUT_DAMAGE


def test_frozen_model_decays_where_it_does_damage_and_nowhere_else(outcomes: dict[str, Months]) -> None:
    decayed = {month for month, each in outcomes["frozen"].items() if any("decay" in alarm for alarm in each["alarms"])}
    assert {"2013-06", "2013-07", "2013-08", "2013-12"} <= decayed
    assert not decayed & WITHOUT_DAMAGE


def test_model_that_is_no_better_than_the_base_rate_is_refused(outcomes: dict[str, Months]) -> None:
    april = outcomes["configured"]["2013-04"]
    assert april["asked"] == "decay in 2013-04"
    assert april["outcome"].startswith("refused: beats the baseline: ")
    assert outcomes["configured"]["2013-05"]["served_by"] == "1"


def test_live_scheduler_and_plain_replay_come_to_the_same(
    outcomes: dict[str, Months], replayed: dict[str, Months]
) -> None:
    assert replayed["configured"] == outcomes["configured"]


def test_challenger_that_forgot_the_winter_is_refused(replayed: dict[str, Months]) -> None:
    december = replayed[FORGETFUL]["2013-12"]
    assert december["outcome"].startswith("refused: not worse than the champion: ")
    assert december["version"] is None


def test_page_and_picture_show_it(project: BakedProject, outcomes: dict[str, Months]) -> None:
    assert outcomes
    page = (project.path / "var" / "year" / "year.html").read_text()
    assert "2013-01 to 2013-12, replayed" in page
    assert f"{served_loss(outcomes['configured']):.3f}" in page
    assert "http" not in page.replace("http-equiv", "")  # it needs nothing from elsewhere
    assert (project.path / "var" / "year" / "year.png").read_bytes().startswith(b"\x89PNG")


def test_project_itself_has_seen_nothing_of_it(project: BakedProject, outcomes: dict[str, Months]) -> None:
    assert outcomes
    assert project.run("git", "status", "--porcelain").stdout == ""
    status = json.loads(project.run(".venv/bin/flight-delays", "status", "--json").stdout)
    assert (status["champion"], status["ledger"], status["partitions"]) == (None, [], [])


def test_month_that_arrives_changed_shows_its_alarms(project: BakedProject) -> None:
    command = ["simulate-drift", "2013-05", "--column", "delayed", "--flip", "0.4"]
    done = project.run(".venv/bin/flight-delays", *command)
    assert done.returncode == 0, done.stdout + done.stderr
    as_it_was, changed = done.stdout.split("\nchanged\n")
    assert "decay in 2013-05" not in as_it_was
    assert changed.count("new model wanted: decay in 2013-05") == 1
