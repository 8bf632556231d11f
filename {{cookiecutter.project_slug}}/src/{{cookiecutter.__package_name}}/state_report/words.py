"""How the page words single facts."""

from ..monitoring import Record
from ..stages.common import PENDING, REJECTED
from ..tracking import TrackedRun

MAX_CHARACTERS = 300


def tell_outcome(run: TrackedRun) -> str:
    """What a training run has come to."""
    tags = run.tags
    if version := tags.get("model_version"):
        return f"released as version {version}"
    if tags.get("verdict") == "refused":
        return f"refused: {tags.get('refusal')}"
    if tags.get("approval") == REJECTED:
        return f"rejected by {tags.get('answered_by')}: {tags.get('answer_reason')}"
    if run.status == "FAILED":
        return "failed"
    if tags.get("verdict") == "accepted":
        return "accepted, and waits for a person" if tags.get("approval") == PENDING else "accepted, not released yet"
    return "not finished"


def alarms_of(record: Record) -> str:
    """What is alarming in a month."""
    return ", ".join(record.alarms) or "no alarm"


def to_minute(moment: str) -> str:
    """A moment as it is recorded, in UTC, to the minute."""
    return moment[:16].replace("T", " ")


def shorten(text: str) -> str:
    """The beginning of a text that would make a cell too high."""
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} …"
