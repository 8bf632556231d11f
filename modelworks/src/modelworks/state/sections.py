"""The sections of the page, in Markdown."""

from collections.abc import Mapping

from modelworks.contract import Contract
from modelworks.evaluation.directions import ARROWS, arrow, better
from modelworks.monitoring.plots import SHOWN_PERIODS
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.runs import TrackedRun
from modelworks.reporting.markdown import Markdown, as_text, link, text_table, without_secrets
from modelworks.settings import Settings
from modelworks.state.pictures import (
    CHAMPION,
    DRIFT,
    HISTORY,
    PERFORMANCE,
    RUNS,
    Picture,
    last_compared,
    served_periods,
)
from modelworks.state.rollout import to_section
from modelworks.state.status import LATEST_RECORDS, CleanPeriod, ReleasedVersion, State
from modelworks.state.words import describe_alarms, describe_result, shorten, to_minute
from modelworks.wording import count

MOVES_SHOWN = 20
ARROWS_MEANING = f"{ARROWS['higher']} higher is better, {ARROWS['lower']} lower is better"


def write(contract: Contract, settings: Settings, state: State, pictures: Mapping[str, Picture]) -> dict[str, str]:
    """Titles and texts, in the order of the page.

    Parameters
    ----------
    pictures : by name, which begins with that of its group
    """
    rollout = {"Rollout": to_section(state.rollout)} if state.rollout else {}
    drift = f"{_show(pictures, DRIFT)}\n\n{_show(pictures, HISTORY)}"
    return {
        "Champion": _champion(contract, state, _show(pictures, CHAMPION)),
        **rollout,
        "Performance of served predictions": _performance(
            contract, served_periods(state), _show(pictures, PERFORMANCE)
        ),
        "Drift": _drift(state, settings.monitoring.max_drifted_fraction, drift),
        "Decisions of monitoring": _decisions(state),
        "Moves of the champion": _moves(state.ledger),
        "Training runs": _runs(contract, state, _show(pictures, RUNS)),
        "Data": _data(state.status.partitions),
        "Where things are": _places(settings),
    }


def _show(pictures: Mapping[str, Picture], group: str) -> str:
    """The pictures of a group side by side, as far as the screen is wide."""
    shown = [(name, each) for name, each in pictures.items() if name.startswith(f"{group}-")]
    return "\n".join(f"![{as_text(each.caption)}]({name})" for name, each in shown)


def _champion(contract: Contract, state: State, pictures: str) -> str:
    champion = state.status.champion
    if champion is None:
        return "There is none yet; `make run` trains and releases the first."
    measured_on = f"Measured on {champion.held_out}, before it was refitted with those rows"
    return "\n\n".join([
        as_text(f"{measured_on}; intervals by {contract.block_unit}. In pictures: {ARROWS_MEANING}."),
        pictures,
        _metrics_table(champion.metrics),
        text_table(["version", champion.version], _champion_facts(state, champion)),
    ])


def _champion_facts(state: State, champion: ReleasedVersion) -> list[list[object]]:
    release = state.ledger[-1] if state.ledger else None
    return [
        ["model type", champion.model_type],
        ["since", to_minute(champion.since)],
        ["trained on", f"{champion.first_period} to {champion.last_period}" if champion.first_period else None],
        ["released by", f"{release.by}: {shorten(release.reason)}" if release else "unknown"],
        ["approved by", (release and release.approved_by) or "no approval was asked for"],
        ["code commit", champion.code_commit],
        ["data digest", champion.data_digest],
        ["MLflow run", _run_link(state, champion.run_id, champion.run_id)],
    ]


def _metrics_table(metrics: dict[str, float]) -> str:
    rows = [
        [name, f"{value:.3f}", f"[{metrics[f'{name}_low']:.3f}, {metrics[f'{name}_high']:.3f}]", better(name)]
        for name, value in metrics.items()
        if f"{name}_low" in metrics
    ]
    return text_table(["metric", "value", "interval", "better"], rows)


def _performance(contract: Contract, served: list[PeriodPerformance], pictures: str) -> str:
    if not served:
        return "No predictions have been compared with labels yet; monitoring does so as labels arrive."
    target = contract.target
    rows = [
        [
            each.period,
            each.model_version,
            *_figures(each),
            Markdown("**calibration drift**") if each.is_alarm else each.note,
            f"{each.labelled:,}",
            f"{each.unlabelled:,}",
        ]
        for each in reversed(served)
    ]
    figures = [
        f"{target.loss_name} {arrow(target.loss)}",
        f"skill {arrow('skill')}",
        f"calibration drift {arrow('calibration_drift')}",
    ]
    header = ["period", "version", *figures, "remark", "labelled", "unlabelled"]
    return "\n\n".join([
        pictures,
        f"{target.loss_name.capitalize()} in {target.loss_unit} per row; lower is better. Periods differ in how hard "
        "they are. Two figures make up for that: skill is the loss of the best single prediction for all rows of the "
        "period minus this one; calibration drift is the loss that recalibrating in hindsight saves, minus what it "
        "would have saved at release. It is an alarm where its whole interval lies above the limit.",
        text_table(header, rows),
    ])


