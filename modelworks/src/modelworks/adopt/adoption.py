"""From a table to a project that runs on it."""

import re
import shutil
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
from rich.console import Console

from modelworks.adopt import columns, leaks, model_settings, pipeline_settings, planning, summary, target, writing
from modelworks.adopt.choices import Ask, Choices, ask
from modelworks.adopt.conversion import PeriodFiles, convert
from modelworks.adopt.keys import propose_keys
from modelworks.adopt.pipeline_toml import SettingChanges, set_values
from modelworks.adopt.plan import Plan, Table
from modelworks.adopt.profile import Profile, profile_table
from modelworks.adopt.project_files import find_package
from modelworks.adopt.reading import Layout, estimate_bytes, find_layout, open_file, read_batches, read_names
from modelworks.adopt.recipe import Recipe
from modelworks.adopt.splitting import Split, choose_frequency, choose_split
from modelworks.adopt.statistics import ColumnStatistics, compute_statistics
from modelworks.calendar import Frequency, period_of
from modelworks.data.periods import name_periods
from modelworks.errors import AdoptionError, SourceError
from modelworks.settings import check_disk, explaining_disk, read_name


def adopt(home: Path, uri: str, choices: Choices, console: Console) -> None:
    """Make a table the project's data: profile it, show the plan, and on a yes write all of it.

    Parameters
    ----------
    home : the project's folder
    uri : of a CSV or Parquet file

    Raises
    ------
    AdoptionError, SourceError, DiskError
        If the table cannot be adopted, somebody has to decide first, or the disk is full; nothing is written then.
    """
    check_disk([home, home / "data"])
    _check_committed(home, choices, console)

    def ask_person(question: str, options: list[str], option: str) -> str:
        return ask(console, choices, question, options, option)

    with open_file(uri) as path:
        layout = find_layout(path)
        profile = _profile(uri, path, layout, choices.null_words)
        plan = _plan(path, layout, profile, choices, ask_person)
        name = name_data(uri)
        settings, warnings = _choose_settings(home, plan, name, estimate_bytes(path, layout))
        plan = plan.warn(*warnings)
        summary.print_plan(console, plan, profile.rows)
        with (
            temporary_folder(home / "data") as of_data,
            temporary_folder(home) as folder,
            explaining_disk([home, home / "data"]),
        ):
            files = PeriodFiles(of_data, name, plan.recipe, plan.split.last)
            files.write(path)
            # Of a local file the name alone: its folder says nothing to others.
            origin = f"Inferred from {uri if '://' in uri else Path(uri).name} on {date.today():%Y-%m-%d} by `adopt`."
            pipeline = set_values((home / "pipeline.toml").read_text(encoding="utf-8-sig"), settings)
            change = writing.make_change(home, folder, plan, files, pipeline, origin, name)
            summary.print_change(console, home, change, settings, _name_old_data(home))
            if ask_person("Write all this?", ["yes", "no"], "--yes") == "no":
                raise AdoptionError("nothing is written, as you said")
            writing.apply(home, change)
    console.print(
        "\n[bold green]Adopted[/]    `git diff` shows all of it; `make run` trains the first model, `make test` tests"
    )


