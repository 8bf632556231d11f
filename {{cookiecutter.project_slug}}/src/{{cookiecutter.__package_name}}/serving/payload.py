"""What the API takes and answers, in JSON: made from the contract, so that it cannot say otherwise."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pandas as pd
import pandera.pandas as pa
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NaiveDatetime,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from .. import schema

Rows = list[dict[str, Any]]

MAX_ERRORS = 100


def _without_fraction(value: Any) -> Any:
    # For JSON Schema, and so for our specification, 5.0 is an integer; pandas writes it where a null is about.
    return int(value) if isinstance(value, float) and value.is_integer() else value


# RFC 3339 has no name for a time without a zone; OpenAPI's registry of formats does.
LOCAL_TIME = {"type": "string", "format": "date-time-local"}
TYPES: dict[str, Any] = {
    "str": str,
    "int64": Annotated[int, Field(ge=-(2**63), le=2**63 - 1)],
    "float64": float,
    "datetime64[us]": Annotated[NaiveDatetime, WithJsonSchema(LOCAL_TIME)],
}


class FieldError(BaseModel):
    """What is wrong, and where."""

    field: str = Field(description="the column, `[3].column` in the fourth of many rows, or the part of the request")
    message: str


class Problem(BaseModel):
    """Why a request was not answered."""

    request_id: str
    errors: list[FieldError]


class Prediction(BaseModel):
    """The answer for one row."""

    probability: float = Field(ge=0, le=1, description=f"of {schema.CLASSES[1]}")
    decision: Literal[0, 1] = Field(description="1 from the decision threshold on")


class Answer(BaseModel):
    """Predictions in the order of the rows."""

    request_id: str
    model_version: str
    predictions: list[Prediction]


class Refusal(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, *errors: tuple[str, str]) -> None:
        super().__init__(status, errors)
        self.status = status
        self.errors = errors


def _row_model() -> type[BaseModel]:
    """One row: features are required; the rest of the key may be given, so that outcomes can be joined later."""
    fields: dict[str, Any] = {}
    for name in schema.columns("time", "key", "feature"):
        if name in schema.FEATURES:
            fields[name] = (_type_of(name), ...)
        else:
            fields[name] = (_type_of(name), Field(default_factory=lambda: None))
    return create_model(
        "Row",
        __config__=ConfigDict(
            strict=True, extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [schema.EXAMPLE]}
        ),
        __doc__="One scheduled event, as the contract describes it.",
        **fields,
    )


def _type_of(name: str) -> Any:
    column = schema.SCHEMA.columns[name]
    kind: Any = TYPES[schema.DTYPES[name]]
    for check in column.checks:
        for constraint in _constraints(check, schema.DTYPES[name]):
            kind = Annotated[kind, constraint]
    if schema.DTYPES[name] == "int64":
        kind = Annotated[kind, BeforeValidator(_without_fraction)]
    if column.nullable:
        kind = kind | None
    unit = (column.metadata or {})["unit"]
    text = f"{column.description}, {unit}" if unit else column.description
    return Annotated[kind, Field(description=text)]


def _constraints(check: pa.Check, dtype: str) -> list[Any]:
    """A check of the contract as pydantic's, which the API's documentation can show; or the check itself."""
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
            pattern = found["pattern"].removeprefix("^")
            return [Field(pattern=f"^{pattern}" if "|" not in pattern else f"^(?:{pattern})")]
        case "isin":
            check_value = AfterValidator(lambda value: _pass_check(check, value, dtype))
            return [Field(json_schema_extra={"enum": list(found["allowed_values"])}), check_value]
        case _:
            return [AfterValidator(lambda value: _pass_check(check, value, dtype))]


def _pass_check(check: pa.Check, value: Any, dtype: str) -> Any:
    if not check(pd.Series([value], dtype=dtype)).check_passed:
        raise ValueError(f"breaks the contract: {check.error or check.name}")
    return value


Row = _row_model()
_ONE: TypeAdapter[BaseModel] = TypeAdapter(Row)


class RequestReader:
    """Reads the rows of a request's body, of at most `max_rows`."""

    def __init__(self, max_rows: int) -> None:
        rows: Any = list[Row]  # type: ignore[valid-type]
        self._many: TypeAdapter[list[BaseModel]] = TypeAdapter(
            Annotated[rows, Field(min_length=1, max_length=max_rows)]
        )

    def json_schema(self, reference: str) -> dict[str, Any]:
        """Schema of one row or many, in which rows are at `reference`."""
        many = {**self._many.json_schema(), "items": {"$ref": reference}}
        return {"oneOf": [{"$ref": reference}, {name: many[name] for name in many if name != "$defs"}]}

    def read(self, body: bytes) -> tuple[Rows, bool]:
        """The rows, all right by type and range, and whether they came as an array.

        Raises
        ------
        Refusal
            If the body is no JSON (400), has too many rows (413), or breaks the contract (422).
        """
        try:
            if body.lstrip()[:1] == b"[":
                return [vars(row) for row in self._many.validate_json(body)], True
            return [vars(_ONE.validate_json(body))], False
        except ValidationError as error:
            raise _refusal(error) from None


def _refusal(error: ValidationError) -> Refusal:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    kinds = {detail["type"] for detail in details}
    if "json_invalid" in kinds:
        return Refusal(400, ("body", details[0]["msg"]))
    if len(details[0]["loc"]) == 0:
        message = "one row as an object, or an array of them, is wanted"
        if "too_long" in kinds:
            return Refusal(413, ("body", details[0]["msg"]))
        return Refusal(422, ("body", details[0]["msg"] if "too_short" in kinds else message))
    errors = [(_field_name(detail["loc"]), detail["msg"]) for detail in details[:MAX_ERRORS]]
    if len(details) > MAX_ERRORS:
        errors.append(("body", f"{len(details)} errors; the first {MAX_ERRORS} are shown"))
    return Refusal(422, *errors)


def _field_name(location: tuple[int | str, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else str(part) for part in location]
    return ".".join(parts)


def check_categories(rows: Rows, known: Mapping[str, frozenset[str]], is_many: bool) -> None:
    """Refuse what the model has never seen.

    Raises
    ------
    Refusal
        Which names the known ones (422).
    """
    errors = []
    for name, values in known.items():
        unseen = [(at, row[name]) for at, row in enumerate(rows) if row[name] is not None and row[name] not in values]
        for at, value in unseen[:MAX_ERRORS]:
            field = f"[{at}].{name}" if is_many else name
            errors.append((field, f"{value!r} is unknown to the model, which knows {', '.join(sorted(values))}"))
    if errors:
        raise Refusal(422, *errors[:MAX_ERRORS])
