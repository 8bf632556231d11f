"""What the API takes and answers, in JSON: made from the contract, so that it cannot say otherwise."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import numpy as np
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
    with_config,
)
from pydantic_core import SchemaError
from typing_extensions import TypedDict

from .. import schema, task

Rows = list[dict[str, Any]]

MAX_ERRORS = 100
MAX_NAMED = 250  # known categories in a message


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


def _prediction_model() -> type[BaseModel]:
    """The answer for one row."""
    kinds = {type(each) for each in schema.CLASSES}
    kind: Any = kinds.pop() if len(kinds) == 1 else float
    decision = Annotated[kind, Field(json_schema_extra={"enum": schema.CLASSES})]
    fields: dict[str, Any]
    if task.IS_REGRESSION:
        fields = {"prediction": (float, ...)}
    elif task.IS_BINARY:
        first, second = schema.CLASSES
        told = f"{second} from the decision threshold on, else {first}"
        fields = {
            "probability": (float, Field(ge=0, le=1, description=f"of {second}")),
            "decision": (decision, Field(description=told)),
        }
    else:
        by_class = {
            "type": "object",
            "properties": {name: {"type": "number", "minimum": 0, "maximum": 1} for name in CLASS_NAMES},
            "required": CLASS_NAMES,
            "additionalProperties": False,
        }
        fields = {
            "decision": (decision, Field(description="the most likely class")),
            "probabilities": (Annotated[dict[str, float], WithJsonSchema(by_class)], ...),
        }
    config = ConfigDict(extra="forbid")  # for the specification, which says so of nothing but these fields
    return create_model("Prediction", __config__=config, __doc__="The answer for one row.", **fields)


CLASS_NAMES = [str(each) for each in schema.CLASSES]
Prediction = _prediction_model()


class Answer(BaseModel):
    """Predictions in the order of the rows."""

    request_id: str
    model_version: str
    predictions: list[Prediction]  # type: ignore[valid-type]


# In plain Python: `task.decide` makes a column of pandas, which takes a hundred times as long for a single row.
def decide(prediction: np.ndarray, threshold: float) -> list[Any]:
    """The class of each row, as `task.decide` has it; none where the target is a number."""
    if task.IS_REGRESSION:
        return []
    if task.IS_BINARY:
        first, second = schema.CLASSES
        return [second if probability >= threshold else first for probability in prediction.tolist()]
    return [schema.CLASSES[number] for number in prediction.argmax(axis=1).tolist()]


def to_predictions(prediction: np.ndarray, decisions: list[Any]) -> list[dict[str, Any]]:
    """A `Prediction` for each row."""
    values = prediction.tolist()
    if task.IS_REGRESSION:
        return [{"prediction": value} for value in values]
    if task.IS_BINARY:
        return [{"probability": p, "decision": d} for p, d in zip(values, decisions, strict=True)]
    return [
        {"decision": decision, "probabilities": dict(zip(CLASS_NAMES, row, strict=True))}
        for decision, row in zip(decisions, values, strict=True)
    ]


class Refusal(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, *errors: tuple[str, str]) -> None:
        super().__init__(status, errors)
        self.status = status
        self.errors = errors


def _row_type() -> Any:
    """One row: features are required; the rest of the key may be given, so that outcomes can be joined later."""
    fields = {name: _type_of(name) for name in schema.columns("time", "key", "feature")}
    for name in fields:
        if name not in schema.FEATURES:
            fields[name] = Annotated[fields[name], Field(default_factory=lambda: None)]
    # Unlike a model, which has names of its own, it takes whatever name a column has.
    row = TypedDict("Row", fields)  # type: ignore[misc]
    row.__doc__ = "One row, as the contract describes it; what is known only afterwards is left out."
    config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, json_schema_extra={"examples": [schema.EXAMPLE]}
    )
    return with_config(config)(row)


def _type_of(name: str) -> Any:
    column = schema.SCHEMA.columns[name]
    kind: Any = TYPES[schema.DTYPES[name]]
    for check in column.checks:
        for constraint in _constraints(check):
            kind = Annotated[kind, constraint]
    if schema.DTYPES[name] == "int64":
        kind = Annotated[kind, BeforeValidator(_without_fraction)]
    if column.nullable:
        kind = kind | None
    unit = (column.metadata or {})["unit"]
    text = f"{column.description}, {unit}" if unit else column.description
    return Annotated[kind, Field(description=text)]


def _constraints(check: pa.Check) -> list[Any]:
    """A check of the contract as pydantic's, which the API's documentation can show; none if it has no such check."""
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
            constraint = Field(pattern=f"^{pattern}" if "|" not in pattern else f"^(?:{pattern})")
            with suppress(SchemaError):  # pydantic's expressions cannot look ahead or back
                TypeAdapter(Annotated[str, constraint])
                return [constraint]
        case "str_length":
            return [Field(min_length=found["min_value"], max_length=found["max_value"])]
        case "isin":
            allowed = frozenset(found["allowed_values"])
            be_allowed = AfterValidator(lambda value: _keep(value, check, value in allowed))
            return [Field(json_schema_extra={"enum": list(found["allowed_values"])}), be_allowed]
    return []


def _keep(value: Any, check: pa.Check, passed: bool) -> Any:
    if not passed:
        raise ValueError(_tell_broken(check))
    return value


def _tell_broken(check: pa.Check) -> str:
    return f"breaks the contract: {check.error or check.name}"


_Row = _row_type()
ROW: TypeAdapter[dict[str, Any]] = TypeAdapter(_Row)
CHECKS = {
    name: checks
    for name in schema.columns("time", "key", "feature")
    if (checks := [check for check in schema.SCHEMA.columns[name].checks if not _constraints(check)])
}
"""Those that only pandas can do, by column; of most contracts none."""


class RequestReader:
    """Reads the rows of a request's body, of at most `max_rows`."""

    def __init__(self, max_rows: int) -> None:
        rows: Any = list[_Row]  # type: ignore[valid-type]
        self._many: TypeAdapter[Rows] = TypeAdapter(Annotated[rows, Field(min_length=1, max_length=max_rows)])

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
            is_many = body.lstrip()[:1] == b"["
            rows = self._many.validate_json(body) if is_many else [ROW.validate_json(body)]
        except ValidationError as error:
            raise _refusal(error) from None
        _check_columns(rows, is_many)
        return rows, is_many


