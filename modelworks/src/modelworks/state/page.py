"""The page as a whole, made from a `State` alone, so it can be made again while nothing else answers."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from modelworks.data import files
from modelworks.errors import PipelineError
from modelworks.project import Project
from modelworks.reporting import html
from modelworks.reporting.markdown import as_text, without_secrets
from modelworks.settings import Settings
from modelworks.state import sections
from modelworks.state.health import assess
from modelworks.state.pictures import Picture, draw_pictures
from modelworks.state.status import State, read_state
from modelworks.state.words import describe_alarms, describe_result, shorten, to_minute


def write_report(project: Project, settings: Settings, file: Path) -> None:
    """Write the page of the present state; a reader sees the old page or the new one, never a part.

    Raises
    ------
    PipelineError
        If the file cannot be written.
    """
    page = to_html(project, settings, read_state(project, settings))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.replace_file(file, page.encode())
    except OSError as error:
        raise PipelineError(f"{file}: cannot be written: {error.strerror}; name another file with --to") from None


def to_html(
    project: Project,
    settings: Settings,
    state: State,
    notices: Iterable[str] = (),
    pictures: Mapping[str, Picture] | None = None,
) -> str:
    """The page.

    Parameters
    ----------
    notices : warnings to show first
    pictures : of this state, where they are drawn already
    """
    name = state.status.model
    pictures = draw_pictures(project, settings, state) if pictures is None else pictures
    texts = sections.write(project.contract, settings, state, pictures)
    parts = [
        f"# {as_text(name + settings.within)}",
        as_text(f"The state of {state.at:%Y-%m-%d %H:%M:%S} UTC. All times are in UTC."),
        *(f"> **{as_text(without_secrets(notice))}**" for notice in notices),
        _summary(state),
        *(f"## {title}\n\n{text}" for title, text in texts.items()),
    ]
    drawn = {each: picture.svg for each, picture in pictures.items()}
    return html.html_page_of(f"{name}{settings.within}: state", "\n\n".join(parts), drawn, assess(state).line)


def _summary(state: State) -> str:
    """Some lines: environment, champion, rollout, newest period, last training run."""
    champion = state.status.champion
    since = f"version {champion.version}, since {to_minute(champion.since)}" if champion else "none yet"
    lines = [("Environment", state.status.environment)] if state.status.environment else []
    lines.append(("Champion", since))
    if state.rollout and state.rollout.in_force:
        lines.append(("Rollout", state.rollout.summary))
    if state.records:
        last = state.records[-1]
        request = "a new model was requested" if last.retrain else "no new model was requested"
        lines.append(("Newest period", f"{last.period}, {describe_alarms(last)}; {request}: {last.reason}"))
    if state.runs:
        run = state.runs[0]
        lines.append(("Last training run", f"{to_minute(run.started_at)}, {describe_result(run)}"))
    return "\n".join(f"- **{name}:** {as_text(shorten(text))}" for name, text in lines)
