"""The look of the plots that monitoring and the backtest draw: colours, axes, labels."""

from matplotlib.axes import Axes

from modelworks.calendar import first_day, frequency_of

INK, GREY, BLUE, ORANGE, RED = "#1c2733", "#8a97a3", "#1f6fb2", "#d98200", "#c22f2f"
GREEN, VIOLET = "#2c8a57", "#8256b0"
PALE, GRID = "#c9d1d8", "#e4e8ec"
LINES = [BLUE, ORANGE, GREEN, VIOLET, RED, GREY, INK]
"""Colours of the lines of one plot, in this order; a page has a counterpart of each for the dark."""

LABEL_LENGTH = 20
MAX_TICKS = 13
MONTH_NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def place_periods(axes: Axes, periods: list[str]) -> None:
    """Name the periods along the x axis, the first at 0; each year appears once."""
    ticks = range(0, len(periods), -(-len(periods) // MAX_TICKS))
    labels, year = [], ""
    for period in (periods[at] for at in ticks):
        name = _name_in_year(period)
        labels.append(name if period[:4] in {year, name} else f"{name}\n{period[:4]}")
        year = period[:4]
    axes.set_xticks(ticks, labels)
    axes.set_xlim(-0.6, len(periods) - 0.4)


def _name_in_year(period: str) -> str:
    """A period without its year."""
    day, frequency = first_day(period), frequency_of(period)
    if frequency in {"day", "month"}:
        return f"{f'{day.day} ' if frequency == 'day' else ''}{MONTH_NAMES[day.month - 1]}"
    return period[5:] or period


def to_label(name: str, length: int = LABEL_LENGTH) -> str:
    """A name from the data for a plot: on one line, not too long, and never a formula."""
    text = " ".join(name.split())
    text = text if len(text) <= length else f"{text[: length - 1]}…"
    return text.replace("$", r"\$")


def soften(axes: Axes, font_size: float = 9) -> None:
    """Let the data stand out: no frame, a light grid behind, small texts."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=font_size, labelcolor=INK)
    axes.xaxis.label.set_fontsize(font_size)
