"""What is wrong with a setting, in one line: where it is, its value and what is allowed."""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import SecretStr
from pydantic_settings import SettingsError

from modelworks.errors import ConfigError
from modelworks.settings.base import Section
from modelworks.settings.settings import ENV_PREFIX, Settings


def explain(
    detail: Any, overrides: Mapping[str, Mapping[str, Any]], file: str = "", own: Mapping[str, Any] | None = None
) -> str:
    """One line for one of pydantic's errors.

    Parameters
    ----------
    detail : of `ValidationError.errors`
    overrides : values that are neither from a file nor from a variable
    file, own : name of the environment's file, if one is chosen, and its tables
    """
    message = detail["msg"].removeprefix("Value error, ")
    if not detail["loc"]:
        return f"{' with '.join(filter(None, ['pipeline.toml', file]))}: {message}"
    section, *keys = (str(part) for part in detail["loc"])
    table = ".".join([section, *keys[:-1]])
    origin = _origin(section, keys, overrides) or (file if _has(own or {}, section, *keys) else "pipeline.toml")
    where = f"{origin}: [{table}] {''.join(keys[-1:])}".rstrip()
    if detail["type"] == "extra_forbidden":
        wrong = explain_unknown(keys[-1], _keys_of(section, *keys[:-1])) if keys else _explain_section(section)
        return f"{where}: {wrong}"
    if detail["type"] == "missing":
        return f"{where}: missing"
    if not keys:
        return f"{where}: {message}"
    value = "..." if _is_secret(section, keys[0]) else repr(detail["input"])
    return f"{where} = {value}: {message}"


def explain_list(error: SettingsError) -> str:
    """A list in the environment that is not valid JSON; the error has its text, but not its name."""
    text = getattr(error.__cause__, "doc", None)
    names = [name for name, value in os.environ.items() if name.startswith(ENV_PREFIX) and value == text]
    return f'environment variable {", ".join(names)} = {text!r}: a list is written as ["one", "two"]'


def explain_unknown(name: str, allowed: Sequence[str]) -> str:
    """That there is no such setting, the nearest one if there is a similar one, and all that there are."""
    nearest = get_close_matches(name, allowed, n=1)
    return f"no such setting; {f'did you mean {nearest[0]}? ' if nearest else ''}allowed: {', '.join(allowed)}"


def refuse_unknown_variables() -> None:
    """Refuse a variable that looks like a setting and is none; pydantic-settings ignores it.

    Raises
    ------
    ConfigError
        If there is one.
    """
    for variable in os.environ:
        # Others have names like ours: Kubernetes sets <SERVICE>_SERVICE_HOST. A setting has two underscores.
        if not variable.startswith(ENV_PREFIX) or "__" not in variable.removeprefix(ENV_PREFIX):
            continue
        section, _, path = variable.removeprefix(ENV_PREFIX).lower().partition("__")
        key, _, entry = path.partition("__")
        keys = _keys_of(section)
        if key not in keys or (entry and not _is_table(section, key)):
            allowed = [_variable(section, each) for each in keys] or [_variable(each, "...") for each in _sections()]
            raise ConfigError(f"environment variable {variable}: {explain_unknown(variable, allowed)}")


def _variable(section: str, key: str) -> str:
    return f"{ENV_PREFIX}{section}__{key}".upper()


def _has(tables: Any, *path: str) -> bool:
    """Whether tables of TOML have an entry."""
    for name in path:
        if not isinstance(tables, Mapping) or name not in tables:
            return False
        tables = tables[name]
    return True


def _origin(section: str, keys: list[str], overrides: Mapping[str, Mapping[str, Any]]) -> str:
    """Where a value comes from, if it is from no file."""
    if keys and keys[0] in overrides.get(section, {}):
        return "overrides"
    for depth in range(len(keys), 0, -1):  # an entry of a table may have a variable of its own
        if (variable := _variable(section, "__".join(keys[:depth]))) in os.environ:
            return f"environment variable {variable}"
    return ""


def _explain_section(name: str) -> str:
    return explain_unknown(name, list(_sections()))


def _sections() -> dict[str, type[Section]]:
    fields = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in fields.items() if _is_section(kind)}


def _is_section(kind: Any) -> TypeGuard[type[Section]]:
    return isinstance(kind, type) and issubclass(kind, Section)


def _keys_of(section: str, *path: str) -> list[str]:
    """Names of the settings of a section, or of a section or a table's entry in it, as in [gates.metrics] roc_auc."""
    kind: Any = _sections().get(section)
    for name in path:
        kind = kind.model_fields[name].annotation if _is_section(kind) else get_args(kind)[1]
    return list(kind.model_fields) if kind else []


def _is_table(section: str, key: str) -> bool:
    kind = _sections()[section].model_fields[key].annotation
    return get_origin(kind) is dict or _is_section(kind)


def _is_secret(section: str, key: str) -> bool:
    kind = _sections().get(section)
    if kind is None or key not in kind.model_fields:
        return False
    field = kind.model_fields[key]
    return field.annotation is SecretStr or not field.repr  # no secret itself, but one may be typed in its place
