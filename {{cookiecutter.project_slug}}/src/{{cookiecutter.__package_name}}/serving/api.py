"""The prediction API: ``uvicorn <package>.serving:create_app --factory``.

Every answer that is not a prediction is a `Problem`, which names the field. A prediction comes from exactly
one model, even while the champion changes.
"""

import asyncio
import json
import os
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from inspect import isfunction
from time import perf_counter
from typing import Any, Literal

# Who asks every other second need not ask three times, and must not wait two minutes for a registry that hangs.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sklearn.pipeline import Pipeline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import schema, task, training
from ..config import PACKAGE, Settings, load_settings
from .batching import MicroBatcher
from .champion import ChampionFollower, Served
from .metrics import ApiMetrics
from .page import StatePage, add_page
from .payload import (
    ROW,
    Answer,
    Problem,
    Refusal,
    RequestReader,
    Rows,
    check_categories,
    decide,
    to_predictions,
)
from .prediction_log import Answered, PredictionLog

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is no JSON"},
    413: {"model": Problem, "description": "Too many bytes or rows"},
    415: {"model": Problem, "description": "The body is not declared as application/json"},
    422: {"model": Problem, "description": "A row breaks the contract; each field is named"},
}
ABOUT = f"""
{task.PURPOSE}.

The fields of a row, with their units and what is allowed in them, are under `Row` below. Every answer that is not a
prediction is a `Problem`, which names the field.
"""
NO_MODEL: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "No model is loaded yet"}}
JSON = {"Content-Type": "application/json"}


class Status(BaseModel):
    """What a probe wants to know."""

    status: Literal["alive", "ready"]


class RefusedModel(BaseModel):
    """A champion that was not taken up."""

    version: str
    reason: str


class ModelInfo(BaseModel):
    """The model that answers."""

    name: str
    version: str
    run_id: str
    metrics: dict[str, float]
    holdout_month: str
    held_out: str
    since: str
    source: Literal["registry", "cache"]
    refused: RefusedModel | None
    registry_error: str


class Api:
    """What the requests of one app share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = ApiMetrics()
        self.follower = ChampionFollower(settings, self.metrics)
        self.reader = RequestReader(settings.serving.max_rows)
        self.worker = ThreadPoolExecutor(1, "large", initializer=training.limit_threads, initargs=(settings.training,))
        self.batcher = MicroBatcher(predict_rows, self.worker, self.metrics.batch.observe)
        self.log = PredictionLog(settings.storage_uri, self.metrics)
        self.metrics.log_queue.set_function(lambda: self.log.waiting_rows)

    @asynccontextmanager
    async def run(self, app: FastAPI) -> AsyncIterator[None]:
        """Follow the champion and write the log for as long as the app runs."""
        with training.limit_threads(self.settings.training):
            self.log.start()
            self.follower.start()
            try:
                yield
            finally:
                self.follower.stop()
                self.worker.shutdown()
                await asyncio.to_thread(self.log.close)

    @property
    def served(self) -> Served:
        """The model in force.

        Raises
        ------
        Refusal
            If there is none (503).
        """
        if self.follower.served is None:
            refused = self.follower.refused
            reason = f"version {refused[0]}: {refused[1]}" if refused else self.follower.registry_error
            why = f": {reason}" if reason else "; train and release one"
            raise Refusal(503, ("model", f"no model is loaded{why}"))
        return self.follower.served

    async def answer(self, request: Request) -> bytes:
        """Predict the rows of a request; returns an `Answer` in JSON.

        Raises
        ------
        Refusal
            If there is anything wrong with the request, or no model.
        """
        rows, is_many = self.reader.read(await _read_body(request, self.settings.serving.max_body_mb))
        served = self.served
        if self.settings.serving.unseen_categories == "refuse":
            check_categories(rows, served.categories, is_many)
        prediction = await self.batcher.predict(served.model, rows)
        decisions = decide(prediction, self.settings.serving.decision_threshold)
        self.metrics.rows.inc(len(rows))
        request_id = request.scope["request_id"]
        if self.settings.serving.log_predictions:
            now = datetime.now(UTC)
            self.log.append(Answered(request_id, now, served.version, rows, prediction, decisions))
        predictions = to_predictions(prediction, decisions)
        answer = {"request_id": request_id, "model_version": served.version, "predictions": predictions}
        return json.dumps(answer, separators=(",", ":")).encode()

    def describe_model(self) -> ModelInfo:
        """The model in force and what keeps another from it."""
        served, refused = self.served, self.follower.refused
        return ModelInfo(
            name=self.settings.tracking.model_name,
            version=served.version,
            run_id=served.run_id,
            metrics=served.metrics,
            holdout_month=served.holdout_month,
            held_out=served.held_out,
            since=served.since,
            source=served.source,
            refused=RefusedModel(version=refused[0], reason=refused[1]) if refused else None,
            registry_error=self.follower.registry_error,
        )


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API by the settings given, or by those of `pipeline.toml` and the environment."""
    api = Api(settings or load_settings())
    # Its pages need nothing from the internet, which a server may not reach.
    app = FastAPIOffline(title=f"{PACKAGE}: predictions", description=ABOUT, lifespan=api.run)
    app.add_middleware(Observer, metrics=api.metrics)
    app.add_exception_handler(Refusal, _answer_refusal)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_failure)
    _add_routes(app, api)
    add_page(app, StatePage(api.settings, api.follower, api.metrics))
    _describe_rows(app, api.reader)
    return app