def name_data(uri: str) -> str:
    """A name for files, after the file, in plain letters."""
    uri = unicodedata.normalize("NFKD", uri).encode("ascii", errors="ignore").decode()
    stem = re.sub(r"(\.(csv|tsv|txt|parquet|pq|gz))+$", "", uri.rstrip("/").rpartition("/")[2], flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "data"


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder for unfinished files, removed at the end; on the same disk, so that files can be moved in one step."""
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".adopt-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _profile(uri: str, path: Path, layout: Layout, null_words: list[str]) -> Profile:
    read_names(path, layout)
    try:
        return profile_table(read_batches(path, layout, "profiling"), null_words)
    except SourceError as error:
        raise SourceError(f"{uri}: {error}" if uri not in str(error) else str(error)) from None


def _plan(path: Path, layout: Layout, profile: Profile, choices: Choices, ask: Ask) -> Plan:
    """Both passes over the rows, and the plan that follows."""
    columns.check_names(profile, choices)
    parsed = columns.parse_columns(profile, layout, choices, ask)
    task, classes = target.choose_task(profile, parsed, choices, ask)
    parsed, why = _choose_period(profile, parsed, choices)
    statistics, split, warnings = _split(path, profile, parsed, choices, has_classes=bool(classes))
    if not statistics.rows:
        why = statistics.reasons.most_common(1)[0][0]
        is_time = parsed.recipe.time and why.startswith(f"{parsed.recipe.time}: ")
        advice = "name another time by --time, or none by --no-time" if is_time else "--text keeps a column as text"
        raise AdoptionError(f"none of {profile.rows:,} rows can be read: {why}; {advice}")
    if parsed.recipe.time and split.kind != "time":
        if choices.time:
            raise AdoptionError(
                f"--time {' '.join(choices.time)}: no period can be held out by it: {warnings[-1]}; try another "
                "--period, or leave --time out"
            )
        # The time is a feature like others then, and may be missing.
        parsed = replace(parsed, recipe=replace(parsed.recipe, time=""))
        keys = propose_keys(profile, parsed, choices)
        statistics = compute_statistics(path, parsed.recipe, keys, has_classes=bool(classes))
    sample = _take_used(convert(profile.sample, parsed.recipe)[0], parsed.recipe, split)
    table = Table(profile, parsed, statistics, sample, choices)
    plan = planning.make_plan(table, task, classes, split, [*parsed.warnings, *warnings])
    plan = replace(plan, period_reason=why if split.kind == "time" else "")
    plan = plan.warn(*target.find_warnings(plan, profile, choices))
    return _complete_recipe(leaks.try_out(plan, sample, choices, ask))


def _choose_period(
    profile: Profile, parsed: columns.ParsedColumns, choices: Choices
) -> tuple[columns.ParsedColumns, str]:
    """The columns with what a period is, and why."""
    period: Frequency = choices.period or "month"
    why = "as --period says"
    if parsed.recipe.time and not choices.period:
        period, reason = choose_frequency(convert(profile.sample, parsed.recipe)[0][parsed.recipe.time])
        why = f"since {reason}; another one by --period"
    return replace(parsed, recipe=replace(parsed.recipe, period=period)), why


def _take_used(sample: pd.DataFrame, known: Recipe, split: Split) -> pd.DataFrame:
    """The rows of the periods that models are trained and evaluated on."""
    if split.kind != "time":
        return sample
    periods = name_periods(sample[known.time].to_numpy(), known.period)
    return sample[(periods >= split.first) & (periods <= split.last)].reset_index(drop=True)


def _split(
    path: Path, profile: Profile, parsed: columns.ParsedColumns, choices: Choices, *, has_classes: bool
) -> tuple[ColumnStatistics, Split, list[str]]:
    keys = propose_keys(profile, parsed, choices)
    statistics = compute_statistics(path, parsed.recipe, keys, has_classes=has_classes)
    return statistics, *choose_split(statistics, period_of(datetime.now(UTC).date(), parsed.recipe.period))


def _complete_recipe(plan: Plan) -> Plan:
    """The plan with its row number and dtypes in the recipe."""
    parsed = [replace(column, dtype=plan.dtypes[column.name]) for column in plan.recipe.columns]
    row_number = "row_number" if plan.key == ["row_number"] else ""
    return replace(plan, recipe=replace(plan.recipe, columns=parsed, row_number=row_number, key=plan.key))


def _choose_settings(home: Path, plan: Plan, name: str, table_bytes: int) -> tuple[SettingChanges, list[str]]:
    settings, warnings = pipeline_settings.choose_settings(plan, name, table_bytes)
    pipeline = writing.read_pipeline(home)
    n_training = plan.statistics.rows - pipeline_settings.count_held_out(plan)
    settings |= model_settings.choose_model(plan, pipeline.get("model", {}), n_training)
    warnings += model_settings.warn_of_level(plan)
    return settings | pipeline_settings.choose_new_places(home, pipeline, read_name(home), name), warnings


def _check_committed(home: Path, choices: Choices, console: Console) -> None:
    """Refuse to write over files with uncommitted changes."""
    written_over = ["pipeline.toml", "data", "tests", str(find_package(home).relative_to(home))]
    command = ["git", "-C", str(home), "status", "--porcelain", "--", *written_over]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        console.print("[yellow]![/] the project is in no git repository: what is written over cannot be brought back")
        if not choices.force and ask(console, replace(choices, yes=False), "Go on?", ["no", "yes"], "--force") == "no":
            raise AdoptionError(
                "nothing is written; `git init` and a commit make it safe, --force does without"
            ) from None
        return
    if found and not choices.force:
        raise AdoptionError(
            f"not committed: {', '.join(line[3:] for line in found[:5])}; commit them first, "
            "or write over them with --force"
        )


def _name_old_data(home: Path) -> str:
    """Name of the source's files so far, such as "flights"; "" where they are not in data/."""
    uri = writing.read_pipeline(home).get("source", {}).get("uri", "")
    return Path(uri).name.partition("{")[0].strip("-_") if uri.startswith("data/") else ""
