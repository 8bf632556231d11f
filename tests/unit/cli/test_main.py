import os
import signal
from contextlib import suppress

import pytest

from modelworks.airflow.run import raising_interrupts
from modelworks.cli import app as program

MESSAGE = "interrupted: what is finished is kept; the same command goes on from there\n"


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(130)])  # outside a command, and as typer ends one
def test_interrupt_is_one_message_and_its_own_status(
    end: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise end

    monkeypatch.setattr(program, "app", command)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == MESSAGE


def test_interrupt_that_airflow_takes_for_the_failure_of_a_task_ends_the_run() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def run() -> None:
        with raising_interrupts():
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
            seen.append("went on")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert seen == ["went on"]
    assert signal.getsignal(signal.SIGINT) is before
