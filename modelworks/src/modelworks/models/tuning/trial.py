"""A trial of hyperparameter tuning, as it is kept in MLflow."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelworks.models.parameters import own_parameters
from modelworks.project import Project
from modelworks.settings import Model

State = Literal["complete", "pruned", "failed", "abandoned"]


@dataclass(frozen=True)
class Trial:
    """One model, measured on the folds.

    Attributes
    ----------
    number : within its model type; 0 is the default of the model type, or [model] where that is of the model type
    model : the section [model] that it is built by
    state : "pruned" if it fell behind after some of the folds; "abandoned" if the time was too short, which is not kept
    loss : mean over the measured rows. That of a pruned trial is estimated, and never better than the best that it
        fell behind; NaN of a failed one
    fit_seconds, seconds : of all fits, and of the whole trial: processor time of this process with all its threads
    block_losses, block_rows : sums of losses and numbers of measured rows, by block of `modelworks.data.blocks`
    params, distributions : what optuna proposed, and from which search space, by optuna's names
    error : why it failed
    """

    model_type: str
    number: int
    model: dict[str, Any]
    state: State
    loss: float = math.nan
    fit_seconds: float = 0.0
    seconds: float = 0.0
    block_losses: list[float] = field(default_factory=list)
    block_rows: list[int] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def name(self) -> str:
        """Model type and number."""
        return f"{self.model_type} {self.number}"


def collect(contents: Iterable[Mapping[str, Any]], model_type: str = "") -> list[Trial]:
    """Trials from their JSON, of one model type or of all, by model type and number.

    Parameters
    ----------
    contents : the oldest first; of two with one name, which parallel tasks may have made, the first counts that did not
        fail
    """
    found: dict[str, Trial] = {}
    for trial in (Trial(**content) for content in contents):
        if model_type in {"", trial.model_type} and (trial.name not in found or found[trial.name].state == "failed"):
            found[trial.name] = trial
    return sorted(found.values(), key=lambda trial: (trial.model_type, trial.number))


def default_model(project: Project, model_type: str, model: Model) -> Model:
    """The model of trial 0: [model], without what only its own model type can take."""
    if model_type == model.type:
        return model
    other = Model(type=model_type, encoder=model.encoder)
    own = own_parameters(project, other)
    return other.model_copy(
        update={"parameters": {name: value for name, value in model.parameters.items() if name in own}}
    )


def find_best(trials: Iterable[Trial]) -> Trial:
    """The complete trial with the lowest loss."""
    return min((trial for trial in trials if trial.state == "complete"), key=lambda trial: trial.loss)
