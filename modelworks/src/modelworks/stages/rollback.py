"""Roll back: make a version that was released before the champion again."""

from dataclasses import replace

from modelworks.models import pipeline
from modelworks.project import Project
from modelworks.registry import ledger, promotion, rollouts
from modelworks.registry.lineage import current_user
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings
from modelworks.stages.common import now, stage
from modelworks.stages.facts import RolledBack


def describe_rollback(settings: Settings, version: str | None = None) -> str:
    """What a rollback would do, in words.

    Raises
    ------
    ReleaseError
        If there is nothing to go back to.
    """
    entries = ledger.read_ledger(settings)
    release = promotion.find_target(entries, version)
    step = rollouts.in_force(rollouts.read_steps(settings), entries)
    stopped = f", and the rollout of version {step.version} is stopped" if step else ""
    return f"Version {release.to_version} becomes the champion in place of {entries[-1].to_version}{stopped}"


@stage
def rollback(
    project: Project, settings: Settings, version: str | None = None, *, by: str | None = None, reason: str = ""
) -> RolledBack:
    """Make a version that was released before the champion again; by default, the one before the present.

    A rollout that goes on is stopped.

    Raises
    ------
    ReleaseError
        If there is none to go back to, it no longer loads and predicts as it did, or another release came first.
    """
    tracker = Tracker(project, settings)
    entries = ledger.reconcile(settings, tracker)
    release = promotion.find_target(entries, version)
    with pipeline.limit_threads(settings.training):
        ledger.load_version(project, tracker, tracker.versions.get(release.to_version))
    entry = replace(
        release,
        sequence=len(entries) + 1,
        at=now(),
        action="rollback",
        by=by or current_user(),
        reason=reason or "no reason given",
        from_version=entries[-1].to_version,
        environment=settings.environment or None,
    )
    ledger.record(settings, entries, entry)
    ledger.reconcile(settings, tracker)
    stopped = rollouts.close_overtaken(settings, tracker, entry.by)
    summary = f"version {entry.to_version} is the champion again, instead of {entry.from_version}"
    summary += f"; the rollout of version {stopped.version} is stopped" if stopped else ""
    return RolledBack(version=entry.to_version, summary=summary)
