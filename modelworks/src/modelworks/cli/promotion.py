"""Commands that bring a version from one environment to the next."""

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelworks.cli.options import AsJson, Period, Reason, load, open_console, print_json
from modelworks.cli.run import Answer, release
from modelworks.errors import PipelineError

if TYPE_CHECKING:
    from modelworks.project import Project
    from modelworks.settings import Settings

app = typer.Typer()

Source = Annotated[str, typer.Option("--from", help="Environment where it was released.", metavar="NAME")]


@app.command(rich_help_panel="Serve")
def promote(
    version: Annotated[str, typer.Argument(help="Its number in that environment.")],
    source: Source,
    period: Period = None,
    reason: Reason = "",
    answer: Answer = None,
    as_json: AsJson = False,
) -> None:
    """Copy a released version of another environment into this one, judge it on its newest data, and release it.

    A version that is here already is not copied again, and a promotion that was ended goes on.
    """
    from modelworks.registry.policy import check_policy
    from modelworks.reporting.console import ANSWER_VARIABLE, show_stages
    from modelworks.state.printing import print_run
    from modelworks.state.status import find_run

    if answer is not None:
        os.environ[ANSWER_VARIABLE] = "approve" if answer else "reject"
    project, settings = load()
    check_policy(settings, code=True)
    console = open_console(2 if as_json else 1)
    if settings.environment:
        console.print(f"Environment {settings.environment}", style="bold")
    lines, run_names, found = show_stages(console), list[str](), None
    try:
        found = _promote(project, settings, version, source, period, reason, run_names)
        succeeded = True
    except PipelineError:  # the line of its stage names it
        succeeded = False
    summary = find_run(project, settings, run_names[0]) if run_names else None
    if as_json:
        about = {"version": found, "run": summary.to_json() if summary else None}
        print_json({"succeeded": succeeded, "error": lines.failure, **about})
    elif summary:
        print_run(console, summary)
    gc.freeze()  # searching Airflow's objects for garbage at the end of the process takes seconds
    raise typer.Exit(0 if succeeded else 1)


def _promote(
    project: "Project",
    settings: "Settings",
    version: str,
    source: str,
    period: str | None,
    reason: str,
    run_names: list[str],
) -> str:
    """Call the stages one after the other; returns the number of the version here.

    Parameters
    ----------
    run_names : gets the name of the run, once there is one: the same for the same version and data
    """
    from modelworks import stages

    if there := stages.find_promoted(project, settings, version, source).version:
        return there
    raw = stages.ingest(project, settings, period)
    run_names.append(f"promote__{source}_{version}_{Path(raw.dataset_uri).stem[:10]}")
    clean = stages.validate(project, settings, raw.dataset_uri, run_names[0], reason=reason)
    copied = stages.promote(project, settings, clean.dataset_uri, run_names[0], version, source)
    return release(project, settings, copied.run_id, reason)


@app.command("export-version", hidden=True)
def export_version(
    version: Annotated[str, typer.Argument()], to: Annotated[Path | None, typer.Option(help="Folder.")] = None
) -> None:
    """Print what is known of a released version as JSON, and write its files; `promote` calls it."""
    from modelworks import stages

    print_json(stages.export_version(*load(), version, to).to_json())
