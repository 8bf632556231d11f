"""The console: a line when a stage starts and ends, the processes of the stack, and the question for approval."""

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from modelworks.progress import STAGES_LOGGER
from modelworks.settings import ENV_PREFIX

ANSWER_VARIABLE = f"{ENV_PREFIX}ANSWER"
"""Environment variable with which a script answers a question instead of the terminal."""

PIPE_WIDTH = 250

MARKS = {"done": "[green]✓[/]", "failed": "[red]✗[/]"}


class StageLines(logging.Handler):
    """Shows the log records of a stage's start, progress, warnings and end, and no others.

    Attributes
    ----------
    failure : the error of the last stage that failed; "" if none did
    """

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self.failure = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record of a stage; ignore any other."""
        event = getattr(record, "event", None)
        if event == "started":
            print_started(self._console, _of(record, "stage"), record.created)
        elif event == "progress":
            print_progress(self._console, _of(record, "stage"), record.created, _of(record, "result"))
        elif event == "warning":
            print_warning(self._console, _of(record, "stage"), record.created, _of(record, "result"))
        elif event in MARKS:
            seconds, result = _of(record, "seconds"), _of(record, "result")
            if event == "failed":
                self.failure = result
            print_ended(self._console, _of(record, "stage"), event, record.created, seconds, result)


def print_started(console: Console, stage: str, at: float) -> None:
    """One line when a stage starts; `at` is in seconds since 1970."""
    console.print(f"  [dim]{_clock(at)}[/]  [bold]{stage:<9}[/] ...")


def print_progress(console: Console, stage: str, at: float, result: str) -> None:
    """One line when a stage has done part of its work."""
    console.print(f"  [dim]{_clock(at)}[/]  [bold]{stage:<9}[/] ... ", end="")
    console.print(result, markup=False, soft_wrap=True)


def print_warning(console: Console, stage: str, at: float, text: str) -> None:
    """One line about what a person may not have meant."""
    console.print(f"[yellow]![/] [dim]{_clock(at)}[/]  [bold]{stage:<9}[/] ", end="")
    console.print(text, markup=False, soft_wrap=True)


def print_ended(console: Console, stage: str, event: str, at: float, seconds: float, result: str) -> None:
    """One line when a stage has ended; `event` is a key of `MARKS`."""
    console.print(f"{MARKS[event]} [dim]{_clock(at)}[/]  [bold]{stage:<9}[/] {seconds:5.1f} s", end="")
    console.print(f"  {result}" if result else "", markup=False, soft_wrap=True)


def print_waiting(console: Console, stage: str, url: str) -> None:
    """One line when a run waits for a person, with what to do."""
    console.print(f"[yellow]?[/] [dim]{_clock(time.time())}[/]  [bold]{stage:<9}[/] waits for an answer: ", end="")
    console.print(f"{sys.argv[0]} approve, or reject, or at {url}", markup=False, soft_wrap=True)


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _of(record: logging.LogRecord, name: str) -> Any:
    return getattr(record, name)


def show_stages(console: Console) -> StageLines:
    """Show the stages of this process on the console."""
    logger, lines = logging.getLogger(STAGES_LOGGER), StageLines(console)
    logger.setLevel(logging.INFO)
    logger.addHandler(lines)
    return lines


def hide_stages() -> None:
    """Silence the stages of this process; without a handler Python would print their errors."""
    logger = logging.getLogger(STAGES_LOGGER)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def new_console(descriptor: int = 1) -> Console:
    """A console on a file descriptor; by default standard output."""
    # A program that reads a table needs each row on one line.
    width = None if os.isatty(descriptor) else PIPE_WIDTH
    return Console(file=open(descriptor, "w", closefd=False, encoding="utf-8"), width=width, highlight=False)


def print_markdown(console: Console, text: str) -> None:
    """Markdown: rendered on a terminal, unchanged for a program or a file."""
    console.print()
    if console.width == PIPE_WIDTH:
        console.print(text, markup=False, soft_wrap=True)
    else:
        console.print(Markdown(text))


def print_processes(console: Console, processes: list[dict[str, Any]]) -> None:
    """The processes of `make up`."""
    if not processes:
        console.print("[bold]Stack[/]      down; `make up` starts it")
    else:
        table = Table("process", "port", "health", "memory", "id", box=None, pad_edge=False, header_style="bold")
        for each in processes:
            colour = {"healthy": "green", "waiting": "yellow"}.get(each["health"], "red")
            health = each["health"] if each["health"] == "healthy" else f"{each['health']} ({each['state']})"
            memory, process_id = f"{each['memory_mb']:>4} MB", str(each["pid"] or "-")
            table.add_row(each["name"], str(each["port"] or "-"), f"[{colour}]{health}[/]", memory, process_id)
        console.print(table)
    console.print()


class Answer(NamedTuple):
    """Whether to release, who answered (None: the user of this computer) and why."""

    approved: bool
    by: str | None
    reason: str


def ask_for_approval(question: str, about: str) -> Answer:
    """The answer of the person at the terminal; no, where nobody can be asked.

    Parameters
    ----------
    about : Markdown
    """
    if answer := os.environ.get(ANSWER_VARIABLE):
        return Answer(answer == "approve", None, "answered on the command line")
    try:
        # Not standard input and output, which may be a pipe and a log file.
        with Path("/dev/tty").open(encoding="utf-8") as typed, Path("/dev/tty").open("w", encoding="utf-8") as shown:
            console = Console(file=shown, highlight=False)
            console.print(Markdown(about))
            console.print(f"\n[bold]{question}[/] \\[y/N] ", end="")
            approved = typed.readline().strip().lower() in {"y", "yes"}
            console.print("Why? ", end="")
            return Answer(approved, None, typed.readline().strip())
    except OSError:
        return Answer(False, "nobody", "there was no terminal to ask on; run with --approve to agree in advance")
