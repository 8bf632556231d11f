"""Plots of what monitoring found: performance by day and by period, drift by column."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelworks.calendar import count_between, first_day, frequency_of, periods_between, shift_period
from modelworks.contract import Contract
from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.directions import arrow
from modelworks.monitoring.calibration import BlockPerformance, Performance
from modelworks.monitoring.drift import ColumnDrift, Counted
from modelworks.monitoring.records import PeriodPerformance, Record
from modelworks.reporting.axes import BLUE, GREY, INK, ORANGE, RED, place_periods, soften, to_label

SHOWN_PERIODS = 13  # of months: a year, and the same month of the year before
SHOWN_COLUMNS = 30
SHOWN_HISTORIES = 12

SMALL_INCHES = (1.8, 1.35)  # two side by side on a phone
SMALL_MARGINS = {"left": 0.13, "right": 0.95, "bottom": 0.17, "top": 0.84}
"""Of the figure's size; to find them by its texts would take as long as to draw it."""

DriftPoint = tuple[str, ColumnDrift]
"""A period and the drift of one column in it."""

Placed = list[tuple[int, Performance, bool]]
"""Position on the x axis, figures and whether they are an alarm, of each period that was measured."""


def draw_blocks(contract: Contract, period: str, found: BlockPerformance) -> Figure:
    """Loss, and observed against expected outcomes, in each block of a period, such as a day."""
    rows = np.asarray(found.rows, dtype="float64")
    has_days, first = bool(contract.time), first_day(period).isoformat()
    at = [count_between(first, day) + 1 for day in found.blocks] if has_days else list(range(1, len(rows) + 1))
    title, each = ("day by day", "of the day") if has_days else (f"by {contract.block_unit}", "of each")
    figure, (upper, lower) = _new(f"{period}, {title}", 2)
    upper.plot(at, np.asarray(found.loss) / rows, marker="o", color=BLUE, label=each)
    upper.axhline(sum(found.loss) / rows.sum(), color=GREY, linestyle=":", label="of the period")
    lower.plot(at, np.asarray(found.observed) / rows, marker="o", color=INK, label="observed")
    lower.plot(at, np.asarray(found.expected) / rows, marker="o", color=ORANGE, label="predicted")
    lower.set(xlabel=f"day of the {frequency_of(period)}" if has_days else "number of the block")
    if has_days:
        lower.set_xlim(0.4, (first_day(shift_period(period, 1)) - first_day(period)).days + 0.6)
    for axes, name in ((upper, _loss_per_row(contract)), (lower, contract.target.observed_name)):
        axes.margins(y=0.1)
        if not contract.target.is_regression:
            axes.set_ylim(0, None)
        _head(axes, name)
    return figure


def draw_periods(contract: Contract, measured: dict[str, PeriodPerformance], max_calibration_drift: float) -> Figure:
    """Loss and calibration drift of the last periods, with intervals, alarms and the versions that served.

    Parameters
    ----------
    measured : by period, in order; at least one with figures
    max_calibration_drift : an interval above it is an alarm
    """
    periods, shown = _place(measured)
    found = [(at, each.figures, bool(each.is_alarm)) for at, each in shown if each.figures]
    figure, (upper, lower) = _new("Period by period", 2)
    _draw_losses(upper, found)
    _draw_calibration_drift(lower, found, max_calibration_drift)
    _mark_versions(upper, [(at, each.model_version) for at, each in shown])
    place_periods(lower, periods)
    _head(upper, _loss_per_row(contract))
    _head(lower, f"calibration drift, {contract.target.loss_unit} per row {arrow('calibration_drift')}")
    return figure


def draw_ratios(columns: list[ColumnDrift]) -> Figure:
    """Drift of each column as a multiple of its threshold, the most drifted at the top."""
    shown = columns[:SHOWN_COLUMNS]
    title = "Drift by column" if len(shown) == len(columns) else f"The {len(shown)} most drifted of {len(columns)}"
    figure, (axes,) = _new(title, 1, height=1.2 + 0.22 * len(shown))
    ratios, colors = [each.ratio for each in shown], [RED if each.drifted else BLUE for each in shown]
    axes.barh(range(len(shown)), ratios, color=colors, height=0.7)
    axes.axvline(1, color=INK)
    axes.set(xlabel="distance / threshold", xlim=(0, 1.05 * max(1.0, *ratios)))
    _name_rows(axes, [each.column for each in shown])
    return figure


def drift_by_column(records: list[Record]) -> dict[str, list[DriftPoint]]:
    """Drift of each column over the latest compared periods, the oldest first; a period counts as last compared."""
    latest = {each.period: each.drift for each in records if each.drift}
    found: dict[str, list[DriftPoint]] = {}
    for period in sorted(latest)[-SHOWN_PERIODS:]:
        for column in latest[period]:
            found.setdefault(column.column, []).append((period, column))
    return found


def draw_histories(records: list[Record], columns: list[ColumnDrift]) -> dict[str, Figure]:
    """Drift over the periods of the first of some columns, by name; of those that were compared more than once."""
    history = drift_by_column(records)
    shown = [each.column for each in columns[:SHOWN_HISTORIES]]
    return {name: draw_drift(name, history[name]) for name in shown if len(history.get(name, [])) > 1}


