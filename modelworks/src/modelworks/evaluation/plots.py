"""Plots of a model on the held-out rows, from numbers that are kept with its run."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from modelworks.evaluation.directions import arrow
from modelworks.evaluation.plot_data import Curve, Histogram, PlotData, SliceLoss
from modelworks.reporting.axes import BLUE, GREY, INK, LINES, PALE, soften, to_label
from modelworks.targets import Target

WIDTH, HEIGHT = 3.4, 3.0  # inches; three side by side on a page, one on a phone
DOTS_PER_INCH = 160
CURVE_MARGINS = {"left": 0.14, "right": 0.97, "bottom": 0.15, "top": 0.86}
SHOWN_FEATURES = 15
SHOWN_TICKS = 13
LONG_LABEL = 3  # characters; longer labels of bars are turned
LARGE = 10_000
DENSITY = LinearSegmentedColormap.from_list("density", [(*to_rgb(BLUE), 0.25), (*to_rgb(BLUE), 1.0)])
DARK_TEXT, LIGHT_TEXT = "#111111", "#fefefe"  # on the cells of a heat map, whatever the page's colours

Draw = Callable[[Target, PlotData], Figure]


def draw_figures(target: Target, data: PlotData) -> dict[str, Figure]:
    """File name and figure of each plot of an evaluation."""
    columns = list(dict.fromkeys(each.column for each in data.slices))
    drawn = {file: draw(target, data) for file, draw in PLOTS[target.kind].items()}
    return {
        **drawn,
        "permutation_importance.png": draw_importance(target, data),
        "slices.png": draw_slices(target, data, columns),
    }


def draw_panels(target: Target, data: PlotData) -> dict[str, tuple[str, Figure]]:
    """Caption and figure of each small plot of a page, by name; one for each slicing column."""
    panels = {
        file.removesuffix(".png"): (CAPTIONS[file], draw(target, data)) for file, draw in PLOTS[target.kind].items()
    }
    panels["permutation_importance"] = ("permutation importance of the features", draw_importance(target, data))
    for number, column in enumerate(dict.fromkeys(each.column for each in data.slices)):
        panels[f"slices-{number}"] = (f"{target.loss_name} by {column}", draw_slices(target, data, [column]))
    return panels


def _draw_roc(_: Target, data: PlotData) -> Figure:
    figure, axes = _new_curve("ROC curve", _estimate(data, "roc_auc", "ROC-AUC"))
    for curve, color in zip(data.roc or [], _colors(), strict=False):
        axes.plot(curve.x, curve.y, color=color, label=to_label(curve.name) if curve.name else "")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    if any(curve.name for curve in data.roc or []):
        axes.legend(fontsize=7, frameon=False, loc="lower right", title="class against the rest", title_fontsize=7)
    return figure


def _draw_precision_recall(_: Target, data: PlotData) -> Figure:
    figure, axes = _new_curve("Precision and recall", _estimate(data, "average_precision", "average precision"))
    if data.precision_recall:
        axes.plot(data.precision_recall.x, data.precision_recall.y, color=BLUE)
    axes.axhline(data.observed, color=GREY, linestyle=":", label="observed share")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.legend(fontsize=8, frameon=False)
    return figure


def _draw_calibration(_: Target, data: PlotData) -> Figure:
    figure, axes = _new_curve("Calibration", _estimate(data, "calibration_error", "error"))
    curve = data.calibration or Curve([], [])
    axes.plot(curve.x, curve.y, marker="o", markersize=4, color=BLUE, label="this model")
    end = max([*curve.x, *curve.y, 0.0]) * 1.05 or 1.0
    axes.plot([0, end], [0, end], color=GREY, linestyle=":", label="perfectly calibrated")
    axes.set(xlabel="predicted probability, mean of a bin", ylabel="observed share", xlim=(0, None), ylim=(0, None))
    axes.legend(fontsize=8, frameon=False)
    return figure


def _draw_confusion(_: Target, data: PlotData) -> Figure:
    figure, axes = _new("Confusion matrix", _estimate(data, "accuracy", "accuracy"))
    if data.confusion is None:
        return figure
    counts, names = np.array(data.confusion.counts), [to_label(name, 12) for name in data.confusion.classes]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        color = LIGHT_TEXT if shares[row, column] > 0.5 else DARK_TEXT
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=color, fontsize=8 if len(names) < 6 else 6)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(False)
    axes.set(xlabel="predicted class", ylabel="observed class")
    return figure


def _draw_values(target: Target, data: PlotData) -> Figure:
    figure, axes = _new("Predicted and observed", _estimate(data, "r2", "R²"))
    if data.values is None or data.values.y is None:
        return figure
    counts = np.ma.masked_equal(np.array(data.values.counts, "float64").T, 0)
    axes.pcolormesh(data.values.x, data.values.y, np.ma.log10(counts), cmap=DENSITY)
    ends = [min(data.values.x[0], data.values.y[0]), max(data.values.x[-1], data.values.y[-1])]
    axes.plot(ends, ends, color=GREY, linestyle=":")
    unit = f", {target.unit}" if target.unit else ""
    axes.set(xlabel=f"predicted {to_label(target.column)}{unit}", ylabel=f"observed {to_label(target.column)}{unit}")
    for axis in (axes.xaxis, axes.yaxis):
        _shorten_ticks(axis, max(map(abs, ends)))
    return figure


def _draw_residuals(target: Target, data: PlotData) -> Figure:
    figure, axes = _new("Residuals", f"bias {data.metrics['bias']} SD, best at 0")
    found = data.residuals or Histogram([], [0.0])
    axes.stairs(np.array(found.counts, "float64"), found.x, fill=True, color=BLUE)
    axes.axvline(0, color=INK, linestyle=":")
    unit = f", {target.unit}" if target.unit else ""
    axes.set(xlabel=f"predicted minus observed {to_label(target.column)}{unit}", ylabel="rows")
    _shorten_ticks(axes.xaxis, max(map(abs, found.x)))
    return figure


PLOTS: dict[str, dict[str, Draw]] = {
    "binary": {
        "calibration.png": _draw_calibration,
        "roc.png": _draw_roc,
        "precision_recall.png": _draw_precision_recall,
    },
    "multiclass": {"calibration.png": _draw_calibration, "roc.png": _draw_roc, "confusion.png": _draw_confusion},
    "regression": {"predicted_observed.png": _draw_values, "residuals.png": _draw_residuals},
}
"""The plots of each kind of target, by file name."""

CAPTIONS = {
    "calibration.png": "calibration: observed share by predicted probability",
    "roc.png": "ROC curve: true positive rate by false positive rate",
    "precision_recall.png": "precision by recall",
    "confusion.png": "confusion matrix",
    "predicted_observed.png": "observed by predicted values",
    "residuals.png": "histogram of the residuals",
}


def draw_importance(target: Target, data: PlotData) -> Figure:
    """Permutation importance of the features, the most important at the top."""
    shown = data.importance[:SHOWN_FEATURES]
    figure, axes = _new("Permutation importance", f"rise of the {target.loss_name}", max(HEIGHT, 0.2 * len(shown)))
    means, deviations = [each.mean for each in shown], [each.deviation for each in shown]
    axes.barh(range(len(shown)), means, xerr=deviations, color=BLUE, ecolor=INK, error_kw={"elinewidth": 1})
    axes.set_yticks(range(len(shown)), [to_label(each.feature) for each in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.locator_params(axis="x", nbins=4)
    axes.set(xlabel=f"{target.loss_unit} per row, feature shuffled")
    return figure


def draw_slices(target: Target, data: PlotData, columns: Sequence[str]) -> Figure:
    """Loss by the values of each slicing column."""
    figure = Figure(figsize=(WIDTH, HEIGHT * max(len(columns), 1)), layout="constrained", dpi=DOTS_PER_INCH)
    if not columns:
        figure.text(0.5, 0.5, "the contract names no slices", ha="center", color=INK)
        return figure
    for axes, column in zip(figure.subplots(len(columns), 1, squeeze=False).flat, columns, strict=True):
        title = f"{target.loss_name.capitalize()} by {to_label(column)}"
        _head(axes, title, f"{target.loss_unit} per row {arrow(target.loss)}")
        _draw_bars(axes, [each for each in data.slices if each.column == column], data.min_slice_rows)
        axes.axhline(data.metrics[target.loss].value, color=INK, linestyle=":", linewidth=1)
        axes.set(xlabel="dotted: all rows" + _pale_note(data, column))
    return figure


def _draw_bars(axes: Axes, slices: Sequence[SliceLoss], min_rows: int) -> None:
    labels = [to_label(each.value, 12) for each in slices]
    colors = [PALE if each.rows < min_rows else BLUE for each in slices]
    axes.bar(range(len(slices)), [each.loss for each in slices], color=colors)
    is_long = any(len(label) > LONG_LABEL for label in labels)
    step = 1 if is_long else -(-len(slices) // SHOWN_TICKS)
    axes.set_xticks(range(0, len(slices), step), labels[::step], rotation=90 if is_long else 0)
    axes.tick_params(axis="x", labelsize=8 if len(slices) <= 20 else 6)
    axes.grid(False, axis="x")


def _shorten_ticks(axis: Axis, largest: float) -> None:
    """A few ticks; of large numbers with the letter of their power, such as 200k."""
    axis.set_major_locator(MaxNLocator(5))
    if largest >= LARGE:
        axis.set_major_formatter(EngFormatter(sep=""))


def _pale_note(data: PlotData, column: str) -> str:
    has_few = any(each.rows < data.min_slice_rows for each in data.slices if each.column == column)
    return f"; pale: fewer than {data.min_slice_rows} rows" if has_few else ""


def _estimate(data: PlotData, metric: str, name: str) -> str:
    return f"{name} {data.metrics[metric]} {arrow(metric)}"


def _colors() -> list[str]:
    return [*LINES, *LINES]


def _new_curve(title: str, subtitle: str) -> tuple[Figure, Axes]:
    """A plot between 0 and 1, whose margins are known; to find them by its texts takes as long as to draw it."""
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DOTS_PER_INCH)
    axes = figure.subplots(gridspec_kw=CURVE_MARGINS)
    _head(axes, title, subtitle)
    return figure, axes


def _new(title: str, subtitle: str, height: float = HEIGHT) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained", dpi=DOTS_PER_INCH)
    axes = figure.subplots()
    _head(axes, title, subtitle)
    return figure, axes


def _head(axes: Axes, title: str, subtitle: str) -> None:
    """A title in bold and a line below it, at the left above the axes."""
    soften(axes, 8)
    axes.set_title(f"{title}\n", loc="left", fontsize=10, fontweight="bold", color=INK, pad=4)
    axes.annotate(subtitle, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=8, color=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set(color=INK, fontsize=8)
