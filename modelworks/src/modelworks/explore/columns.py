"""What the page shows of a row: the contract's columns and the derived ones, each as a number, a category or a date."""

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from modelworks.contract import Contract
from modelworks.models.derived import Kind

ShownKind = Literal["number", "category", "date", "text", "image"]
"""What a column holds. A text is shown by its length, an image by its size."""

HOUR, WEEKDAY = "hour of the day", "day of the week"
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
BYTES_PER_DIGIT = 3 / 4  # of base64


def find_kinds(contract: Contract, derived: Mapping[str, Kind]) -> dict[str, ShownKind]:
    """What each column holds, the contract's first."""
    return {name: _kind_of(contract, name) for name in contract.columns} | dict(derived)


def _kind_of(contract: Contract, name: str) -> ShownKind:
    content = contract.contents.get(name, "category")
    if content != "category":
        return content
    if contract.is_text(name):
        return "category"
    return "date" if contract.is_time(name) else "number"


def unit_of(contract: Contract, name: str) -> str:
    """The unit of what is shown of a column; empty if there is none."""
    content = contract.contents.get(name, "category")
    if content != "category":
        return {"text": "characters", "image": "kB"}[content]
    return contract.columns[name].unit if name in contract.columns else ""


def role_of(contract: Contract, name: str) -> str:
    """What a column is for, in a word."""
    return contract.columns[name].role if name in contract.columns else "derived"


def name_category(value: object, length: int) -> str:
    """A category on one line, not too long, and never empty."""
    text = " ".join(str(value).split()) or "(empty)"
    return text if len(text) <= length else f"{text[: length - 1]}…"


def to_shown(frame: pd.DataFrame, kinds: Mapping[str, ShownKind]) -> pd.DataFrame:
    """The columns as they are counted: documents by their length or size, numbers as floats."""
    return pd.DataFrame({name: _to_shown(frame[name], kind) for name, kind in kinds.items()}, copy=False)


def _to_shown(values: pd.Series, kind: ShownKind) -> pd.Series:
    if kind == "text":
        return values.str.len().astype("float64")
    if kind == "image":
        return (values.str.len() * (BYTES_PER_DIGIT / 1000)).astype("float64")
    return values.astype("float64") if kind == "number" else values


def add_time_parts(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the hour and the day of the week of their time, if they have one."""
    if not contract.time:
        return frame
    time = frame[contract.time].dt
    parts = {HOUR: time.hour.astype("float64"), WEEKDAY: time.day_of_week.astype("float64")}
    return frame.assign(**{name: values for name, values in parts.items() if name not in frame})
