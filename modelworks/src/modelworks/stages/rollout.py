"""Rollout: a version meets live traffic, in the shadow and for a share of the requests, before it is the champion.

Each call reads what is known, decides, and writes at most one step. Any process may call at any time, also several, and
one that was killed is followed by the next: a step is written once, and the champion moves as in every release.
"""

from dataclasses import dataclass

from modelworks.errors import ReleaseError
from modelworks.models import pipeline
from modelworks.project import Project
from modelworks.registry import ledger, rollouts
from modelworks.registry.lineage import current_user
from modelworks.registry.promotion import LedgerEntry, PromotedFrom
from modelworks.registry.rollouts import RolloutStep
from modelworks.registry.tracker import Tracker
from modelworks.settings import ReleaseMode, Settings
from modelworks.stages.challenger import judge
from modelworks.stages.common import APPROVED, now, stage
from modelworks.stages.facts import RolloutFacts


@dataclass(frozen=True)
class Open:
    """A rollout that goes on, and the ledger that it began under."""

    tracker: Tracker
    entries: list[LedgerEntry]
    steps: list[RolloutStep]

    @property
    def last(self) -> RolloutStep:
        """The step in force."""
        return self.steps[-1]


@stage
def start_rollout(
    project: Project,
    settings: Settings,
    version: str,
    release: ReleaseMode | None = None,
    *,
    by: str | None = None,
    reason: str = "",
) -> RolloutFacts:
    """Let a registered version meet live traffic as the challenger.

    Parameters
    ----------
    release : in place of `[rollout] release`, where that is "at_once" the canary

    Raises
    ------
    ReleaseError
        If there is no champion, the version is it, another rollout goes on, or the version does not load and predict
        as it did.
    """
    tracker = Tracker(project, settings)
    entries = ledger.reconcile(settings, tracker)
    rollouts.check_none_goes_on(settings, entries)
    found = tracker.versions.get(version)
    with pipeline.limit_threads(settings.training):
        ledger.load_version(project, tracker, found)
    tags = {**tracker.runs.tags(found.run_id), **found.tags}
    chosen = release or settings.rollout.release
    step = rollouts.begin(
        settings,
        tracker,
        entries,
        LedgerEntry(
            sequence=len(entries) + 1,
            at=now(),
            action="deploy",
            by=by or current_user(),
            reason=reason or "no reason given",
            from_version=entries[-1].to_version if entries else None,
            to_version=version,
            run_id=found.run_id,
            pipeline_run=tags.get("pipeline_run", ""),
            data_digest=tags.get("data_digest", ""),
            code_commit=tags.get("code_commit", ""),
            approved_by=tags["answered_by"] if tags.get("approval") == APPROVED else None,
        ),
        "canary" if chosen == "at_once" else chosen,
    )
    return _describe(step, "wait", f"{rollouts.describe_step(step)}: {step.reason}")


@stage
def advance_rollout(project: Project, settings: Settings, *, by: str | None = None) -> RolloutFacts:
    """Look at the traffic, and take the next step of the rollout, promote the challenger or take it back."""
    tracker = Tracker(project, settings)
    found = _find_open(settings, tracker)
    if isinstance(found, RolloutFacts):
        return found
    decision = judge(project, settings, found.tracker, found.steps)
    if decision.move == "promote":
        return _promote(project, settings, found, by or rollouts.AUTOMATIC, decision.reason)
    if decision.move == "take_back":
        step = rollouts.next_step(found.last, "taken_back", by or rollouts.AUTOMATIC, decision.reason, share=0.0)
        return _write(settings, tracker, step, "take_back")
    if decision.move == "advance":
        number = found.last.number + 1
        share = settings.rollout.shares(found.last.release)[number]
        step = rollouts.next_step(
            found.last, "advanced", by or rollouts.AUTOMATIC, decision.reason, number=number, share=share
        )
        return _write(settings, tracker, step, "advance")
    return _describe(found.last, decision.move, f"{rollouts.describe_step(found.last)}: {decision.reason}")


