"""The page that a month's monitoring leaves to people: what was found, what was decided, and why."""

from collections.abc import Callable, Iterable

from . import monitoring, monitoring_figures, task
from .config import Monitoring
from .drift import PREDICTION, ColumnDrift, Counted
from .intervals import BLOCKS
from .monitoring import MonthPerformance, Record
from .pages import html_page, plain
from .performance import BlockPerformance, Performance
from .reports import table

SHOWN_DISTRIBUTIONS = 3
MEASURES: list[tuple[str, Callable[[Performance], object], str]] = [
    (task.OBSERVED, lambda found: f"{found.observed:.3f}", task.OBSERVED_MEANING),
    (task.EXPECTED, lambda found: f"{found.expected:.3f}", "what the predictions make one expect of it"),
    (task.LOSS_NAME, lambda found: found.loss, f"{task.LOSS_UNIT} a row; 0 is certain and right, lower is better"),
    (
        "skill",
        lambda found: found.skill,
        "loss minus that of the best single prediction for each row; below 0 is better",
    ),
    (
        "recalibration gain",
        lambda found: found.gain,
        "loss that recalibrating in hindsight saves; near 0 if the model fits",
    ),
    (
        "decay",
        lambda found: found.decay or "unknown",
        "that gain minus the one at the model's release; above 0 is worse",
    ),
]


def build_page(
    record: Record,
    earlier: list[Record],
    by_block: dict[str, BlockPerformance],
    counted: Counted | None,
    learned_from: str,
    limits: Monitoring,
) -> str:
    """A self-contained HTML page.

    Parameters
    ----------
    earlier : the records before this one
    by_block : of the months whose performance the record holds, as far as it could be added up
    counted : what the drift was measured on; None where it was not
    learned_from : the champion's months, in words; empty if there is no champion
    """
    measured = monitoring.latest_performance([*earlier, record])
    by_month = {f"blocks-{month}": monitoring_figures.draw_blocks(month, each) for month, each in by_block.items()}
    if any(each.figures for each in measured.values()):
        by_month["months"] = monitoring_figures.draw_months(measured, limits.max_decay)
    columns = {"columns": monitoring_figures.draw_ratios(record.drift)} if record.drift else {}
    most_drifted = {
        f"column-{rank}": monitoring_figures.draw_distribution(counted, column)
        for rank, column in enumerate(record.drift[:SHOWN_DISTRIBUTIONS], 1)
        if counted
    }
    sections = [
        f"# Monitoring of {record.month}",
        _say_what_was_found(record),
        f"## Performance\n\n{_performance_section(record.performance, limits)}",
        _place(by_month),
        f"## Drift\n\n{_drift_section(record, learned_from, limits)}",
        _place(columns),
        _place(most_drifted),
        f"## Health of the data\n\n{_health_section(record)}",
        f"## Lineage\n\n{_lineage_table(record, learned_from)}",
    ]
    return html_page(f"Monitoring of {record.month}", "\n\n".join(sections), by_month | columns | most_drifted)


def _place(figures: Iterable[str]) -> str:
    return "\n".join(f"![plot: {name}]({name})" for name in figures)


def _say_what_was_found(record: Record) -> str:
    found = " and ".join(record.alarms) or "nothing alarming"
    asks = "asks for a new model" if record.retrain else "asks for no new model"
    return f"**In {record.month} monitoring found {found}, and {asks}: {plain(record.reason)}.**"


def _performance_section(measured: list[MonthPerformance], limits: Monitoring) -> str:
    if not measured:
        return "Nothing to measure: no outcomes have come of predictions that were served."
    return (
        f"How the predictions that were served turned out. In brackets: bootstrap intervals, by {BLOCKS}.\n\n"
        f"{_performance_table(measured, limits)}"
    )


def _performance_table(measured: list[MonthPerformance], limits: Monitoring) -> str:
    rows = [
        ["served by", *(f"version {plain(each.model_version)}" for each in measured), "the model that predicted"],
        ["rows, labelled", *(f"{each.labelled:,}" for each in measured), "the outcome is known; measured on these"],
        [
            "rows, unlabelled",
            *(f"{each.unlabelled:,}" for each in measured),
            "the outcome has not come yet, or never will",
        ],
    ]
    for name, get, meaning in MEASURES:
        rows.append([name, *(str(get(each.figures)) if each.figures else "" for each in measured), meaning])
    meaning = f"if the whole interval of the decay lies above {limits.max_decay:g}"
    rows.append(["alarm", *(_alarm_cell(each) for each in measured), meaning])
    return table(["", *(each.month for each in measured), "what it is"], rows)


def _alarm_cell(measured: MonthPerformance) -> str:
    if measured.figures is None:
        return f"not measured: {plain(measured.note)}"
    if measured.figures.decay is None:
        return "not judged: of its release nothing is known to compare with"
    return "**yes**" if measured.is_alarm else "no"


def _drift_section(record: Record, learned_from: str, limits: Monitoring) -> str:
    if not record.drift:
        return f"Not measured: {plain(record.drift_note)}."
    features = [each for each in record.drift if each.column != PREDICTION]
    drifted = sum(each.drifted for each in features)
    predictions = "did" if any(each.drifted for each in record.drift if each.column == PREDICTION) else "did not"
    return (
        f"How far the columns and predictions of {record.month} lie from those of {learned_from}, which version "
        f"{record.champion} learned from, whatever the outcomes. It is an alarm if the predictions drifted, or more "
        f"than {_percent(limits.max_drifted_fraction)} of the features. **The predictions {predictions}, and "
        f"{drifted} of {len(features)} features did.**\n\n"
        "- distance: between the two distributions, in bits: 0 if they are the same, 1 if they have nothing in common "
        "(Jensen-Shannon divergence)\n"
        "- threshold: how far months within the reference lie from it, by chance "
        f"({BLOCKS} drawn from it) plus by season ({BLOCKS} in a row); "
        f"{_percent(limits.drift_confidence)} of each lie within\n"
        "- ratio: distance / threshold; above 1 the column drifted\n\n"
        f"{_drift_table(record.drift)}"
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.4g} %"


def _drift_table(columns: list[ColumnDrift]) -> str:
    return table(
        ["column", "distance", "threshold", "ratio", "drifted"],
        [
            [
                plain(each.column),
                f"{each.distance:.4f}",
                f"{each.threshold:.4f}",
                f"{each.ratio:.2f}",
                "**yes**" if each.drifted else "no",
            ]
            for each in columns
        ],
    )


def _health_section(record: Record) -> str:
    return "\n".join(f"- {plain(note)}" for note in record.health) or "Nothing unusual."


def _lineage_table(record: Record, learned_from: str) -> str:
    return table(
        ["", ""],
        [
            ["champion", f"version {record.champion}, learned from {learned_from}" if record.champion else "none"],
            ["data, SHA-256", record.clean_sha256],
            ["pipeline run", plain(record.pipeline_run)],
            ["MLflow run", record.run_id],
            ["at", record.at],
        ],
    )
