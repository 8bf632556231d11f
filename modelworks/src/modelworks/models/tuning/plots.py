"""Plots of hyperparameter tuning: the trials in order, and the importance of the parameters."""

from collections.abc import Sequence

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelworks.models.tuning.proposals import open_study
from modelworks.models.tuning.trial import Trial
from modelworks.project import Project

TINY = 1e-12  # of losses that differ by rounding only, which say nothing about importance
MIN_TRIALS = 8
"""Of a model type, for the importance of its parameters."""


def plot_tuning(
    project: Project, trials: Sequence[Trial], default: Trial, baseline_loss: float, seed: int
) -> dict[str, Figure]:
    """File name and figure of each plot."""
    model_types = sorted({trial.model_type for trial in trials})
    importances = {name: found for name in model_types if (found := _importances(trials, name, seed))}
    figures = {"tuning_history.png": _plot_history(project, trials, model_types, default, baseline_loss)}
    if importances:
        figures["tuning_importance.png"] = _plot_importances(project, importances)
    return figures


def _plot_history(
    project: Project, trials: Sequence[Trial], model_types: list[str], default: Trial, baseline_loss: float
) -> Figure:
    target = project.contract.target
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(model_types):
        _plot_model_type(axes, [each for each in trials if each.model_type == name], name, f"C{number}")
    axes.axhline(default.loss, color="black", linestyle="--", linewidth=1, label="default")
    axes.axhline(baseline_loss, color="grey", linestyle=":", label="baseline")
    axes.set(xlabel="trial (x: pruned)", ylabel=f"{target.loss_name}, {target.loss_unit}")
    axes.set_title("Tuning: each trial, and the best so far")
    axes.legend(fontsize="small")
    return figure


def _plot_model_type(axes: Axes, trials: Sequence[Trial], name: str, color: str) -> None:
    in_order = sorted(trials, key=lambda each: each.number)
    complete = [each for each in in_order if each.state == "complete"]
    pruned = [each for each in in_order if each.state == "pruned"]
    axes.scatter([each.number for each in complete], [each.loss for each in complete], color=color, label=name)
    axes.scatter([each.number for each in pruned], [each.loss for each in pruned], color=color, marker="x", alpha=0.5)
    best = np.minimum.accumulate([each.loss for each in complete])
    axes.step([each.number for each in complete], best, where="post", color=color)


def _importances(trials: Sequence[Trial], model_type: str, seed: int) -> dict[str, float]:
    """The share of the variance of the loss that each parameter explains; {} of too few trials.

    References
    ----------
    Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014 (fANOVA).
    """
    own = [trial for trial in trials if trial.model_type == model_type and trial.params and trial.state != "failed"]
    if len(own) < MIN_TRIALS or np.ptp([trial.loss for trial in own]) < TINY:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    return optuna.importance.get_param_importances(open_study(own), evaluator=evaluator)


def _plot_importances(project: Project, importances: dict[str, dict[str, float]]) -> Figure:
    figure = Figure(figsize=(7, 0.8 + 0.3 * sum(map(len, importances.values()))), layout="constrained")
    heights = [len(each) for each in importances.values()]
    all_axes = figure.subplots(len(importances), 1, squeeze=False, height_ratios=heights, sharex=True)
    for axes, (name, found) in zip(all_axes.flat, importances.items(), strict=True):
        axes.barh(list(found)[::-1], list(found.values())[::-1])
        axes.set_title(name)
    all_axes.flat[-1].set(xlabel=f"share of the variance of the {project.contract.target.loss_name}")
    return figure
