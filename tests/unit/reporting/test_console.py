"""The lines of stages on the console."""

import io
import logging

import pytest
from rich.console import Console

from modelworks.errors import QualityGateError
from modelworks.reporting.console import StageLines, print_ended
from modelworks.stages.common import log, stage
from modelworks.stages.facts import Result


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(shown: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> StageLines:
    """What shows the stages, for the time of a test."""
    handler = StageLines(Console(file=shown, width=200))
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "level", logging.INFO)
    log.manager._clear_cache()
    return handler


def test_a_stage_without_a_result_prints_none(shown: io.StringIO) -> None:
    print_ended(Console(file=shown, width=200), "plan", "done", 0.0, 1.25, "")
    assert shown.getvalue().rstrip("\n").endswith("plan        1.2 s")


def test_a_refusal_is_a_line_without_the_figures_that_follow_it(shown: io.StringIO, lines: StageLines) -> None:
    @stage
    def judge() -> Result:
        raise QualityGateError("refused: floor: 0.5, at least 0.6 required", "refused: 1 of 5 checks failed")

    with pytest.raises(QualityGateError, match="at least"):
        judge()
    assert shown.getvalue().endswith("refused: 1 of 5 checks failed\n")
    assert "at least" not in shown.getvalue()
    assert lines.failure == "refused: 1 of 5 checks failed"


def test_another_error_is_its_message(shown: io.StringIO, lines: StageLines) -> None:
    @stage
    def read() -> Result:
        raise OSError("the network is down")

    with pytest.raises(OSError, match="down"):
        read()
    assert shown.getvalue().endswith("the network is down\n")
    assert lines.failure == "the network is down"


def test_a_warning_of_a_stage_is_a_line_and_another_one_is_not(shown: io.StringIO, lines: StageLines) -> None:
    log.warning("of a library")
    text = "[model.parameters] max_iter: not used, since 'forest' has none such"
    log.warning("ingest: %s", text, extra={"stage": "ingest", "event": "warning", "result": text})
    assert shown.getvalue().startswith("! ")
    assert shown.getvalue().endswith(f"  ingest    {text}\n")