def _check_columns(rows: Rows, is_many: bool) -> None:
    """Refuse what breaks a check that only pandas can do; for each column once, as a call costs more than a value."""
    broken = []
    for name, checks in CHECKS.items():
        given = {at: row[name] for at, row in enumerate(rows) if row[name] is not None}
        values = pd.Series(given, dtype=schema.DTYPES[name])
        for check in checks if given else []:
            passed = check(values).check_output
            # A check may answer for each value, or for the column as a whole.
            is_kept = passed.astype("bool") if isinstance(passed, pd.Series) else [bool(passed)] * len(values)
            broken += [(at, name, _tell_broken(check)) for at, kept in zip(given, is_kept, strict=True) if not kept]
    if broken:
        errors = [(f"[{at}].{name}" if is_many else name, told) for at, name, told in sorted(broken)]
        raise Refusal(422, *_shown(errors))


def _shown(errors: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first of them, and how many there are."""
    more = [("body", f"{len(errors)} errors; the first {MAX_ERRORS} are shown")] if len(errors) > MAX_ERRORS else []
    return [*errors[:MAX_ERRORS], *more]


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
    return Refusal(422, *_shown([(_field_name(detail["loc"]), detail["msg"]) for detail in details]))


def _field_name(location: tuple[int | str, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else str(part) for part in location]
    return ".".join(parts)


def _name_some(values: frozenset[str]) -> str:
    named = ", ".join(sorted(values)[:MAX_NAMED])
    return named if len(values) <= MAX_NAMED else f"{named} and {len(values) - MAX_NAMED:,} more"


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
            errors.append((field, f"{value!r} is unknown to the model, which knows {_name_some(values)}"))
    if errors:
        raise Refusal(422, *errors[:MAX_ERRORS])
