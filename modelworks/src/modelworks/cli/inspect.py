"""Commands that show the state and change nothing."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from modelworks.cli.options import AsJson, load, print_json
from modelworks.wording import count

app = typer.Typer()
command = partial(app.command, rich_help_panel="Inspect")


@command()
def status(as_json: AsJson = False) -> None:
    """Show what to do next, the processes of `up`, the champion, its metrics, the data and the latest releases."""
    from modelworks.reporting.console import new_console, print_processes
    from modelworks.stack.processes import read_processes
    from modelworks.state.health import assess
    from modelworks.state.printing import print_status
    from modelworks.state.rollout import print_rollout
    from modelworks.state.status import read_state

    project, settings = load()
    processes, state = read_processes(settings), read_state(project, settings)
    found, health = state.status, assess(state)
    if as_json:
        rollout = state.rollout.to_json() if state.rollout else None
        print_json({"health": health.to_json(), **found.to_json(), "rollout": rollout, "processes": processes})
    else:
        console = new_console()
        print_processes(console, processes)
        print_status(console, found, health.line)
        if state.rollout:
            print_rollout(console, state.rollout)


@command()
def history(as_json: AsJson = False) -> None:
    """Show every move of the champion: when, what, by whom and why."""
    from modelworks.reporting.console import new_console
    from modelworks.state.printing import print_ledger
    from modelworks.state.status import read_status

    found = read_status(*load())
    if as_json:
        print_json(found.to_json()["ledger"])
    elif found.ledger:
        print_ledger(new_console(), found.ledger)
    else:
        print("Nothing has been released yet; `make run` trains and releases the first model.")


@command()
def report(
    to: Annotated[Path | None, typer.Option(help="File to write.", show_default="var/report.html")] = None,
) -> None:
    """Write the state as one HTML page: champion, metrics over time, drift, decisions, releases, runs and data."""
    from modelworks.state.page import write_report

    project, settings = load()
    file = to or settings.home / "var" / "report.html"
    write_report(project, settings, file)
    print(file)


@command()
def events(
    send: Annotated[bool, typer.Option("--send", help="Send the webhook what it has not accepted yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the notified events: failures, refusals, drift, releases; and those the webhook has not accepted."""
    from modelworks.airflow.webhook import read_events, send_waiting

    _, settings = load()
    if send:
        send_waiting(settings)
    found, waiting = read_events(settings), {each["id"] for each in read_events(settings, waiting=True)}
    if as_json:
        print_json([each | {"waits": each["id"] in waiting} for each in found])
        return
    for each in found:
        print(f"{each['at']}  {each['event']:<10}  {each['text']}" + ("  (waits)" if each["id"] in waiting else ""))
    print(f"{count(len(found), 'event')}; the webhook has yet to accept {len(waiting)}")
