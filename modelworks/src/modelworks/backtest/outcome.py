"""Outcomes of a replay, period by period, read from the storage and registry of its sandbox."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from modelworks.monitoring import records
from modelworks.monitoring.calibration import BlockPerformance
from modelworks.monitoring.records import Record, name_alarms
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import PERFORMANCE_FILE
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings
from modelworks.stages.served import loss_scale

Status = Literal["", "unclaimed", "failed", "refused", "released"]
"""What became of a request for a new model; "" if there was none."""


@dataclass(frozen=True)
class ServedBlocks:
    """The served rows of a period by block, such as a day.

    Attributes
    ----------
    rows, loss : of each block; losses are added up
    scale : what each loss was divided by, which differs between the models of a regression
    """

    blocks: list[str]
    rows: list[int]
    loss: list[float]
    scale: float = 1.0


@dataclass(frozen=True)
class PeriodOutcome:
    """Outcome of one period.

    Attributes
    ----------
    rows, loss, skill : of the predictions that were served; None where none were, or no labels came
    calibration_alarms : periods whose calibration drift was found to be an alarm
    request : why a new model was requested; empty if none was
    refusal : why the gates refused the new model
    version : of the new model, if it was released
    incidents : what was unusual about the data
    served : the same predictions by block; None where `loss` is, or they were not asked for
    """

    period: str
    served_by: str | None
    rows: int
    loss: float | None
    skill: float | None
    calibration_alarms: list[str]
    drift_alarm: bool
    request: str
    status: Status
    refusal: str
    version: str | None
    incidents: list[str]
    served: ServedBlocks | None = field(default=None, repr=False)

    @property
    def is_trained(self) -> bool:
        """Whether a model was trained, released or not."""
        return self.status not in {"", "unclaimed"}

    @property
    def alarms(self) -> list[str]:
        """All alarms, in a few words each."""
        return name_alarms(self.calibration_alarms, self.drift_alarm)

    @property
    def result(self) -> str:
        """What became of the request, in words; empty if there was none."""
        match self.status:
            case "released":
                return f"released version {self.version}"
            case "refused":
                return f"refused: {self.refusal}"
            case "unclaimed":
                return "claimed by no run"
        return self.status

    def to_json(self) -> dict[str, Any]:
        """The outcome as `json.dumps` takes it, without its blocks."""
        kept = {name: value for name, value in asdict(self).items() if name != "served"}
        return {**kept, "alarms": self.alarms, "result": self.result}


Outcomes = Mapping[str, list[PeriodOutcome]]
"""By policy; the first is the one that the others are compared with."""


def read_outcomes(project: Project, settings: Settings, *, with_blocks: bool = False) -> list[PeriodOutcome]:
    """Every period of a replay, in order.

    Parameters
    ----------
    with_blocks : read the sums of each block as well, which a comparison needs
    """
    tracker = Tracker(project, settings)
    history = records.read_records(settings)
    served = records.latest_performance(history)
    by_block = _read_blocks(project, settings, tracker, history) if with_blocks else {}
    released = {entry.pipeline_run: entry.to_version for entry in ledger.read_ledger(settings)}
    outcomes = []
    for record in {each.period: each for each in history}.values():
        performance = served.get(record.period)
        figures = performance.figures if performance else None
        run = records.find_claimant(settings, record) if record.retrain else None
        refusal = _find_refusal(tracker, run) if run and run not in released else ""
        outcomes.append(
            PeriodOutcome(
                period=record.period,
                served_by=performance.model_version if performance else None,
                rows=performance.labelled if performance else 0,
                loss=figures.loss.value if figures else None,
                skill=figures.skill.value if figures else None,
                calibration_alarms=record.calibration_alarms,
                drift_alarm=bool(record.drift_alarm),
                request=record.reason if record.retrain else "",
                status=_status_of(record, run, released, refusal),
                refusal=refusal,
                version=released.get(run or ""),
                incidents=record.health,
                served=by_block.get(record.period),
            )
        )
    return outcomes


def _read_blocks(
    project: Project, settings: Settings, tracker: Tracker, history: list[Record]
) -> dict[str, ServedBlocks]:
    """By period, from the run that measured it last."""
    runs, found = Tracker(project, settings, settings.monitoring_experiment).runs, {}
    for record in history:
        measured = [each for each in record.performance if each.figures]
        kept = runs.load_json(record.run_id, PERFORMANCE_FILE) if measured else {}
        for each in measured:
            sums = TypeAdapter(BlockPerformance).validate_python(kept[each.period])
            scale = loss_scale(tracker, tracker.versions.get(each.model_version))
            found[each.period] = ServedBlocks(sums.blocks, sums.rows, sums.loss, scale)
    return found


def _find_refusal(tracker: Tracker, run: str) -> str:
    run_id = tracker.runs.find(run)
    return tracker.runs.tags(run_id).get("refusal", "") if run_id else ""


def _status_of(record: Record, run: str | None, released: Mapping[str, str], refusal: str) -> Status:
    if not record.retrain:
        return ""
    if run is None:
        return "unclaimed"
    if run in released:
        return "released"
    return "refused" if refusal else "failed"


def mean_loss(outcomes: list[PeriodOutcome], first: str, last: str) -> float:
    """Mean loss of all rows that were served in a span of periods.

    Raises
    ------
    ValueError
        If no predictions of that span are measured.
    """
    counted = [each for each in outcomes if first <= each.period <= last and each.loss is not None]
    if not counted:
        raise ValueError(f"nothing was served and measured from {first} to {last}")
    return sum(each.rows * (each.loss or 0.0) for each in counted) / sum(each.rows for each in counted)
