"""Progress: a line every ten seconds, none for a short step, and bars on a terminal."""

import io
import logging
import threading
from contextvars import copy_context
from dataclasses import dataclass, field

import pandas as pd
import pytest
from rich.console import Console

from modelworks.progress import STAGES_LOGGER, LogLines, Progress, Step, in_stage, track, use_display, waiting
from modelworks.reporting.console import StageLines
from modelworks.reporting.progress import ConsoleBars, ConsoleLines, console_display


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Kept:
    """A display that keeps what it is given."""

    interval_s: float = 10.0
    shown: list[str] = field(default_factory=list)
    ended: int = 0

    def show(self, step: object, progress: Progress) -> None:
        self.shown.append(str(progress))

    def end(self, step: object) -> None:
        self.ended += 1


@pytest.fixture
def kept() -> Kept:
    return Kept()


def run(display: object, loop) -> None:
    """Run a loop in a context of its own, whose display it is."""

    def inside() -> None:
        if display:
            use_display(display)
        loop()

    copy_context().run(inside)


def spend(clock: Clock, seconds: float, *tracked, **options) -> list:
    """Track, with so many seconds for each item."""
    passed = []
    for item in track(*tracked, clock=clock, **options):
        clock.now += seconds
        passed.append(item)
    return passed


def test_a_line_comes_every_ten_seconds(kept: Kept) -> None:
    run(kept, lambda: spend(Clock(), 4.0, range(8), "counting", "things"))
    # After 12 and 24 s, each the first multiple of 4 s that is at least ten seconds after the last line.
    assert kept.shown == ["counting: 3 of 8 things (38%), 12 s", "counting: 6 of 8 things (75%), 24 s"]
    assert kept.ended == 1


def test_steps_side_by_side_say_what_they_are_at(kept: Kept) -> None:
    clock = Clock()

    def side_by_side() -> None:
        slow, quick = (Step(f"replaying {name}", "periods", 12, clock=clock) for name in ("always", "frozen"))
        clock.now = 12.0
        slow.update(1, "2013-02")
        quick.update(5, "2013-06")
        clock.now = 15.0
        quick.update(6, "2013-07")  # three seconds later: not yet
        quick.end()
        clock.now = 25.0
        slow.update(2)
        slow.end()

    run(kept, side_by_side)
    assert kept.shown == [
        "replaying always, 2013-02: 1 of 12 periods (8%), 12 s",
        "replaying frozen, 2013-06: 5 of 12 periods (42%), 12 s",
        "replaying always: 2 of 12 periods (17%), 25 s",
    ]
    assert kept.ended == 2


def test_a_short_step_shows_nothing(kept: Kept) -> None:
    run(kept, lambda: spend(Clock(), 1.0, range(9), "counting", "things"))
    assert (kept.shown, kept.ended) == ([], 1)


def test_units_are_those_of_the_items_and_the_total_may_be_unknown(kept: Kept) -> None:
    batches = [pd.DataFrame({"a": range(n)}) for n in (1500, 500)]
    run(kept, lambda: spend(Clock(), 10.0, iter(batches), "reading", "rows", size=len))
    assert kept.shown == ["reading: 1,500 rows, 10 s", "reading: 2,000 rows, 20 s"]


def test_more_than_the_total_is_no_more_than_all(kept: Kept) -> None:
    run(kept, lambda: spend(Clock(), 10.0, [3], "reading", "rows", 2, size=int))
    assert kept.shown == ["reading: 3 of 2 rows (100%), 10 s"]


def test_items_pass_unchanged_and_one_at_a_time() -> None:
    made = []
    items = track((made.append(number) or number for number in range(3)), "counting", "things")
    assert next(items) == 0
    assert made == [0]
    assert [*items] == [1, 2]


def test_a_loop_that_is_left_early_ends_its_step(kept: Kept) -> None:
    def leave() -> None:
        for _ in track(range(3), "counting", "things"):
            break

    run(kept, leave)
    assert kept.ended == 1


def test_a_call_shows_the_seconds_and_ends_its_thread() -> None:
    display, seen = Kept(interval_s=0.001), threading.Event()
    display.show = lambda _, progress: (display.shown.append(progress.what), seen.set())
    threads = threading.active_count()

    def call() -> None:
        with waiting("fitting"):
            assert seen.wait(30)

    run(display, call)
    assert set(display.shown) == {"fitting"}
    assert (display.ended, threading.active_count()) == (1, threads)


def test_by_default_a_line_is_a_log_record_of_the_stage(caplog: pytest.LogCaptureFixture) -> None:
    def loop() -> None:
        with in_stage("validate"):
            spend(Clock(), 10.0, [1], "validating 2013-06", "rows", 2)

    with caplog.at_level(logging.INFO, STAGES_LOGGER):
        run(None, loop)
    assert caplog.messages == ["validate: validating 2013-06: 1 of 2 rows (50%), 10 s"]
    [record] = caplog.records
    shown = io.StringIO()
    StageLines(Console(file=shown, width=200)).emit(record)
    assert shown.getvalue().endswith("validate  ... validating 2013-06: 1 of 2 rows (50%), 10 s\n")


def test_a_pipe_has_lines_and_a_terminal_bars_that_go() -> None:
    pipe, terminal = io.StringIO(), io.StringIO()
    lines = console_display(Console(file=pipe, width=100))
    bars = console_display(Console(file=terminal, width=100, force_terminal=True))
    assert isinstance(lines, ConsoleLines)
    assert isinstance(bars, ConsoleBars)
    run(lines, lambda: spend(Clock(), 10.0, [1], "counting", "things"))
    assert pipe.getvalue() == "  ... counting: 1 of 1 things (100%), 10 s\n"
    run(bars, lambda: spend(Clock(), 0.4, range(2), "too short", "things"))
    assert terminal.getvalue() == ""
    run(bars, lambda: spend(Clock(), 10.0, range(4), "counting", "things"))
    assert "counting" in terminal.getvalue()
    assert "4 of 4 things" in terminal.getvalue()
    assert terminal.getvalue().rpartition("things")[2].count("\x1b[2K") == 1  # the line of the bar is erased


def test_log_lines_are_ten_seconds_apart() -> None:
    assert LogLines().interval_s == ConsoleLines(Console()).interval_s == 10