@stage
def promote_challenger(project: Project, settings: Settings, *, by: str | None = None, reason: str) -> RolloutFacts:
    """Make the challenger the champion now, by the word of a person, whatever steps are left.

    Raises
    ------
    ReleaseError
        If no rollout goes on, or the challenger breaks a limit.
    """
    tracker = Tracker(project, settings)
    found = _find_open(settings, tracker)
    if isinstance(found, RolloutFacts):
        raise ReleaseError(found.summary)
    decision = judge(project, settings, found.tracker, found.steps)
    if decision.move == "take_back":
        raise ReleaseError(f"version {found.last.version} breaks a limit: {decision.reason}")
    return _promote(project, settings, found, by or current_user(), reason)


@stage
def stop_rollout(project: Project, settings: Settings, *, by: str | None = None, reason: str) -> RolloutFacts:
    """End the rollout; the champion answers every request.

    Raises
    ------
    ReleaseError
        If none goes on.
    """
    tracker = Tracker(project, settings)
    found = _find_open(settings, tracker)
    if isinstance(found, RolloutFacts):
        raise ReleaseError(found.summary)
    step = rollouts.next_step(found.last, "stopped", by or current_user(), reason, share=0.0)
    return _write(settings, tracker, step, "stop")


def _find_open(settings: Settings, tracker: Tracker) -> Open | RolloutFacts:
    """The rollout that goes on, or that there is none; one that another release has overtaken is closed."""
    entries = ledger.reconcile(settings, tracker)
    closed = rollouts.close_overtaken(settings, tracker, rollouts.AUTOMATIC)
    steps = rollouts.read_steps(settings)
    rollouts.follow_alias(tracker, steps[-1] if steps else None)
    if not steps:
        return RolloutFacts(
            summary="no version was rolled out yet", move="none", version=None, champion=None, share=0.0, rollout=None
        )
    if closed or steps[-1].has_ended:
        how = {"promoted": "promote", "taken_back": "take_back", "stopped": "stop"}[steps[-1].action]
        return _describe(steps[-1], how, f"no rollout goes on: {rollouts.describe_step(steps[-1])}: {steps[-1].reason}")
    return Open(tracker, entries, steps)


def _promote(project: Project, settings: Settings, found: Open, by: str, reason: str) -> RolloutFacts:
    """Move the champion as a release does, then end the rollout."""
    last, tracker = found.last, found.tracker
    version = tracker.versions.get(last.version)
    with pipeline.limit_threads(settings.training):
        ledger.load_version(project, tracker, version)
    entry = LedgerEntry(
        sequence=len(found.entries) + 1,
        at=now(),
        action="deploy",
        by=last.by if by == rollouts.AUTOMATIC else by,
        reason=f"{last.release}: {reason}",
        from_version=last.champion,
        to_version=last.version,
        run_id=last.run_id,
        pipeline_run=last.pipeline_run,
        data_digest=last.data_digest,
        code_commit=last.code_commit,
        approved_by=last.approved_by or (None if by == rollouts.AUTOMATIC else by),
        environment=settings.environment or None,
        promoted_from=PromotedFrom.from_tags(version.tags),
    )
    ledger.record(settings, found.entries, entry)
    ledger.reconcile(settings, tracker)
    closed = rollouts.close_overtaken(settings, tracker, by)
    step = closed or rollouts.read_steps(settings)[-1]
    return _describe(step, "promote", f"{rollouts.describe_step(step)}: {reason}")


def _write(settings: Settings, tracker: Tracker, step: RolloutStep, move: str) -> RolloutFacts:
    rollouts.record_step(settings, tracker, step)
    return _describe(step, move, f"{rollouts.describe_step(step)}: {step.reason}")


def _describe(step: RolloutStep, move: str, summary: str) -> RolloutFacts:
    return RolloutFacts(
        summary=summary,
        move=move,
        version=step.version,
        champion=step.champion,
        share=step.share,
        rollout=step.rollout,
        has_ended=step.has_ended,
    )
