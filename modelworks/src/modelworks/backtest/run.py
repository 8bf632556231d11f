"""Backtests: several replays side by side, each in its own sandbox, and their outcomes."""

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from modelworks.backtest import live, loop, page, perturbation
from modelworks.backtest.comparison import Comparison, to_json
from modelworks.backtest.outcome import Outcomes, PeriodOutcome, read_outcomes
from modelworks.backtest.perturbation import Perturbation
from modelworks.backtest.policies import Policy, parse_policy
from modelworks.backtest.sandbox import make_sandbox
from modelworks.calendar import periods_between
from modelworks.data.files import replace_file
from modelworks.data.periods import check_form, last_complete_period
from modelworks.errors import ConfigError
from modelworks.progress import Step
from modelworks.project import Project
from modelworks.settings import Settings
from modelworks.stack import lifecycle
from modelworks.stack.processes import free_ports

CONFIGURED = "configured"
PERIODS = 12
PORTS = ("stack.airflow_port", "stack.mlflow_port", "stack.api_port")


def choose_periods(settings: Settings, first: str | None, last: str | None) -> list[str]:
    """The periods to replay: by default the source's last twelve.

    Raises
    ------
    SourceError
        If `first` or `last` is no period.
    ConfigError
        If the source does not have them, or there are too few for a first model and a period in which it serves.
    """
    source = settings.source
    newest = source.last or last_complete_period(datetime.now(UTC).date(), source.period)
    last = last or newest
    for each in filter(None, (first, last)):
        check_form(each, source)
    first = first or periods_between(source.first, last)[-PERIODS:][0]
    if not source.first <= first <= last <= newest:
        raise ConfigError(f"{first} to {last}: the source has {source.first} to {newest}")
    periods = periods_between(first, last)
    if len(periods) <= settings.retraining.first_after_periods:
        raise ConfigError(
            f"{first} to {last}: {len(periods)} periods are too few: the first model wants "
            f"{settings.retraining.first_after_periods} ([retraining] first_after_periods), and then serves in one more"
        )
    return periods


def backtest(
    project: Project, settings: Settings, console: Console, names: list[str], periods: list[str], is_live: bool
) -> dict[str, list[PeriodOutcome]]:
    """Replay the periods by each policy.

    Parameters
    ----------
    names : of policies, beside the configured one
    is_live : replay the configured policy through a live Airflow

    Returns
    -------
    The outcomes of the periods by policy, the configured one first.
    """
    policies = [parse_policy(each) for each in dict.fromkeys([CONFIGURED, *names])]
    folder = settings.home / "var" / "backtest"
    return _replay(project, settings, console, folder, policies, periods, is_live)


def simulate(
    project: Project, settings: Settings, console: Console, change: Perturbation, name: str
) -> dict[str, list[PeriodOutcome]]:
    """Replay the periods up to two after the changed one, as they were and with the change.

    Parameters
    ----------
    name : of the policy, for both

    Raises
    ------
    ConfigError
        If the change cannot be applied, or no model serves in its period.
    """
    perturbation.check(project.contract, change)
    periods = choose_periods(settings, None, None)
    if change.period not in periods[settings.retraining.first_after_periods :]:
        first = periods[settings.retraining.first_after_periods]
        raise ConfigError(f"period {change.period}: no model serves in it; choose one from {first} to {periods[-1]}")
    periods = periods[: periods.index(change.period) + 3]
    policy = parse_policy(name)
    policies = [replace(policy, name="as it was"), replace(policy, name="changed", change=change)]
    folder = settings.home / "var" / "simulation"
    return _replay(project, settings, console, folder, policies, periods, is_live=False)


def _replay(
    project: Project,
    settings: Settings,
    console: Console,
    folder: Path,
    policies: list[Policy],
    periods: list[str],
    is_live: bool,
) -> dict[str, list[PeriodOutcome]]:
    """Replay by each policy in a sandbox below the folder; the first one live, if `is_live`."""
    # The source ends where the replay does, so no stage sees a later period.
    span = {"source.first": periods[0], "source.last": periods[-1]}
    policies = [replace(each, settings={**span, **each.settings}) for each in policies]
    if is_live:
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        policies[0] = replace(policies[0], settings={**policies[0].settings, **ports})
    folders = [folder / each.folder for each in policies]
    sandboxes = [make_sandbox(settings.home, own, each.overrides) for own, each in zip(folders, policies, strict=True)]
    in_loop = dict(zip(folders, policies, strict=True))
    if is_live:
        in_loop.pop(folders[0])
    if in_loop:
        _replay_side_by_side(console, in_loop, periods)
    if is_live:
        _replay_live(project, sandboxes[0], console, periods)
    return {
        each.name: read_outcomes(project, own, with_blocks=True) for each, own in zip(policies, sandboxes, strict=True)
    }


def _replay_side_by_side(console: Console, sandboxes: dict[Path, Policy], periods: list[str]) -> None:
    """Replay, and show how far each policy is and in which period."""
    names = ", ".join(each.name for each in sandboxes.values())
    with ExitStack() as stack:
        steps = {folder: Step(f"replaying {each.name}", "periods", len(periods)) for folder, each in sandboxes.items()}
        for step in steps.values():
            stack.callback(step.end)
        for finished in loop.replay_all(sandboxes, periods):
            for folder, done in finished.items():
                if done < len(periods):
                    steps[folder].update(done, periods[done])
                else:
                    steps[folder].end()
    console.print(f"[green]✓[/] replayed without Airflow: {names}", soft_wrap=True)


def _replay_live(project: Project, sandbox: Settings, console: Console, periods: list[str]) -> None:
    lifecycle.up(sandbox, console)
    try:
        live.replay(project, sandbox, periods, console)
    finally:
        lifecycle.down(sandbox, console)


def span_served(outcomes: Outcomes, first_after_periods: int) -> tuple[str, str]:
    """The periods in which the policies may differ.

    The first model serves in one period before any policy can replace it.
    """
    periods = [each.period for each in next(iter(outcomes.values()))]
    return periods[min(first_after_periods + 1, len(periods) - 1)], periods[-1]


def write_pages(
    project: Project,
    folder: Path,
    outcomes: Outcomes,
    span: tuple[str, str],
    compared: Comparison | None,
    within: str = "",
) -> list[Path]:
    """Write the page, its picture and the figures; each file is whole or not there.

    Parameters
    ----------
    within : the environment, as titles name it
    """
    periods = [each.period for each in next(iter(outcomes.values()))]
    title = f"Backtest{within}: {periods[0]} to {periods[-1]}"
    contents = {
        "backtest.html": page.build_page(project.contract, outcomes, span, title, compared).encode(),
        "backtest.png": page.draw_png(project.contract, outcomes),
        "backtest.json": json.dumps(to_json(outcomes, compared), indent=1).encode(),
    }
    for name, content in contents.items():
        replace_file(folder / name, content)
    return [folder / name for name in contents]
