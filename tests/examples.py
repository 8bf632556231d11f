"""The template's other examples, texts and images: contracts, settings and rows. Their libraries may be absent."""

import importlib.util
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from flights import TEMPLATE
from modelworks.models.types import blend, boosting, fine_tuned, forest, linear
from modelworks.project import Project
from modelworks.settings import Model


@dataclass(frozen=True)
class Example:
    """One of the answers to `example`.

    Attributes
    ----------
    home : its folder in the template, from which relative weights start
    model : its section [model]
    period : one of its newest
    """

    home: Path
    project: Project
    model: Model
    period: str

    def read(self, period: str) -> pd.DataFrame:
        """The rows of a period, every value as text."""
        [file] = (self.home / "data").glob(f"*-{period}.csv.gz")
        frame = pd.read_csv(file, dtype="str", keep_default_na=False)
        assert list(frame) == list(self.project.contract.dtypes)
        return frame


def model_with(model: Model, **changed: object) -> Model:
    """A section [model] with other keys, and other parameters."""
    keys = {name: value for name, value in changed.items() if name in Model.model_fields}
    others = {name: value for name, value in changed.items() if name not in Model.model_fields}
    return model.model_copy(update={**keys, "parameters": {**model.parameters, **others}})


def load_example(name: str, period: str) -> Example:
    """An example of the template by its name; importing its contract imports no network's library."""
    home = TEMPLATE / "examples" / name
    model_types = {"blend": blend, "boosting": boosting, "forest": forest, "linear": linear}
    if name == "text":
        model_types["fine_tuned"] = fine_tuned
    contract = _load_module(home / "contract.py", f"example_{name}_contract").CONTRACT
    section = tomllib.loads((home / "pipeline.toml").read_text(encoding="utf-8"))["model"]
    project = Project(contract=contract, model_types={each: module.MODEL_TYPE for each, module in model_types.items()})
    return Example(home, project, Model(**section), period)


def _load_module(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def skip_without(*libraries: str) -> None:
    """Skip a test, or a module of tests, where a library is not installed."""
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed", allow_module_level=True)


if importlib.util.find_spec("torch"):
    os.environ.setdefault("KERAS_BACKEND", "torch")

TEXT, IMAGE = load_example("text", "2022-09"), load_example("image", "2023-12")
