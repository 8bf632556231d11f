"""The pictures of the page, as small multiples."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from modelworks.evaluation.plots import draw_panels
from modelworks.monitoring import plots, records
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.project import Project
from modelworks.reporting.svg import to_svg
from modelworks.settings import Settings
from modelworks.state.runs_plot import draw_runs
from modelworks.state.status import State

CHAMPION, PERFORMANCE, DRIFT, HISTORY, RUNS = "champion", "performance", "drift", "history", "runs"
"""Groups of pictures that stand side by side; the name of a picture is its group, a hyphen and a name within."""

MIN_RUNS = 2  # to compare one with the other


@dataclass(frozen=True)
class Picture:
    """A drawn figure, and what it shows in words."""

    caption: str
    svg: str


def draw_pictures(project: Project, settings: Settings, state: State) -> dict[str, Picture]:
    """Every picture that there is something to draw of, by name."""
    found = _of_champion(project, state) | _of_performance(project, settings, state) | _of_drift(state)
    target, runs = (
        project.contract.target,
        [each for each in state.runs if project.contract.target.loss in each.metrics],
    )
    if len(runs) >= MIN_RUNS:
        caption = f"{target.headline_name} and {target.loss_name} of the latest training runs"
        found[f"{RUNS}-metrics"] = (caption, draw_runs(target, runs[::-1]))
    return {name: Picture(caption, to_svg(figure, name)) for name, (caption, figure) in found.items()}


Drawn = dict[str, tuple[str, Figure]]


def _of_champion(project: Project, state: State) -> Drawn:
    if state.plots is None:
        return {}
    panels = draw_panels(project.contract.target, state.plots)
    return {f"{CHAMPION}-{name}": panel for name, panel in panels.items()}


def _of_performance(project: Project, settings: Settings, state: State) -> Drawn:
    by_period = {each.period: each for each in served_periods(state)}
    if not any(each.figures for each in by_period.values()):
        return {}
    contract, name = project.contract, project.contract.target.loss_name
    drawn = plots.draw_periods(contract, by_period, settings.monitoring.max_calibration_drift)
    return {
        f"{PERFORMANCE}-periods": (f"{name} and calibration drift by period", drawn),
        f"{PERFORMANCE}-skill": ("skill by period", plots.draw_skill(contract, by_period)),
    }


def _of_drift(state: State) -> Drawn:
    if (last := last_compared(state)) is None:
        return {}
    found = {f"{DRIFT}-columns": (f"drift of each column in {last.period}", plots.draw_ratios(last.drift))}
    for number, (column, figure) in enumerate(plots.draw_histories(state.records, last.drift).items()):
        found[f"{HISTORY}-{number}"] = (f"drift of {column} by period", figure)
    return found


def served_periods(state: State) -> list[PeriodPerformance]:
    """The latest periods whose predictions were compared with their labels, in order."""
    return list(records.latest_performance(state.records).values())[-plots.SHOWN_PERIODS :]


def last_compared(state: State) -> Record | None:
    """The last record of a period that was compared with the champion's reference."""
    return next((each for each in reversed(state.records) if each.drift), None)
