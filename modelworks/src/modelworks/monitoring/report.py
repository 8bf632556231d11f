"""The page that a period's monitoring leaves to people: findings, decision, and why."""

from collections.abc import Iterable

from modelworks.contract import Contract
from modelworks.monitoring import plots, records
from modelworks.monitoring.calibration import BlockPerformance, Performance
from modelworks.monitoring.drift import PREDICTION, ColumnDrift, Counted
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.reporting.html import html_page
from modelworks.reporting.markdown import plain, table
from modelworks.reporting.status_line import StatusLine
from modelworks.settings import Monitoring

SHOWN_DISTRIBUTIONS = 3


def build_page(
    contract: Contract,
    record: Record,
    earlier: list[Record],
    by_block: dict[str, BlockPerformance],
    counted: Counted | None,
    trained_on: str,
    limits: Monitoring,
    within: str = "",
) -> str:
    """A self-contained HTML page.

    Parameters
    ----------
    earlier : the records before this one
    by_block : of the measured periods that the record holds
    counted : what drift was measured on; None where it was not measured
    trained_on : the champion's periods, in words; empty if there is no champion
    within : the environment, as titles name it
    """
    measured = records.latest_performance([*earlier, record])
    by_period = {f"blocks-{period}": plots.draw_blocks(contract, period, each) for period, each in by_block.items()}
    if any(each.figures for each in measured.values()):
        by_period["periods"] = plots.draw_periods(contract, measured, limits.max_calibration_drift)
    columns = {"columns": plots.draw_ratios(record.drift)} if record.drift else {}
    histories = plots.draw_histories([*earlier, record], record.drift)
    over_time = {f"history-{rank}": figure for rank, figure in enumerate(histories.values(), 1)}
    most_drifted = {
        f"column-{rank}": plots.draw_distribution(contract, counted, column)
        for rank, column in enumerate(record.drift[:SHOWN_DISTRIBUTIONS], 1)
        if counted
    }
    sections = [
        f"# {(title := f'Monitoring of {record.period}{within}')}",
        f"## Performance\n\n{_performance_section(contract, record.performance, limits)}",
        _place(by_period),
        f"## Drift\n\n{_drift_section(contract, record, trained_on, limits)}",
        _place(columns),
        _place(over_time),
        _place(most_drifted),
        f"## Health of the data\n\n{_health_section(record)}",
        f"## Lineage\n\n{_lineage_table(record, trained_on)}",
    ]
    figures = by_period | columns | over_time | most_drifted
    return html_page(title, "\n\n".join(sections), figures, _status(record))


def _place(figures: Iterable[str]) -> str:
    return "\n".join(f"![plot: {name}]({name})" for name in figures)


def _status(record: Record) -> StatusLine:
    """What was found and decided; calibration drift weighs more than drift."""
    found = " and ".join(record.alarms) or "nothing alarming"
    request = "requests a new model" if record.retrain else "requests no new model"
    reason = f"In {record.period} monitoring found {found}, and {request}: {record.reason}."
    action = "the training DAG takes the request, or `make run`" if record.retrain else ""
    if record.calibration_alarms:
        return StatusLine("bad", "Calibration drift", reason, action)
    if record.drift_alarm:
        return StatusLine("warning", "Drifting", reason, action)
    return StatusLine("good", "No alarm", reason, action)


def _performance_section(contract: Contract, measured: list[PeriodPerformance], limits: Monitoring) -> str:
    if not measured:
        return "Nothing to measure: there are no new outcomes of predictions that were served."
    return (
        "The predictions that were served against their outcomes. In brackets: bootstrap intervals, by "
        f"{contract.block_unit}.\n\n{_performance_table(contract, measured, limits)}"
    )


