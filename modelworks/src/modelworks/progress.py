"""How far a step is: a bar on a terminal, a line every ten seconds in a log, nothing for a short step.

`track` counts what a loop does, `Step` shows what its caller counts, `waiting` the seconds of a call that cannot be
counted. They give their counts to the display of the context: by default log records, which Airflow keeps with its
task; the command line sets another.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar

LINE_INTERVAL_S = 10.0
STAGES_LOGGER = "modelworks.stages"
"""Logger of the start, the progress and the end of each stage."""

T = TypeVar("T")

log = logging.getLogger(STAGES_LOGGER)


@dataclass(frozen=True)
class Progress:
    """How far a step is.

    Attributes
    ----------
    what : what is done, such as "validating 2013-06"
    done : finished so far, in units
    total : units in all; None if that is not known
    unit : plural, such as "rows"; "" where only time passes
    seconds : since the start
    """

    what: str
    done: int
    total: int | None
    unit: str
    seconds: float

    def __str__(self) -> str:
        """The progress as a line, such as "validating 2013-06: 400,000 of 1,000,000 rows (40 %), 12 s"."""
        if not self.unit:
            return f"{self.what}: {self.seconds:.0f} s"
        if not self.total:
            return f"{self.what}: {self.done:,} {self.unit}, {self.seconds:.0f} s"
        share = min(self.done / self.total, 1.0)
        return f"{self.what}: {self.done:,} of {self.total:,} {self.unit} ({share:.0%}), {self.seconds:.0f} s"


class Display(Protocol):
    """Shows the progress of steps."""

    @property
    def interval_s(self) -> float:
        """Least time between two calls of `show` for one step."""

    def show(self, step: object, progress: Progress) -> None:
        """Show how far a step is.

        Parameters
        ----------
        step : distinguishes steps that run at the same time
        """

    def end(self, step: object) -> None:
        """Remove a step that is done, shown or not."""


@dataclass(frozen=True)
class LogLines:
    """A log record every ten seconds, with the stage that it is about."""

    interval_s: float = LINE_INTERVAL_S

    def show(self, step: object, progress: Progress) -> None:
        """Log the progress."""
        stage = _stage.get() or "progress"
        log.info("%s: %s", stage, progress, extra={"stage": stage, "event": "progress", "result": str(progress)})

    def end(self, step: object) -> None:
        """Do nothing: a line that was logged stays."""


_display: ContextVar[Display | None] = ContextVar("display", default=None)
_stage: ContextVar[str] = ContextVar("stage", default="")


def use_display(display: Display) -> None:
    """Show the progress of what follows in this context by a display of one's own."""
    _display.set(display)


@contextmanager
def in_stage(name: str) -> Iterator[None]:
    """A context whose log lines name a stage."""
    token = _stage.set(name)
    try:
        yield
    finally:
        _stage.reset(token)


class Step:
    """A step whose caller says how far it is, such as one of several that run side by side.

    Parameters
    ----------
    what, unit, total : as in `Progress`
    clock : seconds, from any origin
    """

    def __init__(self, what: str, unit: str, total: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._unit, self._total, self._clock = what, unit, total, clock
        self._display = _display.get() or LogLines()
        self._started = self._shown = clock()

    def update(self, done: int, at: str = "") -> None:
        """Show how much is done, unless that was shown just now.

        Parameters
        ----------
        at : what it is at, such as a period
        """
        now = self._clock()
        if now - self._shown >= self._display.interval_s:
            what = f"{self._what}, {at}" if at else self._what
            self._display.show(self, Progress(what, done, self._total, self._unit, now - self._started))
            self._shown = now

    def end(self) -> None:
        """Remove the step from the display; again does nothing."""
        self._display.end(self)


def track(
    items: Iterable[T],
    what: str,
    unit: str,
    total: int | None = None,
    *,
    size: Callable[[T], int] = lambda _: 1,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """The items, one by one; how many are done is shown now and then.

    Parameters
    ----------
    what, unit, total : as in `Progress`; `total` is by default the number of items, if they have one
    size : units of an item, such as the rows of a batch
    clock : seconds, from any origin
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    step, done = Step(what, unit, total, clock=clock), 0
    try:
        for item in items:
            yield item
            done += size(item)
            step.update(done)
    finally:
        step.end()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A context for a call whose progress cannot be counted, such as a fit: shows the seconds that have passed."""
    display, step, is_over = _display.get() or LogLines(), object(), threading.Event()
    stage, started = _stage.get(), time.monotonic()

    def show() -> None:
        with in_stage(stage):
            while not is_over.wait(display.interval_s):
                display.show(step, Progress(what, 0, None, "", time.monotonic() - started))

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        display.end(step)
