"""Backtests of the small project in sandboxes: policies side by side, and a period that arrives changed."""

import json
import os
import re
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flights import FLIGHTS
from modelworks.backtest import loop, run
from modelworks.backtest.comparison import compare
from modelworks.backtest.outcome import PeriodOutcome
from modelworks.backtest.perturbation import Perturbation
from modelworks.backtest.policies import parse_policy
from modelworks.backtest.printing import print_comparison, print_periods
from modelworks.data import partitions
from modelworks.errors import ConfigError
from modelworks.monitoring import records
from modelworks.progress import Progress, use_display
from modelworks.reporting.console import new_console
from modelworks.settings import ENV_PREFIX, Settings, load_settings

PERIODS = ["2013-05", "2013-06", "2013-07"]


@dataclass
class Shown:
    """A display that keeps each line, up to the unit."""

    interval_s: float = 0.0
    lines: set[str] = field(default_factory=set)

    def show(self, step: object, progress: Progress) -> None:
        self.lines.add(str(progress).partition(" periods")[0])

    def end(self, step: object) -> None:
        """Nothing is to be removed."""


def replay_and_show(shown: Shown, settings: Settings, policies: list[str]) -> dict[str, list[PeriodOutcome]]:
    use_display(shown)
    return run.backtest(FLIGHTS, settings, new_console(), policies, PERIODS, is_live=False)


