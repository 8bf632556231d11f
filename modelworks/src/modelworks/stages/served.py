"""Performance of served predictions against the labels that have arrived for them since."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from modelworks.contract import Contract
from modelworks.data import partitions
from modelworks.data.partitions import Partition
from modelworks.monitoring import calibration
from modelworks.monitoring.calibration import Batch, BlockPerformance, Performance, PerformanceAccumulator
from modelworks.monitoring.records import PeriodPerformance
from modelworks.progress import track
from modelworks.project import Project
from modelworks.registry.files import PERFORMANCE_FILE
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.settings import Settings
from modelworks.targets import Baseline


def measure_performance(
    project: Project, settings: Settings, tracker: Tracker, clean: Partition, served: Partition
) -> tuple[PeriodPerformance, BlockPerformance | None]:
    """Performance in a period, and the sums of its blocks; None for those if nothing can be measured."""
    version = tracker.versions.get(served.facts["model_version"])
    accumulator = PerformanceAccumulator(project.contract, loss_scale(tracker, version))
    for frame, target, prediction in join_labels(project.contract, served, clean):
        accumulator.add(frame, target, prediction, clean.period)
    by_block, figures, note = None, None, ""
    try:
        by_block = accumulator.by_block()
        if accumulator.rows < settings.labels.min_labelled_fraction * served.rows:
            note = f"only {accumulator.rows:,} of {served.rows:,} rows have a label"
        else:
            figures = _measure(settings, tracker, version, by_block)
            note = calibration.describe_few(project.contract, figures)
    except ValueError as error:
        note = str(error) if accumulator.rows else "no row has a label"
    limit = settings.monitoring.max_calibration_drift
    found = PeriodPerformance(
        period=clean.period,
        model_version=version.version,
        clean_sha256=clean.sha256,
        labelled=accumulator.rows,
        unlabelled=served.rows - accumulator.rows,
        figures=figures,
        is_alarm=calibration.is_alarm(figures, limit) if figures else None,
        note=note,
    )
    return found, by_block


def _measure(settings: Settings, tracker: Tracker, version: Version, by_block: BlockPerformance) -> Performance:
    """The figures, with those of the version's evaluation as the reference of its calibration."""
    kept = tracker.runs.find_json(version.run_id, PERFORMANCE_FILE, None)
    at_release = TypeAdapter(BlockPerformance).validate_python(kept) if kept else None
    return calibration.measure(by_block, at_release, settings.evaluation, settings.training.seed)


def loss_scale(tracker: Tracker, version: Version) -> float:
    """What the losses of a version were divided by when it was evaluated, and are since."""
    baseline = tracker.runs.tags(version.run_id).get("baseline")
    return Baseline(**json.loads(baseline)).scale if baseline else 1.0


def join_labels(contract: Contract, served: Partition, clean: Partition) -> Iterator[Batch]:
    """Keys, labels and predictions of the served rows whose label is known, batch by batch."""
    hashes, labels = _read_labels(contract, clean)
    batches = partitions.read_batches(served, [*contract.identity, *contract.target.prediction_columns])
    for frame in track(batches, f"measuring {served.period}", "rows", served.rows, size=len):
        found = _look_up(hashes, labels, _hash(contract, frame))
        known = ~np.isnan(found)
        if known.any():
            yield frame[known], found[known], contract.target.from_columns(frame[known])


def _read_labels(contract: Contract, clean: Partition) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the keys in order, and the encoded label of each, NaN where unknown; shape (n_rows,) each.

    Only this much of a period is in memory at once: 16 bytes a row, however many columns the key has.
    """
    hashes, labels, start = np.empty(clean.rows, "uint64"), np.empty(clean.rows), 0
    batches = partitions.read_batches(clean, [*contract.identity, contract.target.column])
    for frame in track(batches, f"reading the labels of {clean.period}", "rows", clean.rows, size=len):
        hashes[start : start + len(frame)] = _hash(contract, frame)
        labels[start : start + len(frame)] = contract.target.encode(frame[contract.target.column])
        start += len(frame)
    order = np.argsort(hashes)
    return hashes[order], labels[order]


def _look_up(hashes: np.ndarray, labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The label of each wanted hash, shape (n_rows,); NaN where it is not known.

    Parameters
    ----------
    hashes, labels : as `_read_labels` returns them
    """
    if not len(hashes):
        return np.full(len(wanted), np.nan)
    # Searching in order takes a sixth of the time: neighbours are in the processor's cache.
    order = np.argsort(wanted)
    at = np.empty(len(wanted), "int64")
    at[order] = np.minimum(np.searchsorted(hashes, wanted[order]), len(hashes) - 1)
    return np.where(hashes[at] == wanted, labels[at], np.nan)


def _hash(contract: Contract, frame: pd.DataFrame) -> np.ndarray:
    """A number for each key, shape (n_rows,), uint64; enough to distinguish many millions."""
    hashes: np.ndarray = pd.util.hash_pandas_object(frame[contract.identity], index=False).to_numpy()
    return hashes
