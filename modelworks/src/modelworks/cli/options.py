"""Options that several commands share, and what each of them does first and last."""

import json
import logging
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelworks.errors import MissingAnswerError
from modelworks.project import Project, check_environment, load_project
from modelworks.settings import Settings, check_working_folder, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from modelworks.stages.facts import Result

Verbose = Annotated[bool, typer.Option(help="Show the log.")]
Period = Annotated[
    str | None,
    typer.Option(
        help="Newest period, which is held out.",
        show_default="the last with labels",
    ),
]
CleanPeriod = Annotated[str | None, typer.Option(help="Such as 2024-02.", show_default="the newest clean one")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ingest a changed source as a new version of its period.")]
DatasetUri = Annotated[str, typer.Option("--dataset", help="URI that the previous stage printed.")]
RunName = Annotated[
    str | None, typer.Option("--run-name", help="Name of the pipeline run; the same name is one MLflow run.")
]
RunId = Annotated[str, typer.Option("--run", help="MLflow run that `train` printed.")]
Reason = Annotated[str, typer.Option(help="Why; logged in the ledger.")]
Trials = Annotated[
    int | None,
    typer.Option(min=0, help="Trials of each model type; 0: no tuning.", show_default="[tuning] trials"),
]
Force = Annotated[
    bool, typer.Option("--force", help="Train and release even if a version has the same data, code and settings.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print stable JSON for programs, and nothing else, to stdout.")]
WithoutAirflow = Annotated[
    bool, typer.Option("--without-airflow", help="Call the same stages without Airflow: the results are the same.")
]


def configure_logging(verbose: bool) -> None:
    """Send the log to standard error: all of it, or errors only, without those that stages show themselves."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, stream=sys.stderr)
    if not verbose:
        from modelworks.reporting.console import hide_stages

        hide_stages()


def load() -> tuple[Project, Settings]:
    """The project of the current folder and its settings."""
    check_working_folder()
    settings = load_settings()
    project = load_project(settings.home)
    check_environment(settings.home)
    return project, settings


def open_console(descriptor: int = 1) -> "Console":
    """A console that shows the progress of the steps as well."""
    from modelworks.progress import use_display
    from modelworks.reporting.console import new_console
    from modelworks.reporting.progress import console_display

    console = new_console(descriptor)
    use_display(console_display(console))
    return console


def print_json(content: Any) -> None:
    """Print JSON for a program; a number that is not finite, which JSON does not have, is null."""
    print(json.dumps(_finite(content), indent=1, allow_nan=False))


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(each) for name, each in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(each) for each in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def print_result(facts: "Result", as_json: bool, *more: str) -> None:
    """Print what a stage returns as JSON, or its summary and further lines for a person."""
    if as_json:
        print_json(facts.to_json())
    else:
        print("\n".join([facts.summary, *filter(None, more)]))


def new_run_name() -> str:
    """A name for a pipeline run that has none."""
    return f"cli__{datetime.now(UTC).isoformat(timespec='milliseconds')}"


def ask_reason(
    given: str | None, command: str, about: Callable[[], str] | None = None, *, is_target: bool = False
) -> str:
    """The reason that was given by option, or is typed at the terminal.

    Parameters
    ----------
    about : says what will be done, for the question
    is_target : the command is a target of make as well

    Raises
    ------
    MissingAnswerError
        If none was given and there is no terminal to ask on.
    """
    if given is not None:
        return given
    if sys.stdin.isatty():
        before = f"{about()}. " if about else ""
        return typer.prompt(f"{before}Why (goes on the record)", err=True)
    call = f"make {command} ARGS=\"--reason '...'\"" if is_target else f"{command} --reason '...'"
    raise MissingAnswerError(f"--reason is missing, and there is no terminal to ask on: {call}")
