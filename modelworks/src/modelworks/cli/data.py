"""Commands about data: the first stages, and tables of one's own."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from modelworks.cli.options import (
    DatasetUri,
    Period,
    Reason,
    Refresh,
    RunName,
    load,
    new_run_name,
    open_console,
    print_json,
)
from modelworks.errors import AdoptionError, PipelineError
from modelworks.settings import find_home, name_safely
from modelworks.wording import count

app = typer.Typer()
stage_command = partial(app.command, rich_help_panel="Stages by hand")
command = partial(app.command, rich_help_panel="Your own data")


@stage_command()
def ingest(period: Period = None, refresh: Refresh = False) -> None:
    """Bring the periods of the window into storage, as they are."""
    from modelworks import stages

    print_json(stages.ingest(*load(), period, refresh=refresh).to_json())


@stage_command()
def validate(dataset: DatasetUri, run_name: RunName = None, reason: Reason = "") -> None:
    """Quarantine the rows that break the contract, and judge each period."""
    from modelworks import stages

    print_json(stages.validate(*load(), dataset, run_name or new_run_name(), reason=reason).to_json())


@stage_command()
def prune(
    older_than_hours: Annotated[
        float, typer.Option(min=0, help="Younger files may belong to a run that is still writing them.")
    ] = 24,
) -> None:
    """Remove the files that killed runs left in the storage, which no period lists."""
    from datetime import timedelta

    from modelworks.data.leftovers import find_leftovers, remove_leftovers

    _, settings = load()
    found = find_leftovers(settings.storage_uri, timedelta(hours=older_than_hours))
    remove_leftovers(settings.storage_uri, found)
    print(f"{count(len(found), 'file')} removed, {sum(each.bytes for each in found) / 2**20:,.1f} MiB")


@command()
def explore(
    period: Period = None,
    to: Annotated[Path | None, typer.Option(help="File to write.", show_default="var/explore.html")] = None,
) -> None:
    """Write the data as one HTML page: columns, missing values, the target, relations, suspicious columns."""
    from modelworks import stages
    from modelworks.explore import find_explored, write_page
    from modelworks.reporting.console import show_stages

    project, settings = load()
    explored = find_explored(project, settings, period)
    if not explored.partitions:  # a new project
        show_stages(open_console(2))
        try:
            raw = stages.ingest(project, settings, period)
            stages.validate(project, settings, raw.dataset_uri, new_run_name(), for_training=False)
        except PipelineError as error:
            raise typer.Exit(1) from error  # the line of its stage names it
        explored = find_explored(project, settings, period)
    file = to or settings.home / "var" / "explore.html"
    write_page(project, settings, explored, file)
    print(file)


@command()
def adopt(
    table: Annotated[
        str, typer.Argument(help="CSV or Parquet file; a path, s3://, https://, ...", metavar="PATH_OR_URI")
    ],
    target: Annotated[str, typer.Option(help="Column to predict.", show_default=False)],
    time: Annotated[
        list[str] | None,
        typer.Option(
            help="When a row happened: one column, or its parts year, month, day, hour, minute, or date and time."
        ),
    ] = None,
    no_time: Annotated[bool, typer.Option("--no-time", help="The rows have no time, whatever looks like one.")] = False,
    key: Annotated[list[str] | None, typer.Option(help="Columns that identify a row.")] = None,
    group: Annotated[
        str, typer.Option(help="Rows with the same value are held out together; none: no such.", show_default=False)
    ] = "",
    outcome: Annotated[list[str] | None, typer.Option(help="Columns that are known only after the event.")] = None,
    feature: Annotated[
        list[str] | None, typer.Option(help="Columns that are features, whatever they look like.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="Columns that are categories, though they are numbers.")
    ] = None,
    null: Annotated[
        list[str] | None, typer.Option(help="Texts that mean no value, in place of the usual ones.", show_default=False)
    ] = None,
    task: Annotated[
        Literal["auto", "binary", "multiclass", "regression"], typer.Option(help="What kind of target it is.")
    ] = "auto",
    period: Annotated[
        Literal["day", "week", "month", "quarter", "year"] | None,
        typer.Option(help="What a period of the data is.", show_default="by the times of rows"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept what is proposed; nothing is asked.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is not committed.")] = False,
) -> None:
    """Make any table this project's data: infer the contract, show it, and write the files that follow from it."""
    from modelworks.adopt import Choices
    from modelworks.adopt import adopt as adopt_table

    lists = [time, key, outcome, feature, text]
    times, keys, outcomes, features, texts = (each or [] for each in lists)
    if no_time and times:
        raise AdoptionError("--time and --no-time contradict each other; leave one out")
    choices = Choices(target, times, keys, group, outcomes, features, texts, task, yes, force, period, no_time)
    if null is not None:
        choices = replace(choices, null_words=["", *null])
    adopt_table(name_safely(find_home()), table, choices, open_console())


@command("import")
def import_table(
    file: Annotated[str, typer.Argument(help="CSV or Parquet file, with the columns of the adopted one.")],
    period: Annotated[str | None, typer.Option(help="Of its rows, such as 2024-02; only without a time.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite periods that are there.")] = False,
) -> None:
    """Convert a further file as `adopt` has converted the first."""
    from modelworks.adopt import import_file

    import_file(name_safely(find_home()), file, period, replace, open_console())
