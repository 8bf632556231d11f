"""A backtest in one picture: the loss that each policy served, and a time line of the first policy."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelworks.backtest.outcome import Outcomes, PeriodOutcome
from modelworks.contract import Contract
from modelworks.reporting.axes import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    VIOLET,
    place_periods,
    soften,
    to_label,
)

OTHERS = [(ORANGE, "--"), (GREEN, "-."), (VIOLET, ":"), (GREY, "-"), (INK, "--")]
LEGEND_LENGTH = 100  # characters side by side
LEGEND_INCHES = 0.25
ROW_INCHES = 0.36

RELEASED = "new model released"
FAILED = "requested, not made"
EVENTS: dict[str, tuple[str, str, Callable[[PeriodOutcome], bool]]] = {
    RELEASED: ("", GREEN, lambda period: period.status == "released"),
    "refused": ("X", RED, lambda period: period.status == "refused"),
    FAILED: ("X", INK, lambda period: period.status in {"failed", "unclaimed"}),
    "calibration drift": ("v", RED, lambda period: bool(period.calibration_alarms)),
    "drift": ("D", ORANGE, lambda period: period.drift_alarm),
    "data incident": ("s", GREY, lambda period: bool(period.incidents)),
}
"""A row of the time line: its marker (releases show their version instead), its colour, and when it has a mark."""


def draw_outcomes(contract: Contract, outcomes: Outcomes) -> Figure:
    """Served loss of every policy by period, above a time line of the first one."""
    periods = sorted({each.period for found in outcomes.values() for each in found})
    own = next(iter(outcomes.values()))
    rows = [label for label in EVENTS if label != FAILED or any(EVENTS[FAILED][2](each) for each in own)]
    side_by_side = max(1, LEGEND_LENGTH // (8 + max(len(name) for name in outcomes)))
    height = 4 + LEGEND_INCHES * -(-len(outcomes) // side_by_side) + ROW_INCHES * len(rows)
    figure = Figure(figsize=(10.4, height), layout="constrained")
    title = f"{contract.target.loss_name.capitalize()} of served predictions, {contract.target.loss_unit} per row"
    figure.suptitle(f"{title}; lower is better", x=0.01, ha="left", color=INK)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, ROW_INCHES * len(rows)])
    for axes in (upper, lower):
        soften(axes, 11)
    _draw_losses(upper, outcomes, periods)
    upper.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=side_by_side, frameon=False, fontsize=11)
    for at, label in enumerate(rows):
        _draw_events(lower, at, label, [(periods.index(each.period), each) for each in own])
    lower.set_yticks(range(len(rows)), rows)
    lower.set_ylim(len(rows) - 0.4, -0.6)
    place_periods(lower, periods)
    return figure


def _draw_losses(axes: Axes, outcomes: Outcomes, periods: list[str]) -> None:
    for at, (name, found) in enumerate(outcomes.items()):
        losses = {each.period: each.loss for each in found}
        values = [np.nan if (loss := losses.get(period)) is None else loss for period in periods]
        color, style = (BLUE, "-") if at == 0 else OTHERS[(at - 1) % len(OTHERS)]
        width, above = (3.2, 3) if at == 0 else (1.8, 2)
        label = to_label(name, LEGEND_LENGTH)
        axes.plot(values, color=color, linestyle=style, linewidth=width, marker="o", zorder=above, label=label)


def _draw_events(axes: Axes, row: int, label: str, periods: list[tuple[int, PeriodOutcome]]) -> None:
    marker, color, happened = EVENTS[label]
    marked = [(at, period) for at, period in periods if happened(period)]
    if label == RELEASED:
        box = {"boxstyle": "round,pad=0.25", "facecolor": color, "edgecolor": "none"}
        for at, period in marked:
            axes.text(at, row, f"v{period.version}", ha="center", va="center", color="white", fontsize=10, bbox=box)
    else:
        axes.plot([at for at, _ in marked], [row] * len(marked), marker, color=color, markersize=9)
