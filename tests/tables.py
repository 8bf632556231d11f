"""Other tables than the flights: contracts of each kind of target, rows that keep them, and homes with the rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modelworks.contract import (
    Contract,
    between,
    binary,
    column,
    identifier,
    matches,
    multiclass,
    one_of,
    regression,
    unused,
)
from modelworks.models.types import boosting, forest, lightgbm, linear, xgboost
from modelworks.project import Project
from modelworks.settings import Settings, load_settings

CLASSES_WITHOUT_TIME = Contract(
    target=multiclass("species", "which kind", classes=["se tosa", 'vers"icolor', "größte"]),
    key=["no."],
    columns=[
        identifier("no.", "int64", "number of the flower", between(1, 1_000_000)),
        column("class", "float64", "width of a petal", between(0, 10), unit="cm"),
        column("model_config", "float64", "length of a petal", nullable=True),
        column("schema", "int64", "petals", between(0, 1_000_000)),
        column("copy", "float64", "height", nullable=True),
        column("_hidden", "float64", "depth"),
        column("self", "float64", "weight"),
        column('sepal "length" [cm]', "float64", "length of a sepal"),
        column("a.b, c", "str", "colour", one_of("red", "grün", "")),
        column("größe", "str", "size, in words", matches("^[a-z]+$"), nullable=True),
        column("first seen", "datetime64[us]", "when it was found", nullable=True),
        unused("remark", "str", "what else there is to say", nullable=True),
    ],
    example={
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
    },
)

NUMBER_WITH_TIME = Contract(
    target=regression("price", "what was paid", unit="euros"),
    time="sold at",
    key=["house"],
    columns=[
        column("sold at", "datetime64[us]", "when it was sold"),
        identifier("house", "str", "its address"),
        column("floor area", "float64", "area", between(0, 10), unit="100 m2"),
        column("kind", "str", "kind of house", one_of("flat", "villa")),
    ],
    example={"sold at": "2024-05-01T12:30:00", "house": "Main Street 1", "floor area": 1.2, "kind": "flat"},
)

TWO_TEXTS_BY_GROUP = Contract(
    target=binary("ill", "whether the patient was ill", negative="no", positive="yes"),
    key=["visit"],
    group="patient",
    columns=[
        identifier("visit", "int64", "number of the visit"),
        identifier("patient", "int64", "number of the patient"),
        column("score", "float64", "score of the test", between(0, 10)),
    ],
    example={"visit": 1, "patient": 1, "score": 5.5},
)

_NUMBERS = [f"number {at}" for at in range(1000)]
THOUSAND_COLUMNS = Contract(
    target=binary("label", "what it is", negative=0, positive=1),
    key=["id"],
    columns=[
        identifier("id", "str", "which it is"),
        *(column(name, "float64", "a number", between(0, 1)) for name in _NUMBERS),
    ],
    example={"id": "a", **dict.fromkeys(_NUMBERS, 0.5)},
)

CONTRACTS = {
    "classes without time": CLASSES_WITHOUT_TIME,
    "number with time": NUMBER_WITH_TIME,
    "two texts by group": TWO_TEXTS_BY_GROUP,
    "thousand columns": THOUSAND_COLUMNS,
}

MODEL_TYPES = {
    "boosting": boosting.MODEL_TYPE,
    "forest": forest.MODEL_TYPE,
    "lightgbm": lightgbm.MODEL_TYPE,
    "linear": linear.MODEL_TYPE,
    "xgboost": xgboost.MODEL_TYPE,
}


WIDE_LIMITS: dict[str, dict[str, dict[str, float | None]]] = {
    "binary": {"roc_auc": {"min": 0.6, "max": None}, "calibration_error": {"max": 0.5}},
    "multiclass": {"roc_auc": {"min": 0.6, "max": None}, "calibration_error": {"max": 0.5}},
    "regression": {"r2": {"min": 0.0, "max": None}},
}
"""So few rows are predicted perfectly, or badly calibrated, by chance."""


def project_of(contract: Contract) -> Project:
    """A project that declares a contract and model types, and nothing of its own."""
    return Project(contract=contract, model_types=MODEL_TYPES)


def settings_of(home: Path, **sections: dict[str, Any]) -> Settings:
    """Settings of a home by sections, whatever the environment says of the server of MLflow."""
    (home / "pipeline.toml").touch()
    tracking = {"uri": f"sqlite:///{home / 'var' / 'mlflow' / 'mlflow.db'}"}
    source = {"uri": "data/own-{period}.parquet", "first": "2024-01"}
    return load_settings(home, {"source": source, "tracking": tracking, **sections})


def write_periods(home: Path, contract: Contract, rows: pd.DataFrame, periods: list[str], **sections: Any) -> Settings:
    """A file for each period, in which its rows lie if they have a time; returns settings that name them."""
    (home / "data").mkdir(parents=True, exist_ok=True)
    for period, at in zip(periods, np.array_split(np.arange(len(rows)), len(periods)), strict=True):
        frame = rows.iloc[at].reset_index(drop=True)
        if contract.time:
            hours = pd.to_timedelta(np.arange(len(frame)) % 600, unit="h")
            frame[contract.time] = (pd.Timestamp(f"{period}-01") + hours).astype("datetime64[us]")
        frame.to_parquet(home / "data" / f"own-{period}.parquet", index=False)
    small: dict[str, Any] = {
        "source": {"uri": "data/own-{period}.parquet", "first": periods[0], "last": periods[-1]},
        "model": {"parameters": {"max_iter": 30, "min_samples_leaf": 5}},
        "evaluation": {"bootstrap_resamples": 100},
        "gates": {"metrics": WIDE_LIMITS[contract.target.kind]},
        "retraining": {"first_after_periods": 1},
    }
    return settings_of(home, **{**small, **sections})


def make_rows(contract: Contract, count: int) -> pd.DataFrame:
    """Rows that keep the contract, without nulls in the target; the first feature that is a number determines it."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame({name: _make_column(contract, name, count, random) for name in contract.dtypes})
    predictive = next(frame[name] for name in contract.features if contract.dtypes[name] == "float64")
    target = contract.target
    if target.is_regression:
        return frame.assign(**{target.column: 1e6 * predictive})
    codes = (predictive.rank(pct=True) * (len(target.classes) - 1e-9)).astype("int64").to_numpy()
    return frame.assign(**{target.column: target.decode(codes).astype(target.dtype)})


def _make_column(contract: Contract, name: str, count: int, random: np.random.Generator) -> Any:
    declared = contract.columns[name]
    allowed = next((rule.arguments["allowed_values"] for rule in declared.rules if rule.name == "isin"), None)
    values: dict[str, Callable[[], Any]] = {
        "int64": lambda: np.arange(1, count + 1),
        "float64": lambda: random.choice(allowed, count) if allowed else random.random(count),
        "str": lambda: random.choice(allowed or ["a", "b", "c"], count),
        "datetime64[us]": lambda: pd.date_range("2024-01-01", periods=count, freq="h"),
    }
    made = pd.Series(values[declared.dtype](), dtype=declared.dtype)
    if name in contract.key and declared.dtype == "str":
        made = pd.Series([f"key {at}" for at in range(count)], dtype=declared.dtype)
    return made.mask(random.random(count) < 0.1) if declared.nullable else made
