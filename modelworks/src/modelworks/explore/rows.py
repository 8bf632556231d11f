"""The rows to look at: those that a model would be trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from modelworks.data import partitions, periods, splits
from modelworks.data.partitions import BATCH_ROWS, Partition
from modelworks.errors import PartitionError
from modelworks.explore.columns import ShownKind, add_time_parts, find_kinds, to_shown
from modelworks.explore.counts import TableCounts, new_counts
from modelworks.models.derived import DerivedFeatures, make_step
from modelworks.monitoring.drift import take_sample
from modelworks.progress import track
from modelworks.project import Project
from modelworks.settings import Settings

SAMPLE_ROWS = 50_000
SAMPLE_VALUES = 5_000_000
BATCH_VALUES = 20_000_000
DOCUMENT_ROWS = 2_000  # of a batch; a document may be long


@dataclass(frozen=True)
class Explored:
    """The clean periods to look at.

    Attributes
    ----------
    partitions : in order of time
    held_out : periods that are left out, since only evaluation reads them; empty if rows have no time
    absent : periods of the source that are not clean yet
    """

    partitions: list[Partition]
    held_out: list[str]
    absent: list[str]


@dataclass(frozen=True)
class Table:
    """What is known of the rows.

    Attributes
    ----------
    counts : of all rows
    sample : evenly spaced rows, with the parts of their time
    kinds : of the columns that are shown
    """

    counts: TableCounts
    sample: pd.DataFrame
    kinds: dict[str, ShownKind]


def find_explored(project: Project, settings: Settings, period: str | None = None) -> Explored:
    """The newest clean version of each period of the source, without the periods that would be held out.

    Parameters
    ----------
    period : the newest one, which is held out; None: the last whose labels are known

    Raises
    ------
    SourceError
        If `period` is no period, lies outside the source, or leaves nothing to look at.
    """
    holdout = splits.holdout_periods(project.contract, settings.training)
    delay = settings.labels.delay_periods
    chosen = periods.choose_periods(settings.source, period, 0, datetime.now(UTC).date(), delay, holdout)
    if settings.source.gaps:  # what is not clean yet may have no rows
        clean = set(partitions.list_periods(settings.storage_uri, "clean"))
        chosen = [each for each in chosen if each in clean]
    shown = chosen[: max(len(chosen) - holdout, 0)]
    newest = {
        version.period: version  # of several versions, the last
        for each in shown
        for version in partitions.find_partitions(settings.storage_uri, "clean", each)
        if version.contract_version == project.contract.version
    }
    return Explored(list(newest.values()), chosen[len(shown) :], [each for each in shown if each not in newest])


def read_table(project: Project, settings: Settings, explored: Explored) -> Table:
    """Count all rows and take a sample of them, in one pass.

    Raises
    ------
    ContractError
        If the function of the derived features breaks its rules.
    PartitionError
        If a file is damaged, or there is no row.
    """
    contract, step = project.contract, make_step(project)
    _, first = next(_read_batches(project, settings, explored), ("", None))
    if first is None:
        raise PartitionError(f"{explored.partitions[0].uri}: no row to look at: it has none, or all are held out")
    kinds = find_kinds(contract, step.fit(first).kinds_ if step else {})
    counts = new_counts(contract, kinds)

    def count() -> Iterator[pd.DataFrame]:
        for period, frame in _read_batches(project, settings, explored):
            shown = to_shown(_derive(step, frame), kinds)
            counts.add(period, shown)
            yield shown

    wanted = min(SAMPLE_ROWS, SAMPLE_VALUES // len(kinds))
    sample = take_sample(count(), _expect_rows(project, settings, explored), wanted)
    return Table(counts, add_time_parts(contract, sample), kinds)


def _expect_rows(project: Project, settings: Settings, explored: Explored) -> int:
    rows, contract = sum(each.rows for each in explored.partitions), project.contract
    return rows if contract.time else round(rows * (1 - splits.holdout_fraction(contract, settings.training)))


def _read_batches(project: Project, settings: Settings, explored: Explored) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows that are not held out, with their period; no empty frame."""
    contract = project.contract
    n_rows = DOCUMENT_ROWS if contract.documents else min(BATCH_ROWS, BATCH_VALUES // len(contract.columns))
    for partition in explored.partitions:
        batches = partitions.read_batches(partition, list(contract.columns), n_rows)
        for frame in track(batches, f"reading {partition.period}", "rows", partition.rows, size=len):
            if not contract.time:
                fraction = splits.holdout_fraction(contract, settings.training)
                frame = frame[~splits.is_held_out(contract, frame, fraction)]
            if len(frame):
                yield partition.period, frame.reset_index(drop=True)


def _derive(step: DerivedFeatures | None, frame: pd.DataFrame) -> pd.DataFrame:
    if step is None:
        return frame
    derived = step.transform(frame)
    return frame.assign(**{name: derived[name] for name in step.kinds_})
