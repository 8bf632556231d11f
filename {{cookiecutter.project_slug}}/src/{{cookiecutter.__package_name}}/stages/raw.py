"""A raw month: the rows of its source, as they are, with the labels that are known."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .. import contract, ingestion, labels, storage
from ..config import Settings
from ..errors import SourceChangedError, SourceError
from ..storage import Partition
from .common import Facts, under_this_contract


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
    uri = settings.absolute(settings.source.uri.replace("{month}", month))
    same_contract = under_this_contract(storage.find_partitions(settings.storage_uri, "raw", month))
    try:
        with storage.local_copy(uri) as path, _open_labels(settings, month) as label_file:
            source_sha256 = storage.file_sha256(path)
            same_source = [each for each in same_contract if each.source_sha256 == source_sha256]
            if same_contract and not same_source and not refresh:
                raise SourceChangedError(
                    f"{uri}: not what was ingested as {same_contract[-1].uri}: its SHA-256 was "
                    f"{same_contract[-1].source_sha256[:12]}... and is {source_sha256[:12]}...; "
                    "restore it, or take it as a new version with --refresh (make run ARGS=--refresh)"
                )
            if found := _find_raw(same_source, label_file):
                return found
            origin: Facts = {"source": uri, "source_sha256": source_sha256, "contract_version": contract.version()}
            if label_file:
                origin |= {"labels": label_file.uri, "labels_sha256": label_file.sha256}
            return _write_raw(settings, month, path, label_file, origin)
    except FileNotFoundError:
        raise SourceError(
            f"{uri}: no such file, wanted for month {month}; "
            "see [source] uri, first_month and last_month in pipeline.toml"
        ) from None


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
        return contract.empty_frame()
    return ingestion.read_labels(label_file.path, settings.source)


def _write_rows(
    writer: storage.PartitionWriter, settings: Settings, path: Path, given: pd.DataFrame | None, as_text: bool
) -> Facts:
    """All rows of a source, joined with the labels that are given; returns the counts of these, if there are any."""
    if given is None:
        for batch in ingestion.read_source(path, settings.source, as_text=as_text):
            writer.write(batch)
        return {}
    month_labels = labels.MonthLabels(given)
    columns = [name for name in contract.DTYPES if name not in contract.OUTCOMES]
    for batch in ingestion.read_source(path, settings.source, columns, as_text=as_text):
        writer.write(month_labels.join(batch))
    return month_labels.counts()
