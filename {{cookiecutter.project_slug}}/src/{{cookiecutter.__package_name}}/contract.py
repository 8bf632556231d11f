"""The data contract, declared once; reading, validation, features and the model's signature derive from it.

One row is one scheduled departure. Everything that is not an outcome is known two hours before it; an outcome is null
until it is known.
"""

import hashlib
import json
from typing import Any, Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa

from .errors import ContractError

Role = Literal["time", "key", "feature", "outcome", "target"]

POSITIVE = "arrived 15 minutes late or more, was cancelled or was diverted"


def _column(
    role: Role, dtype: str, description: str, *checks: pa.Check, unit: str = "", nullable: bool = False
) -> pa.Column:
    # pandera has names of its own for some dtypes; pandas' are kept beside them.
    metadata = {"role": role, "unit": unit, "dtype": dtype}
    return pa.Column(dtype, list(checks), nullable=nullable, description=description, metadata=metadata)


def _between(low: float, high: float) -> pa.Check:
    return pa.Check.in_range(low, high)


_CARRIER = pa.Check.str_matches(r"^[A-Z0-9]{2}$")
_AIRPORT = pa.Check.str_matches(r"^[A-Z]{3}$")

SCHEMA = pa.DataFrameSchema(
    {
        "scheduled_departure": _column("time", "datetime64[us]", "scheduled departure", unit="local time"),
        "carrier": _column("feature", "str", "airline, IATA code", _CARRIER),
        "flight": _column("key", "int64", "flight number", _between(1, 9999)),
        "origin": _column("key", "str", "airport of departure, IATA code", _AIRPORT),
        "dest": _column("feature", "str", "airport of arrival, IATA code", _AIRPORT),
        "distance": _column("feature", "int64", "distance to fly", _between(1, 10_000), unit="miles"),
        "hour_departures": _column(
            "feature", "int64", "flights scheduled from the airport in that hour", _between(1, 500)
        ),
        "recent_departures": _column(
            "feature", "int64", "flights that left in the 3 h up to 2 h before departure", _between(0, 1000)
        ),
        "recent_delay": _column(
            "feature",
            "float64",
            "mean departure delay of the flights that left in those 3 h",
            _between(-120, 2880),
            unit="minutes",
            nullable=True,
        ),
        "temp": _column("feature", "float64", "temperature", _between(-80, 135), unit="F", nullable=True),
        "humidity": _column("feature", "float64", "relative humidity", _between(0, 100), unit="%", nullable=True),
        "wind_dir": _column("feature", "float64", "wind direction", _between(0, 360), unit="degrees", nullable=True),
        "wind_speed": _column("feature", "float64", "wind speed", _between(0, 200), unit="mph", nullable=True),
        "wind_gust": _column("feature", "float64", "wind gusts", _between(0, 250), unit="mph", nullable=True),
        "precip": _column("feature", "float64", "precipitation in the hour", _between(0, 12), unit="in", nullable=True),
        "pressure": _column(
            "feature", "float64", "pressure at sea level", _between(870, 1090), unit="mb", nullable=True
        ),
        "visibility": _column("feature", "float64", "visibility", _between(0, 100), unit="miles", nullable=True),
        "dep_delay": _column(
            "outcome", "float64", "departure delay", _between(-180, 2880), unit="minutes", nullable=True
        ),
        "arr_delay": _column(
            "outcome", "float64", "arrival delay", _between(-180, 2880), unit="minutes", nullable=True
        ),
        "delayed": _column("target", "float64", f"1: {POSITIVE}", pa.Check.isin([0, 1]), nullable=True),
    },
    strict=True,
)

KEY = ["scheduled_departure", "carrier", "flight", "origin", "dest"]
SLICES = ["carrier"]
"""Columns whose values are judged one by one when a model is evaluated, beside the hour of day."""


def columns(*roles: Role) -> list[str]:
    """Names of the columns that play one of the `roles`, in the contract's order."""
    return [name for name, column in SCHEMA.columns.items() if (column.metadata or {})["role"] in roles]


