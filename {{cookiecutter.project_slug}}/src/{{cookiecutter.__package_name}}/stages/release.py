"""Deploy: from a verdict to the champion."""

from pydantic import TypeAdapter

from .. import contract, deployment, evaluation, releases, reports, storage, training
from ..checks import Check
from ..config import Settings, load_settings
from ..errors import QualityGateError, ReleaseError
from ..storage import Dataset
from ..tracking import Tracker, Version
from .common import Facts, span, stage, stage_tag

MODEL = "model"  # fitted on all months: the one that is released
SAMPLE_ROWS = 50

# What a version keeps of its run, so that it can be compared and made again without it.
VERSION_TAGS = [
    "holdout_month",
    "months",
    "dataset_uri",
    "data_digest",
    "contract_version",
    "candidate_uri",
    "config_digest",
    "code_commit",
]


@stage
def deploy(run_id: str, *, by: str | None = None, reason: str = "") -> Facts:
    """Fit on all months, register, check what the registry gives back, and move the champion.

    Raises
    ------
    QualityGateError
        If the run's model was not accepted.
    ReleaseError
        If the registered model predicts otherwise than the trained one, or another release came first.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    tags = tracker.tags(run_id)
    if tags.get("verdict") != "accepted":
        verdict = tags.get("verdict", "missing")
        raise QualityGateError(f"run {run_id}: the verdict is {verdict!r}; only an accepted model is released")
    if (settings.digest, contract.version()) != (tags["config_digest"], tags["contract_version"]):
        raise ReleaseError(
            f"run {run_id}: [training], [model] or the contract changed since it was trained; run it anew"
        )
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        dataset = storage.load_dataset(stage_tag(tags, "dataset_uri", run_id))
        ledger = releases.settle(settings, tracker)
        entry = deployment.find_entry(ledger, run_id)
        if entry is None:
            releases.check_still_champion(releases.find_champion(tracker, ledger), tags)
            version = _register(settings, tracker, run_id, tags, dataset)
            entry = releases.record(settings, tracker, ledger, version, tags, by, reason)
            releases.settle(settings, tracker)
        tracker.set_tags(run_id, {"model_version": entry.to_version})
    tracker.finish_run(run_id)
    instead = f", instead of {entry.from_version}" if entry.from_version else ""
    return {
        "run_id": run_id,
        "version": entry.to_version,
        "result": f"version {entry.to_version} is the champion{instead}",
    }


def _register(settings: Settings, tracker: Tracker, run_id: str, tags: dict[str, str], dataset: Dataset) -> Version:
    """Fit on all months, make a version of it, and see that the registry gives back the same model."""
    frame = storage.read_dataset(dataset)
    model = training.fit(frame, settings.training, settings.model)
    model_uri = tracker.save_model(run_id, MODEL, model, frame.head())
    description = f"{tags['holdout_month']} held out, then fitted on {span(dataset)}; by {tags['by']}"
    sample = frame[list(model.feature_names_in_)].tail(SAMPLE_ROWS)
    predicted = {"rows": contract.to_records(sample), "probability": training.predict(model, sample).tolist()}
    tracker.log_json(run_id, predicted, releases.SAMPLE_FILE)
    version = tracker.register(run_id, model_uri, description, {name: tags[name] for name in VERSION_TAGS})
    releases.load_version(tracker, version)
    lineage = reports.Lineage(
        run_id=run_id,
        pipeline_run=tags["pipeline_run"],
        features=list(model.feature_names_in_),
        months=dataset.months,
        holdout_month=tags["holdout_month"],
        rows=dataset.rows,
        data_digest=dataset.digest,
        contract_version=tags["contract_version"],
        config_digest=tags["config_digest"],
        code_commit=tags["code_commit"],
    )
    report = TypeAdapter(evaluation.Report).validate_python(tracker.load_json(run_id, "evaluation.json"))
    checks = TypeAdapter(list[Check]).validate_python(tracker.load_json(run_id, "verdict.json"))
    card = reports.model_card(settings.tracking.model_name, version.version, report, checks, lineage)
    tracker.log_text(run_id, card, "model_card.md")
    return version
