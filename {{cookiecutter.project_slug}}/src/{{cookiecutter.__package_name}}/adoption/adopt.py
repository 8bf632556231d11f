"""From a table to a project that runs on it, and from a further file to a further month."""

import re
import shutil
import subprocess
import tempfile
import tomllib
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
from rich.console import Console

from ..config import PACKAGE, find_home
from ..errors import AdoptionError, SourceError
from . import knobs, recipe, summary, writing
from .choices import Choices, ask
from .converting import Measures, MonthFiles, convert, measure
from .decisions import Ask, Readings, check_names, propose_keys, read_as
from .leaks import try_out
from .plan import Evidence, Plan, make_plan
from .profile import Profile, profile_table
from .reading import Layout, estimate_bytes, find_layout, open_file, read_batches, read_names
from .splitting import choose_split
from .target import choose_task, doubt_target

WRITTEN_OVER = [
    "pipeline.toml",
    "pyproject.toml",
    f"src/{PACKAGE}/contract.py",
    "data",
    "tests/sample",
    "tests/flights",
]


def adopt(uri: str, choices: Choices, console: Console) -> None:
    """Make a table the project's data: look at it, show what follows, and on a yes write all of it.

    Parameters
    ----------
    uri : of a CSV or Parquet file

    Raises
    ------
    AdoptionError, SourceError
        If the table cannot be adopted, or somebody has to decide first; nothing is written then.
    """
    home = find_home()
    _check_committed(home, choices, console)

    def asked(question: str, options: list[str], option: str) -> str:
        return ask(console, choices, question, options, option)

    with open_file(uri) as path:
        layout = find_layout(path)
        read_names(path, layout)
        try:
            profile = profile_table(read_batches(path, layout))
        except SourceError as error:
            raise SourceError(f"{uri}: {error}" if uri not in str(error) else str(error)) from None
        plan = _plan(path, layout, profile, choices, asked)
        name = name_data(uri)
        text = (home / "pipeline.toml").read_text(encoding="utf-8")
        chosen = knobs.choose_knobs(plan, name, estimate_bytes(path, layout)) | knobs.new_places(home, text, name)
        summary.print_plan(console, plan, profile)
        with _folder(home) as folder:
            files = MonthFiles(folder, name, plan.readings.recipe, plan.split.last_month)
            files.write(path)
            # Of a local file the name alone: where it lay says nothing to others.
            origin = f"Inferred from {uri if '://' in uri else Path(uri).name} on {date.today():%Y-%m-%d} by `adopt`."
            change = writing.write_all(
                home,
                folder,
                plan,
                files.files,
                files.rejected if files.rejected_rows else None,
                knobs.set_values(text, chosen),
                origin,
                name,
            )
            change.remove = writing.find_removals(home, tomllib.loads(text)["source"]["uri"])
            summary.print_change(console, home, change, chosen, _lines_of_flights(home))
            if asked("Write all this?", ["yes", "no"], "--yes") == "no":
                raise AdoptionError("nothing is written, as you said")
            writing.apply(home, change)
    console.print(
        "\n[bold green]Adopted[/]    `git diff` shows all of it; `make run` trains the first model, `make test` tests"
    )


def _plan(path: Path, layout: Layout, profile: Profile, choices: Choices, asked: Ask) -> Plan:
    """Both passes over the rows, and what they lead to."""
    check_names(profile, choices)
    readings = read_as(profile, layout, choices, asked)
    task, classes = choose_task(profile, readings, choices, asked)
    keys = propose_keys(profile, readings, choices)
    measures = measure(path, readings.recipe, keys, has_classes=bool(classes))
    split = choose_split(measures, str(pd.Period(datetime.now(UTC), "M") - 1), readings.doubts)
    if readings.recipe.time and split.kind != "time":
        # A row without a time is a row like others, then.
        readings.recipe = replace(readings.recipe, time="")
        keys = propose_keys(profile, readings, choices)
        measures = measure(path, readings.recipe, keys, has_classes=bool(classes))
    if not measures.rows:
        raise AdoptionError(f"none of {profile.rows:,} rows can be read: {measures.reasons.most_common(1)[0][0]}")
    sample, _ = convert(profile.sample, readings.recipe)
    plan = make_plan(Evidence(profile, readings, measures, sample, choices), task, classes, split)
    doubt_target(plan, profile, choices)
    try_out(plan, sample, choices, asked)
    _settle_recipe(readings, measures, plan)
    return plan


