"""What the API reads and answers, in JSON; both follow from the contract."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema, create_model
from pydantic_core import ErrorDetails, from_json, to_json

from modelworks.adopt.recipe import Recipe
from modelworks.contract import Contract
from modelworks.data.columnar import Columns
from modelworks.models.explanations import Explanation
from modelworks.serving.file_forms import FileForms
from modelworks.serving.problems import MAX_ERRORS, Refusal, name_field, shorten
from modelworks.serving.quick_reading import QuickReader, can_read
from modelworks.serving.row_schema import (
    build_row_type,
    explain_broken,
    field_types,
    find_pandas_checks,
    logged_columns,
)
from modelworks.targets import Target

Rows = list[dict[str, Any]]

NOT_PARSED = {"int_type", "float_type", "string_type", "string_pattern_mismatch", "timezone_naive"} | {
    f"datetime_{end}" for end in ("type", "parsing", "object_invalid", "from_date_parsing")
}
"""Errors of pydantic for a value that is no number or no time."""


class RequestReader:
    """Reads the rows of a request's body.

    Parameters
    ----------
    max_rows : of a request
    recipe : how the project's files write numbers and times, which a request may do as well
    """

    def __init__(self, contract: Contract, max_rows: int, recipe: Recipe | None = None) -> None:
        self._forms = FileForms(contract, logged_columns(contract), recipe)
        self._max_rows = max_rows
        row: Any = build_row_type(contract, self._forms)
        self._one: TypeAdapter[dict[str, Any]] = TypeAdapter(row)
        self._many: TypeAdapter[Rows] = TypeAdapter(Annotated[list[row], Field(min_length=1, max_length=max_rows)])
        self._pandas_checks = find_pandas_checks(contract)
        self._dtypes = contract.dtypes
        fields = field_types(contract, self._forms)
        is_quick = can_read(fields) and not self._pandas_checks
        self._quick = QuickReader(contract, fields, max_rows) if is_quick else None

    def row_schema(self) -> dict[str, Any]:
        """JSON schema of one row."""
        return self._one.json_schema()

    def body_schema(self, row_reference: str) -> dict[str, Any]:
        """JSON schema of one row or many, where `row_reference` refers to the schema of a row."""
        many = {**self._many.json_schema(), "items": {"$ref": row_reference}}
        return {"oneOf": [{"$ref": row_reference}, {name: many[name] for name in many if name != "$defs"}]}

    def read_columns(self, body: bytes) -> tuple[Columns, bool]:
        """The same as `read`, by column, and in a fraction of its time where the rows have no mistake."""
        is_many = body.lstrip()[:1] == b"["
        columns = self._quick.read(body, is_many) if self._quick else None
        if columns is None or self._forms.are_in_texts(columns.__getitem__):
            columns = Columns.from_records(self.read(body)[0])
        return columns, is_many

    def read(self, body: bytes) -> tuple[Rows, bool]:
        """The rows, which keep the contract, and whether they came as an array.

        Raises
        ------
        Refusal
            If the body is not JSON (400), has too many rows (413), or breaks the contract (422).
        """
        is_many = body.lstrip()[:1] == b"["
        try:
            rows = self._validate(body, is_many)
        except ValidationError as error:
            broken = {str(detail["loc"][-1]) for detail in _details(error) if detail["loc"]}
            rows = self._read_forms(body, is_many, broken)
        else:
            if self._forms.are_in_texts(lambda name: (row[name] for row in rows)):
                rows = self._read_forms(body, is_many, set())
        if self._pandas_checks:
            self._check_columns(rows, is_many)
        return rows, is_many

    def _validate(self, body: bytes, is_many: bool) -> Rows:
        return self._many.validate_json(body) if is_many else [self._one.validate_json(body)]

    def _read_forms(self, body: bytes, is_many: bool, broken: set[str]) -> Rows:
        """The rows of a body that pydantic alone cannot read, as values may be written as in the project's files.

        Parameters
        ----------
        broken : columns with a value that pydantic does not take
        """
        try:
            content = from_json(body)
        except ValueError as error:
            raise Refusal(400, ("body", f"Invalid JSON: {error}")) from None
        given = content if is_many else [content]
        read = self._forms.read(given, broken) if len(given) <= self._max_rows else given
        try:
            return self._validate(to_json(read if is_many else read[0], inf_nan_mode="constants"), is_many)
        except ValidationError as error:
            raise _to_refusal(
                error, lambda at, name: self._forms.explain(name, given[at][name], read[at][name])
            ) from None

    def _check_columns(self, rows: Rows, is_many: bool) -> None:
        """Refuse what breaks a check of pandas; once for each column, as a call costs more than a value."""
        broken = []
        for name, checks in self._pandas_checks.items():
            given = {at: row[name] for at, row in enumerate(rows) if row[name] is not None}
            values = pd.Series(given, dtype=self._dtypes[name])
            for check in checks if given else []:
                passed = check(values).check_output
                # A check answers for each value, or for the column as a whole.
                is_kept = passed.astype("bool") if isinstance(passed, pd.Series) else [bool(passed)] * len(values)
                message = explain_broken(check)
                broken += [(at, name, message) for at, kept in zip(given, is_kept, strict=True) if not kept]
        if broken:
            errors = [(name_field(at, name, is_many), message) for at, name, message in sorted(broken)]
            raise Refusal(422, *shorten(errors))


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False, include_context=False)


def _to_refusal(error: ValidationError, explain: Callable[[int, str], str]) -> Refusal:
    """A pydantic error as an answer.

    Parameters
    ----------
    explain : why the value of a row and column does not parse; "" where pydantic's message says it
    """
    details = _details(error)
    kinds = {detail["type"] for detail in details}
    first = details[0]
    if len(first["loc"]) == 0:
        if "too_long" in kinds:
            return Refusal(413, ("body", first["msg"]))
        expected = "expected one row as an object, or an array of them"
        return Refusal(422, ("body", first["msg"] if "too_short" in kinds else expected))
    errors: list[tuple[str, str]] = []
    for detail in details:
        *at, name = detail["loc"]
        may_explain = detail["type"] in NOT_PARSED and len(errors) < MAX_ERRORS
        message = explain(int(at[0]) if at else 0, str(name)) if may_explain else ""
        errors.append((_name_location(detail["loc"]), message or detail["msg"]))
    return Refusal(422, *shorten(errors))


def _name_location(location: tuple[int | str, ...]) -> str:
    return ".".join(f"[{part}]" if isinstance(part, int) else part for part in location)


class AnswerWriter:
    """Writes predictions as the answer to a request.

    Parameters
    ----------
    threshold : probability from which the decision is the positive of two classes

    Attributes
    ----------
    model : the answer in pydantic, for the API's specification
    """

    def __init__(self, target: Target, threshold: float) -> None:
        self._target = target
        self._threshold = threshold
        self._class_names = [str(each) for each in target.classes]
        self.model = _build_answer_model(target)

    # In plain Python: `Target.decide` makes a column of pandas, which takes a hundred times as long for a single row.
    def decide(self, prediction: np.ndarray) -> list[Any]:
        """The class of each row, equal to `Target.decide`; empty where the target is a number."""
        if self._target.is_regression:
            return []
        if self._target.is_binary:
            negative, positive = self._target.classes
            threshold = self._threshold
            return [positive if probability >= threshold else negative for probability in prediction.tolist()]
        return [self._target.classes[position] for position in prediction.argmax(axis=1).tolist()]

    def to_predictions(self, prediction: np.ndarray, decisions: list[Any]) -> list[dict[str, Any]]:
        """The answer of each row."""
        values = prediction.tolist()
        if self._target.is_regression:
            return [{"prediction": value} for value in values]
        if self._target.is_binary:
            return [{"probability": p, "decision": d} for p, d in zip(values, decisions, strict=True)]
        return [
            {"decision": decision, "probabilities": dict(zip(self._class_names, row, strict=True))}
            for decision, row in zip(decisions, values, strict=True)
        ]

    def write(
        self,
        request_id: str,
        model_version: str,
        prediction: np.ndarray,
        decisions: list[Any],
        explanation: Explanation | None = None,
    ) -> bytes:
        """The body of the answer; with the explanation, where one was asked for."""
        predictions = self.to_predictions(prediction, decisions)
        answer: dict[str, Any] = {"request_id": request_id, "model_version": model_version, "predictions": predictions}
        if explanation:
            answer["explanation"] = explanation.to_json()
        return to_json(answer)


class RowExplanation(BaseModel):
    """A margin and its parts: margin = base + the sum of the contributions."""

    margin: float = Field(description="what the probability or value comes from")
    base: float = Field(description="the margin before anything is known of the row")
    contributions: dict[str, float] = Field(description="by feature, the contract's and derived")


def _build_answer_model(target: Target) -> type[BaseModel]:
    """Predictions in the order of the rows."""
    config = ConfigDict(extra="forbid")  # so that the specification allows no other field in a prediction
    doc = "The answer for one row."
    row = create_model("Prediction", __config__=config, __doc__=doc, **_prediction_fields(target))
    fields: dict[str, Any] = {
        "request_id": (str, ...),
        "model_version": (str, ...),
        "predictions": (list[row], ...),
        # Not null but absent where nobody asked for it.
        "explanation": (_build_explanation_model(target), Field(None, json_schema_extra=_drop_default)),
    }
    return create_model("Answer", __doc__="Predictions in the order of the rows.", **fields)


def _drop_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _build_explanation_model(target: Target) -> type[BaseModel]:
    """Contributions in the order of the rows."""
    row: type[BaseModel] = RowExplanation
    if target.is_multiclass:
        by_class = Annotated[dict[str, RowExplanation], Field(description="of each class with rows in training")]
        row = create_model("ClassExplanations", __doc__="The parts of each class's margin.", classes=(by_class, ...))
    doc = "With `explain=true`: each margin as a sum of contributions, in the order of the rows."
    unit = Annotated[str, Field(description="of margin, base and contributions")]
    return create_model("Explanation", __doc__=doc, unit=(unit, ...), rows=(list[row], ...))


def _prediction_fields(target: Target) -> dict[str, Any]:
    if target.is_regression:
        return {"prediction": (float, ...)}
    kinds = {type(each) for each in target.classes}
    kind: Any = kinds.pop() if len(kinds) == 1 else float
    decision = Annotated[kind, Field(json_schema_extra={"enum": target.classes})]
    if target.is_binary:
        negative, positive = target.classes
        rule = f"{positive} from the decision threshold on, else {negative}"
        return {
            "probability": (float, Field(ge=0, le=1, description=f"of {positive}")),
            "decision": (decision, Field(description=rule)),
        }
    names = [str(each) for each in target.classes]
    by_class = {
        "type": "object",
        "properties": {name: {"type": "number", "minimum": 0, "maximum": 1} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    return {
        "decision": (decision, Field(description="the most likely class")),
        "probabilities": (Annotated[dict[str, float], WithJsonSchema(by_class)], ...),
    }
