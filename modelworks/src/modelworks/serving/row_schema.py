"""A contract's row as pydantic reads it from JSON."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    GetPydanticSchema,
    TypeAdapter,
    with_config,
)
from pydantic_core import SchemaError, core_schema
from typing_extensions import TypedDict

from modelworks.contract import Contract
from modelworks.data import frames
from modelworks.data.quiet_pandera import pa
from modelworks.serving.file_forms import FileForms

# RFC 3339 has no name for a time without a zone; OpenAPI's registry of formats does.
TIMES = {"anyOf": [{"type": "string", "format": "date-time-local"}, {"type": "string", "format": "date"}]}
LOCAL_TIME = GetPydanticSchema(
    lambda *_: core_schema.chain_schema([
        core_schema.str_schema(pattern="^[0-9]{4}-", strict=True),  # digits alone would be seconds since 1970
        # Not strict, so of a text: a date alone is its midnight.
        core_schema.datetime_schema(strict=False, tz_constraint="naive"),
    ]),
    lambda *_: TIMES,
)
TYPES: dict[str, Any] = {
    "str": str,
    "int64": Annotated[int, Field(ge=-(2**63), le=2**63 - 1)],
    "float64": float,
    "datetime64[us]": Annotated[datetime, LOCAL_TIME],
}


def logged_columns(contract: Contract) -> list[str]:
    """Columns that a request may hold and the prediction log keeps: features, and the rest of the key."""
    return contract.names_of("time", "key", "feature")


@dataclass(frozen=True, eq=False)  # typing hashes annotations, and a schema has no hash
class AlsoWritten:
    """In the specification: further forms of a number or a time, which become JSON's own before pydantic sees them."""

    forms: list[dict[str, Any]]

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        own = handler(schema)
        return {"anyOf": [*own.get("anyOf", [own]), *self.forms]}


def build_row_type(contract: Contract, forms: FileForms) -> Any:
    """One row: features are required; the rest of the key may be given, so that outcomes can be joined later.

    Parameters
    ----------
    forms : how the project's files write numbers and times
    """
    fields = field_types(contract, forms)
    for name in fields:
        if name not in contract.features:
            fields[name] = Annotated[fields[name], Field(default_factory=lambda: None)]
    # Unlike a model, which has names of its own, a TypedDict allows any name of a column.
    row = TypedDict("Row", fields)  # type: ignore[misc]
    row.__doc__ = "One row by the contract; outcomes, known only after the event, are not part of it."
    config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [contract.example]}
    )
    return with_config(config)(row)


def field_types(contract: Contract, forms: FileForms) -> dict[str, Any]:
    """The type of each column that a request may hold."""
    return {name: _type_of(contract, name, forms.to_schemas(name)) for name in logged_columns(contract)}


def find_pandas_checks(contract: Contract) -> dict[str, list[pa.Check]]:
    """Checks that only pandas can do, by column; most contracts have none."""
    columns = frames.schema_of(contract).columns
    by_column = {
        name: [check for check in columns[name].checks if not to_constraints(check)]
        for name in logged_columns(contract)
    }
    return {name: checks for name, checks in by_column.items() if checks}


def explain_broken(check: pa.Check) -> str:
    """Message for a value that breaks a check."""
    return f"breaks the contract: {check.error or check.name}"


def to_constraints(check: pa.Check) -> list[Any]:
    """A check of the contract as pydantic's, which the API's documentation shows; none if pydantic has none."""
    found = check.statistics or {}
    match check.name:
        case "in_range":
            low = "ge" if found["include_min"] else "gt"
            high = "le" if found["include_max"] else "lt"
            return [Field(**{low: found["min_value"], high: found["max_value"]})]
        case "greater_than_or_equal_to":
            return [Field(ge=found["min_value"])]
        case "greater_than":
            return [Field(gt=found["min_value"])]
        case "less_than_or_equal_to":
            return [Field(le=found["max_value"])]
        case "less_than":
            return [Field(lt=found["max_value"])]
        case "str_matches":
            return _to_pattern(found["pattern"])
        case "str_length":
            return [Field(min_length=found["min_value"], max_length=found["max_value"])]
        case "isin":
            return [Field(json_schema_extra={"enum": list(found["allowed_values"])}), AfterValidator(_allow(check))]
    return []


def _to_pattern(pattern: str) -> list[Any]:
    # A match begins at the start of the text, as pandas' does.
    pattern = pattern.removeprefix("^")
    constraint = Field(pattern=f"^{pattern}" if "|" not in pattern else f"^(?:{pattern})")
    with suppress(SchemaError):  # pydantic's expressions cannot look ahead or back
        TypeAdapter(Annotated[str, constraint])
        return [constraint]
    return []


def _allow(check: pa.Check) -> Callable[[Any], Any]:
    allowed = frozenset((check.statistics or {})["allowed_values"])

    def keep(value: Any) -> Any:
        if value not in allowed:
            raise ValueError(explain_broken(check))
        return value

    return keep


def _type_of(contract: Contract, name: str, written: list[dict[str, Any]]) -> Any:
    column = contract.columns[name]
    kind: Any = TYPES[column.dtype]
    for check in frames.schema_of(contract).columns[name].checks:
        for constraint in to_constraints(check):
            kind = Annotated[kind, constraint]
    if column.dtype == "int64":
        kind = Annotated[kind, BeforeValidator(_without_fraction)]
    if written:
        kind = Annotated[kind, AlsoWritten(written)]
    if column.nullable:
        kind = kind | None
    description = f"{column.description}, {column.unit}" if column.unit else column.description
    return Annotated[kind, Field(description=description)]


def _without_fraction(value: Any) -> Any:
    # In JSON Schema, and so in the API's specification, 5.0 is an integer; pandas writes it in a column with nulls.
    return int(value) if isinstance(value, float) and value.is_integer() else value
