"""From a further file to further rows, and to further periods of the source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from modelworks.adopt import recipe
from modelworks.adopt.adoption import temporary_folder
from modelworks.adopt.conversion import PeriodFiles
from modelworks.adopt.pipeline_toml import SettingChanges, set_values
from modelworks.adopt.reading import find_layout, open_file, read_names
from modelworks.adopt.recipe import Recipe
from modelworks.adopt.seen_rows import SeenRows
from modelworks.adopt.splitting import RECENT_PERIODS, is_partial
from modelworks.adopt.statistics import ColumnStatistics
from modelworks.adopt.writing import read_pipeline
from modelworks.calendar import EXAMPLES, PATTERNS, is_period, period_of, periods_between
from modelworks.data.files import replace_file
from modelworks.errors import AdoptionError
from modelworks.settings import explaining_disk
from modelworks.wording import count


@dataclass(frozen=True)
class Delivery:
    """The project's files of rows.

    Attributes
    ----------
    present : by period
    """

    data: Path
    name: str
    known: Recipe
    source: Mapping[str, Any]

    @property
    def present(self) -> dict[str, Path]:
        """The files, by period."""
        pattern = rf"{re.escape(self.name)}-({PATTERNS[self.known.period]})\.parquet"
        found = [(re.fullmatch(pattern, file.name), file) for file in sorted(self.data.glob(f"{self.name}-*.parquet"))]
        return {match[1]: file for match, file in found if match}


def import_file(home: Path, uri: str, period: str | None, replace_period: bool, console: Console) -> None:
    """Convert a further file by the recipe of data/import.toml, without the rows that are there already.

    Parameters
    ----------
    home : the project's folder
    period : of the delivery, where the rows have no time
    replace_period : write over periods that are there

    Raises
    ------
    AdoptionError, DiskError
        If `period` does not fit the data, a column is missing, or the disk is full.
    """
    delivery = _read_delivery(home)
    known = delivery.known
    _check_period(known, period)
    with open_file(uri) as path, temporary_folder(home / "data") as folder, explaining_disk([home / "data"]):
        known = replace(known, layout=find_layout(path))
        wanted = {source for column in known.columns for source in column.sources}
        if missing := sorted(wanted - set(read_names(path, known.layout))):
            raise AdoptionError(f"{uri}: columns missing: {', '.join(map(repr, missing))}; see data/import.toml")
        present = {} if replace_period else delivery.present
        seen = SeenRows(present.values(), known.row_key, [column.name for column in known.columns])
        files = PeriodFiles(folder, delivery.name, known, period or "", present, seen)
        files.write(path)
        for file in files.files.values():
            file.replace(delivery.data / file.name)
        if files.rejected_rows:
            files.rejected.replace(delivery.data / "rejected.csv")
    _describe(console, files, seen, delivery)
    _move_last(home, delivery, console)


def _read_delivery(home: Path) -> Delivery:
    source = read_pipeline(home)["source"]
    known = replace(recipe.load(home / "data" / "import.toml"), period=source.get("period", "month"))
    uri: str = source.get("uri", "")
    if not re.fullmatch(r"data/[^/{}]+-\{period\}\.parquet", uri):
        raise AdoptionError(
            f"pipeline.toml: [source] uri = {uri!r}: not where `adopt` puts files, data/<name>-{{period}}.parquet"
        )
    return Delivery(home / "data", uri.removeprefix("data/").removesuffix("-{period}.parquet"), known, source)


def _check_period(known: Recipe, period: str | None) -> None:
    if known.time and period:
        raise AdoptionError(
            f"--period {period}: the rows say by {known.time!r} which periods they are of; leave it out"
        )
    if not known.time and not is_period(period or "", known.period):
        raise AdoptionError(
            f"the rows have no time: say by --period in which {known.period} the file came, such as "
            f"{EXAMPLES[known.period]}"
        )


def _describe(console: Console, files: PeriodFiles, seen: SeenRows, delivery: Delivery) -> None:
    """How many rows were rejected, seen before and new, and where they are."""
    if files.rejected_rows:
        console.print(f"[yellow]![/] {count(files.rejected_rows, 'row')} cannot be read; see data/rejected.csv")
    if seen.rows:
        how = f"by {', '.join(delivery.known.row_key)}" if delivery.known.row_key else "by all of their values"
        changed = f", {seen.changed:,} of them with other values, which --replace takes" if seen.changed else ""
        console.print(f"{count(seen.rows, 'row')} seen before, {how}: left out{changed}", markup=False, soft_wrap=True)
    if not files.files:
        console.print("nothing new: no file is written")
        return
    names = ", ".join(sorted(file.name for file in files.files.values()))
    console.print(f"{count(files.rows, 'new row')}: {names}", soft_wrap=True)
    last = delivery.source.get("last", "")
    if late := [period for period in sorted(files.files) if period in files.extended and period <= last]:
        console.print(
            f"{', '.join(late)}: changed since it was ingested, perhaps; `make run ARGS=--refresh` takes the new rows",
            soft_wrap=True,
        )


def _move_last(home: Path, delivery: Delivery, console: Console) -> None:
    """Let the source end with the newest complete period that has rows; its `last` may be open."""
    last = delivery.source.get("last", "")
    if not last:
        return
    newest, note = _find_newest(delivery)
    if note:
        console.print(f"[yellow]![/] {note}", soft_wrap=True)
    if newest <= last:
        return
    changes: SettingChanges = {("source", "last"): (newest, "")}
    absent = set(periods_between(last, newest)) - set(delivery.present)
    if absent and not delivery.source.get("gaps"):
        changes["source", "gaps"] = (True, "periods may have no rows")
        console.print(f"no rows in {', '.join(sorted(absent)[:3])}: \\[source] gaps is true now")
    file = home / "pipeline.toml"
    replace_file(file, set_values(file.read_text(encoding="utf-8"), changes).encode())
    console.print(f"\\[source] last is {newest} now, in pipeline.toml; `make run` takes it")


def _find_newest(delivery: Delivery) -> tuple[str, str]:
    """The newest period that is complete, and a warning if there is a newer one."""
    present, time = delivery.present, delivery.known.time
    periods = sorted(present)
    if not time:
        return periods[-1], ""
    this_period = period_of(datetime.now(UTC).date(), delivery.known.period)
    past = [each for each in periods if each <= this_period]
    if len(past) < len(periods):
        return (past or [""])[-1], f"{periods[-1]}: rows of the future are converted, and not used"
    recent = periods[-1 - RECENT_PERIODS :]
    times = {each: pq.read_table(present[each], columns=[time])[time] for each in recent}
    statistics = ColumnStatistics(
        periods={each: len(found) for each, found in times.items()},
        ends={each: pd.Timestamp(pc.max(found).as_py()) for each, found in times.items()},
    )
    if len(recent) > 1 and is_partial(recent[-1], statistics):
        return recent[-2], f"{recent[-1]} is not complete, so it is not used yet: a further `import` completes it"
    return recent[-1], ""
