"""What a search has found, for people: the leaderboard, the settings to keep, and plots."""

import json
from collections.abc import Sequence

import numpy as np
import optuna
from matplotlib.figure import Figure

from .. import schema, task
from ..config import Model
from ..reports import table
from .choice import Choice
from .trials import Trial, open_study

SHOWN_TRIALS = 30
TINY = 1e-12  # of losses that differ by rounding only, of which nothing can be told
MIN_TRIALS = 8
"""Of a family, to tell which of its parameters count."""


def leaderboard(trials: Sequence[Trial], default: Trial, baseline_loss: float, choice: Choice) -> str:
    """The trials in Markdown, the best first, with the default and the baseline among them.

    Parameters
    ----------
    baseline_loss : on the same rows
    """
    measured = sorted((trial for trial in trials if trial.state != "failed"), key=lambda trial: trial.loss)
    is_shown = [at < SHOWN_TRIALS or trial.name == default.name for at, trial in enumerate(measured)]
    rows = [
        [
            place,
            trial.name + _mark(trial, default, choice),
            f"{'~' if trial.state == 'pruned' else ''}{trial.loss:.4f}",
            f"{trial.loss - default.loss:+.4f}",
            f"{trial.fit_seconds:.1f}",
            describe(trial),
        ]
        for place, trial in enumerate(measured, 1)
        if is_shown[place - 1]
    ]
    rows.append(["", "baseline", f"{baseline_loss:.4f}", f"{baseline_loss - default.loss:+.4f}", "0.0", ""])
    header = ["", "trial", task.LOSS_NAME, "minus the default's", "fits, CPU s", "what was tried"]
    left_out = f"\n\n{is_shown.count(False)} more are in MLflow." if False in is_shown else ""
    failed = [f"- {trial.name}: {trial.error}" for trial in trials if trial.state == "failed"]
    return (
        f"# Search\n\n{choice.in_short}\n\nMeans over the folds of the rows of training, in {task.LOSS_UNIT}; ~ is an "
        f"estimate of a trial that was given up.\n\n{table(header, rows)}{left_out}\n\n"
        + (f"## Failed\n\n{chr(10).join(failed)}\n\n" if failed else "")
        + f"## To keep what was taken, in `pipeline.toml`\n\n```toml\n{to_toml(choice.model)}```\n"
    )


def _mark(trial: Trial, default: Trial, choice: Choice) -> str:
    is_default, is_taken = trial.name == default.name, trial.name == choice.trial.name
    return (" (default)" if is_default else "") + (" **taken**" if is_taken else "")


def describe(trial: Trial) -> str:
    """What was tried in place of the family's defaults."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.tried.items()
    )


def to_toml(model: Model) -> str:
    """The section [model] as `pipeline.toml` holds it."""
    lines = ["[model]"]
    read = {schema.CONTENTS[name] for name in schema.DOCUMENT_FEATURES}
    hidden = set() if read else {"encoder", "weights"}
    hidden |= set() if "text" in read else {"weights_revision", "max_tokens"}
    hidden |= set() if "image" in read else {"image_side"}
    for name, value in model.model_dump(exclude={"parameters", *hidden}).items():
        lines.append(f"{name} = {json.dumps(value)}")
    pairs = ", ".join(f"{name} = {json.dumps(value)}" for name, value in model.parameters.items())
    return "\n".join([*lines, f"parameters = {{ {pairs} }}" if pairs else "parameters = {}"]) + "\n"


def draw_search(trials: Sequence[Trial], default: Trial, baseline_loss: float, seed: int) -> dict[str, Figure]:
    """File name and figure of each plot."""
    importances = {name: found for name in _names(trials) if (found := _importances(trials, name, seed))}
    figures = {"search_history.png": _draw_history(trials, default, baseline_loss)}
    if importances:
        figures["search_importance.png"] = _draw_importances(importances)
    return figures


def _names(trials: Sequence[Trial]) -> list[str]:
    return sorted({trial.family for trial in trials})


def _draw_history(trials: Sequence[Trial], default: Trial, baseline_loss: float) -> Figure:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(_names(trials)):
        own = sorted(
            (each for each in trials if each.family == name and each.state != "failed"), key=lambda each: each.number
        )
        complete = [each for each in own if each.state == "complete"]
        pruned = [each for each in own if each.state == "pruned"]
        color = f"C{number}"
        axes.scatter([each.number for each in complete], [each.loss for each in complete], color=color, label=name)
        axes.scatter(
            [each.number for each in pruned], [each.loss for each in pruned], color=color, marker="x", alpha=0.5
        )
        best = np.minimum.accumulate([each.loss for each in complete])
        axes.step([each.number for each in complete], best, where="post", color=color)
    axes.axhline(default.loss, color="black", linestyle="--", linewidth=1, label="default")
    axes.axhline(baseline_loss, color="grey", linestyle=":", label="baseline")
    axes.set(xlabel="trial (x: given up on the way)", ylabel=f"{task.LOSS_NAME}, {task.LOSS_UNIT}")
    axes.set_title("Search: each trial, and the best so far")
    axes.legend(fontsize="small")
    return figure


def _importances(trials: Sequence[Trial], family: str, seed: int) -> dict[str, float]:
    """How much of the differences in loss each parameter explains; {} of too few trials.

    References
    ----------
    Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, ICML 2014 (fANOVA).
    """
    own = [trial for trial in trials if trial.family == family and trial.tried and trial.state != "failed"]
    if len(own) < MIN_TRIALS or np.ptp([trial.loss for trial in own]) < TINY:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    return optuna.importance.get_param_importances(open_study(own), evaluator=evaluator)


def _draw_importances(importances: dict[str, dict[str, float]]) -> Figure:
    figure = Figure(figsize=(7, 0.8 + 0.3 * sum(map(len, importances.values()))), layout="constrained")
    heights = [len(each) for each in importances.values()]
    all_axes = figure.subplots(len(importances), 1, squeeze=False, height_ratios=heights, sharex=True)
    for axes, (name, found) in zip(all_axes.flat, importances.items(), strict=True):
        axes.barh(list(found)[::-1], list(found.values())[::-1])
        axes.set_title(name)
    all_axes.flat[-1].set(xlabel=f"share of the differences in {task.LOSS_NAME} that the parameter explains")
    return figure
