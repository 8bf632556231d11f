"""What a replay came to, month by month; read from the twin's storage and registry, however it was run."""

from dataclasses import asdict, dataclass
from typing import Any

from .. import monitoring, releases
from ..config import Settings
from ..monitoring import Record
from ..tracking import Tracker


@dataclass(frozen=True)
class MonthOutcome:
    """One month.

    Attributes
    ----------
    rows, loss, skill : of the predictions that were served; None where none were, or no labels came
    asked : why a new model was asked for; empty if none was
    outcome : what came of it: released, refused or failed
    incidents : what was unusual about the data
    """

    month: str
    served_by: str | None
    rows: int
    loss: float | None
    skill: float | None
    alarms: list[str]
    asked: str
    outcome: str
    version: str | None
    incidents: list[str]


def read_outcomes(settings: Settings) -> list[MonthOutcome]:
    """Every month of a replay, in order."""
    tracker = Tracker(settings)
    records = monitoring.read_records(settings)
    served = monitoring.latest_performance(records)
    ledger = {entry.pipeline_run: entry.to_version for entry in releases.read_ledger(settings)}
    outcomes = []
    for record in {each.month: each for each in records}.values():
        performance = served.get(record.month)
        figures = performance.figures if performance else None
        run = monitoring.find_claimant(settings, record) if record.retrain else None
        outcomes.append(
            MonthOutcome(
                month=record.month,
                served_by=performance.model_version if performance else None,
                rows=performance.labelled if performance else 0,
                loss=figures.loss.value if figures else None,
                skill=figures.skill.value if figures else None,
                alarms=record.alarms,
                asked=record.reason if record.retrain else "",
                outcome=_tell(tracker, record, run, ledger),
                version=ledger.get(run or ""),
                incidents=record.health,
            )
        )
    return outcomes


def _tell(tracker: Tracker, record: Record, run: str | None, ledger: dict[str, str]) -> str:
    if run is None:
        return "nobody took it up" if record.retrain else ""
    if run in ledger:
        return f"released version {ledger[run]}"
    run_id = tracker.find_run(run)
    note = tracker.tags(run_id).get("refusal") if run_id else None
    return f"refused: {note}" if note else "failed"


def mean_loss(outcomes: list[MonthOutcome], first: str, last: str) -> float:
    """Served loss of all rows of a span of months, a row.

    Raises
    ------
    ValueError
        If no predictions of that span are measured.
    """
    counted = [each for each in outcomes if first <= each.month <= last and each.loss is not None]
    if not counted:
        raise ValueError(f"nothing was served and measured from {first} to {last}")
    return sum(each.rows * (each.loss or 0.0) for each in counted) / sum(each.rows for each in counted)


def to_json(outcomes: dict[str, list[MonthOutcome]]) -> dict[str, Any]:
    """The outcomes of each policy as JSON can hold them."""
    return {policy: [asdict(each) for each in months] for policy, months in outcomes.items()}
