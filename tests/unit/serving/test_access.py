"""Who gets in: each scope, each way to send a key, the `Host`, the rate limit, and the headers of pages."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from flights import FLIGHTS, make_home
from modelworks.access import keys_file
from modelworks.access.api_keys import add_key, remove_key
from modelworks.errors import ConfigError
from modelworks.serving import create_app
from modelworks.serving.access import key_file
from modelworks.serving.access.rate_limits import MAX_CALLERS, RateLimits
from modelworks.settings import Settings, load_settings

LOCAL = "http://127.0.0.1:8000"
NOW = datetime.now(UTC)
WITHOUT_MODEL = 503
"""What a request that was let in gets here: no model is loaded."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a home without keys; the file is looked at with each request."""
    monkeypatch.setattr(key_file, "LOOK_S", 0)
    monkeypatch.setenv("MODELWORKS_SERVING__STATE_METRICS_S", "0")  # a scrape starts no thread
    make_home(tmp_path)
    return load_settings(tmp_path)


@pytest.fixture
def key(settings: Settings) -> Callable[..., str]:
    """Adds a key with some scopes."""

    def add(name: str, *scopes: str, days: float | None = None, made: datetime = NOW) -> str:
        return add_key(keys_file(settings), name, list(scopes), days, made)

    return add


def open_app(settings: Settings, base_url: str = LOCAL) -> TestClient:
    """A client of the app, without a registry: its lifespan does not run."""
    return TestClient(create_app(FLIGHTS, settings), base_url=base_url, raise_server_exceptions=False)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def refused(client: TestClient, reason: str) -> float:
    """How many requests were refused for a reason."""
    registry = client.app.state.api.metrics.registry
    return registry.get_sample_value("api_denied_requests_total", {"reason": reason}) or 0


def predict(client: TestClient, query: str = "", **given: Any) -> int:
    return client.post(f"/predict{query}", json=FLIGHTS.contract.example, **given).status_code


def test_this_computer_needs_no_key_until_there_is_one(settings: Settings, key: Callable[..., str]) -> None:
    client = open_app(settings)
    assert predict(client) == predict(client, "?explain=true") == WITHOUT_MODEL
    assert client.get("/metrics").status_code == 200
    made = key("shop", "predict")
    assert predict(client) == 401
    assert predict(client, headers=bearer(made)) == WITHOUT_MODEL


@pytest.mark.parametrize("by", ["bearer", "X-API-Key", "basic", "lower case"])
def test_key_is_read_wherever_a_client_can_put_it(settings: Settings, key: Callable[..., str], by: str) -> None:
    made = key("shop", "predict")
    headers = {
        "bearer": bearer(made),
        "X-API-Key": {"X-API-Key": made},
        "basic": {"Authorization": f"Basic {base64.b64encode(f'ada:{made}'.encode()).decode()}"},
        "lower case": {"authorization": f"bearer {made}"},
    }[by]
    assert predict(open_app(settings), headers=headers) == WITHOUT_MODEL


# Per scope: /predict, /predict?explain=true, and what only shows.
@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["predict"], (503, 403, 403)),
        (["explain"], (403, 403, 403)),  # an explanation comes with the prediction
        (["predict", "explain"], (503, 503, 403)),
        (["read"], (403, 403, 200)),
        (["predict", "explain", "read"], (503, 503, 200)),
    ],
)
def test_each_scope_opens_its_own_requests_and_no_others(
    settings: Settings, key: Callable[..., str], scopes: list[str], expected: tuple[int, int, int]
) -> None:
    headers = bearer(key("shop", *scopes))
    client = open_app(settings)
    shown = {client.get(path, headers=headers).status_code for path in ("/metrics", "/docs", "/redoc", "/openapi.json")}
    found = predict(client, headers=headers), predict(client, "?explain=true", headers=headers)
    # Written otherwise, it is the same parameter.
    assert predict(client, "?expl%61in=tru%65", headers=headers) == found[1]
    assert (*found, *shown) == expected
    assert refused(client, "scope") == [*found, *shown, found[1]].count(403) + (3 if 403 in shown else 0)


def test_what_is_no_route_needs_a_key_as_well(settings: Settings, key: Callable[..., str]) -> None:
    only_predict, read = bearer(key("shop", "predict")), bearer(key("grafana", "read"))
    client = open_app(settings)
    for path in ("/", "/model", "/static-offline-docs/swagger-ui.css", "/predict/", "/PREDICT", "//predict", "/none"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers=only_predict).status_code == 403, path
    assert client.get("/none", headers=read).status_code == 404
    assert client.post("/predict/", headers=read, follow_redirects=True).status_code == 403


def test_path_of_a_proxy_changes_no_scope(settings: Settings, key: Callable[..., str]) -> None:
    headers = bearer(key("grafana", "read"))
    client = TestClient(create_app(FLIGHTS, settings), base_url=LOCAL, root_path="/flights")
    assert client.get("/flights/metrics", headers=headers).status_code == 200
    assert client.post("/flights/predict", json=FLIGHTS.contract.example, headers=headers).status_code == 403
    assert client.get("/flights/health").status_code == 200


