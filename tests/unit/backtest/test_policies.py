from pathlib import Path

import pytest

from flights import enter_home, make_home
from modelworks.backtest.policies import KNOWN, Policy, describe, list_alternatives, parse_policy
from modelworks.errors import ConfigError
from modelworks.settings import ENV_PREFIX, load_settings


def test_policies_are_names_settings_or_both() -> None:
    assert parse_policy("configured").overrides == {}
    assert parse_policy("frozen").overrides["retraining"]["every_periods"] == "0"
    both = parse_policy("always+training.window=3")
    assert (both.overrides["retraining"]["every_periods"], both.overrides["training"]["window"]) == ("1", "3")
    assert parse_policy("retraining.every_periods=1, training.window=3").overrides == {
        "retraining": {"every_periods": "1"},
        "training": {"window": "3"},
    }
    assert [parse_policy(each).has_own_gates for each in KNOWN] == [True, True, True, True, False]
    assert not both.has_own_gates
    assert both.folder == "always-training-window-3"


def test_policy_that_would_repeat_the_configured_one_is_no_alternative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter_home(tmp_path, monkeypatch)
    make_home(tmp_path)
    monkeypatch.setenv(f"{ENV_PREFIX}RETRAINING__EVERY_PERIODS", "3")
    assert list_alternatives(load_settings()) == ["frozen", "alarms", "each-period", "always"]
    monkeypatch.setenv(f"{ENV_PREFIX}RETRAINING__EVERY_PERIODS", "1")
    assert list_alternatives(load_settings()) == ["frozen", "alarms", "always"]


@pytest.mark.parametrize("text", ["sometimes", "window=3", "training.window", ""])
def test_policy_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(
        ConfigError, match="is neither one of configured, frozen, alarms, each-period, always nor a setting such as"
    ):
        parse_policy(text)


def test_policy_names_settings_with_digits_lists_and_tables() -> None:
    assert parse_policy("gates.metrics.r2.min=0.5").overrides == {"gates": {"metrics": {"r2": {"min": "0.5"}}}}
    assert Policy("many", {"training.features": '["temp"]'}).overrides == {"training": {"features": ["temp"]}}
    with pytest.raises(ConfigError, match=r"training\.features=\[temp: not valid JSON"):
        _ = Policy("many", {"training.features": "[temp"}).overrides


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("always", "a new model each period, and no gate"),
        ("retraining.every_periods=1", "with these settings"),
        ("frozen+model.parameters.max_iter=40", "the first model stays, with these settings"),
    ],
)
def test_policies_are_described(name: str, meaning: str) -> None:
    assert describe(name) == meaning
