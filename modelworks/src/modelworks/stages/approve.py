"""Approve: put a person's answer on record."""

from modelworks.errors import QualityGateError, ReleaseError
from modelworks.project import Project
from modelworks.registry import promotion
from modelworks.registry.files import WARNINGS_FILE
from modelworks.registry.lineage import current_user
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings
from modelworks.stages.common import ACCEPTED, APPROVED, PENDING, REJECTED, stage
from modelworks.stages.facts import Approved


@stage
def approve(
    project: Project, settings: Settings, run_id: str, approved: bool, *, by: str | None = None, reason: str = ""
) -> Approved:
    """Put a person's answer on record, and stop the run if it is no.

    Raises
    ------
    QualityGateError
        If the answer is no, or the run's model was not accepted by the gates.
    ReleaseError
        If the run is released already, or has another answer.
    """
    answered = record_answer(project, settings, run_id, approved, by=by, reason=reason)
    if not approved:
        raise QualityGateError(f"{answered}; the champion stays")
    return Approved(run_id=run_id, summary=answered)


def record_answer(
    project: Project, settings: Settings, run_id: str, approved: bool, *, by: str | None = None, reason: str = ""
) -> str:
    """Put a person's answer on the record of a run; returns it in words."""
    tracker = Tracker(project, settings)
    tags = tracker.runs.tags(run_id)
    check_accepted(run_id, tags)
    answer, by = APPROVED if approved else REJECTED, by or current_user()
    given = tags.get("approval")
    if "model_version" in tags:
        raise ReleaseError(f"run {run_id}: released already, as version {tags['model_version']}")
    if given in {APPROVED, REJECTED} and given != answer:
        raise ReleaseError(f"run {run_id}: {given} by {tags['answered_by']} already; evaluate again to ask anew")
    tracker.runs.set_tags(run_id, {"approval": answer, "answered_by": by, "answer_reason": reason})
    if not approved:
        tracker.runs.end(run_id, "FAILED")
    return f"{answer} by {by}" + (f": {reason}" if reason else "")


def check_accepted(run_id: str, tags: dict[str, str]) -> None:
    """Make sure that the gates accepted the model of a run.

    Raises
    ------
    QualityGateError
        If they did not.
    """
    if tags.get("verdict") != ACCEPTED:
        verdict = tags.get("verdict", "missing")
        raise QualityGateError(f"run {run_id}: the verdict is {verdict!r}; only an accepted model is released")


def check_approved(settings: Settings, tracker: Tracker, run_id: str, tags: dict[str, str]) -> None:
    """Make sure that a person agreed, where the settings of now or those of the evaluation ask for one.

    Raises
    ------
    QualityGateError
        If nobody agreed, or the answer was no.
    """
    given = tags["approval"]
    if given == APPROVED:
        return
    if given == REJECTED:
        raise QualityGateError(f"run {run_id}: rejected by {tags['answered_by']}; only an approved model is released")
    warnings = tracker.runs.load_json(run_id, WARNINGS_FILE)
    if given == PENDING or promotion.needs_approval(settings.gates.approval, warnings):
        raise QualityGateError(
            f"run {run_id}: a person has to approve it, by [gates] approval, and nobody has; see the command `approve`"
        )
