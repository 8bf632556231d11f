"""The next model of a model type to try: its initial points, and then what optuna proposes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution

from modelworks.models.model_type import LEAF_ROWS, ModelType
from modelworks.models.tuning.trial import Trial
from modelworks.settings import Model

N_RANDOM_TRIALS = 5
FRACTIONS = [1.0, 0.75, 0.5]
MIN_SELECTED_FROM = 4  # features; fewer are not selected from
N_SEEDS = 2**32


@dataclass(frozen=True)
class Proposal:
    """A model to try, with what optuna has to know of it afterwards."""

    model: Model
    params: dict[str, Any]
    distributions: dict[str, str]

    def keep_with(self, trial: Trial) -> Trial:
        """The trial with the proposal that it measured."""
        return replace(trial, params=self.params, distributions=self.distributions)


@dataclass(frozen=True)
class SearchSpace:
    """The search space of a model type on some rows.

    Attributes
    ----------
    default : the model that the others start from, trial 0
    """

    model_type: ModelType
    default: Model
    n_features: int
    has_categories: bool

    @property
    def preprocessing(self) -> dict[str, tuple[str, ...]]:
        """The preprocessing that the model type can take; without a category an encoding would change nothing."""
        encodings = {"encoding": self.model_type.encodings} if self.has_categories else {}
        return {**encodings, "imputation": self.model_type.imputations, "scaling": self.model_type.scalings}

    def initial_points(self) -> list[dict[str, Any]]:
        """The points to try after the default."""
        low, high = LEAF_ROWS
        first: dict[str, Any] = {key: allowed[0] for key, allowed in self.preprocessing.items()}
        first["selected_fraction"] = FRACTIONS[0]
        of_default = {**self.model_type.defaults, **self.default.parameters}
        if "min_samples_leaf" in of_default:
            first["min_samples_leaf"] = min(max(int(of_default["min_samples_leaf"]), low), high)
        points = self.model_type.initial_points
        return [{**first, **each} for each in points if self.has_categories or "encoding" not in each]

    def suggest(self, asked: optuna.Trial) -> Model:
        """A model with optuna's values: preprocessing, where there is a choice, and parameters."""
        changed: dict[str, str | float] = {
            key: asked.suggest_categorical(key, allowed)
            for key, allowed in self.preprocessing.items()
            if len(allowed) > 1
        }
        if self.n_features >= MIN_SELECTED_FROM:
            changed["selected_fraction"] = asked.suggest_categorical("selected_fraction", FRACTIONS)
        parameters = {**self.default.parameters, **self.model_type.search_space(asked)}
        return Model.model_validate({**self.default.model_dump(), **changed, "parameters": parameters})


def propose(space: SearchSpace, trials: Sequence[Trial], seed: int) -> Proposal:
    """The next model of a model type, after its default.

    Study and sampler are made anew for each trial, so resumed tuning gives the same proposals as uninterrupted tuning.
    """
    number = trials[-1].number + 1
    study = open_study(trials)
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=N_RANDOM_TRIALS, seed=(seed + number) % N_SEEDS)
    points = space.initial_points()
    if number <= len(points):
        study.enqueue_trial(points[number - 1])
    asked = study.ask()
    model = space.suggest(asked)
    distributions = {name: distribution_to_json(each) for name, each in asked.distributions.items()}
    return Proposal(model, asked.params, distributions)


def open_study(trials: Sequence[Trial]) -> optuna.Study:
    """The trials of one model type in optuna's form, without the failed ones."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for trial in trials:
        if trial.state != "failed":
            study.add_trial(
                optuna.trial.create_trial(
                    value=trial.loss,
                    params=trial.params,
                    distributions={name: json_to_distribution(text) for name, text in trial.distributions.items()},
                )
            )
    return study
