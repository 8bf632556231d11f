"""Replays of the small project in twins: side by side, and with a month that arrives changed."""

import json
import re
from pathlib import Path

import pytest

from {{ cookiecutter.__package_name }} import monitoring, storage
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, load_settings
from {{ cookiecutter.__package_name }}.console import new_console
from {{ cookiecutter.__package_name }}.errors import ConfigError
from {{ cookiecutter.__package_name }}.replay import year
from {{ cookiecutter.__package_name }}.replay.perturbation import Perturbation

MONTHS = ["2013-05", "2013-06", "2013-07"]


def test_policies_are_lived_through_in_worlds_of_their_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")  # the team's server, which is not to be asked
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", str(project / "shared-storage"))
    settings = load_settings()
    outcomes = year.replay_year(settings, new_console(), ["frozen", "always"], MONTHS, is_live=False)
    assert list(outcomes) == ["configured", "frozen", "always"]
    for months in outcomes.values():
        assert [each.month for each in months] == MONTHS
        assert months[1].outcome == "released version 1"
        assert months[2].loss is not None
    assert outcomes["always"][2].outcome == "released version 2"  # a model each month
    assert outcomes["frozen"][2].asked == ""
    assert not (project / "shared-storage").exists()
    assert {each.name for each in (project / "var").iterdir()} == {"mlflow", "year"}

    span = year.span_served(outcomes, first_after_months=2)
    assert span == ("2013-07", "2013-07")
    files = {file.name: file for file in year.write_pages(project / "var" / "year", outcomes, span)}
    assert files["year.png"].read_bytes().startswith(b"\x89PNG")
    assert "2013-05 to 2013-07, replayed" in files["year.html"].read_text()
    assert json.loads(files["year.json"].read_text())["frozen"][2]["loss"] == outcomes["frozen"][2].loss


@pytest.mark.usefixtures("project")
def test_month_that_arrives_changed_has_one_retraining_and_no_more(capfd: pytest.CaptureFixture[str]) -> None:
    change = Perturbation("2013-07", "delayed", "flip", 0.5)
    outcomes = year.simulate(load_settings(), new_console(), change, "configured")
    assert [each.month for each in outcomes["as it was"] if each.asked] == ["2013-06"]
    assert [each.month for each in outcomes["changed"] if each.asked] == ["2013-06", "2013-07"]
    assert [each.alarms for each in outcomes["changed"]] == [[], [], ["decay in 2013-07"]]
    year.print_months(new_console(), outcomes)
    assert re.search(r"changed\n(.*\n){2}.*2013-07.*decay in 2013-07; new model wanted: decay", capfd.readouterr().out)


@pytest.mark.usefixtures("project")
def test_drift_that_is_asked_for_has_one_retraining_and_no_more() -> None:
    change = Perturbation("2013-07", "temp", "shift", 30)
    by_drift = "retraining.on_drift=1 of 1,retraining.on_decay=never,monitoring.max_drifted_fraction=0"
    outcomes = year.simulate(load_settings(), new_console(), change, by_drift)
    assert [each.asked for each in outcomes["changed"]][1:] == ["no champion yet", "drift in 2013-07"]
    twin = load_settings().home / "var" / "simulation" / "changed" / "var" / "data"
    claims = list((twin / "claims").rglob("*.json"))
    assert len(claims) == 2  # of the first model, and of this


@pytest.mark.usefixtures("project")
def test_months_that_are_too_few_or_not_there_are_refused() -> None:
    settings = load_settings()
    with pytest.raises(ConfigError, match="2013-06 to 2013-07: 2 months are too few: the first model wants 2"):
        year.choose_months(settings, "2013-06", None)
    with pytest.raises(ConfigError, match="2012-01 to 2013-07: the source has 2013-05 to 2013-07"):
        year.choose_months(settings, "2012-01", None)
    with pytest.raises(ConfigError, match="month 2013-06: no model serves in it; choose one from 2013-07 to 2013-07"):
        year.simulate(settings, new_console(), Perturbation("2013-06", "temp", "shift", 1), "configured")
    assert storage.list_months(settings.storage_uri, "raw") == []
    assert monitoring.read_records(settings) == []
