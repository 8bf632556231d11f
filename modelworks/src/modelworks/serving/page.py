"""The page of the project's state at `/`; one thread builds it, so no prediction waits for it."""

import asyncio
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.routing import Route

from modelworks.errors import PipelineError
from modelworks.project import Project
from modelworks.reporting.markdown import without_secrets
from modelworks.serving.champion import ChampionFollower
from modelworks.serving.metrics import ApiMetrics
from modelworks.serving.problems import Refusal
from modelworks.settings import Settings

if TYPE_CHECKING:
    from modelworks.state.pictures import Picture
    from modelworks.state.status import State

logger = logging.getLogger(__name__)

FRESH_S = 60.0
"""How long a page is served before the next one is built."""
RETRY_S = 10.0
"""The same for a page of an older state, or one that could not be built."""
PATIENCE_S = 8.0
"""How long a request waits. The server stops once all are answered, and is killed if that takes ten seconds."""

UNDRAWN = "The pictures are being drawn; load the page again in some seconds"

HEADERS = {
    # Markup that slips through the escaping can load and run nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}


class StatePage:
    """The last page that was built, and the thread that builds the next one on request."""

    def __init__(self, project: Project, settings: Settings, follower: ChampionFollower, metrics: ApiMetrics) -> None:
        self._project = project
        self._settings = settings
        self._follower = follower
        self._metrics = metrics
        self._state: State | None = None
        self._html: str | None = None
        self._drawn: tuple[State, Mapping[str, Picture]] | None = None
        self._problem = "it is being built; ask again in some seconds"
        self._due_at = 0.0
        self._building: Future[None] | None = None

    async def get(self) -> str:
        """The page; an older one if a new one takes long or cannot be built.

        Raises
        ------
        Refusal
            If there is none (503).
        """
        if self._building is None and monotonic() >= self._due_at:
            self._building = Future()
            # A daemon: MLflow or the storage may hang, and must not keep the process from ending.
            threading.Thread(target=self._build, args=[self._building], name="page", daemon=True).start()
        if self._building:
            await asyncio.wait([asyncio.wrap_future(self._building)], timeout=PATIENCE_S)
        if self._html is None:
            raise Refusal(503, ("page", self._problem))
        return self._html

    def _build(self, built: Future[None]) -> None:
        started, patience_s = perf_counter(), RETRY_S
        try:
            patience_s = self._try_to_build()
        except Exception as error:  # MLflow or the storage may fail in any way, and the API goes on
            logger.warning("there is no page of the state: %s", error)
            self._problem = f"it cannot be built: {_explain(error)}"
        finally:
            self._metrics.page.observe(perf_counter() - started)
            self._due_at = monotonic() + patience_s
            self._building = None
            built.set_result(None)

    def _try_to_build(self) -> float:
        """Build the page; returns for how many seconds it is fresh."""
        # Not at the top: the API would import matplotlib before its first answer.
        from modelworks.state.page import to_html
        from modelworks.state.pictures import draw_pictures
        from modelworks.state.status import read_state

        notices, patience_s = self._describe_refused(), FRESH_S
        try:
            self._state = read_state(self._project, self._settings)
        except Exception as error:
            if self._state is None:
                raise
            logger.warning("the page of the state is not current: %s", error)
            notices, patience_s = [f"Not current: {_explain(error)}", *notices], RETRY_S
        seen = replace(self._state, at=datetime.min)
        if self._drawn is None or self._drawn[0] != seen:
            if self._html is None:  # drawing takes most of the time, and a request that waits too long gets the texts
                self._html = to_html(self._project, self._settings, self._state, [*notices, UNDRAWN], {})
            self._drawn = seen, draw_pictures(self._project, self._settings, self._state)
        self._html = to_html(self._project, self._settings, self._state, notices, self._drawn[1])
        return patience_s

    def _describe_refused(self) -> list[str]:
        served, refused = self._follower.served, self._follower.refused
        if refused is None:
            return []
        answers = f"it answers with version {served.version}" if served else "it has no model to answer with"
        return [f"The API refuses version {refused[0]}, and {answers}: {refused[1]}"]


def _explain(error: Exception) -> str:
    return without_secrets(str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}")


def add_page(app: FastAPI, page: StatePage) -> None:
    """Serve the page at `/`."""

    @app.get(
        "/",
        summary="The state of the project, as a page for people",
        response_class=HTMLResponse,
        responses={503: {"description": "It cannot be built", "content": {"application/json": PROBLEM}}},
    )
    async def state(_: Request) -> Response:
        return HTMLResponse(await page.get(), headers=HEADERS)

    # FastAPI's route documents this function; Starlette's also answers HEAD.
    app.router.routes.insert(0, Route("/", state))