def test_probes_say_nothing_and_need_nothing(settings: Settings, key: Callable[..., str]) -> None:
    key("shop", "predict")
    client = open_app(settings, "http://rebound.example.com")
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").status_code == 503


def test_wrong_expired_and_removed_keys_are_refused_and_counted(settings: Settings, key: Callable[..., str]) -> None:
    old, made = key("old", "predict", days=1, made=NOW - timedelta(days=2)), key("shop", "predict")
    client = open_app(settings)
    for sent, reason in [
        ({}, "no_key"),
        ({"Authorization": ""}, "no_key"),
        ({"Authorization": "Basic %%%"}, "no_key"),
        ({"Authorization": f"Digest {made}"}, "no_key"),
        (bearer(made[:-1]), "unknown_key"),
        (bearer(made.upper()), "unknown_key"),
        ({"X-API-Key": "ü".encode("latin-1")}, "unknown_key"),
        (bearer("a.b.c"), "unknown_key"),
        (bearer(old), "expired_key"),
    ]:
        before = refused(client, reason)
        answer = client.post("/predict", json=FLIGHTS.contract.example, headers=sent)
        assert answer.status_code == 401, sent
        assert refused(client, reason) == before + 1
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
        assert answer.json()["errors"][0]["field"] == "Authorization"
    remove_key(keys_file(settings), "shop")
    assert predict(client, headers=bearer(made)) == 401


def test_keys_are_rotated_without_a_restart(settings: Settings, key: Callable[..., str]) -> None:
    first = key("shop-1", "predict")
    client = open_app(settings)
    second = key("shop-2", "predict")
    assert [predict(client, headers=bearer(each)) for each in (first, second)] == [503, 503]
    remove_key(keys_file(settings), "shop-1")
    assert [predict(client, headers=bearer(each)) for each in (first, second)] == [401, 503]
    metrics = client.app.state.api.metrics.registry
    assert metrics.get_sample_value("api_authenticated_requests_total", {"key": "shop-2"}) == 2


def test_mounted_secret_is_followed_when_its_link_is_swapped(
    settings: Settings, key: Callable[..., str], tmp_path: Path
) -> None:
    """As Kubernetes does it: the file is a link into `..data`, which is a link to a folder for each version."""
    made = [key("one", "predict")]
    versions = [tmp_path / "..1", tmp_path / "..2"]
    file = keys_file(settings)
    for version in versions:
        version.mkdir()
    file.replace(versions[0] / "keys.json")
    (tmp_path / "..data").symlink_to("..1")
    file.symlink_to("../..data/keys.json")
    client = open_app(settings)
    assert predict(client, headers=bearer(made[0])) == 503
    made.append(add_key(versions[1] / "keys.json", "two", ["predict"], None, NOW))
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert [predict(client, headers=bearer(each)) for each in made] == [401, 503]


@pytest.mark.parametrize("damage", ["emptied", "removed", "cut"])
def test_damaged_file_leaves_the_last_good_keys_in_force(
    settings: Settings, key: Callable[..., str], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = key("shop", "predict")
    client, file = open_app(settings), keys_file(settings)
    good = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(b"" if damage == "emptied" else good[:-20])
    for _ in range(3):
        assert (predict(client, headers=bearer(made)), predict(client)) == (503, 401)
    failures = client.app.state.api.metrics.registry.get_sample_value("api_access_failures_total", {"source": "keys"})
    assert failures == 1
    assert caplog.text.count("the keys of before stay in force") == 1
    assert made not in caplog.text
    file.write_bytes(good)
    assert predict(client, headers=bearer(made)) == 503


def test_file_that_is_damaged_from_its_first_day_lets_nobody_in(settings: Settings) -> None:
    client = open_app(settings)
    assert predict(client) == WITHOUT_MODEL
    keys_file(settings).parent.mkdir(exist_ok=True)
    keys_file(settings).write_text("{")
    assert predict(client) == 401
    with pytest.raises(ConfigError, match="Invalid JSON"):
        create_app(FLIGHTS, settings)


def test_request_from_the_network_is_refused_while_there_are_no_keys(
    settings: Settings, key: Callable[..., str]
) -> None:
    """However the server was started: uvicorn may listen on every address, unknown to the app."""
    client = open_app(settings, "http://192.0.2.7:8000")
    answer = client.get("/metrics")
    assert answer.status_code == 403
    assert "answers its own computer only, until it has keys" in answer.json()["errors"][0]["message"]
    assert refused(client, "network") == 1
    made = key("grafana", "read")
    assert client.get("/metrics", headers=bearer(made)).status_code == 200


def test_proxy_that_authenticates_is_believed(settings: Settings, key: Callable[..., str]) -> None:
    key("shop", "predict")
    by_proxy = load_settings(settings.home, {"access": {"authentication": "by_proxy"}})
    client = open_app(by_proxy, "http://192.0.2.7:8000")
    assert predict(client) == predict(client, "?explain=true") == WITHOUT_MODEL


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("[::1]:8000", 200),
        ("10.1.2.3:8000", 200),  # an address, such as that of a pod, cannot be rebound
        ("api.example.com", 200),
        ("api.example.com.:443", 200),
        ("a.b.lan.example.com", 200),
        ("evil.com", 421),
        ("127.0.0.1.evil.com", 421),
        ("localhost.evil.com", 421),
        ("lan.example.com", 421),
        ("xlan.example.com", 421),
        ("evil.com:api.example.com", 421),
        ("127.0.0.1@evil.com", 421),
        ("[evil.com]", 421),
        ("", 421),
    ],
)
def test_api_answers_to_its_own_names_only(settings: Settings, host: str, status: int) -> None:
    names = ["api.example.com", "*.lan.example.com"]
    client = open_app(load_settings(settings.home, {"access": {"allowed_hosts": names}}))
    answer = client.get("/metrics", headers={"Host": host})
    assert answer.status_code == status
    assert refused(client, "host") == (status == 421)
    if status == 421:
        assert answer.json()["errors"][0]["field"] == "Host"
        assert "api_requests" not in answer.text


