"""Rollouts: the steps by which a challenger meets live traffic, and which of them is in force.

Steps are entries of a journal beside the ledger, each written whole by one process. The newest is the truth, as long as
the champion that it began with is the champion: a release or a rollback ends a rollout by itself. The registry's alias
`challenger` follows, for people and other programs.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from modelworks.data import journal
from modelworks.errors import ReleaseError
from modelworks.registry import ledger
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHALLENGER
from modelworks.settings import ReleaseMode, Settings

Action = Literal["started", "advanced", "promoted", "taken_back", "stopped"]
ENDS = {"promoted", "taken_back", "stopped"}
AUTOMATIC = "rollout"
"""Who decided, where no person did."""


@dataclass(frozen=True)
class RolloutStep:
    """One step of a rollout.

    Attributes
    ----------
    rollout : number of the step that began it
    version, champion : the challenger, and the version that it is compared with
    ledger_entry : number of the entry that made the champion; the rollout holds while it is the newest
    release : how it is released: which steps there are
    number, share : of the step, from 0, and the share of the requests that the challenger answers; 0 is the shadow
    run_id, pipeline_run, data_digest, code_commit, approved_by : what the ledger says of the version once it is the
        champion
    """

    sequence: int
    at: str
    rollout: int
    action: Action
    by: str
    reason: str
    version: str
    champion: str
    ledger_entry: int
    release: ReleaseMode
    number: int
    share: float
    run_id: str
    pipeline_run: str
    data_digest: str
    code_commit: str
    approved_by: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it is the last step of its rollout."""
        return self.action in ENDS

    @property
    def name(self) -> str:
        """The folder that the figures of this step have."""
        return f"{self.rollout:06d}-{self.number}"


def read_steps(settings: Settings) -> list[RolloutStep]:
    """All steps of all rollouts of the registry in use, the oldest first."""
    return [RolloutStep(**entry) for entry in journal.read_entries(settings.storage_uri, _journal(settings))]


def read_last_step(settings: Settings) -> RolloutStep | None:
    """The newest step, whether its rollout goes on or not."""
    found = journal.read_last_entry(settings.storage_uri, _journal(settings))
    return RolloutStep(**found) if found else None


def in_force(steps: Sequence[RolloutStep], entries: Sequence[LedgerEntry]) -> RolloutStep | None:
    """The step that holds; None where no rollout goes on, or another champion was released since."""
    last = steps[-1] if steps else None
    if last is None or last.has_ended or not entries or entries[-1].sequence != last.ledger_entry:
        return None
    return last


def find_begun(settings: Settings, run_id: str) -> RolloutStep | None:
    """The newest step of the rollout that a run has begun already, if any."""
    return next((step for step in reversed(read_steps(settings)) if step.run_id == run_id), None)


def hours_of(steps: Sequence[RolloutStep], now: datetime) -> float:
    """Hours since the last rollout began."""
    began = next(step for step in steps if step.sequence == steps[-1].rollout)
    return (now - datetime.fromisoformat(began.at)).total_seconds() / 3600


def record_step(settings: Settings, tracker: Tracker, step: RolloutStep) -> RolloutStep:
    """Write the next step, and let the alias follow.

    Raises
    ------
    ReleaseError
        If another process has written that step meanwhile.
    """
    try:
        journal.append_entry(settings.storage_uri, _journal(settings), step.sequence, asdict(step))
    except FileExistsError:
        raise ReleaseError(
            f"version {step.version}: another process has moved the rollout meanwhile (step {step.sequence}); "
            "`rollout status` shows it"
        ) from None
    follow_alias(tracker, step)
    return step


def next_step(last: RolloutStep, action: Action, by: str, reason: str, **changed: object) -> RolloutStep:
    """The step that follows in the same rollout."""
    return replace(last, sequence=last.sequence + 1, at=_now(), action=action, by=by, reason=reason, **changed)  # type: ignore[arg-type]


def follow_alias(tracker: Tracker, step: RolloutStep | None) -> None:
    """Let the alias name the challenger of a rollout that goes on, and none otherwise."""
    wanted = step.version if step and not step.has_ended else None
    found = tracker.versions.find_alias(CHALLENGER)
    if wanted and (found is None or found.version != wanted):
        tracker.versions.move_alias(CHALLENGER, wanted)
    elif found and not wanted:
        tracker.versions.remove_alias(CHALLENGER)


def begin(
    settings: Settings, tracker: Tracker, entries: list[LedgerEntry], entry: LedgerEntry, release: ReleaseMode
) -> RolloutStep:
    """Write the first step of a rollout.

    Parameters
    ----------
    entry : what the ledger would say, were the version the champion at once
    """
    if entry.from_version is None:
        raise ReleaseError("nothing has been released yet, so there is no champion beside which to roll out")
    if entry.from_version == entry.to_version:
        raise ReleaseError(f"version {entry.to_version} is the champion already")
    steps = read_steps(settings)
    sequence = len(steps) + 1
    step = RolloutStep(
        sequence=sequence,
        at=_now(),
        rollout=sequence,
        action="started",
        by=entry.by,
        reason=entry.reason,
        version=entry.to_version,
        champion=entry.from_version,
        ledger_entry=len(entries),
        release=release,
        number=0,
        share=settings.rollout.shares(release)[0],
        run_id=entry.run_id,
        pipeline_run=entry.pipeline_run,
        data_digest=entry.data_digest,
        code_commit=entry.code_commit,
        approved_by=entry.approved_by,
    )
    return record_step(settings, tracker, step)


def check_none_goes_on(settings: Settings, entries: list[LedgerEntry]) -> None:
    """Make sure that no rollout goes on.

    Raises
    ------
    ReleaseError
        If one does.
    """
    if step := in_force(read_steps(settings), entries):
        raise ReleaseError(
            f"a rollout of version {step.version} goes on ({describe_step(step)}); wait for its end, or `rollout stop`"
        )


def close_overtaken(settings: Settings, tracker: Tracker, by: str) -> RolloutStep | None:
    """Record the end of a rollout whose champion is no longer the champion; the step, or None where there is none."""
    steps, entries = read_steps(settings), ledger.read_ledger(settings)
    last = steps[-1] if steps else None
    if last is None or last.has_ended or in_force(steps, entries):
        return None
    newest = entries[-1]
    if (newest.action, newest.to_version) == ("deploy", last.version):
        ended = next_step(last, "promoted", newest.by, newest.reason, share=1.0)
    else:
        reason = f"version {newest.to_version} is the champion since, by a {newest.action}"
        ended = next_step(last, "stopped", by, reason, share=0.0)
    return record_step(settings, tracker, ended)


def describe_step(step: RolloutStep) -> str:
    """A step in words."""
    if step.action == "promoted":
        return f"version {step.version} is the champion, instead of {step.champion}"
    if step.has_ended:
        how = "taken back" if step.action == "taken_back" else "stopped"
        return f"version {step.version} was {how}; the rollout began beside version {step.champion}"
    if step.share == 0:
        return f"version {step.version} is in the shadow of version {step.champion}"
    return f"version {step.version} answers {100 * step.share:g} % of the requests beside version {step.champion}"


def folder_of(settings: Settings, step: RolloutStep) -> str:
    """URI of the folder of a rollout's figures and comparisons."""
    return f"{settings.storage_uri}/rollouts/{settings.registry}/{step.rollout:06d}"


def _journal(settings: Settings) -> str:
    return f"ledger/{settings.registry}/rollouts"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
