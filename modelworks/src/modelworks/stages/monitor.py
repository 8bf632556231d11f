"""Monitor: a new period against the champion's reference, served predictions against labels, and the decision."""

from dataclasses import asdict, dataclass

from modelworks.data import partitions
from modelworks.data.partitions import Partition
from modelworks.data.periods import newest_labelled
from modelworks.data.validation import PeriodFacts
from modelworks.models import pipeline
from modelworks.monitoring import data_health, drift, records, report, retraining_policy
from modelworks.monitoring.calibration import BlockPerformance
from modelworks.monitoring.drift import Findings
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.monitoring.retraining_policy import Situation
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import PERFORMANCE_FILE
from modelworks.registry.runs import Runs, metric_name
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.settings import Settings
from modelworks.stages.common import newest_clean, now, run_tags, stage
from modelworks.stages.facts import Monitored, RetrainingRequest
from modelworks.stages.reference import measure_drift
from modelworks.stages.served import measure_performance

RECORD_FILE = "record.json"
REPORT_FILE = "report.html"
FIGURES = ("loss", "skill", "gain", "calibration_drift")


@dataclass(frozen=True)
class Known:
    """What is known when a period is monitored.

    Attributes
    ----------
    clean : the period
    earlier : the records so far
    labelled_periods : how many there are to train on
    unmeasured : rows and scores of each period whose served predictions were not compared with its present labels
    """

    clean: Partition
    earlier: list[Record]
    labelled_periods: int
    unmeasured: list[tuple[Partition, Partition]]


@dataclass(frozen=True)
class Measured:
    """What monitoring measures.

    Attributes
    ----------
    by_block : by period, where there is something to measure
    """

    performance: list[PeriodPerformance]
    by_block: dict[str, BlockPerformance]
    drift: Findings
    drift_alarm: bool | None
    health: list[str]


@stage
def monitor(
    project: Project, settings: Settings, run_name: str, period: str | None = None, *, by: str | None = None
) -> Monitored:
    """Compare a clean period, by default the newest, with the champion's reference and decide on a new model.

    A period that was monitored already, with the same rows and labels, is found.

    Raises
    ------
    PartitionError
        If there is no such period, or it is damaged.
    """
    tracker, monitoring = Tracker(project, settings), Tracker(project, settings, settings.monitoring_experiment)
    known = _read_known(settings, tracker, newest_clean(settings, period))
    found = records.find_record(known.earlier, known.clean)
    if found is None or known.unmeasured:
        found = _monitor(project, settings, tracker, monitoring.runs, known, run_name, by)
    alarms = ", ".join(found.alarms) or "no alarm"
    decision = "a new model is wanted" if found.retrain else "no new model"
    return Monitored(
        period=found.period,
        run_id=found.run_id,
        report=monitoring.runs.link_to(found.run_id, file=REPORT_FILE),
        alarms=found.alarms,
        retrain=found.retrain and records.find_claimant(settings, found) is None,
        reason=found.reason,
        summary=f"{found.period}: {alarms}; {decision}: {found.reason}",
    )


def claim_retraining(project: Project, settings: Settings, period: str, run_name: str) -> RetrainingRequest | None:
    """Claim a period's request for a new model, for one run.

    Returns
    -------
    None if nothing was requested, or another run has claimed it: a request has one retraining.
    """
    record = records.claim_request(settings, period, run_name)
    if record is None:
        return None
    newest = newest_labelled(period, settings.labels.delay_periods)
    return RetrainingRequest(period=newest, reason=f"monitoring of {record.period}: {record.reason}")


def _read_known(settings: Settings, tracker: Tracker, clean: Partition) -> Known:
    earlier = records.read_records(settings)
    labelled = _labelled_periods(settings, clean.period)
    unmeasured = [
        (each, served)
        for each in labelled
        if not records.is_measured(earlier, each)
        if (served := records.find_served(settings, tracker, each.period))
    ]
    return Known(clean, earlier, len(labelled), unmeasured)


def _labelled_periods(settings: Settings, period: str) -> list[Partition]:
    """The newest partition of each clean period whose labels are due when `period` has come."""
    newest = newest_labelled(period, settings.labels.delay_periods)
    periods = [each for each in partitions.list_periods(settings.storage_uri, "clean") if each <= newest]
    return [partitions.find_partitions(settings.storage_uri, "clean", each)[-1] for each in periods]


