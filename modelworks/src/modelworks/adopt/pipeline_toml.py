"""Changing values in the text of pipeline.toml: comments and order stay."""

import re
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from modelworks.errors import ConfigError
from modelworks.settings import Settings

SettingChanges = dict[tuple[str, str], tuple[Any, str]]
"""Values and comments by section and key; an empty comment leaves the one that is there, and None removes the key. The
section of a table's entries has a dot: ("gates.metrics", "roc_auc")."""

COMMENT_AT = 37


def set_values(text: str, changes: SettingChanges) -> str:
    """The text of pipeline.toml with other values; a key that is missing is added, unless the value is its default.

    Raises
    ------
    ConfigError
        If there is no such setting, or it is written in a way that only a person can change.
    """
    present = tomllib.loads(text)
    left = {
        (section, key): change
        for (section, key), change in changes.items()
        if key in _find(present, section) or change[0] not in (None, _default_of(section, key))
    }
    expected = deepcopy(present)
    for (section, key), (value, _) in left.items():
        _set(expected, section, key, value)
    made = "\n".join(_add_missing(_replace(text, left), left, present)) + "\n"
    if tomllib.loads(made) != expected:
        raise ConfigError("pipeline.toml: it is written in a way that only a person can change; write one key a line")
    return made


def _find(settings: dict[str, Any], section: str) -> dict[str, Any]:
    """The values of a section; {} where there is none."""
    for name in section.split("."):
        settings = settings.get(name, {})
    return settings


def _set(settings: dict[str, Any], section: str, key: str, value: Any) -> None:
    for name in section.split("."):
        settings = settings.setdefault(name, {})
    if value is None:
        del settings[key]
    else:
        settings[key] = value


def _default_of(section: str, key: str) -> Any:
    """The default of a setting; None of an entry of a table."""
    name, _, table = section.partition(".")
    kind = Settings.model_fields[name].annotation if name in Settings.model_fields else None
    fields = getattr(kind, "model_fields", {})
    if (table or key) not in fields:
        raise ConfigError(f"pipeline.toml: no [{section}] {key}; there is no such setting")
    return None if table else fields[key].get_default(call_default_factory=True)


def _replace(text: str, changes: SettingChanges) -> list[str]:
    """The lines, with new values of the keys that are there."""
    written = []
    for section, key, chunk in _split(text):
        if (section, key) not in changes:
            written.append(chunk)
            continue
        value, comment = changes[section, key]
        if value is None:
            continue
        old, column = _find_comment(chunk)
        if not comment and tomllib.loads(chunk)[key] == value:
            written.append(chunk)
        else:
            written.append(_write(key, value, comment or old, column))
    return "\n".join(written).split("\n")


def _split(text: str) -> Iterator[tuple[str, str, str]]:
    """Each line with its section and key, "" where there is none; a value of several lines stays in one piece."""
    lines, section, at = text.splitlines(), "", 0
    while at < len(lines):
        if header := _section_of(lines[at]):
            section = header
        key = (re.match(r"(\w+)\s*=", lines[at]) or [""])[0].rstrip("= ")
        end = at + 1
        while key and not _is_whole(chunk := "\n".join(lines[at:end])):
            if end == len(lines):
                raise ConfigError(f"pipeline.toml: [{section}] {key}: its value does not end; fix it first")
            end += 1
        yield section, key, chunk if key else lines[at]
        at = end


def _section_of(line: str) -> str:
    found = re.match(r"\[\[?\s*([\w.-]+)\s*\]", line)
    return found[1] if found else ""


def _add_missing(lines: list[str], changes: SettingChanges, present: dict[str, Any]) -> list[str]:
    """The lines, with new keys at the end of their section, or in a section of their own."""
    for (section, key), (value, comment) in changes.items():
        if key in _find(present, section):
            continue
        if section not in map(_section_of, lines):
            lines = [*lines, "", f"[{section}]"] if lines[-1] else [*lines, f"[{section}]"]
        start = next(at for at, line in enumerate(lines) if _section_of(line) == section)
        end = next((at for at in range(start + 1, len(lines)) if _section_of(lines[at])), len(lines))
        while not lines[end - 1].strip() or lines[end - 1].startswith("#"):  # a comment there is of the next section
            end -= 1
        lines = [*lines[:end], _write(key, value, comment, COMMENT_AT), *lines[end:]]
    return lines


def _write(key: str, value: Any, comment: str, column: int) -> str:
    setting = f"{key} = {_to_toml(value)}"
    return f"{setting.ljust(column - 1)} # {comment}" if comment else setting


def _find_comment(chunk: str) -> tuple[str, int]:
    """The comment that a value ends with, and its column; where there is none, the file's usual one."""
    for mark in re.finditer("#", chunk):
        if _is_whole(chunk[: mark.start()]):
            return chunk[mark.end() :].strip(), mark.start() - chunk.rfind("\n", 0, mark.start()) - 1
    return "", COMMENT_AT


def _is_whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _to_toml(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_to_toml(each)}" for name, each in value.items()) + " }" if value else "{}"
    return str(value)
