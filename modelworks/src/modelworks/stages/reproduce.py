"""Reproduce: train a version again from its records, and compare the predictions of both models."""

import numpy as np

from modelworks.data import partitions
from modelworks.errors import ReleaseError
from modelworks.models import pipeline
from modelworks.progress import waiting
from modelworks.project import Project
from modelworks.registry import ledger, lineage
from modelworks.registry.files import RECIPE_FILE
from modelworks.registry.tracker import Tracker
from modelworks.settings import Model, Settings, Training
from modelworks.stages.common import span, stage
from modelworks.stages.facts import Reproduced
from modelworks.stages.fit import fit
from modelworks.stages.rows import read_rows


@stage
def reproduce(project: Project, settings: Settings, version: str) -> Reproduced:
    """Train a version again from its recorded data and settings, and compare the two models' predictions.

    Raises
    ------
    ReleaseError
        If they differ; it names what else has changed, such as the project's code or the engine's.
    PartitionError
        If a period that it was trained on is missing or damaged.
    """
    tracker = Tracker(project, settings)
    found = tracker.versions.get(version)
    then = tracker.runs.load_json(found.run_id, RECIPE_FILE)
    environment = lineage.recipe(project, settings, settings.model)["environment"]
    changed = lineage.differences(then["environment"], environment)
    dataset = partitions.load_dataset(settings.absolute(found.tags["dataset_uri"]))
    if dataset.digest != found.tags["data_digest"]:
        changed.append(f"data digest: then {found.tags['data_digest']}, now {dataset.digest}")
    training = Training(**then["training"])
    as_then = settings.model_copy(update={"training": training})
    frame, unlabelled = read_rows(project, as_then, dataset)
    registered = ledger.load_version(project, tracker, found)
    with pipeline.limit_threads(training):
        again = fit(project, as_then, Model(**then["model"]), dataset, frame, unlabelled).model
        with waiting(f"predicting {len(frame):,} rows"):
            predictions = [pipeline.predict(project, model, frame) for model in (again, registered)]
    if (difference := float(np.abs(predictions[0] - predictions[1]).max())) > 0:
        raise ReleaseError(
            f"version {version}: trained again it predicts differently, by up to {difference:.3g} in {len(frame):,} "
            f"rows; what differs: {'; '.join(changed) or 'nothing that is recorded'}"
        )
    equal = f"version {version}: trained again from {span(dataset)}, and equal in all {len(frame):,} predictions"
    summary = f"{equal}; what differs and does not matter: {'; '.join(changed)}" if changed else equal
    return Reproduced(version=version, changed=changed, summary=summary)