def _figures(performance: PeriodPerformance) -> list[object]:
    found = performance.figures
    return [found.loss, found.skill, found.calibration_drift] if found else [None] * 3


def _drift(state: State, max_fraction: float, pictures: str) -> str:
    if not state.records:
        return "No period has been monitored yet; monitoring begins with the next period."
    last = state.records[-1]
    parts: list[str] = []
    if not last.drift:
        parts.append(as_text(f"{last.period} was not compared: {last.drift_note}."))
    if record := last_compared(state):
        parts += _compared(record, max_fraction, pictures)
    if last.health:
        parts.append(as_text(f"Unusual about the data of {last.period}:"))
        parts.append("\n".join(f"- {as_text(shorten(note))}" for note in last.health))
    return "\n\n".join(parts)


def _compared(record: Record, max_fraction: float, pictures: str) -> list[str]:
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
    return [
        as_text(
            f"{record.period} against what version {record.champion} was trained on: {found}. It is one if the "
            f"predictions drift, or more than {max_fraction:.0%} of the features. In pictures: distance as a multiple "
            "of the threshold, above 1 the column drifted; the most drifted first."
        ),
        pictures,
        text_table(["column", "distance, bits", "threshold", "ratio", ""], rows),
    ]


def _decisions(state: State) -> str:
    if not state.records:
        return "None yet: no period has been monitored."
    rows = [
        [
            _run_link(state, each.period, each.run_id),
            Markdown(f"**{as_text(describe_alarms(each))}**") if each.alarms else describe_alarms(each),
            "yes" if each.retrain else "no",
            shorten(each.reason),
            shorten(_result_of(state, each)),
            each.champion or "none",
            to_minute(each.at),
        ]
        for each in reversed(state.records[-LATEST_RECORDS:])
    ]
    return text_table(["period", "alarms", "new model?", "why", "result", "champion", "at"], rows)


def _result_of(state: State, record: Record) -> str:
    """What came of a record's request for a new model; empty if there was none."""
    if not record.retrain:
        return ""
    if (name := state.claims.get(record.sequence)) is None:
        return "not claimed yet"
    run = state.claiming.get(name)
    return describe_result(run) if run else f"claimed by {name}, which is not in MLflow"


def _moves(ledger: list[LedgerEntry]) -> str:
    if not ledger:
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
        for each in reversed(ledger[-MOVES_SHOWN:])
    ]
    return text_table(["at", "move", "from", "to", "by", "approved by", "why"], rows)


def _runs(contract: Contract, state: State, pictures: str) -> str:
    if not state.runs:
        return "None yet."
    target = contract.target
    rows = [
        [
            _run_link(state, each.name or each.run_id, each.run_id),
            to_minute(each.started_at),
            each.tags.get("held_out"),
            _metric(each, target.headline),
            _metric(each, target.loss),
            shorten(describe_result(each)),
        ]
        for each in state.runs
    ]
    figures = [f"{target.headline_name} {arrow(target.headline)}", f"{target.loss_name} {arrow(target.loss)}"]
    table = text_table(["run", "started", "held out", *figures, "result"], rows)
    return f"{pictures}\n\n{table}" if pictures else table


def _metric(run: TrackedRun, name: str) -> str:
    return f"{run.metrics[name]:.3f}" if name in run.metrics else ""


def _data(periods: list[CleanPeriod]) -> str:
    if not periods:
        return "No period has been ingested and validated yet."
    rows, quarantined = sum(each.rows for each in periods), sum(each.quarantined for each in periods)
    span = f"{periods[0].period} to {periods[-1].period}"
    totals = (
        f"{count(len(periods), 'clean period')}, {span}, with {count(rows, 'row')}. "
        f"Rows that broke the contract and are quarantined: {quarantined:,}."
    )
    table = text_table(
        ["period", "rows", "without a label", "quarantined", "version"],
        [
            [each.period, f"{each.rows:,}", f"{each.unlabelled:,}", f"{each.quarantined:,}", each.version]
            for each in reversed(periods[-SHOWN_PERIODS:])
        ],
    )
    return f"{as_text(totals)}\n\n{table}"


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
