"""The one object that ties a project together; every stage is handed it."""

import importlib
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelworks.contract import Contract
from modelworks.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from modelworks.checks import Check
    from modelworks.evaluation.holdout import HoldoutEvaluation
    from modelworks.models.model_type import ModelType

FeatureFunction = Callable[["pd.DataFrame"], "pd.DataFrame"]
"""Adds derived columns to rows of the contract's features; one row in, one row out."""
DataCheck = Callable[["pd.DataFrame"], "Check"]
"""Judges the clean rows of a period."""
ReleaseGate = Callable[["HoldoutEvaluation"], "Check"]
"""Judges a candidate on the held-out rows."""
SourceFunction = Callable[[str, Path], Path]
"""Writes the rows of a period, such as "2013-01", to a CSV or Parquet file in a folder; returns the file."""
Notifier = Callable[[Mapping[str, Any]], None]
"""Delivers a message about a run."""


@dataclass(frozen=True)
class Project:
    """What a team declares of its project.

    Attributes
    ----------
    contract : what a row is
    model_types : the model types that it may train and tune, by the name that `[model] type` gives them
    features : adds derived columns; None for none
    data_checks : checks of a period beside the engine's own
    release_gates : gates beside the engine's own
    source : fetches a period's rows, in place of `[source] uri` or `query`
    notifiers : get every message beside the channels of `[notifications]`
    """

    contract: Contract
    model_types: Mapping[str, "ModelType"]
    features: FeatureFunction | None = None
    data_checks: Sequence[DataCheck] = field(default_factory=list)
    release_gates: Sequence[ReleaseGate] = field(default_factory=list)
    source: SourceFunction | None = None
    notifiers: Sequence[Notifier] = field(default_factory=list)

    def find_model_type(self, name: str) -> "ModelType":
        """A model type by its name.

        Raises
        ------
        ConfigError
            If the project has none of that name.
        """
        if name not in self.model_types:
            near = get_close_matches(name, self.model_types, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"[model] type = {name!r}: no such model type; {hint}"
                f"models.py has {', '.join(sorted(self.model_types))}"
            )
        return self.model_types[name]


def load_project(home: Path) -> Project:
    """The project of a folder, by `[tool.modelworks] project = "package.module:name"` of its pyproject.toml.

    Raises
    ------
    ConfigError
        If the folder names no project, or what it names cannot be imported or is none.
    """
    file = home / "pyproject.toml"
    try:
        reference = tomllib.loads(file.read_text(encoding="utf-8"))["tool"]["modelworks"]["project"]
    except (OSError, KeyError):
        raise ConfigError(f'{file}: no [tool.modelworks] project = "package.module:name"') from None
    module, _, name = reference.partition(":")
    if (source := str(home / "src")) not in sys.path:
        sys.path.insert(0, source)
    try:
        project = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{file}: [tool.modelworks] project = {reference!r}: {error}") from error
    if not isinstance(project, Project):
        raise ConfigError(f"{file}: [tool.modelworks] project = {reference!r} is no Project")
    return project


def check_environment(home: Path) -> None:
    """Make sure that this process runs the code of a folder, and not that of the folder it was copied from.

    Commands in a copied or moved `.venv` start the former folder's Python, which finds the former code.

    Raises
    ------
    ConfigError
        If the project, or its engine in `vendor/`, is imported from elsewhere.
    """
    reference = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["modelworks"]["project"]
    package = reference.partition(":")[0].partition(".")[0]
    for name, source in ((package, home / "src"), (__package__, home / "vendor" / "modelworks" / "src")):
        expected, found = source / name / "__init__.py", sys.modules[name].__file__ if name in sys.modules else None
        if found and expected.is_file() and Path(found).resolve() != expected.resolve():
            raise ConfigError(
                f"{name} is imported from {Path(found).parent}, and not from {expected.parent}: the environment in "
                f"use, {sys.prefix}, belongs to another folder. `make setup` makes one for this folder"
            )
