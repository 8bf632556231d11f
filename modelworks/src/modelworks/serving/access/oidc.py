"""Access tokens of an OpenID Connect issuer: JSON Web Tokens, checked with the issuer's published keys."""

import asyncio
import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

import httpx
import jwt
from prometheus_client import Counter

from modelworks.access.api_keys import SCOPES, Scope
from modelworks.serving.access.denial import Denial
from modelworks.settings import check_issuer_url

logger = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256")
"""Signatures by a private key. Never `none`, nor HS256, whose secret would be the public key."""
LEEWAY_S = 30
"""Seconds by which the clocks of issuer and API may differ."""
FRESH_S = 600.0
"""Seconds after which the keys are fetched again: one that the issuer has withdrawn is not trusted for ever."""
RETRY_S = 30.0
"""Seconds between two attempts at least: tokens with invented key ids must not make the API ask for each of them."""
TIMEOUT_S = 5.0
CLAIMS_OF_SCOPES = ("scope", "scp", "roles")
"""`scope` as RFC 8693 has it, `scp` of Entra ID and Okta; `roles` of Entra ID, for programs without a user."""


class Issuer:
    """Checks the tokens of one issuer for one audience.

    Parameters
    ----------
    failures : counts the attempts to fetch the keys that failed
    """

    def __init__(self, url: str, audience: str, failures: Counter) -> None:
        self._url = url
        self._audience = audience
        self._failures = failures
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def check(self, token: str) -> tuple[str, frozenset[Scope]]:
        """The subject of a token, and its scopes as far as the API has them.

        Raises
        ------
        Denial
            If it is no valid token of the issuer for this audience (401), or the issuer has never been reached (503).
        """
        try:
            head = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise _refuse("it cannot be read") from None
        if head.get("alg") not in ALGORITHMS:
            raise _refuse(f"its signature has to be by {' or '.join(ALGORITHMS)}")
        key = await self._find_key(str(head.get("kid", "")))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._url,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise _refuse(str(error)) from None
        return str(claims["sub"]), read_scopes(claims)

    async def _find_key(self, key_id: str) -> jwt.PyJWK:
        now = monotonic()
        is_wanted = key_id not in self._keys or now - self._fetched_at > FRESH_S
        if self._fetching is None and is_wanted and now - self._tried_at > RETRY_S:
            self._tried_at = now
            self._fetching = asyncio.create_task(self._fetch())
        if self._fetching and key_id not in self._keys:
            await asyncio.shield(self._fetching)  # a caller who hangs up must not end it for the others
        if not self._keys:
            raise Denial(503, "issuer", "Authorization", "the issuer of tokens cannot be reached; try again later")
        if key_id not in self._keys:
            raise _refuse("its issuer has no key of that id")
        return self._keys[key_id]

    async def _fetch(self) -> None:
        try:
            self._keys = await asyncio.to_thread(_fetch_keys, self._url)
            self._fetched_at = monotonic()
        except Exception as error:  # it may answer anything; the keys of before stay in force
            self._failures.inc()
            logger.warning("the keys of %s cannot be fetched: %s: %s", self._url, type(error).__name__, error)
        finally:
            self._fetching = None


def _fetch_keys(url: str) -> dict[str, jwt.PyJWK]:
    with httpx.Client(timeout=TIMEOUT_S) as client:
        found = client.get(f"{url.rstrip('/')}/.well-known/openid-configuration").raise_for_status().json()
        if found["issuer"] != url:
            raise ValueError(f"it calls itself {found['issuer']!r}")
        check_issuer_url(found["jwks_uri"], "jwks_uri")
        published = client.get(found["jwks_uri"]).raise_for_status().json()
    return _to_keys(published)


def _to_keys(published: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys for signatures, by their ids; those of other kinds are left out."""
    keys: dict[str, jwt.PyJWK] = {}
    for each in published["keys"]:
        if each.get("use", "sig") != "sig" or each.get("kty") not in {"RSA", "EC"}:
            continue
        key = jwt.PyJWK(each)
        if key.algorithm_name in ALGORITHMS:
            keys[str(each.get("kid", ""))] = key
    if not keys:
        raise ValueError(f"it publishes no key for {' or '.join(ALGORITHMS)}")
    return keys


def read_scopes(claims: Mapping[str, Any]) -> frozenset[Scope]:
    """The scopes that the claims of a token name."""
    named: set[str] = set()
    for claim in CLAIMS_OF_SCOPES:
        value = claims.get(claim, [])
        named |= set(value.split() if isinstance(value, str) else map(str, value) if isinstance(value, list) else [])
    return frozenset(each for each in SCOPES if each in named)


def _refuse(why: str) -> Denial:
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return Denial(401, "token", "Authorization", f"the token is not accepted: {why}", challenge)
