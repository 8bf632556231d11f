"""What follows from the contract: dtypes, roles, features, and the contract's rows in and out of JSON."""

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from .contract import CLASSES, COLUMNS, EXAMPLE, GROUP, KEY, SLICES, TASK
from .declaration import Content, Role
from .errors import ContractError

__all__ = ["CLASSES", "EXAMPLE", "GROUP", "KEY", "SLICES", "TASK"]

SCHEMA = pa.DataFrameSchema(COLUMNS, strict=True)

RESERVED = {"answered_at", "decision", "model_version", "prediction", "probability", "reason", "request_id", "row"}
RESERVED |= {f"probability_{each}" for each in CLASSES}
"""Columns that scores, the log of predictions and the quarantine have beside the contract's."""


def columns(*roles: Role) -> list[str]:
    """Names of the columns that play one of the `roles`, in the contract's order."""
    return [name for name, column in SCHEMA.columns.items() if (column.metadata or {})["role"] in roles]


DTYPES: dict[str, str] = {name: (column.metadata or {})["dtype"] for name, column in SCHEMA.columns.items()}
CONTENTS: dict[str, Content] = {
    name: column.metadata["content"] for name, column in SCHEMA.columns.items() if "content" in (column.metadata or {})
}
DOCUMENTS = list(CONTENTS)
"""Columns that hold a text or an image of its own in each row."""
TIME = next(iter(columns("time")), "")
"""When a row's event happens; "" where the data have no such column."""
TARGET = next(iter(columns("target")), "")
OUTCOMES = columns("outcome", "target")
FEATURES = columns("time", "feature")
DOCUMENT_FEATURES = [name for name in FEATURES if name in DOCUMENTS]
IDENTITY = [name for name in DTYPES if name in {*KEY, TIME, GROUP}]
"""What tells rows apart, and which of them belong together."""
LABEL_COLUMNS = [name for name in DTYPES if name in {*KEY, *OUTCOMES}]
"""What a file of labels has."""


def _check_declarations() -> None:
    """Make sure that the contract's parts fit together."""
    complaints = [
        (len(columns("target")) != 1, f"one column is the target, not {len(columns('target'))}"),
        (len(columns("time")) > 1, f"one column at most is the time, not {', '.join(columns('time'))}"),
        (not FEATURES, "no column is a feature"),
        (not KEY, "KEY names no column"),
        *(
            (name in DTYPES, f"{name!r} is a column that the pipeline adds itself; rename it")
            for name in sorted(RESERVED)
        ),
        *((name not in DTYPES or name in OUTCOMES, f"KEY: {name!r} is no column known beforehand") for name in KEY),
        *((name not in DTYPES, f"SLICES: no column {name!r}") for name in SLICES),
        (GROUP not in {"", *DTYPES}, f"GROUP: no column {GROUP!r}"),
        *((DTYPES[name] != "str", f"{name!r} has content, and is no str") for name in DOCUMENTS),
        *(
            (name in {*SLICES, TARGET}, f"{name!r} is a document: no two rows may have it in common")
            for name in DOCUMENTS
        ),
        (bool(GROUP and TIME), f"GROUP is for data without a time column, and {TIME!r} is one"),
        (TASK == "binary" and len(CLASSES) != 2, f"CLASSES: a binary target has two, not {len(CLASSES)}"),
        (TASK == "multiclass" and len(CLASSES) < 3, f"CLASSES: a multi-class target has 3 or more, not {len(CLASSES)}"),
        (TASK == "regression" and bool(CLASSES), "CLASSES: a target that is a number has none; write []"),
        (len({*CLASSES}) < len(CLASSES), "CLASSES: one is named twice"),
    ]
    if broken := [text for is_broken, text in complaints if is_broken]:
        raise ContractError(f"contract.py: {'; '.join(broken)}")


_check_declarations()


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


def is_category(name: str) -> bool:
    """Whether a column holds one of some words, rather than a number, a time or a document."""
    return DTYPES.get(name) == "str" and name not in DOCUMENTS


def is_text(name: str) -> bool:
    """Whether a column holds text, be it a category or a document."""
    return DTYPES.get(name) == "str"


def is_time(name: str) -> bool:
    """Whether a column holds dates or times."""
    return DTYPES[name].startswith("datetime")


def parse(name: str, values: pd.Series) -> pd.Series:
    """A column in its dtype, integers with gaps as floats; a value that does not parse is null."""
    dtype = DTYPES[name]
    if str(values.dtype) == dtype:
        return values
    if is_time(name):
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
    """Rows as JSON can hold them, with every digit: times as text, missing values as None."""
    columns = {}
    for name, column in frame.items():
        values = column.dt.strftime("%Y-%m-%dT%H:%M:%S.%f") if column.dtype.kind == "M" else column
        columns[name] = values.astype("object").where(column.notna(), None).tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


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


def version() -> str:
    """Twelve hex digits that change whenever a column, dtype, range or role does."""
    described: dict[str, Any] = {
        name: [column.nullable, column.metadata, [[check.name, check.statistics] for check in column.checks]]
        for name, column in SCHEMA.columns.items()
    }
    described |= {"": [TASK, CLASSES, KEY, GROUP]}
    return hashlib.sha256(json.dumps(described, default=str, sort_keys=True).encode()).hexdigest()[:12]
