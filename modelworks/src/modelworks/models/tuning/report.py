"""The report of hyperparameter tuning: the leaderboard, and the settings that keep its choice."""

import json
from collections.abc import Sequence

from modelworks.models.tuning.choice import Choice
from modelworks.models.tuning.trial import Trial
from modelworks.project import Project
from modelworks.reporting.markdown import table
from modelworks.settings import Model

SHOWN_TRIALS = 30


def leaderboard(project: Project, trials: Sequence[Trial], default: Trial, baseline_loss: float, choice: Choice) -> str:
    """The trials in Markdown, the best first, with the default and the baseline among them.

    Parameters
    ----------
    baseline_loss : on the same rows
    """
    target = project.contract.target
    measured = sorted((trial for trial in trials if trial.state != "failed"), key=lambda trial: trial.loss)
    places = [(at, trial) for at, trial in enumerate(measured, 1) if at <= SHOWN_TRIALS or trial.name == default.name]
    rows = [_row(at, trial, default, choice) for at, trial in places]
    rows.append(["", "baseline", f"{baseline_loss:.4f}", f"{default.loss - baseline_loss:+.4f}", "0.0", ""])
    header = ["", "trial", target.loss_name, "gain over the default", "fits, CPU s", "parameters"]
    n_more = len(measured) - len(places)
    more = f"\n\n{n_more} more are in MLflow." if n_more else ""
    failed = "\n".join(f"- {trial.name}: {trial.error}" for trial in trials if trial.state == "failed")
    return (
        f"# Tuning\n\n{choice.summary}\n\nMeans over the folds of the training rows, in {target.loss_unit}; ~ is the "
        f"estimate of a pruned trial.\n\n{table(header, rows)}{more}\n\n"
        + (f"## Failed\n\n{failed}\n\n" if failed else "")
        + f"## To keep the choice, in `pipeline.toml`\n\n```toml\n{to_toml(project, choice.model)}```\n"
    )


def _row(at: int, trial: Trial, default: Trial, choice: Choice) -> list[object]:
    is_default, is_chosen = trial.name == default.name, trial.name == choice.trial.name
    return [
        at,
        trial.name + (" (default)" if is_default else "") + (" **chosen**" if is_chosen else ""),
        f"{'~' if trial.state == 'pruned' else ''}{trial.loss:.4f}",
        f"{default.loss - trial.loss:+.4f}",
        f"{trial.fit_seconds:.1f}",
        describe(trial),
    ]


def describe(trial: Trial) -> str:
    """The parameters that were tried in place of the model type's defaults."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.params.items()
    )


def to_toml(project: Project, model: Model) -> str:
    """The sections [model] and [model.parameters] as `pipeline.toml` holds them."""
    hidden = set() if project.contract.document_features else {"encoder"}
    keys = model.model_dump(exclude={"parameters", *hidden}, exclude_none=True)
    return "".join(
        f"[{section}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        for section, values in (("model", keys), ("model.parameters", model.parameters))
        if values
    )