def draw_drift(column: str, points: list[DriftPoint]) -> Figure:
    """Drift of one column by period as a multiple of its threshold; small, to stand beside those of others."""
    periods = periods_between(points[0][0], points[-1][0])
    at, ratios = [periods.index(period) for period, _ in points], [each.ratio for _, each in points]
    figure = Figure(figsize=SMALL_INCHES)
    axes = figure.subplots(gridspec_kw=SMALL_MARGINS)
    soften(axes, 8)
    axes.plot(at, ratios, color=GREY, linewidth=1)
    axes.scatter(at, ratios, color=[RED if each.drifted else BLUE for _, each in points], s=16, zorder=3)
    axes.axhline(1, color=INK, linestyle=":", linewidth=1)
    axes.set_title(to_label(column), loc="left", fontsize=9, fontweight="bold", color=INK)
    axes.set_xticks([0, len(periods) - 1], [periods[0], periods[-1]])
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.set(ylim=(0, 1.15 * max(1.0, *ratios)), xlim=(-0.5, len(periods) - 0.5))
    axes.locator_params(axis="y", nbins=3)
    return figure


def draw_skill(contract: Contract, measured: dict[str, PeriodPerformance]) -> Figure:
    """Gain of the served predictions over the best single prediction of each period.

    Parameters
    ----------
    measured : by period, in order; at least one with figures
    """
    periods, shown = _place(measured)
    figure, (axes,) = _new("Skill by period", 1, height=2.6)
    _draw_estimates(axes, [(at, each.figures.skill) for at, each in shown if each.figures], BLUE, "served")
    axes.axhline(0, color=INK, linestyle=":", label="best single prediction")
    place_periods(axes, periods)
    _head(axes, f"{contract.target.loss_unit} per row {arrow('skill')}")
    return figure


def draw_distribution(contract: Contract, counted: Counted, column: ColumnDrift) -> Figure:
    """Share of the rows in each bin of a column, of the reference and of the period; bins without rows left out."""
    labels, reference, period = counted.shares(column.column)
    filled = np.flatnonzero(reference + period)
    figure, (axes,) = _new(_with_unit(contract, column.column), 1, width=3.4, height=1.3 + 0.28 * len(filled))
    at, color = np.arange(len(filled)), RED if column.drifted else BLUE
    axes.barh(at - 0.2, reference[filled], height=0.4, color=GREY, label="reference")
    axes.barh(at + 0.2, period[filled], height=0.4, color=color, label="this period")
    axes.set(xlabel="share of the rows")
    axes.locator_params(axis="x", nbins=5)
    _name_rows(axes, [labels[bin_] for bin_ in filled])
    _head(axes, "")
    return figure


def _place(measured: dict[str, PeriodPerformance]) -> tuple[list[str], list[tuple[int, PeriodPerformance]]]:
    """The periods of the x axis without a gap, and the positions of those that were measured."""
    periods = [period for period, each in measured.items() if each.figures]
    periods = periods_between(periods[0], periods[-1])[-SHOWN_PERIODS:]
    return periods, [(at, measured[period]) for at, period in enumerate(periods) if period in measured]


def _loss_per_row(contract: Contract) -> str:
    target = contract.target
    return f"{target.loss_name}, {target.loss_unit} per row {arrow(target.loss)}"


def _with_unit(contract: Contract, column: str) -> str:
    described = contract.columns.get(column)
    unit = described.unit if described else ""
    return f"{to_label(column)}, {unit}" if unit else to_label(column)


def _new(title: str, panels: int, width: float = 5.2, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold", color=INK)
    rows = list(figure.subplots(panels, 1, sharex=True, squeeze=False).flat)
    for axes in rows:
        soften(axes)
    return figure, rows


def _head(axes: Axes, title: str) -> None:
    """A title at the left above the axes, their legend at the right."""
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0, fontsize=9)


def _name_rows(axes: Axes, names: list[str]) -> None:
    """Names at the left of horizontal bars, the first at the top."""
    axes.set_yticks(range(len(names)), [to_label(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")


def _draw_losses(axes: Axes, found: Placed) -> None:
    _draw_estimates(axes, [(at, figures.loss) for at, figures, _ in found], BLUE, "served")
    best = [figures.loss.value + figures.skill.value for _, figures, _ in found]
    axes.plot([at for at, _, _ in found], best, "_", color=INK, markersize=11, label="best single prediction")


def _draw_calibration_drift(axes: Axes, found: Placed, limit: float) -> None:
    for label, color, alarmed in (("no alarm", BLUE, False), ("alarm", RED, True)):
        estimates = [
            (at, figures.calibration_drift)
            for at, figures, is_alarm in found
            if figures.calibration_drift and is_alarm == alarmed
        ]
        _draw_estimates(axes, estimates, color, label)
    axes.axhline(limit, color=INK, linestyle=":", label="limit")


def _draw_estimates(axes: Axes, estimates: list[tuple[int, Estimate]], color: str, label: str) -> None:
    if not estimates:
        return
    at, values = [at for at, _ in estimates], [each.value for _, each in estimates]
    # A percentile interval may leave out the value itself.
    ends = [[max(each.value - each.low, 0), max(each.high - each.value, 0)] for _, each in estimates]
    axes.errorbar(at, values, yerr=np.transpose(ends), color=color, fmt="o", capsize=2, label=label)


def _mark_versions(axes: Axes, served: list[tuple[int, str]]) -> None:
    """Write the version that served above its first period."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.2 * (high - low))
    before = ""
    for at, version in served:
        if version != before:
            label = to_label(f"v{version}")
            axes.text(at, 0.97, label, transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=9)
        before = version
