"""What commands print for programs, and what they ask a person."""

import io
import json

import pytest

from modelworks.cli.options import ask_reason, print_json
from modelworks.errors import MissingAnswerError


def test_json_has_null_for_what_json_has_no_number_for(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"low": float("nan"), "trials": [{"loss": float("inf")}, (1, 0.5)], "name": "linear"})
    assert json.loads(capsys.readouterr().out) == {
        "low": None,
        "trials": [{"loss": None}, [1, 0.5]],
        "name": "linear",
    }


def test_reason_that_is_given_is_not_asked_for() -> None:
    assert ask_reason("too many false alarms", "rollback") == "too many false alarms"


@pytest.mark.parametrize(
    ("command", "is_target", "call"),
    [("rollback", True, "make rollback ARGS=\"--reason '...'\""), ("approve", False, "approve --reason '...'")],
)
def test_without_a_terminal_the_option_is_named(
    monkeypatch: pytest.MonkeyPatch, command: str, is_target: bool, call: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("typed by nobody\n"))
    with pytest.raises(MissingAnswerError) as raised:
        ask_reason(None, command, is_target=is_target)
    assert str(raised.value) == f"--reason is missing, and there is no terminal to ask on: {call}"
