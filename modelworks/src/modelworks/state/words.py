"""Single facts in words."""

from modelworks.monitoring.records import Record
from modelworks.registry.runs import TrackedRun
from modelworks.stages.common import PENDING, REJECTED, UNCHANGED

MAX_CHARACTERS = 300


def describe_result(run: TrackedRun) -> str:
    """What came of a training run."""
    tags = run.tags
    if version := tags.get("model_version"):
        return f"released as version {version}"
    if version := tags.get(UNCHANGED):
        return f"nothing new: version {version} was trained from the same data, code and settings"
    if tags.get("verdict") == "refused":
        return f"refused: {tags.get('refusal')}"
    if tags.get("approval") == REJECTED:
        return f"rejected by {tags.get('answered_by')}: {tags.get('answer_reason')}"
    if run.status == "FAILED":
        return "failed"
    if tags.get("verdict") == "accepted":
        return "accepted, waits for approval" if tags.get("approval") == PENDING else "accepted, not released yet"
    return "not finished"


def describe_alarms(record: Record) -> str:
    """The alarms of a period."""
    return ", ".join(record.alarms) or "no alarm"


def to_minute(moment: str) -> str:
    """A moment as it is recorded, in UTC, to the minute."""
    return moment[:16].replace("T", " ")


def shorten(text: str) -> str:
    """The beginning of a text that is too long for a cell."""
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} …"
