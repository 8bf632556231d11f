"""The sections of the page, in Markdown."""

from collections.abc import Container
from typing import Any

from .. import intervals, monitoring, task
from ..config import Settings
from ..monitoring import MonthPerformance, Record
from ..monitoring_figures import SHOWN_MONTHS
from ..reports import without_secrets
from ..status import LATEST_RECORDS, State
from ..tracking import TrackedRun
from .markdown import Markdown, as_text, link, text_table
from .words import alarms_of, shorten, tell_outcome, to_minute

MOVES_SHOWN = 20
PERFORMANCE, DRIFT = "performance", "drift"  # names of the figures


def write(settings: Settings, state: State, drawn: Container[str]) -> dict[str, str]:
    """Titles and texts, in the order of the page.

    Parameters
    ----------
    drawn : the figures that there are
    """
    return {
        "Champion": _champion(state),
        "How served predictions turned out": _performance(served_months(state), PERFORMANCE in drawn),
        "Drift": _drift(state, settings.monitoring.max_drifted_fraction),
        "What monitoring decided": _decisions(state),
        "Moves of the champion": _moves(state),
        "Training runs": _runs(state),
        "Data": _data(state.about["partitions"]),
        "Where things are": _places(settings),
    }


def served_months(state: State) -> list[MonthPerformance]:
    """The latest months whose predictions were compared with their labels, in order."""
    return list(monitoring.latest_performance(state.records).values())[-SHOWN_MONTHS:]


def last_compared(state: State) -> Record | None:
    """The last record of a month that was compared with the champion's past."""
    return next((each for each in reversed(state.records) if each.drift), None)


def _champion(state: State) -> str:
    champion = state.about["champion"]
    if champion is None:
        return "There is none yet; `make run` trains and releases the first."
    by, reason, approved_by = "unknown", "", None
    if state.ledger:
        by, reason, approved_by = state.ledger[-1].by, state.ledger[-1].reason, state.ledger[-1].approved_by
    facts = [
        ["since", to_minute(champion["since"])],
        ["learned from", champion["months"]],
        ["released by", f"{by}: {shorten(reason)}"],
        ["approved by", approved_by or "nobody was asked"],
        ["code commit", champion["code_commit"]],
        ["data digest", champion["data_digest"]],
        ["MLflow run", _run_link(state, champion["run_id"], champion["run_id"])],
    ]
    metrics = champion["metrics"]
    measured = [
        [name, f"{value:.3f}", f"[{metrics[f'{name}_low']:.3f}, {metrics[f'{name}_high']:.3f}]"]
        for name, value in metrics.items()
        if f"{name}_low" in metrics
    ]
    measured_on = f"Measured on {champion['held_out']}, before it learned from those rows as well"
    return "\n\n".join([
        text_table(["version", champion["version"]], facts),
        as_text(f"{measured_on}; intervals by {intervals.BLOCKS}."),
        text_table(["metric", "value", "interval"], measured),
    ])


def _performance(served: list[MonthPerformance], is_drawn: bool) -> str:
    if not served:
        return "No predictions have been compared with labels yet; monitoring does so as labels arrive."
    rows = [
        [
            each.month,
            each.model_version,
            *([each.figures.loss, each.figures.skill, each.figures.decay] if each.figures else [None] * 3),
            Markdown("**decay**") if each.is_alarm else each.note,
            f"{each.labelled:,}",
            f"{each.unlabelled:,}",
        ]
        for each in reversed(served)
    ]
    header = ["month", "version", task.LOSS_NAME, "skill", "decay", "remark", "labelled", "unlabelled"]
    return "\n\n".join([
        f"![{task.LOSS_NAME} and decay by month]({PERFORMANCE})" if is_drawn else "",
        f"{task.LOSS_NAME.capitalize()} in {task.LOSS_UNIT} a row; lower is better. Months differ in how hard they "
        "are, so what tells of the model is its skill, the loss minus that of one prediction for all rows, made of the "
        "month's own labels, and its decay: what a recalibration in hindsight would gain, minus what it would have "
        "gained at the release. It is an alarm where its whole interval lies above the limit.",
        text_table(header, rows),
    ])


