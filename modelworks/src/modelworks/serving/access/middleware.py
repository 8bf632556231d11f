"""Middleware: denies requests of unknown callers, and adds the security headers of pages."""

import base64
import hashlib
import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelworks.access import Scope as Right
from modelworks.serving.access.authentication import Access
from modelworks.serving.access.denial import Denial
from modelworks.serving.problems import answer_refusal

OPEN = {"/health", "/ready"}
"""Probes: they say nothing about the project, and come without a key and by any name."""
PREDICT = "/predict"

DEFAULT_POLICY = "default-src 'none'; frame-ancestors 'none'"
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
}
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class AccessMiddleware:
    """Asks `Access` about each request, and answers those that are denied."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = _path_of(scope) if scope["type"] == "http" else ""
        if not path or path in OPEN:
            await self.app(scope, receive, send)
            return
        needed: Right = "predict" if path == PREDICT else "read"
        try:
            self.access.check_host(scope)
            scope["caller"] = await self.access.identify(scope, needed)
        except Denial as denial:
            self.access.count(denial)
            answer = await answer_refusal(Request(scope), denial)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send if path == PREDICT else _PageHeaders(send).send)


class _PageHeaders:
    """Adds to an answer what it does not have itself; a page of the docs is sent once its scripts are known."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start:
            start, self._start = self._start, None
            _add_headers(start, message.get("body", b""))
            await self._send(start)
        await self._send(message)


def _add_headers(start: Message, body: bytes) -> None:
    present = {name.lower(): value for name, value in start["headers"]}
    wanted = dict(HEADERS)
    is_page = present.get(b"content-type", b"").startswith(b"text/html")
    wanted[b"content-security-policy"] = (_policy_of(body) if is_page else DEFAULT_POLICY).encode()
    if b"etag" not in present:  # the files of the docs' pages are the same for everybody
        wanted[b"cache-control"] = b"no-store"
    start["headers"] = [*start["headers"], *((name, value) for name, value in wanted.items() if name not in present)]


def _policy_of(page: bytes) -> str:
    """What a page of the docs may load: files of this API, and the scripts that it holds, by their hashes."""
    hashes = [base64.b64encode(hashlib.sha256(each).digest()).decode() for each in INLINE_SCRIPT.findall(page)]
    scripts = " ".join(["'self'", *(f"'sha256-{each}'" for each in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _path_of(scope: Scope) -> str:
    """The path as routes have it: behind a proxy it may begin with the path of the app."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if path.startswith(f"{root}/") else path
