"""The page of the project's state at `/`: built aside, by one thread at a time, so that no prediction waits for it."""

import asyncio
import logging
import threading
from concurrent.futures import Future
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.routing import Route

from ..config import Settings
from ..errors import PipelineError
from ..reports import without_secrets
from .champion import ChampionFollower
from .metrics import ApiMetrics
from .payload import Refusal

if TYPE_CHECKING:
    from ..status import State

logger = logging.getLogger(__name__)

FRESH_S = 60.0
"""How long a page is given out before another one is built."""
RETRY_S = 10.0
"""The same for one that had to be made from what was read before, or could not be made."""
PATIENCE_S = 8.0
"""How long a request waits: the server stops only when all are answered, and is killed if that takes ten seconds."""

HEADERS = {
    # What slips through as markup can still load and run nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}


class StatePage:
    """The last page that could be built, and the thread that builds the next one when somebody asks."""

    def __init__(self, settings: Settings, follower: ChampionFollower, metrics: ApiMetrics) -> None:
        self._settings = settings
        self._follower = follower
        self._metrics = metrics
        self._state: State | None = None
        self._html: str | None = None
        self._problem = "it is being built; ask again in some seconds"
        self._due_at = 0.0
        self._building: Future[None] | None = None

    async def get(self) -> str:
        """The page; an older one where a new one takes long or cannot be built.

        Raises
        ------
        Refusal
            If there is none (503).
        """
        if self._building is None and monotonic() >= self._due_at:
            self._building = Future()
            # What it asks may hang, and must not keep the process from ending.
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
        except Exception as error:  # whatever happens to MLflow or the storage, the API goes on
            logger.warning("there is no page of the state: %s", error)
            self._problem = f"it cannot be built: {_explain(error)}"
        finally:
            self._metrics.page.observe(perf_counter() - started)
            self._due_at = monotonic() + patience_s
            self._building = None
            built.set_result(None)

    def _try_to_build(self) -> float:
        """Build the page; returns how many seconds it is good for."""
        # Not at the top, as the API's start would wait for what draws.
        from ..state_report import to_html
        from ..status import read_state

        notices, patience_s = self._describe_refused(), FRESH_S
        try:
            self._state = read_state(self._settings)
        except Exception as error:
            if self._state is None:
                raise
            logger.warning("the page of the state is not current: %s", error)
            notices, patience_s = [f"Not current: {_explain(error)}", *notices], RETRY_S
        self._html = to_html(self._settings, self._state, notices)
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
    async def state(request: Request) -> Response:
        return HTMLResponse(await page.get(), headers=HEADERS)

    # FastAPI's route documents this function; Starlette's answers HEAD as well.
    app.router.routes.insert(0, Route("/", state))