def _drift(state: State, max_fraction: float) -> str:
    if not state.records:
        return "No month has been monitored yet; monitoring begins with the next month that comes."
    last = state.records[-1]
    parts: list[str] = []
    if not last.drift:
        parts.append(as_text(f"{last.month} was not compared: {last.drift_note}."))
    if record := last_compared(state):
        rows = [
            [
                each.column,
                f"{each.distance:.4f}",
                f"{each.threshold:.4f}",
                f"{each.ratio:.2f}",
                Markdown("**drifted**" if each.drifted else ""),
            ]
            for each in record.drift
        ]
        found = "an alarm" if record.drift_alarm else "no alarm"
        parts += [
            as_text(
                f"{record.month} against what version {record.champion} had learned from: {found}. There is one if the "
                f"predictions drift, or more than {max_fraction:.0%} of the features."
            ),
            f"![how far each column has drifted]({DRIFT})",
            text_table(["column", "distance, bits", "threshold", "ratio", ""], rows),
        ]
    if last.health:
        parts.append(as_text(f"Unusual about the data of {last.month}:"))
        parts.append("\n".join(f"- {as_text(shorten(note))}" for note in last.health))
    return "\n\n".join(parts)


def _decisions(state: State) -> str:
    if not state.records:
        return "None yet: no month has been monitored."
    rows = [
        [
            _run_link(state, each.month, each.run_id),
            Markdown(f"**{as_text(alarms_of(each))}**") if each.alarms else alarms_of(each),
            "yes" if each.retrain else "no",
            shorten(each.reason),
            shorten(_what_came_of(state, each)),
            each.champion or "none",
            to_minute(each.at),
        ]
        for each in reversed(state.records[-LATEST_RECORDS:])
    ]
    return text_table(["month", "alarms", "new model?", "why", "what came of it", "champion", "at"], rows)


def _what_came_of(state: State, record: Record) -> str:
    if not record.retrain:
        return ""
    if (name := state.claims.get(record.sequence)) is None:
        return "not taken up yet"
    run = state.acting.get(name)
    return tell_outcome(run) if run else f"taken up by {name}, which has left nothing in MLflow"


def _moves(state: State) -> str:
    if not state.ledger:
        return "Nothing has been released yet."
    rows = [
        [
            to_minute(each.at),
            each.action,
            each.from_version,
            each.to_version,
            each.by,
            each.approved_by,
            shorten(each.reason),
        ]
        for each in reversed(state.ledger[-MOVES_SHOWN:])
    ]
    return text_table(["at", "move", "from", "to", "by", "approved by", "why"], rows)


def _runs(state: State) -> str:
    if not state.runs:
        return "None yet."
    rows = [
        [
            _run_link(state, each.name or each.run_id, each.run_id),
            to_minute(each.started_at),
            each.tags.get("held_out"),
            _metric(each, task.HEADLINE),
            _metric(each, task.LOSS),
            shorten(tell_outcome(each)),
        ]
        for each in state.runs
    ]
    header = ["run", "started", "held out", task.HEADLINE_NAME, task.LOSS_NAME, "what came of it"]
    return text_table(header, rows)


def _metric(run: TrackedRun, name: str) -> str:
    return f"{run.metrics[name]:.3f}" if name in run.metrics else ""


def _data(partitions: list[dict[str, Any]]) -> str:
    if not partitions:
        return "No month has been ingested and validated yet."
    rows, quarantined = (sum(each[name] for each in partitions) for name in ("rows", "quarantined"))
    told = (
        f"{len(partitions)} clean months, {partitions[0]['month']} to {partitions[-1]['month']}, with {rows:,} rows. "
        f"Rows that broke the contract and are quarantined: {quarantined:,}."
    )
    table = text_table(
        ["month", "rows", "without a label", "quarantined", "version"],
        [
            [each["month"], *(f"{each[name]:,}" for name in ("rows", "unlabelled", "quarantined")), each["version"]]
            for each in reversed(partitions[-SHOWN_MONTHS:])
        ],
    )
    return f"{as_text(told)}\n\n{table}"


def _places(settings: Settings) -> str:
    mlflow, airflow, api = settings.mlflow_url, settings.stack.url("airflow"), settings.stack.url("api")
    rows = [
        ["data, scores, ledger, journal", without_secrets(settings.storage_uri)],
        ["runs and models", link(without_secrets(mlflow), without_secrets(mlflow))],
        ["DAGs", link(airflow, airflow)],
        ["predictions", link(f"{api}/docs", f"{api}/docs")],
    ]
    return f"{text_table(['what', 'where'], rows)}\n\nServers on this computer answer while `make up` is up."


def _run_link(state: State, text: str, run_id: str) -> Markdown:
    return link(text, without_secrets(state.links.get(run_id, "")))
