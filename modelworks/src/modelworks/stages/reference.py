"""Drift of a period from the champion's reference: the periods that the champion was trained on."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from modelworks.contract import Contract
from modelworks.data import partitions
from modelworks.data.execution import map_parts
from modelworks.data.partitions import Partition
from modelworks.data.shipping import Shipped, ship
from modelworks.errors import PipelineError
from modelworks.models import pipeline
from modelworks.monitoring import drift
from modelworks.monitoring.binning import Binning
from modelworks.monitoring.counting import PartToCount, count_part, feature_columns, to_column
from modelworks.monitoring.drift import BinCounts, Counted, Findings, Profile
from modelworks.progress import track
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import PROFILE_FILE
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.settings import Settings
from modelworks.stages.score import find_scores, parts_to_score


def measure_drift(
    project: Project, settings: Settings, tracker: Tracker, champion: Version | None, clean: Partition
) -> Findings:
    """Drift of each column and of the predictions, or the reason why it cannot be measured."""
    if champion is None:
        return Findings([], "there is no champion")
    if ledger.trained_through(champion) >= clean.period:
        return Findings([], f"the champion was trained on {clean.period} itself")
    try:
        model = ledger.load_version(project, tracker, champion)
        binning, reference = find_reference(project, settings, tracker, champion, model)
        period = _count(project, settings, champion, model, binning, [clean])
        columns = drift.measure(project.contract, reference, period, settings.monitoring.drift_quantile)
    except (ValueError, PipelineError) as error:
        return Findings([], str(error))
    constant = [name for name in period.constant if name not in reference.constant]
    return Findings(columns, "", constant, Counted(binning, reference, period))


def find_reference(
    project: Project, settings: Settings, tracker: Tracker, champion: Version, model: Pipeline
) -> tuple[Binning, Profile]:
    """The reference, counted once and kept with the champion's run."""
    if kept := tracker.runs.find_json(champion.run_id, PROFILE_FILE, None):
        return Binning(**kept["binning"]), Profile.from_json(kept["profile"])
    made = make_reference(project, settings, champion, model)
    tracker.runs.log_json(champion.run_id, made, PROFILE_FILE)
    return Binning(**made["binning"]), Profile.from_json(made["profile"])


def make_reference(project: Project, settings: Settings, champion: Version, model: Pipeline) -> dict[str, Any]:
    """The reference as it is kept, counted from the rows that a version was trained on."""
    dataset = partitions.load_dataset(settings.absolute(champion.tags["dataset_uri"]))
    sample = drift.take_sample(_read_features(project.contract, model, dataset.partitions), dataset.rows)
    features = pipeline.watched(model, sample[list(model.feature_names_in_)])
    predicted = to_column(project.contract, pipeline.predict(project, model, sample))
    binning = drift.choose_binning(project.contract, features.assign(**{drift.PREDICTION: predicted}))
    profile = _count(project, settings, champion, model, binning, dataset.partitions)
    return {"binning": asdict(binning), "profile": profile.to_json()}


def _read_features(contract: Contract, model: Pipeline, periods: Iterable[Partition]) -> Iterator[pd.DataFrame]:
    names = feature_columns(contract, model.feature_names_in_)
    for period in periods:
        batches = partitions.read_batches(period, names)
        yield from track(batches, f"reading the features of {period.period}", "rows", period.rows, size=len)


def _count(
    project: Project,
    settings: Settings,
    champion: Version,
    model: Pipeline,
    binning: Binning,
    periods: list[Partition],
) -> Profile:
    """The features of all rows, and the champion's predictions; predictions that were written are read."""
    n_parts = 2 * sum(len(period.parts) for period in periods)  # of features, and of predictions
    with partitions.new_attempt(settings.storage_uri, "clean", periods[0].period) as attempt:
        shipped = ship((project, model), attempt, settings.compute, n_parts)
        tasks = [each for period in periods for each in _parts_to_count(settings, champion, shipped, binning, period)]
        counts = BinCounts(project.contract, binning)
        for counted in map_parts(count_part, tasks, settings.compute, "counting"):
            counts.merge(counted)
    return counts.profile()


def _parts_to_count(
    settings: Settings, champion: Version, shipped: Shipped, binning: Binning, period: Partition
) -> Iterator[PartToCount]:
    for each in period.located:
        yield PartToCount(each.where, shipped, binning, period.period, period.uri, each.part)
    if scores := find_scores(settings, period, champion):
        for each in scores.located:
            yield PartToCount(each.where, shipped, binning, period.period, scores.uri, each.part, is_scores=True)
        return
    for each, to_score in zip(period.located, parts_to_score(settings, period, champion, shipped), strict=True):
        yield PartToCount(each.where, shipped, binning, period.period, period.uri, each.part, to_score=to_score)
