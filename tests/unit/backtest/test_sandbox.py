"""Sandboxes: homes of their own, whose settings win over the environment and change nothing outside."""

import os
import tomllib
from pathlib import Path

import pytest

from flights import enter_home, make_home
from modelworks.backtest.sandbox import make_sandbox, open_sandbox, to_toml
from modelworks.errors import ConfigError
from modelworks.settings import ENV_PREFIX, load_settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without data."""
    make_home(tmp_path / "home")
    enter_home(tmp_path / "home", monkeypatch)
    return tmp_path / "home"


def test_sandbox_shares_code_and_sources_and_has_its_own_storage(home: Path) -> None:
    (home / "var" / "data").mkdir(parents=True)
    (home / ".env").write_text("SECRET=1")
    folder = home / "var" / "backtest" / "frozen"
    settings = make_sandbox(home, folder, {})
    assert settings.home == folder
    assert settings.storage_uri == str(folder / "var" / "data")
    assert settings.name == load_settings().name
    assert (folder / "src").resolve() == (home / "src").resolve()
    assert {each.name for each in folder.iterdir()} == {"pyproject.toml", "pipeline.toml", "src", "dags", "data", "var"}
    assert list((folder / "var").iterdir()) == []


def test_overrides_win_over_the_file_and_the_environment_which_stays_as_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://team")
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", "s3://team")
    monkeypatch.setenv(f"{ENV_PREFIX}RETRAINING__EVERY_PERIODS", "5")
    before, written = dict(os.environ), (home / "pipeline.toml").read_text()
    overrides = {"retraining": {"every_periods": "1"}, "model": {"type": "linear"}}
    settings = make_sandbox(home, home / "var" / "sandbox", overrides)
    assert (settings.retraining.every_periods, settings.model.type) == (1, "linear")
    assert settings.is_mlflow_local
    assert settings.gates.approval == "never"
    assert settings.notifications.events == []
    assert open_sandbox(settings.home, overrides) == settings
    assert dict(os.environ) == before
    assert (home / "pipeline.toml").read_text() == written
    assert load_settings().storage_uri == "s3://team"


def test_settings_with_a_byte_order_mark_are_read(home: Path) -> None:
    text = (home / "pipeline.toml").read_text(encoding="utf-8")
    (home / "pipeline.toml").write_text(text, encoding="utf-8-sig", newline="\r\n")
    assert make_sandbox(home, home / "var" / "sandbox", {"model": {"type": "linear"}}).model.type == "linear"


def test_processes_of_a_sandbox_read_its_settings_from_its_own_file(home: Path) -> None:
    """Whatever starts there, such as a task of Airflow, is handed no overrides."""
    settings = make_sandbox(home, home / "var" / "sandbox", {"model": {"type": "linear"}})
    assert load_settings(settings.home) == settings


def test_what_was_in_a_sandbox_is_removed_and_what_it_links_to_stays(home: Path) -> None:
    folder = home / "var" / "sandbox"
    (home / "data" / "rows.csv").write_text("1")
    make_sandbox(home, folder, {})
    (folder / "var" / "old").touch()
    make_sandbox(home, folder, {})
    assert not (folder / "var" / "old").exists()
    assert (home / "data" / "rows.csv").read_text() == "1"


def test_setting_that_does_not_exist_is_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[training\] windows: no such setting"):
        make_sandbox(home, home / "var" / "sandbox", {"training": {"windows": "3"}})


def test_settings_survive_toml() -> None:
    sections = {
        "source": {"uri": 'data/"a"\\{period}.csv', "null_values": ["", "ü\n\x7f"], "delimiter": "\t"},
        "model": {"parameters": {"max leaf nodes": 15, "rate": 1e-05, "on": True}, "empty": {}},
        "training": {"holdout": 0.2, "features": [], "window": 0, "by": {"a": {"b": [1, 2]}}},
    }
    assert tomllib.loads(to_toml(sections)) == sections


def test_what_is_unset_is_left_out_since_toml_has_no_null() -> None:
    text = to_toml({"gates": {"metrics": {"r2": {"min": None, "max": 0.9}, "mae": {"max": None}}}})
    assert tomllib.loads(text) == {"gates": {"metrics": {"r2": {"max": 0.9}, "mae": {}}}}
