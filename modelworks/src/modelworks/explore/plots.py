"""Plots of the data: small ones of each column, the target over time, missing values over time, relations."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modelworks.calendar import first_day, frequency_of, period_of, shift_period
from modelworks.contract import Contract
from modelworks.explore.columns import WEEKDAY, WEEKDAYS, unit_of
from modelworks.explore.counts import ColumnCounts, TableCounts, TargetCounts
from modelworks.explore.relations import Binned, Relation
from modelworks.reporting.axes import BLUE, GREEN, GREY, INK, ORANGE, RED, VIOLET, place_periods, soften, to_label
from modelworks.targets import Target

SHOWN_CLASSES = 5
SERIES_COLORS = [ORANGE, BLUE, GREEN, VIOLET, RED]
SMALL = 3.4, 2.6  # inches; three beside each other on a wide screen, one on a phone
WIDTH = 9  # inches, of the others
SHOWN_MISSING = 30
SHOWN_RELATIONS = 30
SHOWN_PERIODS = 60
LABELLED_PERIODS = 24
OPAQUE = 0.6
"""Opacity of a cell whose values are all missing: the share written in it stays readable."""
DAYS_SHOWN = 1500  # dots of single days, beyond which they would be a band


def choose_series(target: Target, counts: TargetCounts) -> list[int]:
    """Positions of the series that are drawn: of the most frequent classes, or the only one; none without labels."""
    if not counts.labelled:
        return []
    return sorted(np.argsort(-counts.mean(), kind="stable")[:SHOWN_CLASSES].tolist())


def series_names(target: Target, series: Sequence[int]) -> list[str]:
    """What each series is."""
    if target.is_multiclass:
        return [to_label(str(target.classes[at]), 14) for at in series]
    if target.is_regression:
        return [f"mean of {to_label(target.column)}"]
    return [f"share of {to_label(target.column)} = {target.classes[-1]}"]


def draw_column(
    contract: Contract, name: str, binned: Binned, overall: Mapping[int, float], limits: tuple[float, float]
) -> Figure:
    """Rows by bin of a column, and the target in each bin.

    Parameters
    ----------
    overall : mean of each series that is drawn, over all rows
    limits : of the axis of the target
    """
    target, is_category = contract.target, binned.kind == "category"
    figure = Figure(figsize=SMALL)
    unit = unit_of(contract, name)
    title = f"{to_label(name, 30)}, {unit}" if unit else to_label(name, 36)
    figure.suptitle(title, x=0.02, y=0.98, ha="left", fontsize=10, fontweight="bold", color=INK)
    if is_category:
        figure.subplots_adjust(left=0.29, right=0.97, top=0.83, bottom=0.1, wspace=0.12)
        panels = list(figure.subplots(1, 2 if overall else 1, sharey=True, squeeze=False).flat)
        _draw_categories(panels, binned, overall)
    else:
        figure.subplots_adjust(left=0.14, right=0.97, top=0.83, bottom=0.1, hspace=0.4)
        panels = list(figure.subplots(2 if overall else 1, 1, sharex=True, squeeze=False).flat)
        _draw_numbers(panels, name, binned, overall)
    titles = ["share of the rows", _target_title(target)]
    for axes, subtitle, is_percent in zip(panels, titles, [True, not target.is_regression], strict=False):
        soften(axes, 7.5)
        axes.set_title(subtitle, loc="left", fontsize=7.5, color=INK, pad=3)
        side = axes.xaxis if is_category else axes.yaxis
        side.set_major_locator(MaxNLocator(3))
        side.set_major_formatter(_to_percent if is_percent else _to_number)
    if overall:
        (panels[1].set_xlim if is_category else panels[1].set_ylim)(*limits)
    if is_category:
        for axes in panels:
            axes.grid(False, axis="y")
    return figure


def _draw_numbers(panels: Sequence[Axes], name: str, binned: Binned, overall: Mapping[int, float]) -> None:
    center, width = (binned.edges[1:] + binned.edges[:-1]) / 2, np.diff(binned.edges)
    panels[0].bar(center, binned.shares, width * 0.92, color=BLUE)
    for color, (at, mean) in zip(SERIES_COLORS, overall.items(), strict=False):
        known = ~np.isnan(binned.target[:, at])
        panels[1].plot(center[known], binned.target[known, at], "o-", color=color, markersize=2.5, linewidth=1)
        panels[1].axhline(mean, color=color, linestyle=":", linewidth=1)
    if binned.kind == "date":
        locator = AutoDateLocator(minticks=2, maxticks=5)  # type: ignore[no-untyped-call]
        panels[-1].xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
        panels[-1].xaxis.set_major_formatter(formatter)
    elif name == WEEKDAY:
        panels[-1].set_xticks(range(len(WEEKDAYS)), WEEKDAYS)
    else:
        panels[-1].xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        panels[-1].xaxis.set_major_formatter(_to_number)


def _draw_categories(panels: Sequence[Axes], binned: Binned, overall: Mapping[int, float]) -> None:
    rows = np.arange(len(binned.labels))
    panels[0].barh(rows, binned.shares, height=0.75, color=BLUE)
    for color, (at, mean) in zip(SERIES_COLORS, overall.items(), strict=False):
        panels[1].plot(binned.target[:, at], rows, "o", color=color, markersize=3.5)
        panels[1].axvline(mean, color=color, linestyle=":", linewidth=1)
    panels[0].set_yticks(rows, [to_label(label, 14) for label in binned.labels])
    panels[0].set_ylim(max(len(rows), 4) - 0.4, -0.6)


def _target_title(target: Target) -> str:
    return "share of each class" if target.is_multiclass else to_label(series_names(target, [0])[0], 26)


def _to_percent(share: float, _: object = None) -> str:
    """A share of an axis, with as many digits as it needs."""
    return f"{100 * share:.3g}%"


def _to_number(value: float, _: object = None) -> str:
    """A number of an axis, short from ten thousand on."""
    for size, mark in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, 1e4):
            return f"{value / size:.3g}{mark}"
    return f"{value:.5g}"


def draw_distribution(contract: Contract, encoded: np.ndarray, counts: TargetCounts) -> Figure:
    """The target's values, or the share of each class in the colour that it has in the other plots.

    Parameters
    ----------
    encoded : target of the sample, NaN where it is unknown
    """
    target = contract.target
    if target.is_multiclass:
        return _draw_classes(target, counts)
    figure = _new("Distribution of the target", 2.6)
    axes = figure.subplots()
    axes.hist(encoded[~np.isnan(encoded)], bins=50, color=BLUE)
    axes.set_xlabel(f"{to_label(target.column)}, {target.unit}" if target.unit else to_label(target.column))
    axes.set_ylabel("rows", fontsize=9, color=INK)
    axes.xaxis.set_major_formatter(_to_number)
    soften(axes)
    return figure


def _draw_classes(target: Target, counts: TargetCounts) -> Figure:
    series, shares = choose_series(target, counts), counts.mean()
    shown = np.argsort(-shares, kind="stable")[:SHOWN_RELATIONS]
    colors = dict(zip(series, SERIES_COLORS, strict=False))
    figure = _new("Classes; those in colour are drawn below", 1 + 0.24 * len(shown))
    axes = figure.subplots()
    axes.barh(range(len(shown)), shares[shown], color=[colors.get(at, GREY) for at in shown.tolist()], height=0.7)
    axes.set_yticks(range(len(shown)), [to_label(str(target.classes[at])) for at in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(_to_percent)
    soften(axes)
    axes.grid(False, axis="y")
    return figure


def _new(title: str, height: float) -> Figure:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    return figure


def draw_target(target: Target, counts: TableCounts) -> Figure:
    """The target by period, and by day as dots, where there are days."""
    by_period, by_day, periods = counts.by_period, counts.by_day, sorted(counts.periods)
    series = choose_series(target, by_period)
    figure = _new("Target over time", 3)
    axes = figure.subplots()
    soften(axes)
    position, means, days = {name: at for at, name in enumerate(periods)}, by_period.means(), by_day.means()
    for color, at, name in zip(SERIES_COLORS, series, series_names(target, series), strict=False):
        if 0 < len(days) <= DAYS_SHOWN and len(series) == 1:
            at_days = [_place_day(date.fromisoformat(day), position) for day in days]
            axes.plot(at_days, [row[at] for row in days.values()], ".", color=GREY, markersize=3, label="of each day")
        shown = [position[period] for period in means]
        axes.plot(shown, [row[at] for row in means.values()], "o-", color=color, label=name)
    place_periods(axes, periods)
    axes.yaxis.set_major_formatter(_to_number if target.is_regression else _to_percent)
    if not target.is_regression:
        axes.set_ylim(0, None)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False, borderaxespad=0, fontsize=9)
    return figure


def _place_day(day: date, position: Mapping[str, int]) -> float:
    """Where a day is on an axis of periods; each is as wide as any other, with its name in the middle."""
    period = period_of(day, frequency_of(next(iter(position))))
    start, end = first_day(period), first_day(shift_period(period, 1))
    return position[period] + ((day - start).days + 0.5) / (end - start).days - 0.5


def draw_missing(columns: Mapping[str, ColumnCounts], periods: Mapping[str, int]) -> Figure:
    """Share of missing values by column and period, the column with most at the top."""
    ordered = sorted(columns, key=lambda name: -columns[name].missing_share)[:SHOWN_MISSING]
    names = sorted(periods)[-SHOWN_PERIODS:]
    rows = np.array([periods[each] for each in names])
    shares = np.array([[columns[name].missing[each] for each in names] for name in ordered]) / rows
    figure = _new("Missing values over time", 1 + 0.3 * len(ordered))
    axes = figure.subplots()
    for row, of_column in enumerate(shares):
        colors = [(BLUE, OPAQUE * share) for share in of_column]
        axes.bar(range(len(names)), 0.94, 0.94, np.full(len(names), row - 0.47), color=colors)
    if len(names) <= LABELLED_PERIODS:
        for (row, column), share in np.ndenumerate(shares):
            axes.text(column, row, _shortest(share), ha="center", va="center", color=INK, fontsize=8)
    place_periods(axes, names)
    axes.set_yticks(range(len(ordered)), [to_label(name) for name in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    soften(axes)
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)
    return figure


def _shortest(share: float) -> str:
    """A share in as few characters as possible; empty for 0."""
    return "" if not share else ("<1%" if share < 0.01 else f"{share:.0%}")


def draw_relations(target: Target, relations: Sequence[Relation]) -> Figure:
    """How well each feature alone predicts the target, and the sign of its correlation; the strongest at the top."""
    strongest = relations[:SHOWN_RELATIONS]
    title = "Features by themselves"
    title += "" if len(strongest) == len(relations) else f": the strongest {len(strongest)} of {len(relations)}"
    figure = _new(title, 1.2 + 0.24 * len(strongest))
    rows, chance = np.arange(len(strongest)), 0.0 if target.is_regression else 0.5
    signed = [(at, each.correlation) for at, each in enumerate(strongest) if each.correlation is not None]
    panels = figure.subplots(1, 2 if signed else 1, sharey=True, squeeze=False)[0]
    panels[0].barh(rows, [max(each.alone, chance) - chance for each in strongest], left=chance, color=BLUE, height=0.7)
    panels[0].set_xlim(chance, 1)
    panels[0].set_title(
        "R² alone" if target.is_regression else "ROC-AUC alone; 0.5 is chance", loc="left", fontsize=9, color=INK
    )
    if signed:
        colors = [BLUE if value > 0 else ORANGE for _, value in signed]
        panels[1].barh([at for at, _ in signed], [value for _, value in signed], color=colors, height=0.7)
        limit = max(0.1, *(abs(value) for _, value in signed)) * 1.05
        panels[1].set_xlim(-limit, limit)
        panels[1].axvline(0, color=INK, linewidth=0.8)
        panels[1].set_title("rank correlation with the target", loc="left", fontsize=9, color=INK)
    for axes in panels:
        soften(axes)
        axes.grid(False, axis="y")
    panels[0].set_yticks(rows, [to_label(each.column, 26) for each in strongest])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure
