"""Drift of a period from the champion's reference: the periods that the champion was trained on."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from modelworks.contract import Contract
from modelworks.data import partitions
from modelworks.data.partitions import Partition
from modelworks.errors import PipelineError
from modelworks.models import pipeline
from modelworks.monitoring import drift
from modelworks.monitoring.drift import Binning, Counted, Findings, Profile
from modelworks.progress import track
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import PROFILE_FILE
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.settings import Settings
from modelworks.stages.score import find_scores, score_batches


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
        binning, reference = _find_reference(project, settings, tracker, champion, model)
        rows = _read_columns(project, settings, champion, model, [clean])
        period = drift.count(project.contract, rows, binning)
        columns = drift.measure(project.contract, reference, period, settings.monitoring.drift_quantile)
    except (ValueError, PipelineError) as error:
        return Findings([], str(error))
    constant = [name for name in period.constant if name not in reference.constant]
    return Findings(columns, "", constant, Counted(binning, reference, period))


def _find_reference(
    project: Project, settings: Settings, tracker: Tracker, champion: Version, model: Pipeline
) -> tuple[Binning, Profile]:
    """The reference, counted once and kept with the champion's run."""
    if kept := tracker.runs.find_json(champion.run_id, PROFILE_FILE, None):
        return Binning(**kept["binning"]), Profile.from_json(kept["profile"])
    dataset = partitions.load_dataset(settings.absolute(champion.tags["dataset_uri"]))
    frames = (frame for _, frame in _read_features(project.contract, model, dataset.partitions))
    sample = drift.take_sample(frames, dataset.rows)
    features = pipeline.watched(model, sample[list(model.feature_names_in_)])
    predicted = _to_column(project.contract, pipeline.predict(project, model, sample))
    binning = drift.choose_binning(project.contract, features.assign(**{drift.PREDICTION: predicted}))
    rows = _read_columns(project, settings, champion, model, dataset.partitions)
    profile = drift.count(project.contract, rows, binning)
    tracker.runs.log_json(champion.run_id, {"binning": asdict(binning), "profile": profile.to_json()}, PROFILE_FILE)
    return binning, profile


def _read_features(
    contract: Contract, model: Pipeline, periods: Iterable[Partition]
) -> Iterator[tuple[str, pd.DataFrame]]:
    names = list(dict.fromkeys([*contract.identity, *model.feature_names_in_]))
    for period in periods:
        batches = partitions.read_batches(period, names)
        for frame in track(batches, f"reading the features of {period.period}", "rows", period.rows, size=len):
            yield period.period, frame


def _read_columns(
    project: Project, settings: Settings, champion: Version, model: Pipeline, periods: list[Partition]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The features of all rows, then the champion's predictions; predictions that were written are read."""
    for name, frame in _read_features(project.contract, model, periods):
        yield name, pipeline.watched(model, frame)
    for period in periods:
        if scores := find_scores(settings, period, champion):
            frames = partitions.read_batches(scores)
        else:
            frames = score_batches(project, settings, period, champion, model)
        for frame in frames:
            predicted = _to_column(project.contract, project.contract.target.from_columns(frame))
            yield period.period, frame[project.contract.identity].assign(**{drift.PREDICTION: predicted})


def _to_column(contract: Contract, prediction: np.ndarray) -> pd.Series:
    """A prediction as one column: its number, or the most likely of many classes."""
    if contract.target.is_multiclass:
        return contract.target.decode(prediction.argmax(axis=1)).astype("str")
    return pd.Series(prediction)
