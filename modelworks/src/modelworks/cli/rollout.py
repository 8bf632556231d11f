"""Commands about a rollout: a version meets live traffic before it is the champion."""

import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modelworks.cli.environments import WithEnvironment
from modelworks.cli.models import AskedReason
from modelworks.cli.options import AsJson, ask_reason, load, print_json, print_result

if TYPE_CHECKING:
    from modelworks.project import Project
    from modelworks.settings import Settings
    from modelworks.stages.facts import RolloutFacts

app = typer.Typer(
    cls=WithEnvironment,
    no_args_is_help=True,
    help="Let a version meet live traffic before it is the champion: in the shadow, or for a share of the requests.",
)

Release = Annotated[
    Literal["shadow", "canary", "shadow_and_canary"] | None,
    typer.Option(help="Steps to take.", show_default="[rollout] release, or canary"),
]


@app.command()
def start(
    version: Annotated[str, typer.Argument(help="Registered version that becomes the challenger.")],
    release: Release = None,
    reason: AskedReason = None,
    as_json: AsJson = False,
) -> None:
    """Begin the rollout of a version, once it is loaded and has predicted its sample."""
    from modelworks import stages

    project, settings = load()
    why = ask_reason(reason, f"rollout start {version}")
    print_result(stages.start_rollout(project, settings, version, release, reason=why), as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the steps of the last rollout, and how both models compare on live traffic."""
    from modelworks.reporting.console import new_console
    from modelworks.state.rollout import print_rollout, read_rollout

    _, settings = load()
    found = read_rollout(settings)
    if as_json:
        print_json(found.to_json() if found else None)
    elif found:
        print_rollout(new_console(), found)
    else:
        print("No version was rolled out yet; `rollout start VERSION` begins.")


@app.command()
def advance(as_json: AsJson = False) -> None:
    """Look at the traffic once: take the next step, promote the challenger, take it back, or wait."""
    facts = _advance(*load())
    print_result(facts, as_json)


@app.command()
def watch(
    seconds: Annotated[float, typer.Option(min=0.1, help="Between two looks.")] = 15.0, as_json: AsJson = False
) -> None:
    """Advance the rollout until it ends; ends with 1 if the challenger is taken back or stopped."""
    project, settings = load()
    shown = ""
    while not (facts := _advance(project, settings)).has_ended:
        if facts.summary != shown and not as_json:
            print(shown := facts.summary, flush=True)
        time.sleep(seconds)
    print_result(facts, as_json)
    if facts.move in {"take_back", "stop"}:
        raise typer.Exit(1)


@app.command()
def promote(reason: AskedReason = None, as_json: AsJson = False) -> None:
    """Make the challenger the champion now; refused while it breaks a limit."""
    from modelworks import stages
    from modelworks.stack import live

    project, settings = load()
    facts = stages.promote_challenger(project, settings, reason=ask_reason(reason, "rollout promote"))
    print_result(facts, as_json, live.score_newest(settings, facts))


@app.command()
def stop(reason: AskedReason = None, as_json: AsJson = False) -> None:
    """End the rollout: the champion answers every request again."""
    from modelworks import stages

    project, settings = load()
    print_result(stages.stop_rollout(project, settings, reason=ask_reason(reason, "rollout stop")), as_json)


def _advance(project: "Project", settings: "Settings") -> "RolloutFacts":
    from modelworks import stages
    from modelworks.stack import live

    facts = stages.advance_rollout(project, settings)
    if facts.move == "promote":
        live.score_newest(settings, facts)
    return facts
