"""Figures as SVG within a page: sharp at any size, and in the colours of the reader's light or dark page."""

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

from modelworks.reporting.style import FIGURE_COLORS

CSS_PIXELS_PER_INCH = 96
MIN_SCALE = 0.7
"""A figure shrinks to a narrow screen down to this; below it, it scrolls by itself, so its texts can be read."""

NOTHING = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element.

    Parameters
    ----------
    name : of the figure, unique on its page; it keeps the ids within distinct from those of other figures
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=NOTHING)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)  # of a whole page
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # each figure has its own axes_1
    svg = re.sub(r"font-family: '[^;\"]*; ", "", svg)  # the page's own
    svg = re.sub(r"((?:fill|stroke): )(#[0-9a-f]{6})", _to_variable, svg)
    width = figure.get_figwidth() * CSS_PIXELS_PER_INCH
    size = f'style="width: {width:.0f}px; max-width: 100%; min-width: {MIN_SCALE * width:.0f}px"'
    head, drawing = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box
    return f"<svg {box[0]} {size}>{drawing}"


def _to_variable(found: re.Match[str]) -> str:
    kind, color = found.groups()
    return f"{kind}var(--{FIGURE_COLORS[color][0]})" if color in FIGURE_COLORS else f"{kind}{color}"
