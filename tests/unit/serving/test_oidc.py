"""Access tokens, by an issuer of OpenID Connect that is a real server with keys of its own."""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from flights import FLIGHTS, make_home
from modelworks.access import keys_file
from modelworks.access.api_keys import add_key, now
from modelworks.serving import create_app
from modelworks.serving.access import oidc
from modelworks.settings import Settings, load_settings

AUDIENCE = "flight-delays"
RSA_KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(3)]
EC_KEY = ec.generate_private_key(ec.SECP256R1())


class LocalIssuer(ThreadingHTTPServer):
    """Publishes what it is set to, and counts how often it is asked for its keys."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.keys: list[dict[str, Any]] = []
        self.discovery: dict[str, Any] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.is_down = False
        self.asked = 0
        self.publish(first=RSA_KEYS[0], ec=EC_KEY)

    def publish(self, **keys: Any) -> None:
        """Publish these keys, by their ids, and no others; beside one for encryption."""
        self.keys = [{"kty": "RSA", "use": "enc", "kid": "x", "n": "AQAB", "e": "AQAB"}]
        for key_id, key in keys.items():
            by = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
            self.keys.append({**json.loads(by.to_jwk(key.public_key())), "kid": key_id, "use": "sig"})


class _Handler(BaseHTTPRequestHandler):
    server: LocalIssuer

    def do_GET(self) -> None:
        """Answer with the discovery document or the keys."""
        is_discovery = self.path == "/.well-known/openid-configuration"
        self.server.asked += not is_discovery
        body = json.dumps(self.server.discovery if is_discovery else {"keys": self.server.keys}).encode()
        self.send_response(503 if self.server.is_down else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with LocalIssuer() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(issuer: LocalIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("MODELWORKS_SERVING__STATE_METRICS_S", "0")  # a scrape starts no thread
    make_home(tmp_path)
    with open_app(load_settings(tmp_path, {"access": {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE}})) as found:
        yield found


@asynccontextmanager
async def without_champion(_: object) -> AsyncIterator[None]:
    """A lifespan that asks no registry."""
    yield


def open_app(settings: Settings) -> TestClient:
    """A client whose requests share one event loop in its context, as on a server."""
    app = create_app(FLIGHTS, settings)
    app.router.lifespan_context = without_champion
    return TestClient(app, base_url="http://127.0.0.1")


def sign(
    issuer: LocalIssuer, key: Any = RSA_KEYS[0], key_id: str = "first", algorithm: str = "RS256", **claims: Any
) -> str:
    """A token that is valid for five minutes, with other claims: times in seconds from now, None for without."""
    given = {"iss": issuer.url, "aud": AUDIENCE, "sub": "ada", "iat": 0, "exp": 300, "scope": "openid read"}
    kept = {name: value for name, value in {**given, **claims}.items() if value is not None}
    kept |= {name: int(time.time()) + kept[name] for name in ("iat", "exp", "nbf") if name in kept}
    return jwt.encode(kept, key, algorithm, headers={"kid": key_id})


def ask(client: TestClient, token: str) -> int:
    """The status of a request that needs the scope `read`."""
    return client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code


def count(client: TestClient, name: str, **labels: str) -> float:
    return client.app.state.api.metrics.registry.get_sample_value(name, labels) or 0


def test_token_of_the_issuer_is_let_in_and_nobody_without_one(client: TestClient, issuer: LocalIssuer) -> None:
    assert client.get("/metrics").status_code == 401
    assert ask(client, sign(issuer)) == 200
    assert ask(client, sign(issuer, EC_KEY, "ec", "ES256")) == 200
    assert issuer.asked == 1
    assert count(client, "api_authenticated_requests_total", key="(tokens)") == 2


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scope": "read predict"}, 200),
        ({"scope": None, "scp": ["read"]}, 200),
        ({"scope": None, "scp": "read"}, 200),
        ({"scope": None, "roles": ["read"]}, 200),
        ({"aud": ["other", AUDIENCE]}, 200),
        ({"exp": -5}, 200),  # the clocks may differ by some seconds
        ({"scope": "predict"}, 403),
        ({"scope": None}, 403),
        ({"scope": "reader"}, 403),
        ({"scope": {"read": True}}, 403),
        ({"aud": "other"}, 401),
        ({"aud": None}, 401),
        ({"iss": "https://evil.example.com"}, 401),
        ({"iss": None}, 401),
        ({"sub": None}, 401),
        ({"exp": -3600}, 401),
        ({"exp": None}, 401),
        ({"nbf": 3600}, 401),
    ],
)
def test_claims_decide(client: TestClient, issuer: LocalIssuer, claims: dict[str, Any], status: int) -> None:
    assert ask(client, sign(issuer, **claims)) == status
    assert count(client, "api_denied_requests_total", reason="token") == (status == 401)


def test_explanation_needs_both_scopes_of_a_token(client: TestClient, issuer: LocalIssuer) -> None:
    def explain(scope: str) -> int:
        headers = {"Authorization": f"Bearer {sign(issuer, scope=scope)}"}
        return client.post("/predict?explain=true", json=FLIGHTS.contract.example, headers=headers).status_code

    assert [explain("predict"), explain("explain"), explain("predict explain")] == [403, 403, 503]


def forge(head: dict[str, Any], payload: str, signature: str = "") -> str:
    """A token with a head of one's own."""
    return f"{jwt.utils.base64url_encode(json.dumps(head).encode()).decode()}.{payload}.{signature}"


