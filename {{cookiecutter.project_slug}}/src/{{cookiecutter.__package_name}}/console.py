"""What a person sees of a run: a line when a stage starts and ends, and a summary."""

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from .config import ENV_PREFIX

ANSWER_VARIABLE = f"{ENV_PREFIX}ANSWER"
"""Environment variable by which a script answers a question that would else be put to the terminal."""

PIPE_WIDTH = 250

MARKS = {"done": "[green]✓[/]", "failed": "[red]✗[/]"}


class StageLines(logging.Handler):
    """Shows the log records that `stages` makes when a stage starts and ends; everything else goes elsewhere."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == "started":
            print_started(self._console, _of(record, "stage"), record.created)
        elif event == "progress":
            print_progress(self._console, _of(record, "stage"), record.created, _of(record, "result"))
        elif event in MARKS:
            seconds, result = _of(record, "seconds"), _of(record, "result")
            print_ended(self._console, _of(record, "stage"), event, record.created, seconds, result)


def print_started(console: Console, stage: str, at: float) -> None:
    """One line when a stage starts; `at` is in seconds since 1970."""
    console.print(f"  [dim]{_clock(at)}[/]  [bold]{stage:<9}[/] ...")


def print_progress(console: Console, stage: str, at: float, result: str) -> None:
    """One line when a stage has done a part of its work."""
    console.print(f"  [dim]{_clock(at)}[/]  [bold]{stage:<9}[/] ... ", end="")
    console.print(result, markup=False, soft_wrap=True)


def print_ended(console: Console, stage: str, event: str, at: float, seconds: float, result: str) -> None:
    """One line when a stage has ended; `event` is a key of `MARKS`."""
    console.print(f"{MARKS[event]} [dim]{_clock(at)}[/]  [bold]{stage:<9}[/] {seconds:5.1f} s  ", end="")
    console.print(result, markup=False, soft_wrap=True)


def print_waiting(console: Console, stage: str, url: str) -> None:
    """What a person has to do, where a run waits for one."""
    console.print(f"[yellow]?[/] [dim]{_clock(time.time())}[/]  [bold]{stage:<9}[/] waits for an answer: ", end="")
    console.print(f"{sys.argv[0]} approve, or reject, or at {url}", markup=False, soft_wrap=True)


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _of(record: logging.LogRecord, name: str) -> Any:
    return getattr(record, name)


def show_stages(console: Console) -> None:
    """Let the stages of this process appear on the console."""
    logger = logging.getLogger(f"{__package__}.stages")
    logger.setLevel(logging.INFO)
    logger.addHandler(StageLines(console))


def hide_stages() -> None:
    """Let the stages of this process be silent; Python would print their errors by itself."""
    logger = logging.getLogger(f"{__package__}.stages")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def new_console(descriptor: int = 1) -> Console:
    """A console on a file descriptor; by default standard output."""
    # A program that reads tables wants a row on a line.
    width = None if os.isatty(descriptor) else PIPE_WIDTH
    return Console(file=open(descriptor, "w", closefd=False, encoding="utf-8"), width=width, highlight=False)


def print_run(console: Console, run: dict[str, Any]) -> None:
    """The summary of one run, as `status.find_run` gives it: data, figures, verdict and version."""
    console.print()
    console.print(
        f"[bold]Data[/]       {len(run['months'])} months {run['months'][0]} to {run['months'][-1]}, "
        f"{run['rows']:,} clean rows, {run['quarantined']:,} quarantined"
        + (f", {run['unlabelled']:,} without a label" if run["unlabelled"] else "")
    )
    console.print(f"[bold]Held out[/]   {run['held_out']}, unseen in training")
    console.print()
    console.print(_metrics_table(run["metrics"]))
    console.print()
    for check in run["checks"]:
        mark = MARKS["done"] if check["passed"] else MARKS["failed"]
        console.print(f"{mark} {check['name']:<34} ", end="")
        console.print(check["detail"], markup=False, soft_wrap=True)
    console.print()
    for warning in run["warnings"]:
        console.print("[yellow]![/] ", end="")
        console.print(warning, markup=False, soft_wrap=True)
    if run["warnings"]:
        console.print()
    if run["answered_by"]:
        why = f": {run['answer_reason']}" if run["answer_reason"] else ""
        console.print(f"{run['approval']} by {run['answered_by']}{why}", markup=False, soft_wrap=True)
    if run["verdict"] == "accepted" and run["version"]:
        console.print(f"[bold green]Released[/]   version {run['version']} is the champion")
    else:
        champion = f"the champion is still version {run['champion']}" if run["champion"] else "there is no champion"
        console.print(f"[bold red]Not released[/]; {champion}")
    console.print(f"[bold]MLflow[/]     {run['page']}", soft_wrap=True)


def print_markdown(console: Console, text: str) -> None:
    """A page as it is where it goes to a program or a file, and set for people on a terminal."""
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


def print_status(console: Console, status: dict[str, Any]) -> None:
    """The champion, its figures, the data and the latest releases."""
    champion = status["champion"]
    if champion is None:
        console.print("No champion yet; `make run` trains and releases the first.")
    else:
        console.print(f"[bold]Champion[/]   {status['model']} version {champion['version']}, since {champion['since']}")
        console.print(f"[bold]Measured[/]   on {champion['held_out']}")
        console.print(_metrics_table(champion["metrics"]))
    if partitions := status["partitions"]:
        rows = sum(each["rows"] for each in partitions)
        span = f"{partitions[0]['month']} to {partitions[-1]['month']}"
        console.print(f"[bold]Data[/]       {len(partitions)} clean months {span}, {rows:,} rows")
    console.print(f"[bold]Tracking[/]   {status['tracking_uri']}", soft_wrap=True)
    if status["ledger"]:
        print_ledger(console, status["ledger"][-5:])


def print_ledger(console: Console, entries: list[dict[str, Any]]) -> None:
    """Moves of the champion, a line each."""
    releases = Table("at (UTC)", "action", "from", "to", "by", "approved by", "reason", box=None, header_style="bold")
    names = ("action", "from_version", "to_version", "by", "approved_by", "reason")
    for entry in entries:
        releases.add_row(entry["at"][:16].replace("T", " "), *(Text(str(entry[name] or "-")) for name in names))
    console.print(releases)


class Answer(NamedTuple):
    """Whether to release, by whom (None: by the user of this computer) and why."""

    approved: bool
    by: str | None
    reason: str


def ask_for_approval(question: str, about: str) -> Answer:
    """The answer of the person at the terminal; where nobody can be asked it is no.

    Parameters
    ----------
    about : Markdown
    """
    if answer := os.environ.get(ANSWER_VARIABLE):
        return Answer(answer == "approve", None, "answered beforehand, on the command line")
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
        return Answer(False, "nobody", "there was no terminal to ask on; to agree beforehand, run with --approve")


def _metrics_table(metrics: dict[str, float]) -> Table:
    """Metrics that have an interval, a line each."""
    table = Table("metric", "value", "interval", box=None, pad_edge=False, header_style="bold")
    for name, value in metrics.items():
        if f"{name}_low" in metrics:
            table.add_row(name, f"{value:.3f}", f"\\[{metrics[f'{name}_low']:.3f}, {metrics[f'{name}_high']:.3f}]")
    return table