DTYPES: dict[str, str] = {name: (column.metadata or {})["dtype"] for name, column in SCHEMA.columns.items()}
TIME = columns("time")[0]
TARGET = columns("target")[0]
OUTCOMES = columns("outcome", "target")
FEATURES = columns("time", "feature")
LABEL_COLUMNS = [name for name in DTYPES if name in {*KEY, *OUTCOMES}]
"""What a file of labels has."""


def select_features(names: list[str]) -> list[str]:
    """The columns that a model may see: all features, or those of them that are named.

    Raises
    ------
    ContractError
        If a name is an outcome, known only afterwards, or is no feature of the contract.
    """
    for name in names:
        if name in OUTCOMES:
            raise ContractError(
                f"[training] features: {name!r} is an outcome, known only after the event; "
                f"as a feature it would leak. Allowed: {', '.join(FEATURES)}"
            )
        if name not in FEATURES:
            raise ContractError(
                f"[training] features: {name!r} is no feature of the contract. Allowed: {', '.join(FEATURES)}"
            )
    return [name for name in FEATURES if name in names] if names else FEATURES


def is_text(name: str) -> bool:
    """Whether a column holds text (a category) rather than a number or a time."""
    return DTYPES[name] == "str"


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose target is known; whatever learns or measures sees no others."""
    known = frame[TARGET].notna()
    return frame if known.all() else frame[known].reset_index(drop=True)


def parse(name: str, values: pd.Series) -> pd.Series:
    """A column in its dtype, integers with gaps as floats; a value that does not parse is null."""
    dtype = DTYPES[name]
    if str(values.dtype) == dtype:
        return values
    if dtype.startswith("datetime"):
        # A time with an offset is another time than the contract's, which has none: it does not parse.
        with_offset = values.astype("str").str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True, na=False)
        return pd.to_datetime(values.mask(with_offset), errors="coerce", format="ISO8601").astype(dtype)
    if dtype == "str":
        return values.astype("str").where(values.notna(), None)
    return pd.to_numeric(values, errors="coerce")


def empty_frame() -> pd.DataFrame:
    """No rows, every column with its dtype."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in DTYPES.items()})


def to_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: times as text, missing values as None."""
    return json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))


def to_frame(records: list[dict[str, Any]], names: list[str] | None = None) -> pd.DataFrame:
    """Rows of the contract's columns, all of the same ones, from JSON or Python; the dtypes are the contract's.

    Parameters
    ----------
    names : columns to take; all that the first row has if not given
    """
    wanted = [name for name in DTYPES if name in records[0]] if names is None else names
    columns = {name: _to_array([record[name] for record in records], DTYPES[name]) for name in wanted}
    return pd.DataFrame(columns, copy=False)


def _to_array(values: list[Any], dtype: str) -> Any:
    # A Series of each column would take five times as long, which is half of what one prediction takes.
    return pd.array(values, dtype=dtype) if dtype == "str" else np.array(values, dtype=dtype)


EXAMPLE: dict[str, Any] = {
    "scheduled_departure": "2013-07-03T08:15:00",
    "carrier": "DL",
    "flight": 1167,
    "origin": "JFK",
    "dest": "TPA",
    "distance": 1005,
    "hour_departures": 31,
    "recent_departures": 5,
    "recent_delay": -4.4,
    "temp": 71.1,
    "humidity": 93.5,
    "wind_dir": 180.0,
    "wind_speed": 3.5,
    "wind_gust": None,
    "precip": 0.0,
    "pressure": 1023.7,
    "visibility": 10.0,
}
"""A real row, without what is known only afterwards, for the pages of the prediction API."""


def version() -> str:
    """Twelve hex digits that change whenever a column, dtype, range or role does."""
    described: dict[str, Any] = {
        name: [column.nullable, column.metadata, [[check.name, check.statistics] for check in column.checks]]
        for name, column in SCHEMA.columns.items()
    }
    described["key"] = KEY
    return hashlib.sha256(json.dumps(described, default=str, sort_keys=True).encode()).hexdigest()[:12]
