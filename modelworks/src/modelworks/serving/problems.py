"""Every answer that is not a prediction: a problem with its fields, in JSON."""

import json
import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from modelworks.errors import PipelineError

logger = logging.getLogger(__name__)

MAX_ERRORS = 100


class FieldError(BaseModel):
    """What is wrong, and where."""

    field: str = Field(description="the column, `[3].column` in the fourth of many rows, or the part of the request")
    message: str


class Problem(BaseModel):
    """Why a request was not answered."""

    request_id: str
    errors: list[FieldError]


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is answered with a problem."""

    headers: Mapping[str, str] | None = None

    def __init__(self, status: int, *errors: tuple[str, str]) -> None:
        super().__init__(status, errors)
        self.status = status
        self.errors = errors


def shorten(errors: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first `MAX_ERRORS` of the errors, and their number if there are more."""
    more = [("body", f"{len(errors)} errors; the first {MAX_ERRORS} are shown")] if len(errors) > MAX_ERRORS else []
    return [*errors[:MAX_ERRORS], *more]


def add_handlers(app: FastAPI) -> None:
    """Answer refusals, HTTP errors and failures with a `Problem`."""
    app.add_exception_handler(Refusal, answer_refusal)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(PipelineError, _answer_pipeline_error)
    app.add_exception_handler(Exception, _answer_failure)


def _respond(request: Request, status: int, *errors: tuple[str, str], headers: Mapping[str, str] | None) -> Response:
    problem = {
        "request_id": request.scope.get("request_id", ""),
        "errors": [{"field": field, "message": message} for field, message in errors],
    }
    return Response(json.dumps(problem).encode(), status, headers, "application/json")


async def answer_refusal(request: Request, error: Exception) -> Response:
    """The problem of a `Refusal`."""
    assert isinstance(error, Refusal)
    return _respond(request, error.status, *error.errors, headers=error.headers)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _respond(request, error.status_code, ("request", error.detail), headers=error.headers)


async def _answer_pipeline_error(request: Request, error: Exception) -> Response:
    """A row that keeps the contract, and that the model cannot predict, such as by a fault in a derived feature."""
    logger.error("request %s: %s", request.scope.get("request_id", ""), error)
    return _respond(request, 500, ("model", str(error)), headers=None)


async def _answer_failure(request: Request, _: Exception) -> Response:
    message = "the server failed; its log says why, under this request_id"
    return _respond(request, 500, ("server", message), headers=None)


def name_field(at: int, name: str, is_many: bool) -> str:
    """A column of a row as an error names it; `is_many` says whether the rows came as an array."""
    return f"[{at}].{name}" if is_many else name
