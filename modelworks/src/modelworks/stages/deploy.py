"""Deploy: refit an accepted model on all periods, register it, and make it the champion, or begin its rollout."""

import pandas as pd
from pydantic import TypeAdapter
from sklearn.pipeline import Pipeline

from modelworks.checks import Check
from modelworks.data import frames, partitions
from modelworks.data.partitions import Dataset
from modelworks.errors import ReleaseError
from modelworks.evaluation.metrics import Report
from modelworks.models import pipeline
from modelworks.project import Project
from modelworks.registry import ledger, promotion, rollouts
from modelworks.registry.files import EVALUATION_FILE, MODEL_CARD_FILE, RECIPE_FILE, SAMPLE_FILE, VERDICT_FILE
from modelworks.registry.lineage import current_user
from modelworks.registry.promotion import PROMOTED_FROM, LedgerEntry, PromotedFrom
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.reporting import documents
from modelworks.settings import Model, Settings
from modelworks.stages.approve import check_accepted, check_approved
from modelworks.stages.common import APPROVED, newest_clean, now, span, stage, stage_tag
from modelworks.stages.facts import Deployed
from modelworks.stages.fit import Fitted, fit
from modelworks.stages.promoted import VERSION_TAGS, register_copy
from modelworks.stages.rows import read_rows

MODEL = "model"
"""Name of the model that is fitted on all periods: the one that is released."""
SAMPLE_ROWS = 50


@stage
def deploy(project: Project, settings: Settings, run_id: str, *, by: str | None = None, reason: str = "") -> Deployed:
    """Fit on all periods, register, check what the registry gives back, and move the champion.

    As `[rollout] release` says, and where there is a champion, the version meets live traffic first.

    Raises
    ------
    QualityGateError
        If the run's model was not accepted, or a person has to agree and has not.
    ReleaseError
        If the registered model predicts otherwise than the trained one, another release came first, or another rollout
        goes on.
    """
    tracker = Tracker(project, settings)
    tags = tracker.runs.tags(run_id)
    check_accepted(run_id, tags)
    check_approved(settings, tracker, run_id, tags)
    _check_unchanged(project, settings, run_id, tags)
    with tracker.runs.working_on(run_id), pipeline.limit_threads(settings.training):
        dataset = partitions.load_dataset(settings.absolute(stage_tag(tags, "dataset_uri", run_id)))
        entries = ledger.reconcile(settings, tracker)
        entry = promotion.find_entry(entries, run_id)
        step = None if entry else rollouts.find_begun(settings, run_id)
        if entry is None and step is None:
            champion = ledger.find_champion(tracker, entries)
            ledger.check_still_champion(champion, tags)
            in_steps = champion is not None and settings.rollout.release != "at_once"
            if in_steps:
                rollouts.check_none_goes_on(settings, entries)
            if PROMOTED_FROM in tags:
                version = register_copy(project, settings, tracker, run_id, tags)
            else:
                version = _register(project, settings, tracker, run_id, tags, dataset)
            entry = _make_entry(settings, len(entries) + 1, run_id, tags, champion, version, by, reason)
            if in_steps:
                step = rollouts.begin(settings, tracker, entries, entry, settings.rollout.release)
            else:
                entry = ledger.record(settings, entries, entry)
                ledger.reconcile(settings, tracker)
                rollouts.close_overtaken(settings, tracker, entry.by)
        released = step.version if step else entry.to_version  # type: ignore[union-attr]  # one of both is there
        tracker.runs.set_tags(run_id, {"model_version": released})
    tracker.runs.end(run_id, "FINISHED")
    return Deployed(
        run_id=run_id,
        period=newest_clean(settings).period,
        version=released,
        summary=rollouts.describe_step(step) if step else _describe(settings, entry),  # type: ignore[arg-type]
    )


def _check_unchanged(project: Project, settings: Settings, run_id: str, tags: dict[str, str]) -> None:
    if (settings.digest, project.contract.version) != (tags["config_digest"], tags["contract_version"]):
        raise ReleaseError(
            f"run {run_id}: [training], [model] or the contract changed since it was trained; run it anew"
        )