def _add_routes(app: FastAPI, api: Api) -> None:
    @app.post(
        "/predict",
        summary="Predict one row, or many as an array",
        responses={200: {"model": Answer}, **PROBLEMS, **NO_MODEL},
    )
    async def predict(request: Request) -> Response:
        return Response(await api.answer(request), headers=JSON)

    # FastAPI's route documents this function. It has no dependencies to inject, and without the search for them it
    # answers in two thirds of the time.
    app.router.routes.insert(0, Route("/predict", predict, methods=["POST"]))

    @app.get("/health", summary="Whether the process is alive")
    async def health() -> Status:
        return Status(status="alive")

    @app.get("/ready", summary="Whether a model is loaded", responses=NO_MODEL)
    async def ready() -> Status:
        return Status(status="ready") if api.served else Status(status="alive")

    @app.get(
        "/model",
        summary="Which model answers, how good it was on what was held out, and since when it answers here",
        responses=NO_MODEL,
    )
    async def model() -> ModelInfo:
        return api.describe_model()

    @app.get(
        "/metrics",
        summary="Counters for Prometheus",
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        return Response(generate_latest(api.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _describe_rows(app: FastAPI, reader: RequestReader) -> None:
    body = {
        "schema": reader.json_schema("#/components/schemas/Row"),
        "examples": {"one row": {"value": schema.EXAMPLE}, "many rows": {"value": [schema.EXAMPLE] * 2}},
    }

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = described = get_openapi(
                title=app.title, version=schema.version(), description=app.description, routes=app.routes
            )
            # FastAPI drops a null wherever it stands, and so made an example that lacks columns.
            described["components"]["schemas"]["Row"] = ROW.json_schema()
            described["paths"]["/predict"]["post"]["requestBody"] = {
                "required": True,
                "content": {"application/json": body},
            }
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def predict_rows(model: Pipeline, rows: Rows) -> np.ndarray:
    """Predictions of rows that were read from JSON, as `task` describes them."""
    return training.predict(model, schema.to_frame(rows, list(model.feature_names_in_)))


async def _read_body(request: Request, max_mb: float) -> bytes:
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, ("Content-Type", f"application/json is wanted, not {kind!r}"))
    limit = int(max_mb * 2**20)
    too_large = Refusal(413, ("body", f"more than the {max_mb:g} MB that are allowed"))
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_large
    except ClientDisconnect:
        raise Refusal(400, ("body", "the client went away before its end")) from None
    return bytes(body)


class Observer:
    """Gives each request an id, and counts and times its answer."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        status = 500
        request_id = scope["request_id"] = _request_id(scope)

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            # A function means that the path is one of ours; others, such as of files, would be labels without end.
            path = scope["path"] if isfunction(scope.get("endpoint")) else "other"
            self.metrics.count_answer(path, status, perf_counter() - started)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(given := value.decode("latin-1")):
            return given
    return secrets.token_hex(16)


def _problem(request: Request, status: int, *errors: tuple[str, str], headers: Mapping[str, str] | None) -> Response:
    problem = {
        "request_id": request.scope.get("request_id", ""),
        "errors": [{"field": field, "message": message} for field, message in errors],
    }
    return Response(json.dumps(problem).encode(), status, headers, "application/json")


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _problem(request, error.status, *error.errors, headers=None)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(request, error.status_code, ("request", error.detail), headers=error.headers)


async def _answer_failure(request: Request, error: Exception) -> Response:
    told = "the server failed; its log says why, under this request_id"
    return _problem(request, 500, ("server", told), headers=None)
