"""A small project to adopt tables into, and the result of adopting."""

import io
import runpy
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from flights import PACKAGE, PACKAGE_FOLDER, TEMPLATE, make_home
from modelworks import adopt as engine
from modelworks.contract import Contract

CONTRACT = f"src/{PACKAGE}/contract.py"


def make_project(folder: Path) -> Path:
    """The flights' project with its own copy of what `adopt` may write over, committed."""
    make_home(folder)
    (folder / "src" / PACKAGE).unlink()
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE_FOLDER, folder / "src" / PACKAGE, ignore=ignored)
    shutil.copytree(TEMPLATE / "tests", folder / "tests", ignore=ignored)
    (folder / ".gitignore").write_text("var/\n__pycache__/\n")
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "x", "--allow-empty")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Adopted:
    """A project after `adopt`.

    Attributes
    ----------
    said : all that was printed
    contract : of contract.py
    """

    folder: Path
    said: str
    contract: Contract

    @property
    def roles(self) -> dict[str, str]:
        return {name: column.role for name, column in self.contract.columns.items()}

    @property
    def dtypes(self) -> dict[str, str]:
        return self.contract.dtypes

    def rows(self) -> pd.DataFrame:
        """All converted rows, period after period."""
        return pd.concat([pd.read_parquet(file) for file in sorted((self.folder / "data").glob("*.parquet"))])


def adopt(folder: Path, table: pd.DataFrame | Path | str, target: str, **choices: Any) -> Adopted:
    """Adopt a table with the proposed answers, unless `choices` differ."""
    file = table
    if isinstance(table, pd.DataFrame):
        file = folder / "var" / "table.csv"
        file.parent.mkdir(exist_ok=True)
        table.to_csv(file, index=False)
    output = io.StringIO()
    engine.adopt(folder, str(file), engine.Choices(target, **{"yes": True, **choices}), Console(file=output, width=200))
    return Adopted(folder, output.getvalue(), runpy.run_path(str(folder / CONTRACT))["CONTRACT"])
