"""Plots of a model in service, month by month."""

from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drift import ColumnDrift
from ..ingestion import months_between
from ..intervals import Estimate
from ..monitoring import MonthPerformance
from ..performance import Performance

QUIET, ALARM, REFERENCE = "tab:blue", "tab:red", "dimgrey"
WIDTH = 6.6  # inches; wider, its letters would be too small on a telephone
MAX_TICKS = 12
MAX_LABEL = 30  # characters


def draw_performance(served: list[MonthPerformance], max_decay: float) -> Figure:
    """Log loss and decay by month, with their intervals, and which version had predicted.

    Parameters
    ----------
    served : at least one month with figures, in order of time
    max_decay : an interval that lies above it is an alarm; nats
    """
    months = months_between(served[0].month, served[-1].month)
    figure = Figure(figsize=(WIDTH, 5), layout="constrained")
    loss, decay = figure.subplots(2, 1, sharex=True)
    points = [(months.index(each.month), each.figures, each.is_alarm) for each in served if each.figures]
    _mark_versions(figure.axes, months, served)
    _draw_estimates(loss, [(x, found.log_loss, alarm) for x, found, alarm in points])
    _draw_estimates(decay, [(x, found.decay, alarm) for x, found, alarm in points if found.decay])
    loss.plot(
        [x for x, *_ in points],
        [_base_rate_loss(found) for _, found, _ in points],
        color=REFERENCE,
        linestyle=":",
        label="the month's own base rate",
    )
    loss.legend(loc="best", frameon=False)
    loss.set(ylabel="log loss, nats")
    decay.axhline(max_decay, color=REFERENCE, linestyle=":")
    decay.set(ylabel="decay since release, nats")
    step = -(-len(months) // MAX_TICKS)
    decay.set_xticks(range(0, len(months), step), months[::step], rotation=45, ha="right")
    return figure


def _base_rate_loss(found: Performance) -> float:
    return found.log_loss.value - found.skill.value


def _draw_estimates(axes: Axes, points: list[tuple[int, Estimate, bool | None]]) -> None:
    for x, estimate, is_alarm in points:
        ends = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
        color, marker = (ALARM, "D") if is_alarm else (QUIET, "o")
        axes.errorbar([x], [estimate.value], yerr=ends, color=color, marker=marker, capsize=3)


def _mark_versions(panels: list[Axes], months: list[str], served: list[MonthPerformance]) -> None:
    """Every other span of months of one version is shaded; the version stands above."""
    spans = [list(group) for _, group in groupby(served, key=lambda each: each.model_version)]
    for number, span in enumerate(spans):
        first, last = months.index(span[0].month) - 0.5, months.index(span[-1].month) + 0.5
        for axes in panels:
            axes.axvspan(first, last, color="black", alpha=0.07 if number % 2 else 0, linewidth=0)
        panels[0].annotate(
            f"v{span[0].model_version}"[:MAX_LABEL],
            ((first + last) / 2, 1),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            parse_math=False,
        )


def draw_drift(columns: list[ColumnDrift]) -> Figure:
    """How far each column is from what the champion learned from, in multiples of its threshold.

    Parameters
    ----------
    columns : the most drifted first, which is drawn at the top
    """
    figure = Figure(figsize=(WIDTH, 0.6 + 0.26 * len(columns)), layout="constrained")
    axes = figure.subplots()
    colors = [ALARM if each.drifted else QUIET for each in columns]
    axes.barh(range(len(columns)), [each.ratio for each in columns], color=colors)
    axes.set_yticks(range(len(columns)), [each.column[:MAX_LABEL] for each in columns], parse_math=False)
    axes.axvline(1, color=REFERENCE, linestyle=":")
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set(xlabel="distance as a multiple of the column's threshold")
    return figure
