"""A raw month: the rows of its source, as they are, with the labels that are known."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .. import ingestion, labels, schema, sql_source, storage
from ..config import Settings
from ..errors import SourceChangedError, SourceError
from ..storage import Partition
from .common import Facts, under_this_contract


@dataclass(frozen=True)
class SourceFile:
    """A month of the source as a local file.

    Attributes
    ----------
    uri : where it is from
    sha256 : of the file's bytes; of the rows, whatever their order, where it is from a database
    """

    uri: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class LabelFile:
    """A month's labels, where they have files of their own; no path and no SHA-256 if there is none yet."""

    uri: str
    path: Path | None = None
    sha256: str = ""


def ingest_month(settings: Settings, month: str, refresh: bool) -> Partition:
    """The raw partition of a month's source and labels, made unless it is there.

    Labels are expected to change, and make a new version by themselves; a source is not.
    """
    same_contract = under_this_contract(storage.find_partitions(settings.storage_uri, "raw", month))
    with _open_source(settings, month) as source, _open_labels(settings, month) as label_file:
        same_source = [each for each in same_contract if each.source_sha256 == source.sha256]
        if same_contract and not same_source and not refresh:
            raise SourceChangedError(
                f"{source.uri}: not what was ingested as {same_contract[-1].uri}: its SHA-256 was "
                f"{same_contract[-1].source_sha256[:12]}... and is {source.sha256[:12]}...; "
                "restore it, or take it as a new version with --refresh (make run ARGS=--refresh)"
            )
        if found := _find_raw(same_source, label_file):
            return found
        origin: Facts = {
            "source": source.uri,
            "source_sha256": source.sha256,
            "contract_version": schema.version(),
        }
        if label_file:
            origin |= {"labels": label_file.uri, "labels_sha256": label_file.sha256}
        return _write_raw(settings, month, source.path, label_file, origin)


@contextmanager
def _open_source(settings: Settings, month: str) -> Iterator[SourceFile]:
    """The month's rows, from its file or by the query."""
    with ExitStack() as stack:
        if settings.source.query:
            fetched = stack.enter_context(sql_source.fetch_month(settings, month, _source_columns(settings)))
            yield SourceFile(fetched.uri, fetched.path, fetched.sha256)
            return
        uri = settings.absolute(settings.source.uri.replace("{month}", month))
        try:
            path = stack.enter_context(storage.local_copy(uri))
        except FileNotFoundError:
            raise SourceError(
                f"{uri}: no such file, wanted for month {month}; "
                "see [source] uri, first_month and last_month in pipeline.toml"
            ) from None
        yield SourceFile(uri, path, storage.file_sha256(path))


def _source_columns(settings: Settings) -> list[str]:
    """Those of the contract that the source has; outcomes may come from elsewhere."""
    return [name for name in schema.DTYPES if not settings.labels.uri or name not in schema.OUTCOMES]


@contextmanager
def _open_labels(settings: Settings, month: str) -> Iterator[LabelFile | None]:
    """The month's file of labels; None where labels are in the source."""
    if not settings.labels.uri:
        yield None
        return
    label_file = LabelFile(settings.absolute(settings.labels.uri.replace("{month}", month)))
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            path = stack.enter_context(storage.local_copy(label_file.uri))
            label_file = LabelFile(label_file.uri, path, storage.file_sha256(path))
        yield label_file


def _find_raw(same_source: list[Partition], label_file: LabelFile | None) -> Partition | None:
    """The partition with these labels; if there is no file of them, with the newest that there have been."""
    if label_file is None:
        found = [each for each in same_source if "labels_sha256" not in each.facts]
    else:
        joined = [each for each in same_source if "labels_sha256" in each.facts]
        found = [each for each in joined if label_file.sha256 in {"", each.facts["labels_sha256"]}]
    return found[-1] if found else None


def _write_raw(settings: Settings, month: str, path: Path, label_file: LabelFile | None, origin: Facts) -> Partition:
    given = _read_labels(settings, label_file) if label_file else None
    for as_text in (False, True):
        with storage.new_partition(settings.storage_uri, "raw", month) as writer:
            try:
                counts = _write_rows(writer, settings, path, given, as_text)
            except ingestion.ValueNotParsedError:
                continue  # once more, as text: validation will point at the rows
            return writer.publish(**origin, **counts)
    raise AssertionError("reading as text parses no values")


def _read_labels(settings: Settings, label_file: LabelFile) -> pd.DataFrame:
    if label_file.path is None:
        return schema.empty_frame()
    return ingestion.read_labels(label_file.path, settings.source)


def _write_rows(
    writer: storage.PartitionWriter, settings: Settings, path: Path, given: pd.DataFrame | None, as_text: bool
) -> Facts:
    """All rows of a source, joined with the labels that are given; returns the counts of these, if there are any."""
    batches = ingestion.read_source(path, settings.source, _source_columns(settings), as_text=as_text)
    month_labels = None if given is None else labels.MonthLabels(given)
    for batch in batches:
        writer.write(month_labels.join(batch) if month_labels else batch)
    return month_labels.counts() if month_labels else {}
