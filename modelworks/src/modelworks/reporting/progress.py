"""The progress of steps on a console: a bar where it is a terminal, else a line every ten seconds."""

import threading
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from modelworks.progress import LINE_INTERVAL_S, Display, Progress

BAR_INTERVAL_S = 0.2
BAR_AFTER_S = 1.0
"""A step that is done sooner has no bar, which would only flash."""


@dataclass(frozen=True)
class ConsoleLines:
    """A line every ten seconds."""

    console: Console
    interval_s: float = LINE_INTERVAL_S

    def show(self, step: object, progress: Progress) -> None:
        """Print the progress."""
        self.console.print(f"  ... {progress}", markup=False, soft_wrap=True)

    def end(self, step: object) -> None:
        """Do nothing: a line that was printed stays."""


@dataclass
class ConsoleBars:
    """A bar for each step that runs, which goes when it ends; what else is printed on the console stands above."""

    console: Console
    interval_s: float = BAR_INTERVAL_S
    _bars: Bars | None = None
    _tasks: dict[object, TaskID] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def show(self, step: object, progress: Progress) -> None:
        """Draw the bar, or a pulse where the total is not known."""
        if progress.seconds < BAR_AFTER_S:
            return
        with self._lock:
            if self._bars is None:
                self._bars = _new_bars(self.console)
                self._bars.start()
            if step not in self._tasks:
                self._tasks[step] = self._bars.add_task(progress.what, total=None, counted="")
            self._bars.update(
                self._tasks[step],
                description=progress.what,
                total=progress.total,
                completed=progress.done,
                counted=_describe_count(progress),
                refresh=True,
            )

    def end(self, step: object) -> None:
        """Remove the bar."""
        with self._lock:
            if self._bars is None or step not in self._tasks:
                return
            self._bars.remove_task(self._tasks.pop(step))
            if not self._tasks:
                self._bars.stop()
                self._bars = None


def _new_bars(console: Console) -> Bars:
    columns = (
        TextColumn("  {task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[counted]}", markup=False),
        TimeElapsedColumn(),
    )
    return Bars(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)


def _describe_count(progress: Progress) -> str:
    of_all = f" of {progress.total:,}" if progress.total else ""
    return f"{progress.done:,}{of_all} {progress.unit}" if progress.unit else ""


def console_display(console: Console) -> Display:
    """The display that suits a console."""
    return ConsoleBars(console) if console.is_terminal else ConsoleLines(console)
