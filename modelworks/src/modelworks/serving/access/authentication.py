"""Who calls: the key or token of a request, and what it allows."""

import base64
import logging
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache

from starlette.types import Scope as Connection

from modelworks.access import Scope, keys_file
from modelworks.addresses import is_loopback, parse_address
from modelworks.serving.access.caller import Caller
from modelworks.serving.access.denial import Denial
from modelworks.serving.access.hosts import Hosts
from modelworks.serving.access.key_file import KeyFile
from modelworks.serving.access.oidc import Issuer
from modelworks.serving.access.rate_limits import RateLimits
from modelworks.serving.metrics import ApiMetrics
from modelworks.settings import Settings

logger = logging.getLogger(__name__)

TOKENS = "(tokens)"
"""Label of all callers with a token: a label for each subject would be one without end."""

CHALLENGE = 'Basic realm="predictions: the key is the password", charset="UTF-8"'
"""By it a browser asks for a password, so a person can open the pages with a key; programs send theirs unasked. Not
beside `Bearer` in the same header: Chromium would not ask then."""


class Access:
    """Decides about each request of one app.

    Raises
    ------
    ConfigError
        If the file of keys is damaged.
    """

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        access = settings.access
        own = [] if parse_address(settings.stack.host) else [settings.stack.host]
        self._metrics = metrics
        self._hosts = Hosts([*access.allowed_hosts, *own])
        self._limits = RateLimits(access.requests_per_minute)
        self._is_by_proxy = access.authentication == "by_proxy"
        self._keys = KeyFile(keys_file(settings), metrics.access_failures.labels("keys"))
        failures = metrics.access_failures.labels("issuer")
        self._issuer = Issuer(access.oidc_issuer, access.oidc_audience, failures) if access.oidc_issuer else None
        self._has_warned = False
        # Looking a label up, or reading an address, takes longer than all the rest.
        self._count_authenticated = cache(metrics.authenticated.labels)
        self._is_loopback = lru_cache(maxsize=256)(is_loopback)

    @property
    def asks(self) -> bool:
        """Whether a caller needs a key or a token."""
        return not self._is_by_proxy and (self._keys.is_set or self._issuer is not None)

    def check_host(self, connection: Connection) -> None:
        """Refuse a request for another host (421)."""
        hosts = [value for name, value in connection["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._hosts.allow(hosts[0].decode("latin-1")):
            named = " and ".join(repr(each.decode("latin-1")) for each in hosts) or "no name"
            message = f"the API is not called {named}; its names are localhost and those of [access] allowed_hosts"
            raise Denial(421, "host", "Host", message)

    async def identify(self, connection: Connection, needed: Scope) -> Caller | None:
        """Who sent a request that needs a scope; None where nobody is asked.

        Raises
        ------
        Denial
            If its key or token is not known (401), has not the scope (403), or came too often (429).
        """
        if self._is_by_proxy:
            return None
        self._keys.follow()
        if not self.asks:
            self._check_is_local(connection)
            return None
        credential = read_credential(connection["headers"])
        if not credential:
            raise _refuse("no_key", "a key or a token is needed: `Authorization: Bearer ...` or `X-API-Key: ...`")
        if self._issuer and credential.count(".") == 2:  # no key has a dot
            subject, scopes = await self._issuer.check(credential)
            caller = Caller(f"token:{subject}", TOKENS, scopes)
        else:
            caller = self._find_key(credential)
        if wait_s := self._limits.take(caller.name):
            wait = math.ceil(wait_s)
            message = f"too many requests; the next one may come in {wait} s"
            raise Denial(429, "rate", "request", message, {"Retry-After": str(wait)})
        _check_scope(caller, needed)
        self._count_authenticated(caller.label).inc()
        return caller

    def require(self, connection: Connection, needed: Scope) -> None:
        """Refuse an authenticated request that asks for more than its caller may (403)."""
        try:
            _check_scope(connection["caller"], needed)
        except Denial as denial:
            self.count(denial)
            raise

    def count(self, denial: Denial) -> None:
        """Count a denied request."""
        self._metrics.denied.labels(denial.reason).inc()

    def _find_key(self, credential: str) -> Caller:
        caller = self._keys.find(credential)
        if caller is None:
            raise _refuse("unknown_key", "the key is not known")
        if caller.expires is not None and datetime.now(UTC) >= caller.expires:
            raise _refuse("expired_key", f"the key {caller.label} has expired")
        return caller

    def _check_is_local(self, connection: Connection) -> None:
        """Refuse who comes by the network, however the server was started, while there is no key."""
        host, port = connection.get("server") or ("", None)
        if port is None or self._is_loopback(host):  # without a port it is a socket in the file system
            return
        message = "this API answers its own computer only, until it has keys: the command `api-keys add` makes one"
        if not self._has_warned:
            logger.error("a request to %s was refused: %s", host, message)
            self._has_warned = True
        raise Denial(403, "network", "request", message)


def read_credential(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The key or token of a request, by `X-API-Key`, else by `Authorization` as bearer or password; "" if none."""
    authorization = ""
    for name, value in headers:
        if name == b"x-api-key":
            return value.decode("latin-1").strip()
        if name == b"authorization":
            authorization = value.decode("latin-1")
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return given.strip() if scheme.lower() == "bearer" else ""


def _check_scope(caller: Caller | None, needed: Scope) -> None:
    if caller is not None and needed not in caller.scopes:
        has = ", ".join(sorted(caller.scopes)) or "none"
        raise Denial(403, "scope", "Authorization", f"the scope {needed!r} is needed; this key or token has {has}")


def _refuse(reason: str, message: str) -> Denial:
    return Denial(401, reason, "Authorization", message, {"WWW-Authenticate": CHALLENGE})
