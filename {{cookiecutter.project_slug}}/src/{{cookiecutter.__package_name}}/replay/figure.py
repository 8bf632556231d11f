"""A year in one picture: what was served by each policy, and what happened on the way by the first of them."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import task
from ..monitoring_figures import BLUE, GREY, INK, ORANGE, RED, place_months, soften, to_label
from .outcome import MonthOutcome

GREEN, VIOLET = "#2c8a57", "#8256b0"
OTHERS = [(ORANGE, "--"), (GREEN, "-."), (VIOLET, ":"), (GREY, "-"), (INK, "--")]
LEGEND_LENGTH = 100  # characters side by side
LEGEND_INCHES = 0.25
ROW_INCHES = 0.36

RELEASED = "new model released"
FAILED = "asked for, not made"
EVENTS: dict[str, tuple[str, str, Callable[[MonthOutcome], bool]]] = {
    RELEASED: ("", GREEN, lambda month: month.version is not None),
    "refused": ("X", RED, lambda month: month.outcome.startswith("refused")),
    FAILED: (
        "X",
        INK,
        lambda month: bool(month.asked and not month.version) and not month.outcome.startswith("refused"),
    ),
    "decay alarm": ("v", RED, lambda month: any(each.startswith("decay") for each in month.alarms)),
    "drift alarm": ("D", ORANGE, lambda month: "drift" in month.alarms),
    "data incident": ("s", GREY, lambda month: bool(month.incidents)),
}
"""A row of the time line: its marker (releases show their version instead), its colour, and when it has a mark."""


def draw_year(outcomes: dict[str, list[MonthOutcome]]) -> Figure:
    """Served loss of every policy by month, above a time line of the first one.

    Parameters
    ----------
    outcomes : by policy; the first is the one that the others are compared with
    """
    months = sorted({each.month for found in outcomes.values() for each in found})
    own = next(iter(outcomes.values()))
    rows = [label for label in EVENTS if label != FAILED or any(EVENTS[FAILED][2](each) for each in own)]
    side_by_side = max(1, LEGEND_LENGTH // (8 + max(len(name) for name in outcomes)))
    height = 4 + LEGEND_INCHES * -(-len(outcomes) // side_by_side) + ROW_INCHES * len(rows)
    figure = Figure(figsize=(10.4, height), layout="constrained")
    figure.suptitle(
        f"{task.LOSS_NAME.capitalize()} of what was served, {task.LOSS_UNIT} a row; lower is better",
        x=0.01,
        ha="left",
        color=INK,
    )
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, ROW_INCHES * len(rows)])
    for axes in (upper, lower):
        soften(axes, 11)
    _draw_losses(upper, outcomes, months)
    upper.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=side_by_side, frameon=False, fontsize=11)
    for at, label in enumerate(rows):
        _draw_events(lower, at, label, [(months.index(each.month), each) for each in own])
    lower.set_yticks(range(len(rows)), rows)
    lower.set_ylim(len(rows) - 0.4, -0.6)
    place_months(lower, months)
    return figure


def _draw_losses(axes: Axes, outcomes: dict[str, list[MonthOutcome]], months: list[str]) -> None:
    for at, (name, found) in enumerate(outcomes.items()):
        losses = {each.month: each.loss for each in found}
        values = [np.nan if (loss := losses.get(month)) is None else loss for month in months]
        color, style = (BLUE, "-") if at == 0 else OTHERS[(at - 1) % len(OTHERS)]
        width, above = (3.2, 3) if at == 0 else (1.8, 2)
        label = to_label(name, LEGEND_LENGTH)
        axes.plot(values, color=color, linestyle=style, linewidth=width, marker="o", zorder=above, label=label)


def _draw_events(axes: Axes, row: int, label: str, months: list[tuple[int, MonthOutcome]]) -> None:
    marker, color, happened = EVENTS[label]
    marked = [(at, month) for at, month in months if happened(month)]
    if label == RELEASED:
        box = {"boxstyle": "round,pad=0.25", "facecolor": color, "edgecolor": "none"}
        for at, month in marked:
            axes.text(at, row, f"v{month.version}", ha="center", va="center", color="white", fontsize=10, bbox=box)
    else:
        axes.plot([at for at, _ in marked], [row] * len(marked), marker, color=color, markersize=9)
