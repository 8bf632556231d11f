"""Plots of what monitoring found: performance by day and by month, drift by column."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import schema, task
from .drift import ColumnDrift, Counted
from .ingestion import months_between
from .intervals import BLOCKS, Estimate
from .monitoring import MonthPerformance
from .performance import BlockPerformance

LOSS_A_ROW = f"{task.LOSS_NAME}, {task.LOSS_UNIT} a row"
SHOWN_MONTHS = 13  # a year, and the same month of the year before
SHOWN_COLUMNS = 30
LABEL_LENGTH = 20
MAX_MONTH_TICKS = 13
MONTH_NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

INK, GREY, BLUE, ORANGE, RED = "#1c2733", "#8a97a3", "#1f6fb2", "#d98200", "#c22f2f"


def draw_blocks(month: str, found: BlockPerformance) -> Figure:
    """Loss, and what was observed against what was expected, in each block of a month, such as a day."""
    rows = np.asarray(found.rows, dtype="float64")
    at = [int(block[8:]) for block in found.blocks] if schema.TIME else range(1, len(rows) + 1)
    title, each = ("day by day", "of the day") if schema.TIME else (f"by {BLOCKS}", "of each")
    figure, (upper, lower) = _new(f"{month}, {title}", 2)
    upper.plot(at, np.asarray(found.loss) / rows, marker="o", color=BLUE, label=each)
    upper.axhline(sum(found.loss) / rows.sum(), color=GREY, linestyle=":", label="of the month")
    lower.plot(at, np.asarray(found.observed) / rows, marker="o", color=INK, label="observed")
    lower.plot(at, np.asarray(found.expected) / rows, marker="o", color=ORANGE, label="predicted")
    lower.set(xlabel="day of the month" if schema.TIME else "number of the block")
    if schema.TIME:
        lower.set_xlim(0.4, 31.6)
    for axes, title in ((upper, LOSS_A_ROW), (lower, task.OBSERVED)):
        if not task.IS_REGRESSION:
            axes.set_ylim(0, None)
        _head(axes, title)
    return figure


def draw_months(measured: dict[str, MonthPerformance], max_decay: float) -> Figure:
    """Loss and decay of the last months, with intervals, alarms and the versions that served.

    Parameters
    ----------
    measured : by month, in order; at least one with figures
    max_decay : an interval that lies above is an alarm
    """
    months = [month for month, each in measured.items() if each.figures]
    months = months_between(months[0], months[-1])[-SHOWN_MONTHS:]
    shown = [(at, measured[month]) for at, month in enumerate(months) if month in measured]
    found = [(at, each.figures, bool(each.is_alarm)) for at, each in shown if each.figures]
    figure, (upper, lower) = _new("Month by month", 2)
    _draw_estimates(upper, [(at, figures.loss) for at, figures, _ in found], BLUE, "served")
    at, of_share = zip(*[(at, figures.loss.value - figures.skill.value) for at, figures, _ in found], strict=True)
    upper.plot(at, of_share, "_", color=INK, markersize=11, label="best single prediction")
    for label, color, alarmed in (("no alarm", BLUE, False), ("alarm", RED, True)):
        decays = [(at, figures.decay) for at, figures, is_alarm in found if figures.decay and is_alarm == alarmed]
        _draw_estimates(lower, decays, color, label)
    lower.axhline(max_decay, color=INK, linestyle=":", label="limit")
    _mark_versions(upper, [(at, each.model_version) for at, each in shown])
    place_months(lower, months)
    _head(upper, LOSS_A_ROW)
    _head(lower, f"decay, {task.LOSS_UNIT} a row")
    return figure


def draw_ratios(columns: list[ColumnDrift]) -> Figure:
    """How many times its threshold each column drifted, the most drifted at the top."""
    shown = columns[:SHOWN_COLUMNS]
    title = "Drift by column" if len(shown) == len(columns) else f"The {len(shown)} most drifted of {len(columns)}"
    figure, (axes,) = _new(title, 1, height=1.2 + 0.22 * len(shown))
    ratios, colors = [each.ratio for each in shown], [RED if each.drifted else BLUE for each in shown]
    axes.barh(range(len(shown)), ratios, color=colors, height=0.7)
    axes.axvline(1, color=INK)
    axes.set(xlabel="distance / threshold", xlim=(0, 1.05 * max(1.0, *ratios)))
    _name_rows(axes, [each.column for each in shown])
    return figure


def draw_distribution(counted: Counted, column: ColumnDrift) -> Figure:
    """Share of the rows in each bin of a column, of the reference and of the month; bins without rows left out."""
    labels, reference, month = counted.shares(column.column)
    filled = np.flatnonzero(reference + month)
    figure, (axes,) = _new(_with_unit(column.column), 1, width=3.4, height=1.3 + 0.28 * len(filled))
    at, color = np.arange(len(filled)), RED if column.drifted else BLUE
    axes.barh(at - 0.2, reference[filled], height=0.4, color=GREY, label="reference")
    axes.barh(at + 0.2, month[filled], height=0.4, color=color, label="this month")
    axes.set(xlabel="share of the rows")
    axes.locator_params(axis="x", nbins=5)
    _name_rows(axes, [labels[bin_] for bin_ in filled])
    _head(axes, "")
    return figure


def place_months(axes: Axes, months: list[str]) -> None:
    """Name the months along the x axis, on which the first stands at 0; each year only once."""
    ticks = range(0, len(months), -(-len(months) // MAX_MONTH_TICKS))
    labels, year = [], ""
    for month in (months[at] for at in ticks):
        name = MONTH_NAMES[int(month[5:]) - 1]
        labels.append(name if month[:4] == year else f"{name}\n{month[:4]}")
        year = month[:4]
    axes.set_xticks(ticks, labels)
    axes.set_xlim(-0.6, len(months) - 0.4)


def to_label(name: str, length: int = LABEL_LENGTH) -> str:
    """A name from the data for a plot: on one line, not too long, and never a formula."""
    text = " ".join(name.split())
    text = text if len(text) <= length else f"{text[: length - 1]}…"
    return text.replace("$", r"\$")


def _with_unit(column: str) -> str:
    described = schema.SCHEMA.columns.get(column)
    unit = (described.metadata or {})["unit"] if described else ""
    return f"{to_label(column)}, {unit}" if unit else to_label(column)


def _new(title: str, panels: int, width: float = 5.2, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold", color=INK)
    rows = list(figure.subplots(panels, 1, sharex=True, squeeze=False).flat)
    for axes in rows:
        soften(axes)
    return figure, rows


def soften(axes: Axes, font_size: float = 9) -> None:
    """Let the data stand out: no frame, a light grid behind, small texts."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.grid(color="#e4e8ec")
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=font_size, labelcolor=INK)
    axes.xaxis.label.set_fontsize(font_size)


def _head(axes: Axes, title: str) -> None:
    """What is drawn at the left above the axes, its legend at the right."""
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0, fontsize=9)


def _name_rows(axes: Axes, names: list[str]) -> None:
    """Names at the left of horizontal bars, the first at the top."""
    axes.set_yticks(range(len(names)), [to_label(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")


def _draw_estimates(axes: Axes, estimates: list[tuple[int, Estimate]], color: str, label: str) -> None:
    if not estimates:
        return
    at, values = [at for at, _ in estimates], [each.value for _, each in estimates]
    # A percentile interval may leave out the value itself.
    ends = [[max(each.value - each.low, 0), max(each.high - each.value, 0)] for _, each in estimates]
    axes.errorbar(at, values, yerr=np.transpose(ends), color=color, fmt="o", capsize=2, label=label)


def _mark_versions(axes: Axes, served: list[tuple[int, str]]) -> None:
    """Write the version that served above its first month."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.2 * (high - low))
    before = ""
    for at, version in served:
        if version != before:
            label = to_label(f"v{version}")
            axes.text(at, 0.97, label, transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=9)
        before = version