def test_any_host_is_taken_where_the_settings_say_so(settings: Settings) -> None:
    client = open_app(load_settings(settings.home, {"access": {"allowed_hosts": ["*"]}}))
    assert client.get("/metrics", headers={"Host": "evil.com"}).status_code == 200


def test_own_name_of_the_stack_is_a_host(settings: Settings) -> None:
    client = open_app(load_settings(settings.home, {"stack": {"host": "ml-box"}}))
    assert client.get("/metrics", headers={"Host": "ml-box:8000"}).status_code == 200


def test_key_that_asks_too_often_waits_and_no_other_key_does(settings: Settings, key: Callable[..., str]) -> None:
    busy, other = bearer(key("busy", "predict")), bearer(key("other", "predict"))
    client = open_app(load_settings(settings.home, {"access": {"requests_per_minute": 12}}))
    found = [client.post("/predict", json=FLIGHTS.contract.example, headers=busy) for _ in range(3)]
    assert [each.status_code for each in found] == [503, 503, 429]  # two are the share of ten seconds
    assert 1 <= int(found[2].headers["Retry-After"]) <= 5
    assert found[2].json()["errors"][0]["field"] == "request"
    assert predict(client, headers=other) == 503
    assert refused(client, "rate") == 1
    assert client.get("/health", headers=busy).status_code == 200


def test_bucket_fills_up_again_and_the_longest_unused_one_is_forgotten() -> None:
    now = [0.0]
    limits = RateLimits(60, lambda: now[0])
    assert [limits.take("a") for _ in range(11)] == [0.0] * 10 + [1.0]
    now[0] = 0.5
    assert limits.take("a") == 0.5  # a refused request costs nothing
    now[0] = 1.0
    assert (limits.take("a"), limits.take("a")) == (0.0, 1.0)
    now[0] = 1_000.0
    assert [limits.take("a") for _ in range(11)] == [0.0] * 10 + [1.0]
    for number in range(MAX_CALLERS):
        limits.take(str(number))
    assert len(limits._left) == MAX_CALLERS
    assert limits.take("a") == 0.0
    assert RateLimits(0).take("a") == 0.0


@pytest.fixture
def pages(settings: Settings) -> TestClient:
    return open_app(settings)


def test_pages_run_no_script_but_their_own_and_are_in_no_frame(pages: TestClient) -> None:
    for path in ("/docs", "/redoc", "/model", "/metrics", "/openapi.json"):
        headers = pages.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert "'sha256-" in pages.get("/docs").headers["Content-Security-Policy"]
    script = pages.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.headers["X-Content-Type-Options"] == "nosniff"
    assert "Cache-Control" not in script.headers
    assert "X-Frame-Options" not in pages.get("/health").headers


def test_no_request_of_another_page_is_answered_to_it(pages: TestClient) -> None:
    """A form of another site has no JSON, and a script of one may not read or preflight."""
    origin = {"Origin": "https://evil.com"}
    form = pages.post(
        "/predict", content=json.dumps(FLIGHTS.contract.example), headers={**origin, "Content-Type": "text/plain"}
    )
    assert form.status_code == 415
    preflight = pages.options("/predict", headers={**origin, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 405
    assert "Access-Control-Allow-Origin" not in {*form.headers, *preflight.headers}


def test_specification_says_how_a_caller_is_known(settings: Settings, key: Callable[..., str]) -> None:
    without: FastAPI = create_app(FLIGHTS, settings)
    key("shop", "predict")
    spec, open_spec = create_app(FLIGHTS, settings).openapi(), without.openapi()
    assert spec["components"]["securitySchemes"].keys() == {"bearer", "key", "basic"}
    call = spec["paths"]["/predict"]["post"]
    assert call["security"] == [{"bearer": []}, {"key": []}, {"basic": []}]
    assert {"401", "403", "421", "429"} <= call["responses"].keys()
    assert spec["paths"]["/health"]["get"]["security"] == []
    assert open_spec["paths"]["/predict"]["post"]["security"][0] == {}
