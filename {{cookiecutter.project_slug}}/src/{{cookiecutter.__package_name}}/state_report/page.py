"""The page as a whole; it is made from a `State` alone, and so can be made again while nothing else answers."""

from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

from .. import monitoring_figures, pages, storage
from ..config import Settings
from ..errors import PipelineError
from ..reports import without_secrets
from ..status import State, read_state
from . import sections
from .markdown import as_text
from .words import alarms_of, shorten, tell_outcome, to_minute


def write_report(settings: Settings, file: Path) -> None:
    """Write the page of the present state; whoever opens the file meanwhile sees the old page or the new one.

    Raises
    ------
    PipelineError
        If the file cannot be written.
    """
    page = to_html(settings, read_state(settings))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage.replace_file(file, page.encode())
    except OSError as error:
        raise PipelineError(f"{file}: cannot be written: {error.strerror}; name another file with --to") from None


def to_html(settings: Settings, state: State, notices: Iterable[str] = ()) -> str:
    """The page.

    Parameters
    ----------
    notices : what has to be known beforehand; shown first
    """
    name, figures = state.about["model"], _draw(settings, state)
    warnings = [f"> **{as_text(without_secrets(notice))}**" for notice in [*notices, *_contradictions(state)]]
    parts = [
        f"# {as_text(name)}",
        as_text(f"The state of {state.at:%Y-%m-%d %H:%M:%S} UTC. All times are in UTC."),
        *warnings,
        _summary(state),
        *(f"## {title}\n\n{text}" for title, text in sections.write(settings, state, figures).items()),
    ]
    return pages.html_page(f"{name}: state", "\n\n".join(parts), figures)


def _draw(settings: Settings, state: State) -> dict[str, Figure]:
    figures, served = {}, sections.served_months(state)
    if any(each.figures for each in served):
        by_month = {each.month: each for each in served}
        figures[sections.PERFORMANCE] = monitoring_figures.draw_months(by_month, settings.monitoring.max_decay)
    if record := sections.last_compared(state):
        figures[sections.DRIFT] = monitoring_figures.draw_ratios(record.drift)
    return figures


def _contradictions(state: State) -> list[str]:
    """Where the registry says otherwise than the ledger, which is the truth."""
    by_ledger = state.ledger[-1].to_version if state.ledger else None
    if state.registry_champion == by_ledger:
        return []
    return [
        f"The champion is version {by_ledger or 'none'} by the ledger, and version {state.registry_champion or 'none'} "
        "by the registry's alias: it was moved by hand, released from another storage, or a release was cut short"
    ]


def _summary(state: State) -> str:
    """The three lines that most people come for."""
    champion = state.about["champion"]
    since = f"version {champion['version']}, since {to_minute(champion['since'])}" if champion else "none yet"
    lines = [("Champion", since)]
    if state.records:
        last = state.records[-1]
        asked = "a new model was asked for" if last.retrain else "no new model was asked for"
        lines.append(("Newest month", f"{last.month}, {alarms_of(last)}; {asked}: {last.reason}"))
    if state.runs:
        run = state.runs[0]
        lines.append(("Last training run", f"{to_minute(run.started_at)}, {tell_outcome(run)}"))
    return "\n".join(f"- **{name}:** {as_text(shorten(text))}" for name, text in lines)
