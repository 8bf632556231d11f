"""All commands as one program."""

import gc
import logging
import signal
import sys
from contextlib import suppress
from typing import NoReturn

import typer

from modelworks.cli import access, data, develop, environments, inspect, models, promotion, rollout, run, stack, steps
from modelworks.cli.environments import WithEnvironment
from modelworks.cli.options import Verbose, configure_logging, open_console
from modelworks.errors import MissingAnswerError, PipelineError
from modelworks.settings import explain_disk, load_settings, written_folders
from modelworks.settings.home import restart_by_safe_name

INTERRUPTED = 128 + signal.SIGINT
"""Exit status of a command that Ctrl-C has ended, as shells give it."""

app = typer.Typer(
    cls=WithEnvironment,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Runs the project's pipeline and its stages. The targets of make are commands of the same name.",
)
for group in (run, stack, inspect, environments, data, models, promotion, develop):
    app.add_typer(group.app)
app.add_typer(access.app, name="api-keys", rich_help_panel="Serve")
app.add_typer(rollout.app, name="rollout", rich_help_panel="Serve")
app.add_typer(steps.app, name="step", rich_help_panel="Stages by hand")


@app.callback()
def _configure(verbose: Verbose = False) -> None:
    from modelworks.registry import set_mlflow_defaults

    set_mlflow_defaults()
    configure_logging(verbose)
    open_console(2)  # standard output is the command's own


def main() -> None:
    """Run a command.

    An error is one message and exit status 1, or 2 where an option is missing or unknown; Ctrl-C is one, and 130.
    """
    try:
        restart_by_safe_name()
        app()
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, MissingAnswerError) else 1)
    except KeyboardInterrupt:
        _end_interrupted()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer has ended the command by it
            _end_interrupted()
        raise
    except Exception as error:
        if logging.getLogger().isEnabledFor(logging.INFO):
            raise
        where = f"{type(error).__name__}: {error} (--verbose before the command shows where)"
        may_be_the_disk = isinstance(error, OSError) or "database" in str(error)
        sys.exit(f"error: {(may_be_the_disk and _explain_disk(str(error))) or where}")


def _end_interrupted() -> NoReturn:
    print("interrupted: what is finished is kept; the same command goes on from there", file=sys.stderr)
    gc.freeze()  # searching Airflow's objects for garbage at the end of the process takes seconds
    sys.exit(INTERRUPTED)


def _explain_disk(error: str) -> str:
    """The folder that cannot be written to, if there is one; "" outside a project."""
    with suppress(PipelineError, OSError):
        settings = load_settings()
        return explain_disk([settings.home, settings.home / "data", *written_folders(settings)], error)
    return ""
