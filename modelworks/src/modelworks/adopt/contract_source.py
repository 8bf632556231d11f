"""The text of contract.py."""

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelworks.contract import Column, Contract, Rule

MODULE = '''\
"""What a row is.

{origin}
It is yours now: correct what was inferred wrongly.
"""

from modelworks.contract import {names}

CONTRACT = {contract}
'''
FUNCTIONS = {"feature": "column", "time": "column", "key": "identifier", "outcome": "outcome", "unused": "unused"}
"""That declare a column, by its role."""


def contract_source(contract: Contract, origin: str) -> str:
    """A module that declares an equal contract, formatted but for the length of its lines.

    Parameters
    ----------
    contract : whose only rules are ranges
    origin : a sentence
    """
    columns = [each for each in contract.columns.values() if each.role != "target"]
    has_ranges = any(each.rules for each in columns) or bool(contract.target.rules)
    functions = {FUNCTIONS[each.role] for each in columns} | {contract.target.kind}
    names = ["Contract", *sorted(functions | ({"between"} if has_ranges else set()))]
    arguments = {
        "target": _target(contract),
        "time": _literal(contract.time) if contract.time else "",
        "key": _list(map(_literal, contract.key)),
        "group": _literal(contract.group) if contract.group else "",
        "slices": _list(map(_literal, contract.slices)) if contract.slices else "",
        "columns": _list(map(_column, columns), multiline=True),
        "example": _dict(contract.example),
    }
    body = "".join(f"    {name}={text},\n" for name, text in arguments.items() if text)
    text = origin.replace("\\", "/").replace('"""', "'''")
    return MODULE.format(origin=text, names=", ".join(names), contract=f"Contract(\n{body})")


def _target(contract: Contract) -> str:
    target = contract.target
    arguments = [_literal(target.column), _literal(target.description)]
    if target.is_binary:
        arguments += [f"negative={_literal(target.classes[0])}", f"positive={_literal(target.classes[1])}"]
    elif target.is_multiclass:
        arguments.append(f"classes={_list(map(_literal, target.classes))}")
    else:
        arguments += map(_rule, target.rules)
        if target.unit:
            arguments.append(f"unit={_literal(target.unit)}")
    return f"{target.kind}({', '.join(arguments)})"


def _column(column: Column) -> str:
    arguments = [_literal(column.name), _literal(column.dtype), _literal(column.description)]
    arguments += map(_rule, column.rules)
    if column.unit:
        arguments.append(f"unit={_literal(column.unit)}")
    if column.nullable and column.role != "outcome":
        arguments.append("nullable=True")
    if column.content != "category":
        arguments.append(f"content={_literal(column.content)}")
    return f"{FUNCTIONS[column.role]}({', '.join(arguments)})"


def _rule(rule: Rule) -> str:
    return f"between({rule.arguments['min_value']!r}, {rule.arguments['max_value']!r})"


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _list(texts: Iterable[str], *, multiline: bool = False) -> str:
    items = list(texts)
    line = f"[{', '.join(items)}]"
    return "[\n" + "".join(f"        {item},\n" for item in items) + "    ]" if multiline or len(line) > 90 else line


def _dict(values: Mapping[str, Any]) -> str:
    return (
        "{\n" + "".join(f"        {_literal(name)}: {_literal(value)},\n" for name, value in values.items()) + "    }"
    )


def format_source(text: str, path: Path, home: Path) -> str:
    """Python as `ruff format` writes it in the project, where ruff is installed.

    Parameters
    ----------
    path : where the text will be
    """
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if not ruff:
        return text
    settings = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
    length = [] if "ruff" in settings else ["--line-length", "120"]
    command = [ruff, "format", "--quiet", "--no-cache", *length, "--stdin-filename", str(path), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 and done.stdout else text
