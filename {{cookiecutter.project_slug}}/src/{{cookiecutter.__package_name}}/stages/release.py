"""Approve, deploy, roll back and reproduce: from a verdict to the champion, and the way back."""

from dataclasses import replace

import numpy as np
from pydantic import TypeAdapter

from .. import deployment, evaluation, releases, reports, schema, storage, training
from ..checks import Check
from ..config import Model, Settings, Training, load_settings
from ..deployment import LedgerEntry
from ..errors import QualityGateError, ReleaseError
from ..lineage import current_user, recipe
from ..storage import Dataset
from ..tracking import EVALUATION_FILE, RECIPE_FILE, VERDICT_FILE, WARNINGS_FILE, Tracker, Version
from .common import APPROVED, PENDING, REJECTED, Facts, newest_clean, now, span, stage, stage_tag
from .rows import read_rows

MODEL = "model"  # fitted on all months: the one that is released
SAMPLE_ROWS = 50

# What a version keeps of its run, so that it can be compared and made again without it.
VERSION_TAGS = [
    "holdout_month",
    "holdout_from",
    "held_out",
    "trained_on",
    "months",
    "dataset_uri",
    "data_digest",
    "contract_version",
    "candidate_uri",
    "config_digest",
    "code_commit",
]


@stage
def approve(run_id: str, approved: bool, *, by: str | None = None, reason: str = "") -> Facts:
    """Put a person's answer on the record, and stop the run if it is no.

    Raises
    ------
    QualityGateError
        If the answer is no, or the run's model was not accepted by the gates.
    ReleaseError
        If the run is released already, or has another answer.
    """
    answered = record_answer(run_id, approved, by=by, reason=reason)
    if not approved:
        raise QualityGateError(f"{answered}; the champion stays")
    return {"run_id": run_id, "result": answered}


def record_answer(run_id: str, approved: bool, *, by: str | None = None, reason: str = "") -> str:
    """Put a person's answer on the record of a run; returns it in words."""
    tracker = Tracker(load_settings())
    tags = tracker.tags(run_id)
    _check_accepted(run_id, tags)
    answer, by = APPROVED if approved else REJECTED, by or current_user()
    given = tags.get("approval")
    if "model_version" in tags:
        raise ReleaseError(f"run {run_id}: released already, as version {tags['model_version']}")
    if given in {APPROVED, REJECTED} and given != answer:
        raise ReleaseError(f"run {run_id}: {given} by {tags['answered_by']} already; evaluate again to ask anew")
    tracker.set_tags(run_id, {"approval": answer, "answered_by": by, "answer_reason": reason})
    if not approved:
        tracker.end_run(run_id, "FAILED")
    return f"{answer} by {by}" + (f": {reason}" if reason else "")


@stage
def deploy(run_id: str, *, by: str | None = None, reason: str = "") -> Facts:
    """Fit on all months, register, check what the registry gives back, and move the champion.

    Raises
    ------
    QualityGateError
        If the run's model was not accepted, or a person has to agree and has not.
    ReleaseError
        If the registered model predicts otherwise than the trained one, or another release came first.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    tags = tracker.tags(run_id)
    _check_accepted(run_id, tags)
    _check_approved(settings, tracker, run_id, tags)
    if (settings.digest, schema.version()) != (tags["config_digest"], tags["contract_version"]):
        raise ReleaseError(
            f"run {run_id}: [training], [model] or the contract changed since it was trained; run it anew"
        )
    with tracker.working_on(run_id), training.limit_threads(settings.training):
        dataset = storage.load_dataset(stage_tag(tags, "dataset_uri", run_id))
        ledger = releases.settle(settings, tracker)
        entry = deployment.find_entry(ledger, run_id)
        if entry is None:
            champion = releases.find_champion(tracker, ledger)
            releases.check_still_champion(champion, tags)
            version = _register(settings, tracker, run_id, tags, dataset)
            entry = LedgerEntry(
                sequence=len(ledger) + 1,
                at=now(),
                action="deploy",
                by=by or current_user(),
                reason=reason or tags.get("reason") or f"passed every check on {tags['held_out']}",
                from_version=champion.version if champion else None,
                to_version=version.version,
                run_id=run_id,
                pipeline_run=tags["pipeline_run"],
                data_digest=tags["data_digest"],
                code_commit=tags["code_commit"],
                approved_by=tags["answered_by"] if tags.get("approval") == APPROVED else None,
            )
            entry = releases.record(settings, ledger, entry)
            releases.settle(settings, tracker)
        tracker.set_tags(run_id, {"model_version": entry.to_version})
    tracker.end_run(run_id, "FINISHED")
    instead = f", instead of {entry.from_version}" if entry.from_version else ""
    in_force = releases.read_ledger(settings)[-1].to_version
    since = "" if in_force == entry.to_version else f"; version {in_force} has taken its place since"
    return {
        "run_id": run_id,
        "month": newest_clean(settings).month,  # which the new champion is first asked for
        "version": entry.to_version,
        "result": f"version {entry.to_version} is the champion{instead}{since}",
    }


@stage
def rollback(version: str | None = None, *, by: str | None = None, reason: str = "") -> Facts:
    """Make a version that was released before the champion again; without a number, the one before the present.

    Raises
    ------
    ReleaseError
        If there is none to go back to, it no longer loads and predicts as it did, or another release came first.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    ledger = releases.settle(settings, tracker)
    release = deployment.find_target(ledger, version)
    target = tracker.get_version(release.to_version)
    with training.limit_threads(settings.training):
        releases.load_version(tracker, target)
    entry = replace(
        release,
        sequence=len(ledger) + 1,
        at=now(),
        action="rollback",
        by=by or current_user(),
        reason=reason or "no reason given",
        from_version=ledger[-1].to_version,
    )
    releases.record(settings, ledger, entry)
    releases.settle(settings, tracker)
    return {
        "version": entry.to_version,
        "result": f"version {entry.to_version} is the champion again, instead of {entry.from_version}",
    }


