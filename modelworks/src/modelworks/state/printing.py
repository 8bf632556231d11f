"""A run, the state and the ledger on the console."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelworks.checks import Check
from modelworks.evaluation.directions import better
from modelworks.registry.promotion import LedgerEntry
from modelworks.reporting.console import MARKS
from modelworks.reporting.status_line import SYMBOLS, Level, StatusLine
from modelworks.state.status import RunSummary, Status
from modelworks.state.words import to_minute
from modelworks.wording import count

STYLES: dict[Level, str] = {"good": "green", "waiting": "blue", "warning": "yellow", "bad": "red"}


def print_run(console: Console, run: RunSummary) -> None:
    """The summary of one run: data, metrics, verdict and version."""
    console.print()
    console.print(
        f"[bold]Data[/]       {count(len(run.periods), 'period')} {run.periods[0]} to {run.periods[-1]}, "
        f"{count(run.rows, 'clean row')}, {run.quarantined:,} quarantined"
        + (f", {run.unlabelled:,} without a label" if run.unlabelled else "")
    )
    console.print(f"[bold]Held out[/]   {run.held_out}, unseen in training")
    console.print()
    console.print(_metrics_table(run.metrics))
    console.print()
    width = max((len(check.name) for check in run.checks), default=0)
    for check in run.checks:
        mark = MARKS["done"] if check.passed else MARKS["failed"]
        console.print(f"{mark} {check.name:<{width}} ", end="")
        console.print(check.detail, markup=False, soft_wrap=True)
    console.print()
    for warning in run.warnings:
        console.print("[yellow]![/] ", end="")
        console.print(warning, markup=False, soft_wrap=True)
    if run.warnings:
        console.print()
    _print_release(console, run)
    console.print(f"[bold]MLflow[/]     {run.page}", soft_wrap=True)


def print_unchanged(console: Console, version: str) -> None:
    """The end of a run that had nothing to train from."""
    console.print(f"\n[bold]Nothing new[/]  version {version} was trained from exactly this data, code and settings")
    console.print("             --force trains and releases another all the same")


def _print_release(console: Console, run: RunSummary) -> None:
    """Approval, and whether the model was released."""
    if run.answered_by:
        why = f": {run.answer_reason}" if run.answer_reason else ""
        console.print(f"{run.approval} by {run.answered_by}{why}", markup=False, soft_wrap=True)
    if run.verdict == "accepted" and run.version and run.version != run.champion:
        console.print(f"[bold blue]Challenger[/] version {run.version} meets live traffic: `rollout status`")
        console.print(f"           the champion is still version {run.champion}")
    elif run.verdict == "accepted" and run.version:
        console.print(f"[bold green]Released[/]   version {run.version} is the champion")
    else:
        champion = f"the champion is still version {run.champion}" if run.champion else "there is no champion"
        console.print(f"[bold red]Not released[/]; {champion}")


def print_status(console: Console, status: Status, line: StatusLine) -> None:
    """The status line, the champion, its metrics, the data and the latest releases."""
    _print_line(console, line)
    if status.environment:
        console.print(f"[bold]Environment[/] {status.environment}")
    champion = status.champion
    if champion is None:
        console.print("No champion yet; `make run` trains and releases the first.")
    else:
        of_type = f" ({champion.model_type})" if champion.model_type else ""
        version = f"version {champion.version}{of_type}, since {to_minute(champion.since)} UTC"
        console.print(f"[bold]Champion[/]   {status.model} {version}")
        console.print(f"[bold]Measured[/]   on {champion.held_out}")
        console.print(_metrics_table(champion.metrics))
    if periods := status.partitions:
        rows, span = sum(each.rows for each in periods), f"{periods[0].period} to {periods[-1].period}"
        console.print(f"[bold]Data[/]       {count(len(periods), 'clean period')} {span}, {count(rows, 'row')}")
    console.print(f"[bold]Tracking[/]   {status.tracking_uri}", soft_wrap=True)
    if status.ledger:
        print_ledger(console, status.ledger[-5:])


def _print_line(console: Console, line: StatusLine) -> None:
    """The same as at the top of the page of the state."""
    console.print(f"[bold {STYLES[line.level]}]{SYMBOLS[line.level]} {line.word}[/]: ", end="")
    console.print(line.reason, markup=False, soft_wrap=True)
    for name, text in [("Next", line.action), *(("Also", note) for note in line.notes)]:
        console.print(f"  [bold]{name}[/] ", end="")
        console.print(text, markup=False, soft_wrap=True)
    console.print()


def print_ledger(console: Console, entries: list[LedgerEntry]) -> None:
    """Moves of the champion, a line each."""
    releases = Table("at (UTC)", "action", "from", "to", "by", "approved by", "reason", box=None, header_style="bold")
    for entry in entries:
        moved = (entry.action, entry.from_version, entry.to_version, entry.by, entry.approved_by, entry.reason)
        releases.add_row(to_minute(entry.at), *(Text(str(each or "-")) for each in moved))
    console.print(releases)


def print_policy(console: Console, known: list[str], chosen: str, checks: list[Check]) -> None:
    """The environments, the chosen one marked, and what it requires."""
    names = [f"{each} (chosen)" if each == chosen else each for each in known]
    console.print(f"[bold]Environments[/] {', '.join(names) or 'none; pipeline.toml is all there is'}")
    table = Table("check", "required", "met", "", box=None, pad_edge=False, header_style="bold")
    for check in checks:
        table.add_row(check.name, "yes" if check.fatal else "no", "yes" if check.passed else "no", Text(check.detail))
    console.print(table)


def _metrics_table(metrics: dict[str, float]) -> Table:
    """Metrics that have an interval, a line each."""
    table = Table("metric", box=None, pad_edge=False, header_style="bold")
    table.add_column("value", justify="right")
    table.add_column("interval", justify="right")
    table.add_column("better")
    for name, value in metrics.items():
        if f"{name}_low" in metrics:
            interval = f"\\[{metrics[f'{name}_low']:.3f}, {metrics[f'{name}_high']:.3f}]"
            table.add_row(name, f"{value:.3f}", interval, better(name))
    return table
