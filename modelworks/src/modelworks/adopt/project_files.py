"""The project's own modules and tests: which are about the table that is replaced, and their plain forms."""

import ast
import runpy
import tomllib
from importlib import resources
from pathlib import Path

from modelworks.contract import Contract
from modelworks.errors import ConfigError

MODULES = ("features.py", "checks.py", "models.py")
TESTS = ("test_features.py", "test_models.py")


def find_package(home: Path) -> Path:
    """The folder of the project's package, by `[tool.modelworks] project` of its pyproject.toml.

    Raises
    ------
    ConfigError
        If it names no project.
    """
    try:
        text = (home / "pyproject.toml").read_text(encoding="utf-8")
        reference = tomllib.loads(text)["tool"]["modelworks"]["project"]
    except (OSError, KeyError):
        raise ConfigError(f'{home / "pyproject.toml"}: no [tool.modelworks] project = "package.module:name"') from None
    module = reference.partition(":")[0]
    return home.joinpath("src", *module.split(".")[:-1])


def read_columns(contract: Path) -> set[str]:
    """Columns of the contract that a module declares; empty where it cannot be run."""
    try:
        names = runpy.run_path(str(contract))
    except Exception:  # whatever is wrong with it: it is written over
        return set()
    return {name for value in names.values() if isinstance(value, Contract) for name in value.columns}


def reset_files(home: Path, new: Contract) -> dict[str, str]:
    """New texts, by path relative to the project, of the files that name a column which the new contract lacks."""
    package = find_package(home)
    gone = read_columns(package / "contract.py") - set(new.columns)
    files = [*(package / name for name in MODULES), *(home / "tests" / name for name in TESTS)]
    found = {file: plain_form(file.name) for file in files if file.is_file() and _names_column(_parse(file), gone)}
    removed = {name for file, text in found.items() for name in _defined(_parse(file)) - _defined(ast.parse(text))}
    project = package / "project.py"
    if removed and project.is_file():
        text = project.read_text(encoding="utf-8")
        if (without := remove_names(text, removed)) != text:
            found[project] = without
    return {str(file.relative_to(home)): text for file, text in found.items()}


def plain_form(name: str) -> str:
    """A module or test of the project as it is for any table."""
    return (resources.files("modelworks.adopt") / "plain" / f"{name}.txt").read_text(encoding="utf-8")


def remove_names(source: str, names: set[str]) -> str:
    """Python without the imports of some names, and without them in the arguments of `Project`."""
    edits: list[tuple[ast.ImportFrom | ast.Call, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and any(alias.name in names for alias in node.names):
            kept = [alias for alias in node.names if alias.name not in names]
            new = ast.ImportFrom(node.module, kept, node.level)
            edits.append((node, ast.unparse(new) if kept else ""))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Project":
            keywords = [_without(keyword, names) for keyword in node.keywords]
            if any(new is not old for new, old in zip(keywords, node.keywords, strict=True)):
                edits.append((node, ast.unparse(ast.Call(node.func, node.args, [each for each in keywords if each]))))
    return _edit(source, edits)


def _without(keyword: ast.keyword, names: set[str]) -> ast.keyword | None:
    """An argument without some names; None where nothing is left of it."""
    value = keyword.value
    if isinstance(value, ast.Name) and value.id in names:
        return None
    if isinstance(value, ast.List) and any(isinstance(each, ast.Name) and each.id in names for each in value.elts):
        kept = [each for each in value.elts if not (isinstance(each, ast.Name) and each.id in names)]
        return ast.keyword(keyword.arg, ast.List(kept)) if kept else None
    return keyword


def _edit(source: str, edits: list[tuple[ast.ImportFrom | ast.Call, str]]) -> str:
    lines = source.encode().splitlines(keepends=True)
    for node, text in sorted(edits, key=lambda edit: edit[0].lineno, reverse=True):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        rest = lines[last][node.end_col_offset :]
        merged = lines[first][: node.col_offset] + text.encode() + rest
        lines[first : last + 1] = [merged] if merged.strip() else []
    return b"".join(lines).decode()


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError:
        return ast.Module([], [])


def _names_column(tree: ast.Module, columns: set[str]) -> bool:
    """Whether a module names a column: as text, as an attribute of a frame or as an argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in columns:
            return True
        if isinstance(node, ast.Attribute) and node.attr in columns:
            return True
        if isinstance(node, ast.keyword) and node.arg in columns:
            return True
    return False


def _defined(tree: ast.Module) -> set[str]:
    """Names that a module defines at its top level."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found
