"""Write docs/reference/settings.md, settings-of-operations.md and model-types.md: every setting with its default.

Run it with the engine's environment: `.venv-engine/bin/python tools/settings_reference.py`.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from modelworks.models import types
from modelworks.models.encoders import ENCODERS
from modelworks.models.model_type import ModelType
from modelworks.settings import Section, Settings

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGE, MODEL_TYPES_PAGE = REFERENCE / "settings.md", REFERENCE / "model-types.md"
OPERATIONS_PAGE = REFERENCE / "settings-of-operations.md"
OPERATIONS = ("compute", "monitoring", "retraining", "serving", "rollout", "notifications", "stack", "tracking")

HEAD = """\
# Settings

`pipeline.toml` holds the settings that a team changes; each of the others may be added there. A setting is also an
environment variable, in the shell or in `.env`, and that takes precedence: `[training] seed` is
`MODELWORKS_TRAINING__SEED`. Lists and tables are written as JSON in a variable:
`MODELWORKS_TRAINING__FEATURES='["distance", "carrier"]'`. An unknown section, key or value is refused before anything
runs, and the error names what is allowed.

An entry of a table has a variable as well: `MODELWORKS_GATES__METRICS__ROC_AUC__MAX`,
`MODELWORKS_MODEL__PARAMETERS__MAX_ITER`. The parameters are on [a page of their own](model-types.md), and so are
[the settings of operations](settings-of-operations.md): `[compute]`, `[monitoring]`, `[retraining]`, `[serving]`,
`[rollout]`, `[notifications]`, `[stack]` and `[tracking]`.
`tools/settings_reference.py` writes this page from the settings' own classes.
"""

OPERATIONS_HEAD = """\
# Settings of operations

Where the work is done, when a new model is made, how predictions are served, and who is notified. The settings of data
and models, and how each is an environment variable, are on [the first page](settings.md).
`tools/settings_reference.py` writes this page.
"""

MODEL_TYPES_HEAD = """\
# Model types and encoders

What `modelworks` brings. A project names the model types that it uses in `models.py`; `[model] type` is the one that is
trained, and `[model.parameters]` changes the defaults below. An [own model type](../how-to/add-a-model-type.md) has its
own parameters. Encodings, imputations and scalings are those that a model type can take; the first is its default.
`tools/settings_reference.py` writes this page.

"""


def main() -> None:
    """Write the pages."""
    for page, text in to_pages().items():
        page.write_text(text, encoding="utf-8")


def to_pages() -> dict[Path, str]:
    """The text of each page."""
    sections = {name: field.annotation for name, field in Settings.model_fields.items() if _is_section(field)}
    tables = {name: _to_section(name, kind) for name, kind in sections.items() if kind}
    return {
        PAGE: "\n".join([HEAD, *(table for name, table in tables.items() if name not in OPERATIONS)]),
        OPERATIONS_PAGE: "\n".join([OPERATIONS_HEAD, *(tables[name] for name in OPERATIONS)]),
        MODEL_TYPES_PAGE: to_model_types_page(),
    }


def to_model_types_page() -> str:
    """A section for each model type, and one for the encoders."""
    names = [name for _, name, _ in pkgutil.iter_modules(types.__path__) if not name.startswith("_")]
    found = {name: importlib.import_module(f"{types.__name__}.{name}").MODEL_TYPE for name in names}
    sections = [_to_model_type(name, each) for name, each in found.items()]
    rows = [
        f"| `{name}` | {each.title} | {each.reads} | {_parameters(each.defaults)} |" for name, each in ENCODERS.items()
    ]
    header = ["| encoder | what it is | reads | parameters |", "| --- | --- | --- | --- |"]
    return MODEL_TYPES_HEAD + "\n".join([*sections, "## Encoders", "", *header, *rows, ""])


def _to_model_type(name: str, model_type: ModelType) -> str:
    prepared = {
        "encodings": model_type.encodings,
        "imputations": model_type.imputations,
        "scalings": model_type.scalings,
    }
    rows = [f"| {key} | {', '.join(f'`{each}`' for each in values)} |" for key, values in prepared.items()]
    return "\n".join([
        f"## {name}",
        "",
        f"{model_type.title[0].upper()}{model_type.title[1:]}.",
        "",
        "| | |",
        "| --- | --- |",
        f"| parameters | {_parameters(model_type.defaults)} |",
        *rows,
        "",
    ])


def _parameters(defaults: dict[str, Any]) -> str:
    return ", ".join(f"`{name} = {_toml(value)}`" for name, value in defaults.items()) or "none"


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Section)


def _to_section(name: str, section: type[Section]) -> str:
    rows = [f"| `{key}` | {_type(field)} | {_default(field)} | {_meaning(field)} |" for key, field in _fields(section)]
    header = ["| setting | values | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## [{name}]", "", (section.__doc__ or "").strip(), "", *header, *rows, ""])


def _fields(section: type[Section]) -> list[tuple[str, FieldInfo]]:
    """Names and fields, those of a table within the table as `fairness.columns`."""
    found: list[tuple[str, FieldInfo]] = []
    for key, field in section.model_fields.items():
        within = field.annotation
        if within and _is_section(field):
            found += [(f"{key}.{name}", each) for name, each in _fields(within)]
        else:
            found.append((key, field))
    return found


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    if field.default is None:
        return ""
    return f"`{_toml(field.get_default(call_default_factory=True))}`"


def _toml(value: Any) -> str:
    """A value as pipeline.toml writes it."""
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return "{}" if value == {} else str(value)


def _type(field: FieldInfo) -> str:
    """What a value has to be, with its bounds."""
    limits = {key: value for each in field.metadata for key, value in _limits(each)}
    signs = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
    bounds = [f"{sign} {limits[key]:,}" for key, sign in signs if key in limits]
    return ", ".join([_name(field.annotation), *bounds])


def _limits(constraint: Any) -> list[tuple[str, Any]]:
    found = [(key, getattr(constraint, key, None)) for key in ("gt", "ge", "lt", "le")]
    return [(key, value) for key, value in found if value is not None]


def _name(annotation: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", SecretStr: "text, a secret"}
    if annotation in names:
        return names[annotation]
    arguments = tuple(each for each in get_args(annotation) if each is not type(None))
    if get_origin(annotation) is list:
        return f"list of {_name(arguments[0])}"
    if get_origin(annotation) is Annotated:
        return _name(arguments[0])
    if get_origin(annotation) is dict:
        return "table"
    if arguments and all(isinstance(each, str) for each in arguments):
        return " or ".join(f'`"{each}"`' for each in arguments)
    if arguments:
        return " or ".join(dict.fromkeys(_name(each) for each in arguments))
    raise TypeError(f"no words for settings of type {annotation}")


if __name__ == "__main__":
    main()