@stage
def reproduce(version: str) -> Facts:
    """Train a version again from what was recorded of it, and compare the two models' predictions.

    Raises
    ------
    ReleaseError
        If they differ; names what else is not as it was.
    PartitionError
        If a month that it learned from is missing or damaged.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    found = tracker.get_version(version)
    then = tracker.load_json(found.run_id, RECIPE_FILE)
    old, new = then["environment"], recipe(settings, settings.model)["environment"]
    changed = [f"{name}: then {old.get(name)}, now {new[name]}" for name in new if old.get(name) != new[name]]
    dataset = storage.load_dataset(found.tags["dataset_uri"])
    if dataset.digest != found.tags["data_digest"]:
        changed.append(f"data digest: then {found.tags['data_digest']}, now {dataset.digest}")
    trained_with = Training(**then["training"])
    frame, _ = read_rows(settings.model_copy(update={"training": trained_with}), dataset)
    registered = releases.load_version(tracker, found)
    with training.limit_threads(trained_with):
        again = training.fit(frame, trained_with, Model(**then["model"]))
        difference = float(np.abs(training.predict(again, frame) - training.predict(registered, frame)).max())
    if difference > 0:
        raise ReleaseError(
            f"version {version}: trained again it predicts differently, by up to {difference:.3g} in {len(frame):,} "
            f"rows; what differs: {'; '.join(changed) or 'nothing that is recorded'}"
        )
    return {
        "version": version,
        "changed": changed,
        "result": f"version {version}: trained again from {span(dataset)}, and equal in all {len(frame):,} predictions"
        + (f"; what differs and does not matter: {'; '.join(changed)}" if changed else ""),
    }


def _check_accepted(run_id: str, tags: dict[str, str]) -> None:
    if tags.get("verdict") != "accepted":
        verdict = tags.get("verdict", "missing")
        raise QualityGateError(f"run {run_id}: the verdict is {verdict!r}; only an accepted model is released")


def _check_approved(settings: Settings, tracker: Tracker, run_id: str, tags: dict[str, str]) -> None:
    """Hold the release where a person has to agree, by the settings of now as well as by those of the evaluation."""
    given = tags["approval"]
    if given == APPROVED:
        return
    if given == REJECTED:
        raise QualityGateError(f"run {run_id}: rejected by {tags['answered_by']}; only an approved model is released")
    warnings = tracker.load_json(run_id, WARNINGS_FILE)
    if given == PENDING or deployment.needs_approval(settings.gates.approval, warnings):
        raise QualityGateError(
            f"run {run_id}: a person has to approve it, by [gates] approval, and nobody has; see the command `approve`"
        )


def _register(settings: Settings, tracker: Tracker, run_id: str, tags: dict[str, str], dataset: Dataset) -> Version:
    """Fit on all months, make a version of it, and see that the registry gives back the same model."""
    frame, unlabelled = read_rows(settings, dataset)
    chosen = Model(**tracker.load_json(run_id, RECIPE_FILE)["model"])
    model = training.fit(frame, settings.training, chosen)
    model_uri = tracker.save_model(run_id, MODEL, model, frame.head(), training.packages(chosen))
    description = f"{tags['held_out']} held out, then fitted on {span(dataset)}; by {tags['by']}"
    sample = frame[list(model.feature_names_in_)].tail(SAMPLE_ROWS)
    predicted = {
        "rows": schema.to_records(sample),
        "prediction": training.predict(model, sample).tolist(),
        "tolerance": training.tolerance(chosen),
    }
    tracker.log_json(run_id, predicted, releases.SAMPLE_FILE)
    version = tracker.register(run_id, model_uri, description, {name: tags[name] for name in VERSION_TAGS})
    releases.load_version(tracker, version)
    lineage = reports.Lineage(
        run_id=run_id,
        pipeline_run=tags["pipeline_run"],
        features=list(model.feature_names_in_),
        months=dataset.months,
        held_out=tags["held_out"],
        trained_on=tags["trained_on"],
        rows=len(frame),
        data_digest=dataset.digest,
        contract_version=tags["contract_version"],
        config_digest=tags["config_digest"],
        code_commit=tags["code_commit"],
        unlabelled=unlabelled,
    )
    report = TypeAdapter(evaluation.Report).validate_python(tracker.load_json(run_id, EVALUATION_FILE))
    checks = TypeAdapter(list[Check]).validate_python(tracker.load_json(run_id, VERDICT_FILE))
    card = reports.model_card(settings.tracking.model_name, version.version, report, checks, lineage)
    tracker.log_text(run_id, card, "model_card.md")
    return version
