"""Ingest: from a source to raw partitions, with the labels that are known."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from modelworks.data import files, frames, labels, partitions, splits
from modelworks.data.execution import map_parts
from modelworks.data.partitions import Partition, PartitionWriter
from modelworks.data.periods import check_enough, choose_periods, count_wanted
from modelworks.data.sources.files import ValueNotParsedError, cut_row_groups, may_be_copied, read_labels, read_source
from modelworks.data.sources.opening import SourceFile, open_source, source_columns
from modelworks.data.sources.parts import SourcePart, copy_file, ingest_part
from modelworks.errors import NoRowsError, SourceChangedError
from modelworks.progress import track
from modelworks.project import Project
from modelworks.settings import Settings
from modelworks.stages.common import span, stage, under_this_contract
from modelworks.stages.facts import Ingested
from modelworks.stages.preflight import check_settings, find_unused_settings
from modelworks.wording import count

log = logging.getLogger(__package__)


@dataclass(frozen=True)
class LabelFile:
    """A period's labels, if they have files of their own; no path and no SHA-256 while there is no file."""

    uri: str
    path: Path | None = None
    sha256: str = ""


@stage
def ingest(
    project: Project,
    settings: Settings,
    period: str | None = None,
    *,
    refresh: bool = False,
    for_training: bool = True,
) -> Ingested:
    """Bring every period of the window into storage, unchanged, with the labels that are known.

    Parameters
    ----------
    period : the newest period
    refresh : ingest a source that changed as a new version of its period; changed labels always are
    for_training : without a `period`, end with the newest whose labels are known, which can be held out. If not, end
        with the newest of all, and reach back to all whose labels may have come since

    Raises
    ------
    NoRowsError
        If a period has no rows, and `[source] gaps` does not allow that, or the run is for that period.
    """
    check_settings(project, settings)  # fail now rather than after the download
    for text in find_unused_settings(project, settings):
        log.warning("ingest: %s", text, extra={"stage": "ingest", "event": "warning", "result": text})
    periods = choose_periods(
        settings.source,
        period,
        settings.training.window,
        _today(),
        settings.labels.delay_periods,
        splits.holdout_periods(project.contract, settings.training),
        for_training=for_training,
    )
    n_before = {each: len(partitions.find_partitions(settings.storage_uri, "raw", each)) for each in periods}
    ingested, gaps = _ingest_periods(project, settings, periods, refresh, for_training=for_training)
    dataset = partitions.save_dataset(settings.storage_uri, ingested)
    without = f", {count(gaps, 'period')} without rows" if gaps else ""
    n_new = sum(partition.version > n_before[partition.period] for partition in ingested)
    return Ingested(
        dataset_uri=dataset.uri,
        period=dataset.periods[-1],
        summary=f"{span(dataset)}, {count(dataset.rows, 'row')} ({n_new} new){without}{_describe_gaps(ingested)}",
    )


def _ingest_periods(
    project: Project, settings: Settings, periods: list[str], refresh: bool, *, for_training: bool
) -> tuple[list[Partition], int]:
    """The raw partitions in order of time, and how many periods have no rows.

    Where the source may have gaps, from the newest back to as many periods with rows as are wanted.
    """
    if not settings.source.gaps:
        return [_ingest_period(project, settings, each, refresh) for each in track(periods, "ingesting", "periods")], 0
    holdout = splits.holdout_periods(project.contract, settings.training)
    wanted = count_wanted(
        settings.training.window, settings.labels.delay_periods, holdout, for_training=for_training
    ) or len(periods)
    found: list[Partition] = []
    gaps = 0
    for period in track(periods[::-1], "ingesting", "periods"):
        try:
            found.append(_ingest_period(project, settings, period, refresh))
        except NoRowsError:
            is_asked_for = period == periods[-1] and not for_training
            if is_asked_for or partitions.find_partitions(settings.storage_uri, "raw", period):
                raise  # the run is about this period, or its rows have vanished
            gaps += 1
        if len(found) == wanted:
            break
    found.reverse()
    if for_training:
        check_enough([each.period for each in found], periods[-1], holdout)
    return found, gaps


def _today() -> date:
    return datetime.now(UTC).date()


def _describe_gaps(ingested: list[Partition]) -> str:
    """The gaps in the labels of all periods, in words."""
    counts = {name: sum(partition.facts.get(name, 0) for partition in ingested) for name in labels.GAPS}
    gaps = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"; labels: {gaps}" if gaps else ""


