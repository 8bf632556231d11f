"""From a further file to a further period."""

import re
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from modelworks.adopt import recipe
from modelworks.adopt.adoption import temporary_folder
from modelworks.adopt.conversion import PeriodFiles
from modelworks.adopt.reading import find_layout, open_file, read_names
from modelworks.adopt.recipe import Recipe
from modelworks.adopt.writing import read_pipeline
from modelworks.errors import AdoptionError
from modelworks.settings import explaining_disk
from modelworks.wording import count


def import_file(home: Path, uri: str, period: str | None, replace_period: bool, console: Console) -> None:
    """Convert a further file by the recipe of data/import.toml.

    Parameters
    ----------
    home : the project's folder
    period : of the delivery, as YYYY-MM, where the rows have no time
    replace_period : write over periods that are there

    Raises
    ------
    AdoptionError, DiskError
        If a period is there already, `period` does not fit the data, or the disk is full.
    """
    known = recipe.load(home / "data" / "import.toml")
    _check_period(known, period)
    name = _name_of_source(home)
    with open_file(uri) as path, temporary_folder(home / "data") as folder, explaining_disk([home / "data"]):
        known = replace(known, layout=find_layout(path))
        wanted = {source for column in known.columns for source in column.sources}
        if missing := sorted(wanted - set(read_names(path, known.layout))):
            raise AdoptionError(f"{uri}: columns missing: {', '.join(map(repr, missing))}; see data/import.toml")
        files = PeriodFiles(folder, name, known, period or "")
        files.write(path)
        _move(home / "data", files, replace_period=replace_period)
    if files.rejected_rows:
        console.print(f"[yellow]![/] {count(files.rejected_rows, 'row')} cannot be read; see data/rejected.csv")
    console.print(f"data: {', '.join(sorted(file.name for file in files.files.values()))}", soft_wrap=True)
    console.print("To use them, set \\[source] last in pipeline.toml, then `make run`")


def _check_period(known: Recipe, period: str | None) -> None:
    if known.time and period:
        raise AdoptionError(
            f"--period {period}: the rows say by {known.time!r} which periods they are of; leave it out"
        )
    if not known.time and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period or ""):
        raise AdoptionError("the rows have no time: say by --period YYYY-MM when the file came")


def _name_of_source(home: Path) -> str:
    source: str = read_pipeline(home)["source"].get("uri", "")
    if not re.fullmatch(r"data/[^/{}]+-\{period\}\.parquet", source):
        raise AdoptionError(
            f"pipeline.toml: [source] uri = {source!r}: not where `adopt` puts files, data/<name>-{{period}}.parquet"
        )
    return source.removeprefix("data/").removesuffix("-{period}.parquet")


def _move(data: Path, files: PeriodFiles, *, replace_period: bool) -> None:
    present = [file.name for file in files.files.values() if (data / file.name).exists()]
    if present and not replace_period:
        raise AdoptionError(
            f"{', '.join(present)}: there already; a period is one file; --replace takes another one, "
            "and then `make run ARGS=--refresh`"
        )
    for file in files.files.values():
        file.replace(data / file.name)
    if files.rejected_rows:
        files.rejected.replace(data / "rejected.csv")
