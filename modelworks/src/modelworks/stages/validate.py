"""Validate: from raw partitions to clean ones; rows that break the contract are quarantined."""

from dataclasses import asdict

from modelworks.checks import Check, explain, failures
from modelworks.data import own_checks, partitions, validation
from modelworks.data.duplicates import find_duplicates
from modelworks.data.execution import map_parts
from modelworks.data.partitions import Dataset, Partition, PartitionWriter
from modelworks.data.splitting import RawPart, split_part
from modelworks.data.validation import PeriodAccumulator, PeriodFacts
from modelworks.errors import ContractError
from modelworks.progress import track
from modelworks.project import Project
from modelworks.registry.files import DATA_WARNINGS_FILE, VALIDATION_REPORT_FILE
from modelworks.registry.tracker import Tracker
from modelworks.reporting import documents
from modelworks.reporting.documents import CheckedPeriods
from modelworks.settings import Settings
from modelworks.stages.common import run_tags, stage, under_this_contract
from modelworks.stages.facts import Validated
from modelworks.wording import count


@stage
def validate(
    project: Project,
    settings: Settings,
    dataset_uri: str,
    run_name: str,
    *,
    by: str | None = None,
    reason: str = "",
    for_training: bool = True,
) -> Validated:
    """Quarantine the rows that break the contract, and judge each period.

    Parameters
    ----------
    for_training : `train` follows; if not, the run ends here, and is logged to the experiment for monitoring
    """
    tracker = Tracker(project, settings, "" if for_training else settings.monitoring_experiment)
    raw = partitions.load_dataset(dataset_uri)
    run_id = tracker.runs.open(run_name, raw.periods[-1], run_tags(settings, by, reason))
    checked: CheckedPeriods = {}
    with tracker.runs.working_on(run_id):
        try:
            clean = _validate_periods(project, settings, raw, checked)
        finally:
            report = documents.validation_report(project.contract, checked, settings.within)
            tracker.runs.log_text(run_id, report, VALIDATION_REPORT_FILE)
        tracker.runs.log_json(run_id, _warnings(raw.periods[-1], checked), DATA_WARNINGS_FILE)
    if not for_training:
        tracker.runs.end(run_id, "FINISHED")
    return Validated(
        dataset_uri=clean.uri,
        period=clean.periods[-1],
        run_id=run_id,
        rows=clean.rows,
        quarantined=sum(facts.quarantined for facts, _ in checked.values()),
        summary=_summarize(clean, checked),
    )


def _summarize(clean: Dataset, checked: CheckedPeriods) -> str:
    quarantined = sum(facts.quarantined for facts, _ in checked.values())
    unlabelled = sum(facts.unlabelled for facts, _ in checked.values())
    n_warnings = sum(not check.passed for _, checks in checked.values() for check in checks)
    without_label = f"{unlabelled:,} without a label, " if unlabelled else ""
    rows = f"{count(clean.rows, 'clean row')}, {quarantined:,} quarantined, {without_label}"
    return f"{rows}{count(n_warnings, 'warning')} in the report"


def _warnings(period: str, checked: CheckedPeriods) -> list[str]:
    """The checks of a period that did not pass and stop nothing."""
    _, checks = checked[period]
    return [f"data of {period}, {check.name}: {check.detail}" for check in checks if not check.passed]


def _validate_periods(project: Project, settings: Settings, raw: Dataset, checked: CheckedPeriods) -> Dataset:
    """The clean dataset of a raw one; adds each period to `checked`, also the one that is refused."""
    earlier = _earlier_facts(project, settings, before=raw.periods[0])
    clean = []
    for partition in track(raw.partitions, "validating", "periods"):
        clean.append(_validate_period(project, settings, partition, earlier, checked))
        earlier.append(checked[partition.period][0])
    return partitions.save_dataset(settings.storage_uri, clean)


def _earlier_facts(project: Project, settings: Settings, before: str) -> list[PeriodFacts]:
    """Facts of the clean periods before a period, the oldest first."""
    periods = [each for each in partitions.list_periods(settings.storage_uri, "clean") if each < before]
    versions = [partitions.find_partitions(settings.storage_uri, "clean", each) for each in periods]
    comparable = [under_this_contract(project, each) for each in versions]
    return [PeriodFacts(**each[-1].facts) for each in comparable if each]


def _validate_period(
    project: Project,
    settings: Settings,
    raw: Partition,
    earlier: list[PeriodFacts],
    checked: CheckedPeriods,
) -> Partition:
    """The clean partition of a raw one, made unless it is there; adds the period to `checked`."""
    origin = {"source": raw.uri, "source_sha256": raw.sha256, "contract_version": project.contract.version}
    existing = _find_clean(project, settings, raw)
    with (
        partitions.new_partition(settings.storage_uri, "clean", raw.period) as clean,
        partitions.new_partition(settings.storage_uri, "quarantine", raw.period) as quarantine,
    ):
        known = PeriodFacts(**existing.facts) if existing else None
        facts = known or _split_period(project, settings, raw, clean, quarantine)
        checks = validation.check_period(project.contract, facts, earlier, settings.validation)
        checked[raw.period] = facts, checks
        if not existing and facts.quarantined:
            quarantine.publish(**origin)
        if not failures(checks):  # rows that the engine refuses need no further opinion
            checks += _run_data_checks(project, raw, existing, clean)
        _refuse(settings, raw, facts, checks)
        return existing or clean.publish(**origin, **asdict(facts))


def _find_clean(project: Project, settings: Settings, raw: Partition) -> Partition | None:
    made_of_it = [
        each
        for each in partitions.find_partitions(settings.storage_uri, "clean", raw.period)
        if (each.source_sha256, each.contract_version) == (raw.sha256, project.contract.version)
    ]
    return made_of_it[-1] if made_of_it else None


def _split_period(
    project: Project, settings: Settings, raw: Partition, clean: PartitionWriter, quarantine: PartitionWriter
) -> PeriodFacts:
    contract, compute = project.contract, settings.compute
    duplicated = find_duplicates(contract, raw, compute, clean.attempt)
    tasks = [
        RawPart(each.where, contract, raw.period, raw.uri, each.part, rows, clean.attempt, quarantine.attempt)
        for each, rows in zip(raw.located, duplicated, strict=True)
    ]
    accumulator = PeriodAccumulator(contract)
    for made in map_parts(split_part, tasks, compute, f"validating {raw.period}"):
        clean.add(made.clean)
        if made.quarantine:
            quarantine.add(made.quarantine)
        accumulator.merge(made.counts)
    return accumulator.facts()


def _run_data_checks(
    project: Project, raw: Partition, existing: Partition | None, clean: PartitionWriter
) -> list[Check]:
    """The project's own checks, on the clean rows of the period."""
    if not project.data_checks:
        return []
    columns = own_checks.columns_to_read(project.contract, project.data_checks)
    rows = partitions.read_partition(existing, columns) if existing else clean.read(columns)
    return own_checks.run_data_checks(project.data_checks, rows, raw.uri)


def _refuse(settings: Settings, raw: Partition, facts: PeriodFacts, checks: list[Check]) -> None:
    if broken := failures(checks):
        where = f"; rows and reasons: {settings.storage_uri}/quarantine/{raw.period}" if facts.quarantined else ""
        raise ContractError(f"{raw.uri}: {explain(broken)}{where}")