def _ingest_period(project: Project, settings: Settings, period: str, refresh: bool) -> Partition:
    """The raw partition of a period's source and labels, made unless it is there.

    Labels are expected to change, and make a new version by themselves; a source is not.
    """
    same_contract = under_this_contract(project, partitions.find_partitions(settings.storage_uri, "raw", period))
    with (
        open_source(project.contract, settings, period, project.source) as source,
        _open_labels(settings, period) as label_file,
    ):
        same_source = [each for each in same_contract if each.source_sha256 == source.sha256]
        if same_contract and not same_source and not refresh:
            raise SourceChangedError(
                f"{source.uri}: changed since it was ingested as {same_contract[-1].uri}: its SHA-256 was "
                f"{same_contract[-1].source_sha256[:12]}... and is {source.sha256[:12]}...; "
                "restore it, or ingest it as a new version with --refresh (make run ARGS=--refresh)"
            )
        return _find_raw(same_source, label_file) or _write_raw(project, settings, period, source, label_file)


@contextmanager
def _open_labels(settings: Settings, period: str) -> Iterator[LabelFile | None]:
    """The period's file of labels; None if labels are in the source."""
    if not settings.labels.uri:
        yield None
        return
    label_file = LabelFile(settings.absolute(settings.labels.uri.replace("{period}", period)))
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            path = stack.enter_context(files.local_copy(label_file.uri))
            label_file = LabelFile(label_file.uri, path, files.file_sha256(path))
        yield label_file


def _find_raw(same_source: list[Partition], label_file: LabelFile | None) -> Partition | None:
    """The newest partition with these labels; while there is no file of them, with any labels."""
    if label_file is None:
        found = [each for each in same_source if "labels_sha256" not in each.facts]
    else:
        joined = [each for each in same_source if "labels_sha256" in each.facts]
        found = [each for each in joined if label_file.sha256 in {"", each.facts["labels_sha256"]}]
    return found[-1] if found else None


def _write_raw(
    project: Project, settings: Settings, period: str, source: SourceFile, label_file: LabelFile | None
) -> Partition:
    origin = {"source": source.uri, "source_sha256": source.sha256, "contract_version": project.contract.version}
    if label_file:
        origin |= {"labels": label_file.uri, "labels_sha256": label_file.sha256}
    given = _read_labels(project, settings, label_file) if label_file else None
    for as_text in (False, True):
        rows_per_part = settings.compute.rows_per_part
        with partitions.new_partition(settings.storage_uri, "raw", period, rows_per_part) as writer:
            try:
                counts = _write_rows(project, settings, writer, source, given, as_text=as_text)
            except ValueNotParsedError:
                continue  # once more, as text: validation names the rows
            return writer.publish(**origin, **counts)
    raise AssertionError("reading as text parses no values")


def _read_labels(project: Project, settings: Settings, label_file: LabelFile) -> pd.DataFrame:
    if label_file.path is None:
        return frames.empty_frame(project.contract)
    return read_labels(project.contract, label_file.path, settings.source)


def _write_rows(
    project: Project,
    settings: Settings,
    writer: PartitionWriter,
    source: SourceFile,
    given: pd.DataFrame | None,
    *,
    as_text: bool,
) -> dict[str, Any]:
    """Write all rows of a source, joined with the given labels; returns the counts of the labels, if any."""
    columns = source_columns(project.contract, settings)
    if given is None and not as_text and _copy_file(project, settings, writer, source, columns):
        return {}
    if given is None and _write_parts(project, settings, writer, source, as_text=as_text):
        return {}
    batches = read_source(project.contract, source.path, settings.source, columns, as_text=as_text)
    period_labels = None if given is None else labels.PeriodLabels(project.contract, given)
    for batch in track(batches, f"ingesting {writer.period}", "rows", size=len):
        writer.write(period_labels.join(batch) if period_labels else batch)
    return period_labels.counts() if period_labels else {}


def _copy_file(
    project: Project, settings: Settings, writer: PartitionWriter, source: SourceFile, columns: list[str]
) -> bool:
    """Take a Parquet file over as it is, once every value of it has been read, if it makes one part."""
    if not may_be_copied(project.contract, source.path, columns, settings.compute.rows_per_part):
        return False
    batches = read_source(project.contract, source.path, settings.source, columns)
    n_rows = sum(len(batch) for batch in track(batches, f"ingesting {writer.period}", "rows", size=len))
    writer.add(copy_file(source.path, n_rows, writer.attempt))
    return True


def _write_parts(
    project: Project, settings: Settings, writer: PartitionWriter, source: SourceFile, *, as_text: bool
) -> bool:
    """Write a Parquet file by its row groups, if it makes more than one part."""
    columns, compute = source_columns(project.contract, settings), settings.compute
    # Other machines see no temporary file of this one.
    uri = source.uri if source.is_at_uri else str(source.path)
    here = (
        compute if source.is_at_uri or compute.executor != "spark" else compute.model_copy(update={"executor": "local"})
    )
    tasks = [
        SourcePart(project.contract, writer.period, uri, each, tuple(columns), as_text, writer.attempt)
        for each in cut_row_groups(project.contract, source.path, columns, compute.rows_per_part)
    ]
    for part in map_parts(ingest_part, tasks, here, f"ingesting {writer.period}"):
        writer.add(part)
    return bool(tasks)
