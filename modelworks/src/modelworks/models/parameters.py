"""Parameters of a model: those of its model type and of its encoder, from their defaults and [model.parameters]."""

from difflib import get_close_matches
from typing import Any

from modelworks.errors import ConfigError
from modelworks.models import encoders
from modelworks.models.model_type import Parameters
from modelworks.project import Project
from modelworks.settings import Model


def name_encoder(project: Project, model: Model) -> str:
    """The encoder of the documents: the model type's own, or else that of [model]."""
    return project.find_model_type(model.type).encoder or model.encoder


def complete_parameters(project: Project, model: Model) -> Parameters:
    """Every parameter of a model type with its value: its default, or that of [model.parameters].

    Raises
    ------
    ConfigError
        If [model.parameters] has an unknown name, or a value of another type than the default.
    """
    check_parameters(project, model)
    return _complete(project.find_model_type(model.type).defaults, model)


def encoder_parameters(project: Project, model: Model) -> Parameters:
    """Every parameter of the encoder with its value."""
    return _complete(encoders.find(name_encoder(project, model)).defaults, model)


def logged_parameters(project: Project, model: Model) -> Parameters:
    """What is logged of a model: the settings that it uses, and each parameter in use with its value."""
    settings = model.model_dump(exclude={"parameters", "encoder"}, exclude_none=True)
    if project.contract.document_features:
        settings["encoder"] = name_encoder(project, model)
    return {**settings, **_complete(own_parameters(project, model), model)}


def own_parameters(project: Project, model: Model) -> Parameters:
    """Names and defaults of the parameters that the model type has, and the encoder where a feature is a document."""
    of_encoder: Parameters = {}
    if project.contract.document_features:
        of_encoder = encoders.find(name_encoder(project, model)).defaults
    return {**of_encoder, **project.find_model_type(model.type).defaults}


def check_parameters(project: Project, model: Model) -> None:
    """Make sure that [model.parameters] has known names, and values of the types of their defaults.

    A name that only another model type of the project has is accepted: tuning gives it to that one.

    Raises
    ------
    ConfigError
        If not; the error names the parameter and what is allowed.
    """
    own = own_parameters(project, model)
    all_names = {*own, *(name for each in project.model_types.values() for name in each.defaults)}
    if project.contract.document_features:
        all_names |= {name for each in encoders.ENCODERS.values() for name in each.defaults}
    if unknown := [name for name in model.parameters if name not in all_names]:
        nearest = get_close_matches(unknown[0], own, n=1)
        raise ConfigError(
            f"[model.parameters] {unknown[0]}: the model type {model.type!r} has no such parameter; "
            f"{f'did you mean {nearest[0]}? ' if nearest else ''}allowed: {', '.join(own) or 'none'}"
        )
    _complete(own, model)


def find_unused_parameters(project: Project, model: Model) -> list[str]:
    """Names in [model.parameters] that neither the model type nor the encoder has."""
    own = own_parameters(project, model)
    return [name for name in model.parameters if name not in own]


def _complete(defaults: Parameters, model: Model) -> Parameters:
    given = {name: value for name, value in model.parameters.items() if name in defaults}
    return {**defaults, **{name: _convert(name, value, defaults[name]) for name, value in given.items()}}


def _convert(name: str, value: Any, default: Any) -> Any:
    """A value in the type of its default; variables of the environment are texts."""
    wanted = "a number" if isinstance(default, float) else f"of type {type(default).__name__}"
    refusal = ConfigError(f"[model.parameters] {name} = {value!r}: not {wanted}, as its default {default!r} is")
    if isinstance(default, bool) or isinstance(value, bool):
        named = {"true": True, "false": False}.get(str(value).lower())
        if not isinstance(default, bool) or named is None:
            raise refusal
        return named
    if isinstance(default, str):
        if not isinstance(value, str):
            raise refusal
        return value
    if isinstance(default, int | float):
        try:
            return _to_number(value, is_whole=isinstance(default, int))
        except ValueError:
            raise refusal from None
    return value


def _to_number(value: Any, *, is_whole: bool) -> int | float:
    number = float(value)
    if not is_whole:
        return number
    if not number.is_integer():
        raise ValueError
    return int(number)
