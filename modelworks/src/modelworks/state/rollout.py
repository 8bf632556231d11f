"""The last rollout: its steps, and how both models compare on live traffic; for the page, the console and programs."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelworks.registry import ledger, rollouts
from modelworks.registry.rollouts import RolloutStep
from modelworks.reporting.markdown import as_text, text_table
from modelworks.settings import Settings
from modelworks.stages.challenger import read_comparison
from modelworks.state.words import shorten, to_minute

STEP_HEADER = ["at (UTC)", "action", "version", "share", "by", "reason"]


@dataclass(frozen=True)
class RolloutState:
    """The last rollout.

    Attributes
    ----------
    in_force : whether it goes on
    summary : where it stands, in words
    steps : the oldest first
    comparison : of both models, as it was kept last; None before the first
    """

    in_force: bool
    summary: str
    steps: list[RolloutStep]
    comparison: dict[str, Any] | None

    @property
    def last(self) -> RolloutStep:
        """The newest step."""
        return self.steps[-1]

    def to_json(self) -> dict[str, Any]:
        """The rollout as `json.dumps` takes it."""
        return asdict(self)


def read_rollout(settings: Settings) -> RolloutState | None:
    """The last rollout of the registry in use, if there was any."""
    steps = rollouts.read_steps(settings)
    if not steps:
        return None
    last = steps[-1]
    in_force = rollouts.in_force(steps, ledger.read_ledger(settings)) is not None
    overtaken = "" if in_force or last.has_ended else "; another version was released since"
    return RolloutState(
        in_force=in_force,
        summary=rollouts.describe_step(last) + overtaken,
        steps=[step for step in steps if step.rollout == last.rollout],
        comparison=read_comparison(settings, last),
    )


def print_rollout(console: Console, found: RolloutState) -> None:
    """Steps and figures on the console."""
    console.print(f"[bold]Rollout[/]    {found.summary}", soft_wrap=True)
    table = Table(*STEP_HEADER, box=None, header_style="bold")
    for step in found.steps:
        table.add_row(*(Text(str(each)) for each in _row(step)))
    console.print(table)
    for name, value in _figures(found):
        console.print(f"  {name}: {value}", markup=False, soft_wrap=True)


def to_section(found: RolloutState | None) -> str:
    """The section of the page, in Markdown."""
    if found is None:
        return ""
    steps = text_table(STEP_HEADER, [_row(step) for step in reversed(found.steps)])
    figures = _figures(found)
    compared = text_table(["on live traffic", "value"], [list(each) for each in figures]) if figures else ""
    return "\n\n".join(filter(None, [as_text(found.summary) + ".", compared, steps]))


def _row(step: RolloutStep) -> list[object]:
    share = "shadow" if step.share == 0 and not step.has_ended else f"{100 * step.share:g} %"
    return [to_minute(step.at), step.action.replace("_", " "), step.version, share, step.by, shorten(step.reason)]


def _figures(found: RolloutState) -> list[tuple[str, str]]:
    """What the last comparison found, by its name."""
    if not found.comparison:
        return []
    compared, traffic = found.comparison["comparison"], found.comparison["traffic"]
    lines = [
        ("requests of the challenger in its last step", f"{traffic['challenger']['requests']:,}"),
        ("errors among them", f"{traffic['challenger']['errors']:,}"),
        ("compared rows", f"{compared['rows']:,}, {compared['errors']:,} more failed"),
        ("changed decisions", _interval(compared["changed_decisions"])),
        ("mean difference of predictions", _interval(compared["difference"])),
        ("its quantiles", ", ".join(f"{key}: {value:.3f}" for key, value in compared["difference_quantiles"].items())),
        ("milliseconds a row", f"{compared['challenger_ms']:.3f}, the champion {compared['champion_ms']:.3f}"),
        ("gain over the champion", _interval(compared["gain"])),
        ("labelled rows", f"{compared['labelled']:,}"),
        ("rows dropped by the shadow's queue", f"{traffic['shadow_dropped']:,}"),
    ]
    return [(name, value) for name, value in lines if value]


def _interval(found: dict[str, float] | None) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" if found else ""
