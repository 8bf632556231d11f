"""Commands about the local stack: its processes, their logs, and runs on its Airflow."""

import os
from functools import partial
from typing import Annotated

import typer

from modelworks.cli.options import Force, Period, Reason, Refresh, Trials, load
from modelworks.errors import StackError
from modelworks.settings import load_settings

app = typer.Typer()
command = partial(app.command, rich_help_panel="Serve")


@command()
def up() -> None:
    """Start Airflow, MLflow and the prediction API in the background, and wait until they are healthy."""
    from modelworks.reporting.console import new_console
    from modelworks.stack import lifecycle

    lifecycle.up(load_settings(), new_console())


@command()
def down() -> None:
    """Stop everything that `up` has started."""
    from modelworks.reporting.console import new_console
    from modelworks.stack import lifecycle

    lifecycle.down(load_settings(), new_console())


@app.command(rich_help_panel="Inspect")
def logs(
    process: Annotated[str | None, typer.Argument(help="One process only, such as mlflow.")] = None,
    lines: Annotated[int, typer.Option(help="How many of the last lines of each.", min=0)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines; Ctrl-C ends it.")] = False,
) -> None:
    """Show what the processes of `up` have logged."""
    from modelworks.stack.processes import log_files

    files = log_files(load_settings(), process)
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)])  # noqa: S606


@command()
def trigger(
    period: Period = None, refresh: Refresh = False, force: Force = False, reason: Reason = "", trials: Trials = None
) -> None:
    """Start the training DAG on the Airflow of `up`, and follow it to its end."""
    from modelworks.reporting.console import new_console
    from modelworks.stack import live
    from modelworks.stack.airflow_api import AirflowApi
    from modelworks.state.printing import print_run, print_unchanged
    from modelworks.state.status import find_run, find_unchanged

    (project, settings), console = load(), new_console()
    conf = {"period": period, "refresh": refresh, "force": force, "reason": reason, "trials": trials}
    run_id, state = live.trigger(AirflowApi(settings), console, conf)
    if summary := find_run(project, settings, run_id, settings.mlflow_url):
        print_run(console, summary)
    elif version := find_unchanged(project, settings, run_id):
        print_unchanged(console, version)
    if state != "success":
        raise StackError(f"run {run_id}: {state}")


@command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def airflow(context: typer.Context) -> None:
    """Run an Airflow command, such as `backfill create`, against the Airflow of `up`."""
    from modelworks.stack.environment import BIN, stack_environment

    program = str(BIN / "airflow")
    os.execve(program, [program, *context.args], stack_environment(load_settings()))  # noqa: S606
