"""The app of the prediction API: what its requests share, and its routes.

A prediction comes from exactly one model, even while the champion changes. Every other answer is a `Problem`, which
names the field.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Literal

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from modelworks.models import pipeline
from modelworks.models.fast import Predictor
from modelworks.project import Project
from modelworks.serving.access import Access, AccessMiddleware
from modelworks.serving.batching import MicroBatcher
from modelworks.serving.canary import Canary, Predicted
from modelworks.serving.categories import check_categories
from modelworks.serving.champion import ChampionFollower, Served
from modelworks.serving.explanations import Explanations
from modelworks.serving.file_forms import read_recipe
from modelworks.serving.metrics import ApiMetrics
from modelworks.serving.observer import Observer
from modelworks.serving.page import StatePage, add_page
from modelworks.serving.payload import AnswerWriter, RequestReader
from modelworks.serving.prediction_log import Answered, PredictionLog
from modelworks.serving.problems import Refusal, add_handlers
from modelworks.serving.specification import BAD_REQUEST, NO_MODEL, add_specification, describe
from modelworks.serving.state_metrics import StateMetrics
from modelworks.serving.tracing import Tracing
from modelworks.settings import Settings

JSON = {"Content-Type": "application/json"}


class Status(BaseModel):
    """What a probe wants to know."""

    status: Literal["alive", "ready"]


class RefusedModel(BaseModel):
    """A champion that was not loaded."""

    version: str
    reason: str


class ChallengerInfo(BaseModel):
    """The challenger of a rollout, and the share of the requests that it answers; 0: it is in the shadow."""

    version: str
    step: int
    share: float


class ModelInfo(BaseModel):
    """The model that answers."""

    name: str
    version: str
    run_id: str
    metrics: dict[str, float]
    holdout_period: str
    held_out: str
    since: str
    source: Literal["registry", "cache"]
    refused: RefusedModel | None
    registry_error: str
    few_rows_by: Literal["treelite", "estimator"]
    few_rows_reason: str
    challenger: ChallengerInfo | None
    refused_challenger: RefusedModel | None


class Api:
    """What the requests of one app share."""

    def __init__(self, project: Project, settings: Settings) -> None:
        contract, serving = project.contract, settings.serving
        self.settings = settings
        self.metrics = ApiMetrics(settings.environment)
        self.access = Access(settings, self.metrics)
        self.tracing = Tracing(settings.name, settings.environment)
        self.follower = ChampionFollower(project, settings, self.metrics)
        self.reader = RequestReader(contract, serving.max_rows, read_recipe(settings.home))
        self.writer = AnswerWriter(contract.target, settings.evaluation.decision_threshold)
        self.thread, self.worker = (
            ThreadPoolExecutor(1, name, initializer=pipeline.limit_threads, initargs=(settings.training,))
            for name in ("batches", "large")
        )
        self.batcher = MicroBatcher(Predictor.predict, self.thread, self.worker, self.metrics.batch.observe)
        self.explanations = Explanations(project, self.worker)
        self.canary = Canary(project, settings, self.metrics, self.batcher)
        self.follower.after_poll = self.canary.poll
        self.log = PredictionLog(contract, settings.storage_uri, self.metrics)
        self.metrics.log_queue.set_function(lambda: self.log.waiting_rows)
        if serving.state_metrics_s:
            StateMetrics(project, settings, self.metrics.registry)

    @asynccontextmanager
    async def run(self, _: FastAPI) -> AsyncIterator[None]:
        """Follow the champion and write the log for as long as the app runs."""
        with pipeline.limit_threads(self.settings.training):
            self.log.start()
            self.follower.start()
            try:
                yield
            finally:
                self.follower.stop()
                self.thread.shutdown()
                self.worker.shutdown()
                await asyncio.to_thread(self.canary.close)
                await asyncio.to_thread(self.log.close)
                await asyncio.to_thread(self.tracing.close)

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
        """Predict the rows of a request, and explain them if it says so; returns an `Answer` in JSON.

        Raises
        ------
        Refusal
            If anything is wrong with the request, or there is no model.
        """
        serving, is_explained = self.settings.serving, _read_flag(request, "explain")
        if is_explained:
            self.access.require(request.scope, "explain")
        with self.tracing.span("validate"):
            rows, is_many = self.reader.read_columns(await _read_body(request, serving.max_body_mb))
            served = self.served
            if serving.unseen_categories == "refuse":
                check_categories(rows, served.categories, is_many)

        async def predict(by: Served, batcher: MicroBatcher) -> Predicted:
            if by is not served and serving.unseen_categories == "refuse":
                check_categories(rows, by.categories, is_many)
            with self.tracing.span("predict", model_version=by.version, run_id=by.run_id, rows=len(rows)):
                return Predicted(by, await batcher.predict(by.predictor, rows))

        request_id, explanation = request.scope["request_id"], None
        if is_explained:  # by the champion, of its own prediction
            explanation = await self.explanations.explain(served, rows)
            predicted = await predict(served, self.batcher)
        else:
            predicted = await self.canary.answer(served, rows, request.headers, request_id, predict)
        version, prediction = predicted.served.version, predicted.prediction
        decisions = self.writer.decide(prediction)
        self.metrics.rows.inc(len(rows))
        if serving.log_predictions:
            now = datetime.now(UTC)
            self.log.append(Answered(request_id, now, version, rows, prediction, decisions))
        return self.writer.write(request_id, version, prediction, decisions, explanation)

    def describe_model(self) -> ModelInfo:
        """The model in force, and why the API did not switch to another one."""
        served, refused = self.served, self.follower.refused
        challenger, unusable = self.canary.challenger, self.canary.follower.refused
        step = challenger.step if challenger else None
        return ModelInfo(
            name=self.settings.registered_model,
            version=served.version,
            run_id=served.run_id,
            metrics=served.metrics,
            holdout_period=served.holdout_period,
            held_out=served.held_out,
            since=served.since,
            source=served.source,
            refused=RefusedModel(version=refused[0], reason=refused[1]) if refused else None,
            registry_error=self.follower.registry_error,
            few_rows_by="treelite" if served.predictor.few else "estimator",
            few_rows_reason=served.predictor.reason,
            challenger=ChallengerInfo(version=step.version, step=step.number, share=step.share) if step else None,
            refused_challenger=RefusedModel(version=unusable[0], reason=unusable[1]) if unusable else None,
        )


def build_app(project: Project, settings: Settings) -> FastAPI:
    """The prediction API of a project; its `Api` is `app.state.api`."""
    api = Api(project, settings)
    # Its pages load nothing from the internet, which a server may not reach.
    app = FastAPIOffline(
        title=f"{settings.name}{settings.within}: predictions", description=describe(project.contract), lifespan=api.run
    )
    app.state.api = api
    app.add_middleware(AccessMiddleware, access=api.access)
    app.add_middleware(Observer, metrics=api.metrics, tracing=api.tracing)
    add_handlers(app)
    _add_predict(app, api)
    _add_probes(app, api)
    add_page(app, StatePage(project, settings, api.follower, api.metrics))
    add_specification(project.contract, app, api.reader, api.access)
    return app


def _add_predict(app: FastAPI, api: Api) -> None:
    @app.post(
        "/predict",
        summary="Predict one row, or many as an array",
        responses={200: {"model": api.writer.model}, **BAD_REQUEST, **NO_MODEL},
    )
    async def predict(request: Request) -> Response:
        return Response(await api.answer(request), headers=JSON)

    # FastAPI's route documents this function. It has no dependencies to inject, and without the search for them it
    # answers in two thirds of the time.
    app.router.routes.insert(0, Route("/predict", predict, methods=["POST"]))


def _add_probes(app: FastAPI, api: Api) -> None:
    @app.get("/health", summary="Whether the process is alive")
    async def health() -> Status:
        return Status(status="alive")

    @app.get("/ready", summary="Whether a model is loaded", responses=NO_MODEL)
    async def ready() -> Status:
        return Status(status="ready") if api.served else Status(status="alive")

    @app.get(
        "/model",
        summary="Which model answers, its metrics on the hold-out, and since when it answers here",
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


def _read_flag(request: Request, name: str) -> bool:
    given = request.query_params.get(name, "false")
    if given not in {"true", "false"}:
        raise Refusal(422, (name, f"expected true or false, not {given!r}"))
    return given == "true"


async def _read_body(request: Request, max_mb: float) -> bytes:
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, ("Content-Type", f"expected application/json, not {kind!r}"))
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
        raise Refusal(400, ("body", "the client disconnected before its end")) from None
    return bytes(body)
