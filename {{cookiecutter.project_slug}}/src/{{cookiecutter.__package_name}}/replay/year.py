"""`year` and `simulate-drift`: several replays side by side, and what they came to."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .. import task
from ..config import Settings
from ..errors import ConfigError
from ..ingestion import last_complete_month, months_between
from ..stack import lifecycle
from ..stack.processes import free_ports
from . import live, loop, page
from .outcome import MonthOutcome, mean_loss, read_outcomes, to_json
from .perturbation import Perturbation
from .policies import Policy, parse_policy
from .twin import enter_twin, make_twin

CONFIGURED = "configured"
MONTHS = 12


def choose_months(settings: Settings, first: str | None, last: str | None) -> list[str]:
    """The months to live through: by default the source's last twelve.

    Raises
    ------
    ConfigError
        If the source does not have them, or there are too few for a first model and a month in which it serves.
    """
    newest = settings.source.last_month or last_complete_month(datetime.now(UTC).date())
    last = last or newest
    first = first or months_between(settings.source.first_month, last)[-MONTHS:][0]
    if not settings.source.first_month <= first <= last <= newest:
        raise ConfigError(f"{first} to {last}: the source has {settings.source.first_month} to {newest}")
    months = months_between(first, last)
    if len(months) <= settings.retraining.first_after_months:
        raise ConfigError(
            f"{first} to {last}: {len(months)} months are too few: the first model wants "
            f"{settings.retraining.first_after_months} ([retraining] first_after_months), and then serves in one more"
        )
    return months


def replay_year(
    settings: Settings, console: Console, names: list[str], months: list[str], is_live: bool
) -> dict[str, list[MonthOutcome]]:
    """Live through the months by each policy; the configured one through a live Airflow, if so wanted.

    Returns
    -------
    Of each policy, the configured one first, what its months came to.
    """
    policies = [parse_policy(each) for each in dict.fromkeys([CONFIGURED, *names])]
    home, folder = settings.home, settings.home / "var" / "year"
    # A source that is cut off at both ends, so that no stage sees more than the months that are replayed.
    span = {"source.first_month": months[0], "source.last_month": months[-1]}
    policies = [replace(each, overrides={**span, **each.overrides}) for each in policies]
    by_loop = policies[1:] if is_live else policies
    if by_loop:
        _replay_side_by_side(console, home, folder, by_loop, months)
    if is_live:
        _replay_live(console, home, folder / policies[0].folder, policies[0], months)
    return {each.name: _read(folder / each.folder, each) for each in policies}


def simulate(settings: Settings, console: Console, change: Perturbation, name: str) -> dict[str, list[MonthOutcome]]:
    """Live through the months up to two after the changed one, as they were and with the change."""
    months = choose_months(settings, None, None)
    if change.month not in months[settings.retraining.first_after_months :]:
        first = months[settings.retraining.first_after_months]
        raise ConfigError(f"month {change.month}: no model serves in it; choose one from {first} to {months[-1]}")
    months = months[: months.index(change.month) + 3]
    span = {"source.first_month": months[0], "source.last_month": months[-1]}
    policy = parse_policy(name)
    overrides = {**span, **policy.overrides}
    policies = [Policy("as it was", overrides), Policy("changed", overrides, change)]
    folder = settings.home / "var" / "simulation"
    _replay_side_by_side(console, settings.home, folder, policies, months)
    return {each.name: _read(folder / each.folder, each) for each in policies}


def _replay_side_by_side(console: Console, home: Path, folder: Path, policies: list[Policy], months: list[str]) -> None:
    with console.status("Replaying ...") as line:

        def show(done: dict[str, int]) -> None:
            counted = ", ".join(f"{name} {count}" for name, count in done.items())
            line.update(f"Replaying {months[0]} to {months[-1]}, months done of {len(months)}: {counted}")

        loop.replay_all(home, folder, policies, months, show)
    console.print(f"[green]✓[/] replayed without Airflow: {', '.join(each.name for each in policies)}")


def _replay_live(console: Console, home: Path, folder: Path, policy: Policy, months: list[str]) -> None:
    make_twin(home, folder)
    ports = dict(zip(("stack.airflow_port", "stack.mlflow_port", "stack.api_port"), free_ports(3), strict=True))
    settings = enter_twin(folder, {**policy.overrides, **{name: str(port) for name, port in ports.items()}})
    lifecycle.up(settings, console)
    try:
        live.replay(settings, months, console)
    finally:
        lifecycle.down(settings, console)


def _read(folder: Path, policy: Policy) -> list[MonthOutcome]:
    before = dict(os.environ)
    try:
        return read_outcomes(enter_twin(folder, policy.overrides))
    finally:
        os.environ.clear()
        os.environ.update(before)


def print_comparison(console: Console, outcomes: dict[str, list[MonthOutcome]], span: tuple[str, str]) -> None:
    """A line for each policy: what was served, and how often a model was asked for, released and refused."""
    table = Table(
        "policy", f"served {task.LOSS_NAME}", "against configured", "asked", "released", "refused", "alarms", box=None
    )
    own = mean_loss(next(iter(outcomes.values())), *span)
    for name, months in outcomes.items():
        loss = mean_loss(months, *span)
        counts = [
            sum(bool(each.asked) for each in months),
            sum(each.outcome.startswith("released") for each in months),
            sum(each.outcome.startswith("refused") for each in months),
            sum(len(each.alarms) for each in months),
        ]
        table.add_row(name, f"{loss:.4f}", f"{loss - own:+.4f}", *map(str, counts))
    console.print(
        f"\nServed {task.LOSS_NAME} of all rows, {span[0]} to {span[1]}, in {task.LOSS_UNIT}; lower is better"
    )
    console.print(table)


def print_months(console: Console, outcomes: dict[str, list[MonthOutcome]]) -> None:
    """What each month came to in each replay."""
    for name, months in outcomes.items():
        console.print(f"\n[bold]{name}[/]")
        for each in months:
            live.print_month(console, each)


def span_served(outcomes: dict[str, list[MonthOutcome]], first_after_months: int) -> tuple[str, str]:
    """The months in which all policies may differ: the first model serves a month before anything can follow."""
    months = [each.month for each in next(iter(outcomes.values()))]
    return months[min(first_after_months + 1, len(months) - 1)], months[-1]


def write_pages(folder: Path, outcomes: dict[str, list[MonthOutcome]], span: tuple[str, str]) -> list[Path]:
    """Write the page, its picture and the figures; each is there whole or not at all."""
    months = [each.month for each in next(iter(outcomes.values()))]
    title = f"{months[0]} to {months[-1]}, replayed"
    contents = {
        "year.html": page.build_page(outcomes, span, title).encode(),
        "year.png": page.draw_png(outcomes),
        "year.json": json.dumps(to_json(outcomes), indent=1).encode(),
    }
    for name, content in contents.items():
        unfinished = folder / f".{name}"
        unfinished.write_bytes(content)
        unfinished.replace(folder / name)
    return [folder / name for name in contents]
