"""Other contracts than the project's, and processes in which the package has one of them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from inspect import getfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from {{ cookiecutter.__package_name }} import config, schema, task

PROJECT = Path(__file__).resolve().parents[2]

WORDS = "from .declaration import between, column, matches, one_of\n"

CLASSES_WITHOUT_TIME = """
TASK = "multiclass"
CLASSES = ["se tosa", 'vers"icolor', "größte"]
COLUMNS = {
    "no.": column("key", "int64", "number of the flower", between(1, 1_000_000)),
    "class": column("feature", "float64", "width of a petal", between(0, 10), unit="cm"),
    "model_config": column("feature", "float64", "length of a petal", nullable=True),
    "schema": column("feature", "int64", "petals", between(0, 1_000_000)),
    "copy": column("feature", "float64", "height", nullable=True),
    "_hidden": column("feature", "float64", "depth"),
    "self": column("feature", "float64", "weight"),
    'sepal "length" [cm]': column("feature", "float64", "length of a sepal"),
    "a.b, c": column("feature", "str", "colour", one_of("red", "grün", "")),
    "größe": column("feature", "str", "size, in words", matches("^[a-z]+$"), nullable=True),
    "first seen": column("feature", "datetime64[us]", "when it was found", nullable=True),
    "remark": column("unused", "str", "what else there is to say", nullable=True),
    "species": column("target", "str", "which kind", one_of("se tosa", 'vers"icolor', "größte"), nullable=True),
}
KEY = ["no."]
GROUP = ""
SLICES = []
EXAMPLE = {
    "no.": 7,
    "class": 0.5,
    "model_config": None,
    "schema": 5,
    "copy": 1.5,
    "_hidden": 0.25,
    "self": 3,
    'sepal "length" [cm]': 1e-5,
    "a.b, c": "grün",
    "größe": "tall",
    "first seen": "2024-05-01T00:00:00",
}
"""

NUMBER_WITH_TIME = """
TASK = "regression"
CLASSES = []
COLUMNS = {
    "sold at": column("time", "datetime64[us]", "when it was sold"),
    "house": column("key", "str", "its address"),
    "floor area": column("feature", "float64", "area", between(0, 10), unit="100 m2"),
    "kind": column("feature", "str", "kind of house", one_of("flat", "villa")),
    "price": column("target", "float64", "what was paid", unit="euros", nullable=True),
}
KEY = ["house"]
GROUP = ""
SLICES = []
EXAMPLE = {"sold at": "2024-05-01T12:30:00", "house": "Main Street 1", "floor area": 1.2, "kind": "flat"}
"""

TWO_TEXTS_BY_GROUP = """
TASK = "binary"
CLASSES = ["no", "yes"]
COLUMNS = {
    "visit": column("key", "int64", "number of the visit"),
    "patient": column("key", "int64", "number of the patient"),
    "score": column("feature", "float64", "score of the test", between(0, 10)),
    "ill": column("target", "str", "whether the patient was ill", one_of("no", "yes"), nullable=True),
}
KEY = ["visit"]
GROUP = "patient"
SLICES = []
EXAMPLE = {"visit": 1, "patient": 1, "score": 5.5}
"""

THOUSAND_COLUMNS = """
TASK = "binary"
CLASSES = [0, 1]
_NUMBERS = {f"number {at}": column("feature", "float64", "a number", between(0, 1)) for at in range(1000)}
COLUMNS = {
    "id": column("key", "str", "which it is"),
    **_NUMBERS,
    "label": column("target", "float64", "what it is", one_of(0, 1), nullable=True),
}
KEY = ["id"]
GROUP = ""
SLICES = []
EXAMPLE = {"id": "a", **dict.fromkeys(_NUMBERS, 0.5)}
"""

CONTRACTS = {
    "classes without time": CLASSES_WITHOUT_TIME,
    "number with time": NUMBER_WITH_TIME,
    "two texts by group": TWO_TEXTS_BY_GROUP,
    "thousand columns": THOUSAND_COLUMNS,
}


def run_under(contract: str, folder: Path, *functions: Callable[[], None]) -> None:
    """Call functions of test modules in a process in which the package has another contract, in a project of its own.

    Parameters
    ----------
    contract : what follows the import of the declaration's words
    folder : of the project; empty
    """
    package = Path(config.__file__).parent
    shutil.copytree(package, folder / "src" / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src" / package.name / "contract.py").write_text(WORDS + contract, encoding="utf-8")
    shutil.copy(PROJECT / "pipeline.toml", folder)
    calls = [f"from {each.__module__} import {each.__name__}; {each.__name__}()" for each in functions]
    folders = [folder / "src", Path(__file__).parent, *(Path(getfile(each)).parent for each in functions)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith((config.ENV_PREFIX, "MLFLOW_"))}
    ended = subprocess.run(
        [sys.executable, "-c", "\n".join(calls)],
        env={
            **ours,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            config.HOME_VARIABLE: str(folder),
            "OMP_NUM_THREADS": "1",  # of so few rows, threads would only wait for each other
            # What is held out of the project's own data is another matter.
            f"{config.ENV_PREFIX}TRAINING__HOLDOUT_MONTHS": "1",
            f"{config.ENV_PREFIX}TRAINING__HOLDOUT_FRACTION": "0.2",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def make_rows(count: int) -> pd.DataFrame:
    """Rows that keep the contract, without nulls in the target; the first feature that is a number tells it."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame({name: _make_column(name, count, random) for name in schema.DTYPES})
    telling = next(frame[name] for name in schema.FEATURES if schema.DTYPES[name] == "float64")
    if task.IS_REGRESSION:
        return frame.assign(**{schema.TARGET: 1e6 * telling})
    codes = (telling.rank(pct=True) * (len(schema.CLASSES) - 1e-9)).astype("int64").to_numpy()
    return frame.assign(**{schema.TARGET: task.label(codes).astype(schema.DTYPES[schema.TARGET])})


def _make_column(name: str, count: int, random: np.random.Generator) -> Any:
    column, dtype = schema.SCHEMA.columns[name], schema.DTYPES[name]
    allowed = next((list(check.statistics["allowed_values"]) for check in column.checks if check.name == "isin"), None)
    values: dict[str, Callable[[], Any]] = {
        "int64": lambda: np.arange(1, count + 1),
        "float64": lambda: random.choice(allowed, count) if allowed else random.random(count),
        "str": lambda: random.choice(allowed or ["a", "b", "c"], count),
        "datetime64[us]": lambda: pd.date_range("2024-01-01", periods=count, freq="h"),
    }
    made = pd.Series(values[dtype](), dtype=dtype)
    if name in schema.KEY and dtype == "str":
        made = pd.Series([f"key {at}" for at in range(count)], dtype=dtype)
    return made.mask(random.random(count) < 0.1) if column.nullable else made
