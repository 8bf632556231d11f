"""MLflow's environment is set by an entry point, and by nothing else."""

import os
import subprocess
import sys

import pytest

from modelworks.registry import MLFLOW_DEFAULTS, MLFLOW_FIXED, set_mlflow_defaults, without_proxy


def test_defaults_leave_alone_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*MLFLOW_DEFAULTS, *MLFLOW_FIXED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "9")
    set_mlflow_defaults()
    assert {name: os.environ[name] for name in MLFLOW_DEFAULTS} == {
        **MLFLOW_DEFAULTS,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "9",
    }


def test_behaviour_is_the_same_whatever_the_shell_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*MLFLOW_DEFAULTS, *MLFLOW_FIXED):
        monkeypatch.setenv(name, "of the shell")
    set_mlflow_defaults()
    assert {name: os.environ[name] for name in MLFLOW_FIXED} == MLFLOW_FIXED
    assert MLFLOW_FIXED["MLFLOW_ENABLE_ASYNC_LOGGING"] == "false"


@pytest.mark.parametrize(
    ("environment", "direct"),
    [
        ({}, None),
        ({"NO_PROXY": "a.example"}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "127.0.0.1,localhost,::1,10.0.0.5"),
        (
            {"all_proxy": "socks5://proxy", "no_proxy": "a.example, localhost"},
            "a.example,localhost,127.0.0.1,::1,10.0.0.5",
        ),
    ],
)
def test_servers_on_this_computer_are_reached_without_a_proxy(environment: dict[str, str], direct: str | None) -> None:
    wanted = {"NO_PROXY": direct, "no_proxy": direct} if direct else {}
    assert without_proxy(environment, "10.0.0.5") == wanted


@pytest.mark.slow
def test_importing_the_engine_sets_nothing_and_setting_the_defaults_imports_no_mlflow() -> None:
    program = """
import os, sys
before = dict(os.environ)
import modelworks.registry
assert "mlflow" not in sys.modules
modelworks.registry.set_mlflow_defaults()
assert "mlflow" not in sys.modules
os.environ.clear()
os.environ.update(before)
import modelworks.registry.tracker
mine = {name: value for name, value in os.environ.items() if name.startswith(("MLFLOW_", "MODELWORKS_"))}
assert mine == {name: value for name, value in before.items() if name.startswith(("MLFLOW_", "MODELWORKS_"))}, mine
"""
    subprocess.run([sys.executable, "-c", program], check=True)