def test_signature_is_the_issuers_own_and_no_other_kind(client: TestClient, issuer: LocalIssuer) -> None:
    good = sign(issuer)
    head, payload, signature = good.split(".")
    public = RSA_KEYS[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = jwt.utils.base64url_encode  # of a token that is signed with the public key as if it were a secret
    by_secret = f"{secret(json.dumps({'alg': 'HS256', 'kid': 'first'}).encode()).decode()}.{payload}"
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(by_secret.encode(), public)
    forged = {
        "none": forge({"alg": "none", "kid": "first"}, payload),
        "none with a signature": forge({"alg": "none", "kid": "first"}, payload, signature),
        "HS256 with the public key": f"{by_secret}.{secret(mac).decode()}",
        "another key": sign(issuer, RSA_KEYS[1]),
        "RS512": sign(issuer, algorithm="RS512"),
        "no id": sign(issuer, key_id=""),
        "key for encryption": sign(issuer, key_id="x"),
        "ES256 for an RSA key": forge({"alg": "ES256", "kid": "first"}, payload, signature),
        "changed payload": f"{head}.{sign(issuer, sub='eve').split('.')[1]}.{signature}",
        "no signature": f"{head}.{payload}.",
        "not a token": "a.b.c",
    }
    assert {name: ask(client, token) for name, token in forged.items()} == dict.fromkeys(forged, 401)
    assert ask(client, good) == 200


def test_rotated_keys_are_fetched_and_withdrawn_ones_forgotten(
    client: TestClient, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = sign(issuer)
    assert ask(client, old) == 200
    issuer.publish(second=RSA_KEYS[1])
    new = sign(issuer, RSA_KEYS[1], "second")
    assert [ask(client, new) for _ in range(3)] == [401] * 3  # it has just been asked
    assert issuer.asked == 1
    monkeypatch.setattr(oidc, "RETRY_S", 0)
    assert (ask(client, new), ask(client, old)) == (200, 401)


def test_invented_key_ids_do_not_make_the_api_ask_again_and_again(client: TestClient, issuer: LocalIssuer) -> None:
    tokens = [sign(issuer, key_id=f"invented-{number}") for number in range(20)]
    assert {ask(client, token) for token in tokens} == {401}
    assert issuer.asked == 1
    assert ask(client, sign(issuer)) == 200


def test_issuer_that_is_down_leaves_the_known_keys_in_force(
    client: TestClient, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(oidc, "RETRY_S", 0)
    monkeypatch.setattr(oidc, "FRESH_S", 0)
    issuer.is_down = True
    token = sign(issuer)
    assert ask(client, token) == 503
    issuer.is_down = False
    assert ask(client, token) == 200
    issuer.is_down = True
    assert [ask(client, token) for _ in range(3)] == [200] * 3
    assert ask(client, sign(issuer, RSA_KEYS[1], "second")) == 401
    assert count(client, "api_access_failures_total", source="issuer") >= 2
    assert "cannot be fetched" in caplog.text
    assert token not in caplog.text


@pytest.mark.parametrize(
    "discovery",
    [{"issuer": "https://evil.example.com"}, {"jwks_uri": "http://evil.example.com/keys"}, {"jwks_uri": "file:///etc"}],
)
def test_issuer_that_names_another_one_is_not_believed(
    client: TestClient, issuer: LocalIssuer, discovery: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    issuer.discovery |= discovery
    assert ask(client, sign(issuer)) == 503
    assert "cannot be fetched: ValueError" in caplog.text


def test_issuer_without_keys_for_signatures_is_reported(
    client: TestClient, issuer: LocalIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.publish()
    assert ask(client, sign(issuer)) == 503
    assert "it publishes no key for RS256 or ES256" in caplog.text


def test_keys_and_tokens_are_taken_side_by_side(client: TestClient, issuer: LocalIssuer, tmp_path: Path) -> None:
    settings = client.app.state.api.settings
    made = add_key(keys_file(settings), "grafana", ["read"], None, now())
    with open_app(settings) as both:
        assert (ask(both, made), ask(both, sign(issuer)), ask(both, "mwk_invented")) == (200, 200, 401)


def test_subjects_have_a_rate_limit_each(issuer: LocalIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWORKS_SERVING__STATE_METRICS_S", "0")
    make_home(tmp_path)
    values = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "requests_per_minute": 1}
    with open_app(load_settings(tmp_path, {"access": values})) as found:
        ada, bob = sign(issuer), sign(issuer, sub="bob")
        assert [ask(found, token) for token in (ada, ada, bob)] == [200, 429, 200]
