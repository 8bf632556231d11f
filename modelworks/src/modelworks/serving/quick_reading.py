"""Most requests, read in about a third of pydantic's time; what is unusual, and all that is wrong, is left to pydantic.

Msgspec reads numbers, checks their ranges and gives the rows by column. Times, and texts with rules, are checked by
pydantic, column by column. Both take a body only if pydantic would take it, and for the same rows.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
from pydantic import ConfigDict, TypeAdapter, ValidationError

from modelworks.contract import Contract
from modelworks.data import frames
from modelworks.data.columnar import Columns

MAX_REMEMBERED = 1000  # texts of a column
MAX_LETTERS = 100  # of a text that is remembered
BOUNDS = {
    "in_range": (("min_value", "ge", "gt"), ("max_value", "le", "lt")),
    "greater_than_or_equal_to": (("min_value", "ge", ""),),
    "greater_than": (("min_value", "", "gt"),),
    "less_than_or_equal_to": (("max_value", "le", ""),),
    "less_than": (("max_value", "", "lt"),),
}
"""By check: the argument with a bound, and the bound of msgspec that includes it, and that does not."""
INT64 = range(-(2**63), 2**63)


def can_read(names: Iterable[str]) -> bool:
    """Whether msgspec takes the names of all columns: JSON would escape others."""
    return all(json.dumps(name, ensure_ascii=False) == f'"{name}"' for name in names)


class QuickReader:
    """Reads rows that are written as JSON has them.

    Parameters
    ----------
    fields : the contract's columns that a request may hold, and their types in pydantic
    """

    def __init__(self, contract: Contract, fields: dict[str, Any], max_rows: int) -> None:
        self._names = list(fields)
        self._max_rows = max_rows
        row: Any = _build_struct(contract, self._names)
        self._one, self._many = msgspec.json.Decoder(row), msgspec.json.Decoder(list[row])
        config = ConfigDict(strict=True, allow_inf_nan=False)
        self._adapters = {
            name: _list_adapter(fields[name], config) for name in self._names if _find_bounds(contract, name) is None
        }
        self._remembered: dict[str, set[str | None]] = {
            name: set() for name in self._adapters if contract.is_category(name)
        }

    def read(self, body: bytes, is_many: bool) -> Columns | None:
        """The rows; None if they have to be read by pydantic, which may refuse them."""
        try:
            rows: list[Any] = self._many.decode(body) if is_many else [self._one.decode(body)]
            if not 1 <= len(rows) <= self._max_rows:
                return None
            columns = dict(zip(self._names, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True))
            values = {name: self._check(name, each) for name, each in columns.items()}
        except (msgspec.DecodeError, UnicodeDecodeError, ValidationError):
            return None
        return Columns(values, len(rows))

    def _check(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """The values of a column as pydantic has them."""
        if name not in self._adapters:
            return values
        if name not in self._remembered:
            return self._adapters[name].validate_python([*values])
        known = self._remembered[name]
        if new := {*values} - known:
            self._adapters[name].validate_python([*new])
            if len(known) + len(new) > MAX_REMEMBERED:
                known.clear()
            known.update(each for each in [*new][:MAX_REMEMBERED] if len(each or "") <= MAX_LETTERS)
        return values


def _list_adapter(kind: Any, config: ConfigDict) -> TypeAdapter[list[Any]]:
    return TypeAdapter(list[kind], config=config)


def _build_struct(contract: Contract, names: list[str]) -> type[msgspec.Struct]:
    # A name of a column need not be one of Python's.
    fields = {f"field_{number}": name for number, name in enumerate(names)}
    return msgspec.defstruct(
        "Row",
        [
            (field, _type_of(contract, name), *([] if name in contract.features else [None]))
            for field, name in fields.items()
        ],
        rename=fields,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )


def _type_of(contract: Contract, name: str) -> Any:
    column = contract.columns[name]
    bounds = _find_bounds(contract, name) or {}
    kind: Any = {"int64": int, "float64": float}.get(column.dtype, str)
    if column.dtype == "int64":
        low, high = {"ge", "gt"} & bounds.keys(), {"le", "lt"} & bounds.keys()
        bounds |= {} if low else {"ge": INT64[0]}
        bounds |= {} if high else {"le": INT64[-1]}
    kind = Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind
    return kind | None if column.nullable else kind


def _find_bounds(contract: Contract, name: str) -> dict[str, Any] | None:
    """The rules of a column as bounds of msgspec; None if pydantic has to check its values."""
    column = contract.columns[name]
    checks = frames.schema_of(contract).columns[name].checks
    if column.dtype == "str":
        return None if checks else {}
    if column.dtype not in {"int64", "float64"} or any(check.name not in BOUNDS for check in checks):
        return None
    found: dict[str, Any] = {}
    sides: set[str] = set()
    for check in checks:
        statistics = check.statistics or {}
        for argument, included, excluded in BOUNDS[check.name]:
            side = argument.removesuffix("_value")
            bound = included if statistics.get(f"include_{side}", bool(included)) else excluded
            if side in sides or (column.dtype == "int64" and statistics[argument] not in INT64):
                return None  # msgspec takes one bound of each side, and whole ones of whole numbers
            sides.add(side)
            found[bound] = statistics[argument]
    return found
