"""A sandbox: a second home of the project with the same code and sources, its own settings and an empty `var`.

Nothing that runs in a sandbox changes the project's storage, registry or Airflow.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelworks.settings import Policy, Settings, load_settings
from modelworks.settings.environments import environment_file, find_environment, read_tables
from modelworks.settings.loading import Overrides

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
NOT_LINKED = {"var", ".git", ".env", "environments", "pipeline.toml"}

OWN: Overrides = {
    "storage": {"uri": "var/data"},
    "tracking": {"uri": ""},
    "gates": {"approval": "never"},
    "rollout": {"release": "at_once"},  # no traffic meets a replayed year
    "notifications": {"events": []},
    "policy": dict.fromkeys(Policy.model_fields, False),
}
"""Settings of every sandbox, in any environment: it shares no storage and no server, releases at once, asks nobody and
notifies nobody."""


def make_sandbox(home: Path, folder: Path, overrides: Overrides) -> Settings:
    """Make the folder a sandbox of a home, and return its settings; what was in the folder is removed.

    Parameters
    ----------
    overrides : with precedence over the home's pipeline.toml and the environment

    Raises
    ------
    ConfigError
        If an override has a wrong name, type or value.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "var").mkdir(parents=True)
    for each in home.iterdir():
        if each.name not in NOT_LINKED:
            (folder / each.name).symlink_to(each)
    configured = read_tables(home, environment := find_environment(home))
    if environment:  # its settings are in the sandbox's pipeline.toml already
        (folder / "environments").mkdir()
        environment_file(folder, environment).touch()
    text = to_toml(_merge(_merge(configured, OWN), overrides))
    (folder / "pipeline.toml").write_text(text, encoding="utf-8")
    return open_sandbox(folder, overrides)


def open_sandbox(folder: Path, overrides: Overrides) -> Settings:
    """The settings of a sandbox.

    Its pipeline.toml has the overrides already; given again they win over variables of the environment as well.
    """
    return load_settings(folder, _merge(OWN, overrides))


def _merge(sections: Overrides, over: Overrides) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys([*sections, *over])
    return {name: {**sections.get(name, {}), **over.get(name, {})} for name in names}


def to_toml(sections: Overrides) -> str:
    """Sections of settings as TOML."""
    tables = [
        "\n".join([f"[{name}]", *(f"{_to_key(key)} = {_to_value(value)}" for key, value in values.items())])
        for name, values in sections.items()
    ]
    return "\n\n".join(tables) + "\n"


def _to_key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _to_value(name)


def _to_value(value: object) -> str:
    if isinstance(value, Mapping):
        # TOML has no null: what is unset is left out.
        items = [f"{_to_key(key)} = {_to_value(each)}" for key, each in value.items() if each is not None]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_to_value, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)  # a number or a date
