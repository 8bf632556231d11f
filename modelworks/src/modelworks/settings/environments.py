"""Environments such as dev, staging and prod: files with what differs from pipeline.toml."""

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from modelworks.errors import ConfigError

ENVIRONMENT_VARIABLE = "MODELWORKS_ENV"
PRODUCTION = "prod"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
"""It is part of file names, of tags and of labels of metrics."""

Tables = Mapping[str, Any]
"""Tables of TOML by name."""


def find_environment(home: Path) -> str:
    """The environment that `MODELWORKS_ENV` names; "" if none is chosen.

    Raises
    ------
    ConfigError
        If the project has none of that name.
    """
    if name := os.environ.get(ENVIRONMENT_VARIABLE, ""):
        check_exists(home, name, f"{ENVIRONMENT_VARIABLE} or --env")
    return name


def check_exists(home: Path, name: str, given_by: str) -> None:
    """Make sure that a project has an environment.

    Parameters
    ----------
    given_by : option or variable that names it

    Raises
    ------
    ConfigError
        If it has none of that name.
    """
    if not NAME.fullmatch(name) or not environment_file(home, name).is_file():
        known = list_environments(home)
        nearest = get_close_matches(name, known, n=1)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        there_are = f"there are {', '.join(known)}" if known else "write it with what differs from pipeline.toml"
        raise ConfigError(f"{given_by} = {name!r}: no file environments/{name}.toml; {hint}{there_are}")


def list_environments(home: Path) -> list[str]:
    """The environments that a project has a file of, by name."""
    return sorted(path.stem for path in (home / "environments").glob("*.toml"))


def environment_file(home: Path, name: str) -> Path:
    """The file with the settings of an environment."""
    return home / "environments" / f"{name}.toml"


def read_tables(home: Path, environment: str) -> dict[str, Any]:
    """The settings of pipeline.toml with those of an environment on top.

    Raises
    ------
    ConfigError
        If a file is not valid TOML.
    """
    file = home / "pipeline.toml"
    tables = read_toml(file) if file.exists() else {}
    return merge_tables(tables, read_toml(environment_file(home, environment))) if environment else tables


def read_toml(file: Path) -> dict[str, Any]:
    """A file of settings, with or without the byte-order mark that some editors of Windows write.

    Raises
    ------
    ConfigError
        If it is not valid TOML.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None


def merge_tables(tables: Tables, over: Tables) -> dict[str, Any]:
    """Tables with others on top: those within are merged as well, whatever else is there is replaced, lists too."""
    merged = dict(tables)
    for name, value in over.items():
        below = merged.get(name)
        is_table = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[name] = merge_tables(below, value) if is_table else value  # type: ignore[arg-type]
    return merged


class _NamedRecord(logging.LogRecord):
    """A record of a log whose line begins with the environment, where the engine or the project writes it."""

    def getMessage(self) -> str:  # noqa: N802 - logging's own name
        environment = os.environ.get(ENVIRONMENT_VARIABLE, "")
        is_ours = self.name.partition(".")[0] == __name__.partition(".")[0]
        return f"[{environment}] {super().getMessage()}" if environment and is_ours else super().getMessage()


def name_in_logs() -> None:
    """Let each line that the engine logs in this process begin with the environment, whoever formats it."""
    logging.setLogRecordFactory(_NamedRecord)