def _monitor(
    project: Project,
    settings: Settings,
    tracker: Tracker,
    runs: Runs,
    known: Known,
    run_name: str,
    by: str | None,
) -> Record:
    """Measure, decide, and write the record.

    Parameters
    ----------
    tracker, runs : of training, and of monitoring
    """
    champion = ledger.find_champion(tracker, ledger.reconcile(settings, tracker))
    run_id = runs.open(run_name, known.clean.period, run_tags(settings, by, ""))
    with runs.working_on(run_id), pipeline.limit_threads(settings.training):
        measured = _measure(project, settings, tracker, champion, known)
        record = _decide(settings, champion, known, measured, run_name, run_id)
        trained_on = ledger.training_periods(champion) if champion else ""
        counted, limits = measured.drift.counted, settings.monitoring
        page = report.build_page(
            project.contract, record, known.earlier, measured.by_block, counted, trained_on, limits, settings.within
        )
        _log(project, runs, record, measured.by_block, page)
    runs.end(run_id, "FINISHED")
    # Last: a task that is killed before leaves no record that another would take for the result.
    return records.append_record(settings, record)


def _measure(
    project: Project, settings: Settings, tracker: Tracker, champion: Version | None, known: Known
) -> Measured:
    found = [measure_performance(project, settings, tracker, each, served) for each, served in known.unmeasured]
    drifted = measure_drift(project, settings, tracker, champion, known.clean)
    limit = settings.monitoring.max_drifted_fraction
    return Measured(
        performance=[performance for performance, _ in found],
        by_block={performance.period: by_block for performance, by_block in found if by_block},
        drift=drifted,
        drift_alarm=drift.is_alarm(drifted.columns, limit) if drifted.columns else None,
        health=_check_health(project, settings, known.clean, drifted.constant),
    )


def _check_health(project: Project, settings: Settings, clean: Partition, constant: list[str]) -> list[str]:
    earlier = [
        PeriodFacts(**partitions.find_partitions(settings.storage_uri, "clean", period)[-1].facts)
        for period in partitions.list_periods(settings.storage_uri, "clean")
        if period < clean.period
    ]
    facts = PeriodFacts(**clean.facts)
    return data_health.find_unusual(project.contract, facts, earlier, constant, settings.validation)


def _decide(
    settings: Settings, champion: Version | None, known: Known, measured: Measured, run_name: str, run_id: str
) -> Record:
    decision = retraining_policy.decide(_describe(champion, known, measured), settings.retraining)
    return Record(
        sequence=known.earlier[-1].sequence + 1 if known.earlier else 1,
        at=now(),
        period=known.clean.period,
        champion=champion.version if champion else None,
        clean_sha256=known.clean.sha256,
        drift=measured.drift.columns,
        drift_note=measured.drift.note,
        drift_alarm=measured.drift_alarm,
        health=measured.health,
        performance=measured.performance,
        retrain=decision.retrain,
        reason=decision.reason,
        pipeline_run=run_name,
        run_id=run_id,
    )


def _describe(champion: Version | None, known: Known, measured: Measured) -> Situation:
    """What the policy decides by; findings about a former champion say nothing about this one."""
    version, period = champion.version if champion else None, known.clean.period
    latest = records.latest_performance(known.earlier) | {each.period: each for each in measured.performance}
    own = {name: bool(each.is_alarm) for name, each in latest.items() if each.model_version == version}
    is_new = any(each.model_version == version for each in measured.performance)
    drifted = {each.period: bool(each.drift_alarm) for each in known.earlier if each.champion == version}
    request = records.last_request(known.earlier)
    return Situation(
        period=period,
        labelled_periods=known.labelled_periods,
        trained_through=ledger.trained_through(champion) if champion else None,
        calibration_drift=sorted(own.items()) if is_new else [],
        drift=[] if measured.drift_alarm is None else sorted({**drifted, period: measured.drift_alarm}.items()),
        last_request=request.period if request else None,
    )


def _log(project: Project, runs: Runs, record: Record, by_block: dict[str, BlockPerformance], page: str) -> None:
    """Keep the record with its run, for people and for programs."""
    runs.log_metrics(record.run_id, _metrics(project, record))
    runs.log_json(record.run_id, record.to_json(), RECORD_FILE)
    if by_block:
        runs.log_json(record.run_id, {period: asdict(each) for period, each in by_block.items()}, PERFORMANCE_FILE)
    runs.log_text(record.run_id, page, REPORT_FILE)
    note = f"{', '.join(record.alarms) or 'no alarm'}; {record.reason}"
    runs.set_tags(record.run_id, {"mlflow.note.content": note})


def _metrics(project: Project, record: Record) -> dict[str, float]:
    metrics = {f"drift_{metric_name(each.column)}": each.ratio for each in record.drift}
    metrics["drifted_columns"] = float(sum(each.drifted for each in record.drift))
    for each in record.performance:
        metrics |= {"labelled": float(each.labelled), "unlabelled": float(each.unlabelled)}
        for figure in FIGURES:
            if each.figures and (estimate := getattr(each.figures, figure)):
                name = project.contract.target.loss if figure == "loss" else figure
                metrics |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return metrics