def _register(
    project: Project, settings: Settings, tracker: Tracker, run_id: str, tags: dict[str, str], dataset: Dataset
) -> Version:
    """Fit on all periods, make a version of it, and make sure that the registry gives back the same model."""
    frame, unlabelled = read_rows(project, settings, dataset)
    chosen = Model(**tracker.runs.load_json(run_id, RECIPE_FILE)["model"])
    fitted = fit(project, settings, chosen, dataset, frame, unlabelled)
    model = fitted.model
    model_uri = tracker.models.save(run_id, MODEL, model, frame.head(), pipeline.packages(project, chosen))
    _log_sample(project, tracker, run_id, chosen, model, frame)
    description = f"{tags['held_out']} held out, then fitted on {span(dataset)}; by {tags['by']}"
    version = tracker.versions.register(run_id, model_uri, description, {name: tags[name] for name in VERSION_TAGS})
    ledger.load_version(project, tracker, version)
    features = list(model.feature_names_in_)
    lineage = _lineage(run_id, tags, dataset, features, fitted)
    _log_card(project, settings, tracker, version, lineage)
    return version


def _log_sample(
    project: Project, tracker: Tracker, run_id: str, chosen: Model, model: Pipeline, frame: pd.DataFrame
) -> None:
    """Keep rows and their predictions with the run: each load of the version repeats them."""
    sample = frame[list(model.feature_names_in_)].tail(SAMPLE_ROWS)
    predicted = {
        "rows": frames.to_records(sample),
        "prediction": pipeline.predict(project, model, sample).tolist(),
        "tolerance": pipeline.tolerance(project, chosen),
    }
    tracker.runs.log_json(run_id, predicted, SAMPLE_FILE)


def _lineage(
    run_id: str, tags: dict[str, str], dataset: Dataset, features: list[str], fitted: Fitted
) -> documents.Lineage:
    return documents.Lineage(
        run_id=run_id,
        pipeline_run=tags["pipeline_run"],
        features=features,
        periods=dataset.periods,
        held_out=tags["held_out"],
        trained_on=tags["trained_on"],
        rows=fitted.rows,
        data_digest=dataset.digest,
        contract_version=tags["contract_version"],
        config_digest=tags["config_digest"],
        code_commit=tags["code_commit"],
        unlabelled=fitted.unlabelled,
        trained_by=fitted.trained_by,
    )


def _log_card(
    project: Project, settings: Settings, tracker: Tracker, version: Version, lineage: documents.Lineage
) -> None:
    report = TypeAdapter(Report).validate_python(tracker.runs.load_json(lineage.run_id, EVALUATION_FILE))
    checks = TypeAdapter(list[Check]).validate_python(tracker.runs.load_json(lineage.run_id, VERDICT_FILE))
    name = f"{settings.registered_model}{settings.within}"
    card = documents.model_card(project.contract, name, version.version, report, checks, lineage)
    tracker.runs.log_text(lineage.run_id, card, MODEL_CARD_FILE)


def _make_entry(
    settings: Settings,
    sequence: int,
    run_id: str,
    tags: dict[str, str],
    champion: Version | None,
    version: Version,
    by: str | None,
    reason: str,
) -> LedgerEntry:
    return LedgerEntry(
        sequence=sequence,
        at=now(),
        action="deploy",
        by=by or current_user(),
        reason=reason or tags.get("reason") or _default_reason(tags),
        from_version=champion.version if champion else None,
        to_version=version.version,
        run_id=run_id,
        pipeline_run=tags["pipeline_run"],
        data_digest=version.tags["data_digest"],
        code_commit=version.tags["code_commit"],
        approved_by=tags["answered_by"] if tags.get("approval") == APPROVED else None,
        environment=settings.environment or None,
        promoted_from=PromotedFrom.from_tags(tags),
    )


def _default_reason(tags: dict[str, str]) -> str:
    """Why a model is released, where nobody says it."""
    passed = f"passed every check on {tags['held_out']}"
    origin = PromotedFrom.from_tags(tags)
    return f"version {origin.version} of {origin.environment} {passed}" if origin else passed


def _describe(settings: Settings, entry: LedgerEntry) -> str:
    """The release in words, and whether another has followed since."""
    in_force = ledger.read_ledger(settings)[-1].to_version
    instead = f", instead of {entry.from_version}" if entry.from_version else ""
    since = "" if in_force == entry.to_version else f"; version {in_force} has taken its place since"
    return f"version {entry.to_version} is the champion{instead}{since}"
