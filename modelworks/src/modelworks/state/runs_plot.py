"""The metrics of the latest training runs, with their intervals."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelworks.evaluation.directions import arrow
from modelworks.registry.runs import TrackedRun
from modelworks.reporting.axes import BLUE, GREY, INK, RED, soften, to_label
from modelworks.stages.common import REFUSED
from modelworks.targets import Target

RESULTS = {"released": (BLUE, "o"), "refused": (RED, "X"), "other": (GREY, "s")}
"""Colour and marker by what came of a run."""


def draw_runs(target: Target, runs: Sequence[TrackedRun]) -> Figure:
    """Headline metric and loss on the held-out rows, a run beside the other.

    Parameters
    ----------
    runs : with the target's loss among their metrics; the oldest first
    """
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    title = "Training runs on their held-out rows"
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold", color=INK)
    for axes, metric, name in zip(
        figure.subplots(2, 1, sharex=True),
        (target.headline, target.loss),
        (target.headline_name, f"{target.loss_name}, {target.loss_unit} per row"),
        strict=True,
    ):
        soften(axes)
        axes.set_title(f"{name} {arrow(metric)}", loc="left", fontsize=9, color=INK)
        _draw_metric(axes, metric, runs)
    figure.axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0, fontsize=9)
    labels = [to_label(each.tags.get("holdout_period", each.started_at[:10])) for each in runs]
    figure.axes[1].set_xticks(range(len(runs)), labels, rotation=45 if len(runs) > 6 else 0)
    figure.axes[1].set_xlim(-0.6, len(runs) - 0.4)
    figure.axes[1].set(xlabel="held-out period")
    return figure


def _draw_metric(axes: Axes, metric: str, runs: Sequence[TrackedRun]) -> None:
    for result, (color, marker) in RESULTS.items():
        shown = [(at, run.metrics) for at, run in enumerate(runs) if result_of(run) == result and metric in run.metrics]
        if not shown:
            continue
        values = [metrics[metric] for _, metrics in shown]
        below = [max(metrics[metric] - metrics.get(f"{metric}_low", metrics[metric]), 0) for _, metrics in shown]
        above = [max(metrics.get(f"{metric}_high", metrics[metric]) - metrics[metric], 0) for _, metrics in shown]
        at = [place for place, _ in shown]
        axes.errorbar(at, values, yerr=[below, above], color=color, fmt=marker, capsize=2, label=result)


def result_of(run: TrackedRun) -> str:
    """What came of a run: a key of `RESULTS`."""
    if "model_version" in run.tags:
        return "released"
    return "refused" if run.tags.get("verdict") == REFUSED else "other"
