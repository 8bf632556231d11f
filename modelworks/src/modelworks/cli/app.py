"""All commands as one program."""

import logging
import sys

import typer

from modelworks.cli import data, develop, inspect, models, run, stack
from modelworks.cli.options import Verbose, configure_logging, open_console
from modelworks.errors import MissingAnswerError, PipelineError
from modelworks.settings.home import restart_by_safe_name

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Runs the project's pipeline and its stages. The targets of make are commands of the same name.",
)
for group in (run, stack, inspect, data, models, develop):
    app.add_typer(group.app)


@app.callback()
def _configure(verbose: Verbose = False) -> None:
    from modelworks.registry import set_mlflow_defaults

    set_mlflow_defaults()
    configure_logging(verbose)
    open_console(2)  # standard output is the command's own


def main() -> None:
    """Run a command; an error is one message and exit status 1, or 2 where an option is missing or unknown."""
    try:
        restart_by_safe_name()
        app()
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, MissingAnswerError) else 1)
    except Exception as error:
        if logging.getLogger().isEnabledFor(logging.INFO):
            raise
        sys.exit(f"error: {type(error).__name__}: {error} (--verbose before the command shows where)")
