"""Performance of served predictions against the labels that have arrived for them since."""

import json

from pydantic import TypeAdapter

from modelworks.data import partitions
from modelworks.data.partitions import Partition
from modelworks.monitoring import calibration
from modelworks.monitoring.calibration import BlockPerformance, Performance
from modelworks.monitoring.label_join import add_up_labelled
from modelworks.monitoring.records import PeriodPerformance
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
    scale = loss_scale(tracker, version)
    with partitions.new_attempt(settings.storage_uri, "scores", served.period) as attempt:
        accumulator = add_up_labelled(project.contract, clean, served, scale, settings.compute, attempt)
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
