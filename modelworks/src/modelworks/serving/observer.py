"""Middleware: an id for each request, its span, and the count and time of each answer."""

import re
import secrets
from inspect import isfunction
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelworks.serving.metrics import ApiMetrics
from modelworks.serving.tracing import Tracing, end_request

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Observer:
    """Gives each request an id, and counts and times its answer."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, tracing: Tracing) -> None:
        self.app = app
        self.metrics = metrics
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        status = 500
        request_id = scope["request_id"] = _choose_id(scope)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            with self.tracing.request(scope) as span:
                try:
                    await self.app(scope, receive, send_with_id)
                finally:
                    end_request(span, status)
        finally:
            # The endpoint of each of our routes is a function. Other paths, such as files, would be labels without end.
            path = scope["path"] if isfunction(scope.get("endpoint")) else "other"
            self.metrics.count_answer(path, status, perf_counter() - started)


def _choose_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(given := value.decode("latin-1")):
            return given
    return secrets.token_hex(16)