def test_policies_are_replayed_in_sandboxes_of_their_own(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")  # the team's server, which is not to be asked
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", str(project / "shared-storage"))
    before = dict(os.environ)
    settings = load_settings()
    shown = Shown()
    outcomes = copy_context().run(replay_and_show, shown, settings, ["frozen", "always"])
    assert list(outcomes) == ["configured", "frozen", "always"]
    for periods in outcomes.values():
        assert [each.period for each in periods] == PERIODS
        assert periods[1].result == "released version 1"
        assert periods[2].loss is not None
    assert outcomes["always"][2].result == "released version 2"  # a model each period
    assert outcomes["frozen"][2].request == ""
    assert not (project / "shared-storage").exists()
    assert {each.name for each in (project / "var").iterdir()} == {"mlflow", "backtest"}
    assert dict(os.environ) == before

    span = run.span_served(outcomes, first_after_periods=2)
    assert span == ("2013-07", "2013-07")
    folder = project / "var" / "backtest"
    compared = compare(outcomes, span, settings.evaluation, settings.training.seed)
    assert compared
    files = {file.name: file for file in run.write_pages(FLIGHTS, folder, outcomes, span, compared)}
    assert files["backtest.png"].read_bytes().startswith(b"\x89PNG")
    assert "Backtest: 2013-05 to 2013-07" in files["backtest.html"].read_text()
    figures = json.loads(files["backtest.json"].read_text())
    written = figures["policies"]["frozen"][2]
    assert (written["loss"], written["alarms"], written["result"]) == (
        outcomes["frozen"][2].loss,
        outcomes["frozen"][2].alarms,
        outcomes["frozen"][2].result,
    )
    # In July all three serve the first model: the loss is the same, and the fewest trainings win.
    assert figures["comparison"]["recommended"] == "configured"
    assert [(each.trainings, each.p_value) for each in compared.policies] == [(1, 1.0), (1, 1.0), (2, None)]
    assert [each.loss for each in compared.policies] == pytest.approx([outcomes["frozen"][2].loss] * 3)
    assert (compared.rows, compared.n_blocks) == (outcomes["frozen"][2].rows, 31)
    # How often a replay is looked at depends on the machine, so which of these are seen does as well.
    possible = {f"replaying {name}, {period}: {done} of 3" for name in outcomes for done, period in enumerate(PERIODS)}
    assert shown.lines <= possible
    print_comparison(FLIGHTS, new_console(), outcomes, span, compared)
    printed = capfd.readouterr().out
    assert re.search(r"\n *always +0\.\d{4} +[+-]0\.\d{4} +2 +2 +0 +\d *\n", printed)
    assert "\nRecommended: configured, 1 training: the fewest of those that are indistinguishable from" in printed


def test_how_far_each_policy_is_and_in_which_period_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    frozen, always = tmp_path / "frozen", tmp_path / "always"
    looks = [{}, {frozen: 0}, {frozen: 1, always: 0}, {frozen: 3, always: 2}, {frozen: 3, always: 3}]
    monkeypatch.setattr(loop, "replay_all", lambda sandboxes, periods: iter(looks))
    shown = Shown()

    def replay() -> None:
        use_display(shown)
        sandboxes = {frozen: parse_policy("frozen"), always: parse_policy("always")}
        run._replay_side_by_side(new_console(), sandboxes, PERIODS)

    copy_context().run(replay)
    assert shown.lines == {
        "replaying frozen, 2013-05: 0 of 3",
        "replaying frozen, 2013-06: 1 of 3",
        "replaying always, 2013-05: 0 of 3",
        "replaying always, 2013-07: 2 of 3",
    }
    assert "replayed without Airflow: frozen, always" in capfd.readouterr().out


def test_period_that_arrives_changed_has_one_retraining_and_no_more(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    change = Perturbation("2013-07", "delayed", "flip", 0.5)
    outcomes = run.simulate(FLIGHTS, settings, new_console(), change, "configured")
    assert [each.period for each in outcomes["as it was"] if each.request] == ["2013-06"]
    assert [each.period for each in outcomes["changed"] if each.request] == ["2013-06", "2013-07"]
    assert [each.alarms for each in outcomes["changed"]] == [[], [], ["calibration drift in 2013-07"]]
    print_periods(FLIGHTS, new_console(), outcomes)
    printed = capfd.readouterr().out
    assert re.search(
        r"changed\n(.*\n){2}.*2013-07.*calibration drift in 2013-07; new model requested: calibration drift", printed
    )


def test_drift_that_is_to_be_answered_has_one_retraining_and_no_more(settings: Settings) -> None:
    change = Perturbation("2013-07", "temp", "shift", 30)
    by_drift = "retraining.drift_alarms=1,retraining.calibration_alarms=0,monitoring.max_drifted_fraction=0"
    outcomes = run.simulate(FLIGHTS, settings, new_console(), change, by_drift)
    assert [each.request for each in outcomes["changed"]][1:] == ["no champion yet", "drift in 2013-07"]
    sandbox = settings.home / "var" / "simulation" / "changed" / "var" / "data"
    claims = list((sandbox / "claims").rglob("*.json"))
    assert len(claims) == 2  # of the first model, and of this


def test_periods_that_are_too_few_or_not_there_are_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="2013-06 to 2013-07: 2 periods are too few: the first model wants 2"):
        run.choose_periods(settings, "2013-06", None)
    with pytest.raises(ConfigError, match="2012-01 to 2013-07: the source has 2013-05 to 2013-07"):
        run.choose_periods(settings, "2012-01", None)
    with pytest.raises(ConfigError, match="period 2013-06: no model serves in it; choose one from 2013-07 to 2013-07"):
        run.simulate(FLIGHTS, settings, new_console(), Perturbation("2013-06", "temp", "shift", 1), "configured")
    with pytest.raises(ConfigError, match="column 'tmp': not in the contract"):
        run.simulate(FLIGHTS, settings, new_console(), Perturbation("2013-07", "tmp", "shift", 1), "configured")
    assert partitions.list_periods(settings.storage_uri, "raw") == []
    assert records.read_records(settings) == []


def test_policy_with_a_wrong_setting_is_refused_before_anything_is_replayed(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"\[training\] windows: no such setting"):
        run.backtest(FLIGHTS, settings, new_console(), ["training.windows=3"], PERIODS, is_live=False)
    assert list((settings.home / "var" / "backtest").rglob("*.parquet")) == []