def _settle_recipe(readings: Readings, measures: Measures, plan: Plan) -> None:
    """Give the recipe what the plan has added or changed: the number of the row, and dtypes."""
    columns = [replace(column, dtype=plan.dtypes[column.name]) for column in readings.recipe.columns]
    added = "row_number" if plan.key == ["row_number"] else ""
    readings.recipe = replace(readings.recipe, columns=columns, row_number=added)


def import_file(uri: str, month: str | None, replace_month: bool, console: Console) -> None:
    """Convert a further file by the recipe of data/import.toml.

    Parameters
    ----------
    month : of the delivery, as YYYY-MM, where the rows have no time
    replace_month : write over months that are there

    Raises
    ------
    AdoptionError
        If a month is there already, or `month` does not fit the data.
    """
    home = find_home()
    known = recipe.load(home / "data" / "import.toml")
    if known.time and month:
        raise AdoptionError(f"--month {month}: the rows say by {known.time!r} which months they are of; leave it out")
    if not known.time and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month or ""):
        raise AdoptionError("the rows have no time: say by --month YYYY-MM when the file came")
    source = tomllib.loads((home / "pipeline.toml").read_text(encoding="utf-8"))["source"]["uri"]
    if not re.fullmatch(r"data/[^/{}]+-\{month\}\.parquet", source):
        raise AdoptionError(
            f"pipeline.toml: [source] uri = {source!r}: not where `adopt` puts files, data/<name>-{{month}}.parquet"
        )
    with open_file(uri) as path, _folder(home) as folder:
        layout = find_layout(path)
        wanted = {name for column in known.columns for name in column.sources}
        if missing := sorted(wanted - set(read_names(path, layout))):
            raise AdoptionError(f"{uri}: columns missing: {', '.join(map(repr, missing))}; see data/import.toml")
        files = MonthFiles(
            folder,
            source.removeprefix("data/").removesuffix("-{month}.parquet"),
            replace(known, layout=layout),
            month or "",
        )
        files.write(path)
        there = [file.name for file in files.files.values() if (home / "data" / file.name).exists()]
        if there and not replace_month:
            raise AdoptionError(
                f"{', '.join(there)}: there already; a month is one file; --replace takes another one, "
                "and then `make run ARGS=--refresh`"
            )
        for file in files.files.values():
            file.replace(home / "data" / file.name)
        if files.rejected_rows:
            files.rejected.replace(home / "data" / "rejected.csv")
            console.print(f"[yellow]![/] {files.rejected_rows:,} rows cannot be read; they are in data/rejected.csv")
    console.print(f"data: {', '.join(sorted(file.name for file in files.files.values()))}", soft_wrap=True)
    console.print("To use them, set \\[source] last_month in pipeline.toml, then `make run`")


def name_data(uri: str) -> str:
    """A name for files, of a file's own, in plain letters."""
    uri = unicodedata.normalize("NFKD", uri).encode("ascii", errors="ignore").decode()
    stem = re.sub(r"(\.(csv|tsv|txt|parquet|pq|gz))+$", "", uri.rstrip("/").rpartition("/")[2], flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "data"


def _check_committed(home: Path, choices: Choices, console: Console) -> None:
    """Refuse to write over what git does not have."""
    command = ["git", "-C", str(home), "status", "--porcelain", "--", *WRITTEN_OVER]
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


@contextmanager
def _folder(home: Path) -> Iterator[Path]:
    """A folder beside the data for what is not ready, removed at the end; on their disk, so that files can be moved."""
    (home / "data").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".adopt-", dir=home / "data"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lines_of_flights(home: Path) -> list[int]:
    """Lines of README.md that tell of the example's months or files."""
    file = home / "README.md"
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if re.search(r"2013-\d\d|flights", line)]
