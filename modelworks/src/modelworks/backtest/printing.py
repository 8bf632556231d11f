"""Outcomes on the console."""

from rich.console import Console
from rich.table import Table

from modelworks.backtest.comparison import Comparison, summarize
from modelworks.backtest.outcome import Outcomes, PeriodOutcome, mean_loss
from modelworks.project import Project


def print_period(project: Project, console: Console, period: PeriodOutcome, seconds: float | None = None) -> None:
    """One line for one period.

    Parameters
    ----------
    seconds : since the replay began
    """
    loss = "nothing served yet"
    if period.loss is not None:
        loss = f"{project.contract.target.loss_name} {period.loss:.3f} by {period.served_by}"
    request = f"new model requested: {period.request}" if period.request else ""
    passed = "" if seconds is None else f" {seconds:5.0f} s"
    console.print(f"[green]✓[/] [bold]{period.period}[/]{passed}", end="")
    parts = [loss, ", ".join(period.alarms), request, period.result]
    console.print(f"  {'; '.join(filter(None, parts))}", markup=False, soft_wrap=True)


def print_periods(project: Project, console: Console, outcomes: Outcomes) -> None:
    """The outcome of each period in each replay."""
    for name, periods in outcomes.items():
        console.print(f"\n[bold]{name}[/]")
        for each in periods:
            print_period(project, console, each)


def print_comparison(
    project: Project, console: Console, outcomes: Outcomes, span: tuple[str, str], compared: Comparison | None
) -> None:
    """A line for each policy: served loss, and models requested, released and refused; then the recommendation."""
    target = project.contract.target
    header = ["policy", f"served {target.loss_name}", "against configured", "requested", "released", "refused"]
    table = Table(*header, "alarms", box=None)
    own = mean_loss(next(iter(outcomes.values())), *span)
    for name, periods in outcomes.items():
        loss = mean_loss(periods, *span)
        counts = [
            sum(bool(each.request) for each in periods),
            sum(each.status == "released" for each in periods),
            sum(each.status == "refused" for each in periods),
            sum(len(each.alarms) for each in periods),
        ]
        table.add_row(name, f"{loss:.4f}", f"{loss - own:+.4f}", *map(str, counts))
    console.print(
        f"\nServed {target.loss_name} of all rows, {span[0]} to {span[1]}, in {target.loss_unit}; lower is better",
        soft_wrap=True,
    )
    console.print(table)
    if compared:
        console.print(f"\n{summarize(project.contract, compared)}", markup=False, soft_wrap=True)