def _performance_table(contract: Contract, measured: list[PeriodPerformance], limits: Monitoring) -> str:
    rows = [
        ["served by", *(f"version {plain(each.model_version)}" for each in measured), "the model that predicted"],
        ["rows, labelled", *(f"{each.labelled:,}" for each in measured), "the outcome is known; measured on these"],
        ["rows, unlabelled", *(f"{each.unlabelled:,}" for each in measured), "the outcome is not known, or not yet"],
    ]
    figures = [_figures(contract, each.figures) if each.figures else {} for each in measured]
    for name, meaning in _meanings(contract).items():
        rows.append([name, *(str(each.get(name, "")) for each in figures), meaning])
    meaning = f"if the whole interval of the calibration drift lies above {limits.max_calibration_drift:g}"
    rows.append(["alarm", *(_alarm_cell(each) for each in measured), meaning])
    return table(["", *(each.period for each in measured), "what it is"], rows)


def _figures(contract: Contract, found: Performance) -> dict[str, object]:
    """The figures of a period, under the names of `_meanings`."""
    return {
        contract.target.observed_name: f"{found.observed:.3f}",
        contract.target.expected_name: f"{found.expected:.3f}",
        contract.target.loss_name: found.loss,
        "skill": found.skill,
        "recalibration gain": found.gain,
        "calibration drift": found.calibration_drift or "unknown",
    }


def _meanings(contract: Contract) -> dict[str, str]:
    target = contract.target
    return {
        target.observed_name: target.observed_meaning,
        target.expected_name: "the same by the predictions",
        target.loss_name: f"{target.loss_unit} per row; 0 is certain and right, lower is better",
        "skill": "loss of the best single prediction for all rows minus this one; above 0 is better",
        "recalibration gain": "loss that recalibrating in hindsight saves; near 0 if the model fits",
        "calibration drift": "that gain minus the one at the model's release; above 0 is worse",
    }


def _alarm_cell(measured: PeriodPerformance) -> str:
    if measured.figures is None:
        return f"not measured: {plain(measured.note)}"
    if measured.figures.calibration_drift is None:
        return "not judged: the gain at the model's release is not known"
    if measured.note:
        return f"not judged: {plain(measured.note)}"
    return "**yes**" if measured.is_alarm else "no"


def _drift_section(contract: Contract, record: Record, trained_on: str, limits: Monitoring) -> str:
    if not record.drift:
        return f"Not measured: {plain(record.drift_note)}."
    features = [each for each in record.drift if each.column != PREDICTION]
    drifted = sum(each.drifted for each in features)
    predictions = "did" if any(each.drifted for each in record.drift if each.column == PREDICTION) else "did not"
    return (
        f"How far the columns and predictions of {record.period} are from those of {trained_on}, on which version "
        f"{record.champion} was trained; outcomes play no part. It is an alarm if the predictions drifted, or more "
        f"than {_percent(limits.max_drifted_fraction)} of the features. **The predictions {predictions}, and "
        f"{drifted} of {len(features)} features did.**\n\n"
        "- distance: between the two distributions, in bits: 0 if they are the same, 1 if they have nothing in common "
        "(Jensen-Shannon divergence)\n"
        "- threshold: distance that periods within the reference have by chance "
        f"({contract.block_unit} drawn from it) plus by season ({contract.block_unit} in a row); "
        f"it covers {_percent(limits.drift_quantile)} of each\n"
        "- ratio: distance / threshold; above 1 the column drifted\n\n"
        f"{_drift_table(record.drift)}"
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g} %"


def _drift_table(columns: list[ColumnDrift]) -> str:
    rows = [
        [
            plain(each.column),
            f"{each.distance:.4f}",
            f"{each.threshold:.4f}",
            f"{each.ratio:.2f}",
            "**yes**" if each.drifted else "no",
        ]
        for each in columns
    ]
    return table(["column", "distance", "threshold", "ratio", "drifted"], rows)


def _health_section(record: Record) -> str:
    return "\n".join(f"- {plain(note)}" for note in record.health) or "Nothing unusual."


def _lineage_table(record: Record, trained_on: str) -> str:
    return table(
        ["", ""],
        [
            ["champion", f"version {record.champion}, trained on {trained_on}" if record.champion else "none"],
            ["data, SHA-256", record.clean_sha256],
            ["pipeline run", plain(record.pipeline_run)],
            ["MLflow run", record.run_id],
            ["at", record.at],
        ],
    )
