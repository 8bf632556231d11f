"""A small project to adopt tables into, and what comes out of it."""

import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from {{ cookiecutter.__package_name }} import adoption, config
from {{ cookiecutter.__package_name }}.config import PACKAGE

PROJECT = Path(__file__).resolve().parents[2]


def make_project(folder: Path) -> Path:
    """The files that `adopt` writes over, committed."""
    package = folder / "src" / PACKAGE
    package.mkdir(parents=True)
    shutil.copy(Path(config.__file__).with_name("contract.py"), package)
    for name in ("pipeline.toml", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    (folder / "data").mkdir()
    (folder / "tests" / "flights").mkdir(parents=True)
    (folder / "tests" / "flights" / "test_flights.py").write_text("")
    (folder / ".gitignore").write_text("var/\n")
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "x", "--allow-empty")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@dataclass
class Adopted:
    """A project after `adopt`.

    Attributes
    ----------
    said : all that was printed
    contract : the names in contract.py
    """

    folder: Path
    said: str
    contract: dict[str, Any]

    @property
    def roles(self) -> dict[str, str]:
        return {name: column.metadata["role"] for name, column in self.contract["COLUMNS"].items()}

    @property
    def dtypes(self) -> dict[str, str]:
        return {name: column.metadata["dtype"] for name, column in self.contract["COLUMNS"].items()}

    def rows(self) -> pd.DataFrame:
        """All that was converted, month after month."""
        return pd.concat([pd.read_parquet(file) for file in sorted((self.folder / "data").glob("*.parquet"))])


def adopt(folder: Path, table: pd.DataFrame | Path | str, target: str, **choices: Any) -> Adopted:
    """Adopt a table with what is proposed, unless `choices` say otherwise."""
    file = table
    if isinstance(table, pd.DataFrame):
        file = folder / "var" / "table.csv"
        file.parent.mkdir(exist_ok=True)
        table.to_csv(file, index=False)
    console = Console(file=io.StringIO(), width=200)
    adoption.adopt(str(file), adoption.Choices(target, **{"yes": True, **choices}), console)
    names: dict[str, Any] = {}
    text = (folder / "src" / PACKAGE / "contract.py").read_text(encoding="utf-8")
    exec(text.replace("from .declaration", f"from {PACKAGE}.declaration"), names)  # noqa: S102 - as Python imports it
    return Adopted(folder, console.file.getvalue(), names)
