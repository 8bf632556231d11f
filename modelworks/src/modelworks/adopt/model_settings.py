"""The settings of the model, by what was better in the trial."""

from collections.abc import Mapping
from typing import Any

from modelworks.adopt.pipeline_toml import SettingChanges
from modelworks.adopt.plan import Plan
from modelworks.adopt.planning import min_samples_leaf
from modelworks.adopt.rolling_trial import MODEL_TYPES
from modelworks.models.types import boosting


def choose_model(plan: Plan, model: Mapping[str, Any], n_training: int) -> SettingChanges:
    """The model type, its parameters, and the time as a feature: what the trial was better by.

    Parameters
    ----------
    model : [model] so far; a type that no trial is of is the team's own, and stays where no other was better
    n_training : rows that are not held out
    """
    settings: SettingChanges = {("training", "trend"): (plan.trial.trend, "the time itself is a feature")}
    before, found = model.get("type", "boosting"), plan.trial.model_type
    parameters = model.get("parameters", {})
    if found != before and (found != "boosting" or before in MODEL_TYPES):
        settings["model", "type"] = (found, "")
        # A name that both types have, such as l2_regularization, means something else there: the default was tried.
        settings |= {("model.parameters", name): (None, "") for name in sorted(parameters)}
        parameters = {}
        before = found
    if before == "boosting":
        tried = {"max_iter": plan.trial.trees, "min_samples_leaf": min_samples_leaf(n_training)}
        settings |= {
            ("model.parameters", name): (value, "")
            for name, value in tried.items()
            if name in parameters or value != boosting.MODEL_TYPE.defaults[name]
        }
    elif "min_samples_leaf" in parameters:
        settings["model.parameters", "min_samples_leaf"] = (min_samples_leaf(n_training), "")
    return settings


def warn_of_level(plan: Plan) -> list[str]:
    """Whether the level of the target moves, and what follows it."""
    if not plan.trial.is_level_moving:
        return []
    follows = {
        (False, "boosting"): "no model that was tried follows it better by [training] trend = true, the time itself as "
        "a feature; a column such as its last known value may",
        (True, "boosting"): "the trial was better by [training] trend = true, the time itself as a feature",
        (True, "linear"): '[training] trend = true makes the time itself a feature, and [model] type = "linear" '
        "extrapolates it, which trees cannot",
    }
    return [
        f"the level of {plan.recipe.target!r} moves with time: its newest periods are a better baseline than all rows; "
        + follows.get((plan.trial.trend, plan.trial.model_type), follows[False, "boosting"])
    ]
