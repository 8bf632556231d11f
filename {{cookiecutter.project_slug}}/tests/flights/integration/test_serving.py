"""The prediction API as a process of its own, on a registry with real versions."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import releases, schema, tracking, training
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, load_settings
from {{ cookiecutter.__package_name }}.serving import create_app
from {{ cookiecutter.__package_name }}.serving.champion import ChampionFollower
from {{ cookiecutter.__package_name }}.serving.metrics import ApiMetrics

from example import enter_project
from servers import Load, Server, free_port, metric, running, serving, wait_for

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def api(released_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One API for all tests that change nothing; categories that the model does not know are refused."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_project(released_once, monkeypatch)
        monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", str(tmp_path_factory.mktemp("log")))
        with serving(tmp_path_factory.mktemp("api")) as server:
            yield server


@pytest.fixture
def sample(released: Path) -> pd.DataFrame:
    """Real rows that the champion keeps as its sample."""
    tracker = tracking.Tracker(load_settings())
    champion = tracker.find_alias(tracking.CHAMPION)
    assert champion
    return schema.to_frame(tracker.load_json(champion.run_id, releases.SAMPLE_FILE)["rows"])


def test_example_of_the_docs_works(api: Server) -> None:
    spec = httpx.get(f"{api.url}/openapi.json").json()
    body = spec["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        answer = httpx.post(f"{api.url}/predict", json=example["value"], headers={"X-Request-ID": "mine-1"})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["request_id"] == answer.headers["X-Request-ID"] == "mine-1"
        assert found["model_version"] == "2"
        wanted = len(example["value"]) if isinstance(example["value"], list) else 1
        assert len(found["predictions"]) == wanted
        for prediction in found["predictions"]:
            assert prediction["decision"] == int(prediction["probability"] >= 0.5)


def test_request_id_that_is_not_sane_is_replaced(api: Server) -> None:
    answer = httpx.post(f"{api.url}/predict", json=schema.EXAMPLE, headers={"X-Request-ID": "a b;c"})
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] != "a b;c"


def test_probes_and_the_model_are_told(api: Server) -> None:
    assert httpx.get(f"{api.url}/health").json() == {"status": "alive"}
    assert httpx.get(f"{api.url}/ready").json() == {"status": "ready"}
    model = httpx.get(f"{api.url}/model").json()
    assert (model["version"], model["source"]) == ("2", "registry")
    assert (model["holdout_month"], model["held_out"]) == ("2013-07", "2013-07")
    assert 0.6 <= model["metrics"]["roc_auc"] <= 0.8
    assert model["refused"] is None
    assert httpx.get(f"{api.url}/docs").status_code == 200


def big_body() -> bytes:
    return b"[" + b" " * (100 * 2**20) + b"]"


@pytest.mark.parametrize(
    ("content", "headers", "status", "field"),
    [
        (json.dumps({**schema.EXAMPLE, "carrier": "ZZ"}), JSON, 422, "carrier"),
        (json.dumps([schema.EXAMPLE, {**schema.EXAMPLE, "dest": "ZZZ"}]), JSON, 422, "[1].dest"),
        (json.dumps({**schema.EXAMPLE, "temp": float("nan")}), JSON, 422, "temp"),
        (json.dumps([schema.EXAMPLE] * 10_000), JSON, 413, "body"),
        ("[]", JSON, 422, "body"),
        ("{", JSON, 400, "body"),
        (json.dumps(schema.EXAMPLE), {"Content-Type": "text/csv"}, 415, "Content-Type"),
        (json.dumps(schema.EXAMPLE), {}, 415, "Content-Type"),
        (big_body, JSON, 413, "body"),
        (lambda: iter([b"["] + [b" " * 2**20] * 100), JSON, 413, "body"),
    ],
    ids=["carrier", "dest", "nan", "rows", "empty", "broken", "csv", "untyped", "100 MB", "100 MB in chunks"],
)
def test_bad_input_is_a_4xx_that_names_the_field(api: Server, content, headers, status: int, field: str) -> None:
    sent = content() if callable(content) else content
    answer = httpx.post(f"{api.url}/predict", content=sent, headers=headers, timeout=60)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem.keys() == {"request_id", "errors"}
    assert problem["errors"][0]["field"] == field
    spec = httpx.get(f"{api.url}/openapi.json").json()
    assert str(status) in spec["paths"]["/predict"]["post"]["responses"]


def test_unknown_paths_and_methods_have_the_same_shape(api: Server) -> None:
    for answer, status in ((httpx.get(f"{api.url}/x"), 404), (httpx.get(f"{api.url}/predict"), 405)):
        assert (answer.status_code, answer.json().keys()) == (status, {"request_id", "errors"})


def test_client_that_goes_away_leaves_no_trace(api: Server) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: 1000\r\n\r\n{")
    assert httpx.post(f"{api.url}/predict", json=schema.EXAMPLE).status_code == 200
    assert "Traceback" not in api.log.read_text()


def test_api_and_mlflow_and_the_pipeline_predict_the_same(api: Server, sample: pd.DataFrame, tmp_path: Path) -> None:
    """Three ways to serve a version: over our API, in process, and by MLflow's own server."""
    tracker = tracking.Tracker(load_settings())
    champion = tracker.find_alias(tracking.CHAMPION)
    assert champion
    expected = training.predict(tracker.load_model(champion.model_uri), sample)
    rows = schema.to_records(sample)
    together = httpx.post(f"{api.url}/predict", json=rows).json()["predictions"]
    alone = [httpx.post(f"{api.url}/predict", json=row).json()["predictions"][0] for row in rows]
    command = ["mlflow", "models", "serve", "--model-uri", champion.model_uri, "--env-manager", "local"]
    with running(command, "/ping", tmp_path, MLFLOW_TRACKING_URI=load_settings().tracking_uri) as server:
        answer = httpx.post(f"{server.url}/invocations", json={"dataframe_records": rows}, timeout=60)
    by_mlflow = [prediction[1] for prediction in answer.json()["predictions"]]
    assert len(expected) == len(by_mlflow) > 10
    for served in ([each["probability"] for each in together], [each["probability"] for each in alone], by_mlflow):
        np.testing.assert_allclose(served, expected, rtol=0, atol=1e-9)


def test_champion_changes_under_load_without_a_failed_or_mixed_answer(released: Path, sample: pd.DataFrame) -> None:
    """A release, a rollback and a broken version; then a stop, after which the log holds every answer."""
    tracker = tracking.Tracker(load_settings())
    versions = {number: tracker.get_version(number) for number in "12"}
    models = {number: tracker.load_model(version.model_uri) for number, version in versions.items()}
    expected = {number: float(training.predict(model, sample)[0]) for number, model in models.items()}
    assert expected["1"] != expected["2"]
    name = load_settings().tracking.model_name
    # It has the file of one version, and the sample of the other.
    broken = tracker._client.create_model_version(name, source=versions["1"].model_uri, run_id=versions["2"].run_id)

    def version_served() -> str:
        return httpx.get(f"{server.url}/model").json()["version"]

    with serving(released) as server, Load(server, schema.to_records(sample)) as load:
        for number in ("1", "2"):
            tracker.move_alias(tracking.CHAMPION, number)
            wait_for(lambda wanted=number: version_served() == wanted, server.log, 15)
        tracker.move_alias(tracking.CHAMPION, str(broken.version))
        wait_for(lambda: metric(server, "api_model_reload_failures_total") > 0, server.log, 15)
        time.sleep(1)
        told = httpx.get(f"{server.url}/model").json()
        tracker.move_alias(tracking.CHAMPION, "1")
        wait_for(lambda: version_served() == "1", server.log, 15)
        assert httpx.get(f"{server.url}/model").json()["refused"] is None
        load.__exit__()
        server.stop()
    assert (told["version"], told["refused"]["version"]) == ("2", str(broken.version))
    assert "predicts differently" in told["refused"]["reason"]
    assert server.log.read_text().count("is refused") == 1
    assert {status for status, _, _ in load.answers} == {200}
    assert {version for _, version, _ in load.answers} == {"1", "2"}
    for _, version, probability in load.answers:
        assert abs(probability - expected[version]) < 1e-9
    files = list((released / "var" / "data" / "predictions").rglob("*.parquet"))
    logged = pd.concat([pd.read_parquet(file) for file in files])
    assert len(logged) == len(load.answers)
    assert logged["request_id"].is_unique
    assert sorted(logged["probability"]) == sorted(probability for _, _, probability in load.answers)


def test_cached_copy_serves_after_a_restart_while_the_registry_is_down(released: Path, monkeypatch) -> None:
    ChampionFollower(load_settings(), ApiMetrics()).look()
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")  # the API has a default of its own
    port = str(free_port())
    down = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", f"{ENV_PREFIX}STACK__MLFLOW_PORT": port}
    with serving(released, **down) as server:
        model = httpx.get(f"{server.url}/model").json()
        assert (model["version"], model["source"]) == ("2", "cache")
        assert model["registry_error"]
        assert httpx.post(f"{server.url}/predict", json=schema.EXAMPLE).status_code == 200
        assert metric(server, "api_registry_failures_total") > 0


def test_damaged_copy_is_not_served(released: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    settings = load_settings()
    ChampionFollower(settings, ApiMetrics()).look()
    [file] = (released / "var" / "serving").rglob("*.skops")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    port = str(free_port())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv(f"{ENV_PREFIX}STACK__MLFLOW_PORT", port)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    follower = ChampionFollower(load_settings(), ApiMetrics())
    follower.look()
    assert follower.served is None
    assert "damaged" in caplog.text


def test_model_of_a_changed_file_is_refused_and_the_old_one_stays(released: Path, tmp_path: Path) -> None:
    tracker = tracking.Tracker(load_settings())
    tracker.move_alias(tracking.CHAMPION, "1")
    metrics = ApiMetrics()
    follower = ChampionFollower(load_settings(), metrics)
    follower.look()
    version = tracker.get_version("2")
    tracker._client.set_logged_model_tags(version.model_uri.removeprefix("models:/"), {"sha256": "of another file"})
    tracker.move_alias(tracking.CHAMPION, "2")
    for _ in range(3):
        follower.look()
    assert follower.served and follower.served.version == "1"
    assert follower.refused and "SHA-256 differs" in follower.refused[1]
    assert metrics.registry.get_sample_value("api_model_reload_failures_total") == 1


def test_without_a_model_the_api_says_so(project: Path) -> None:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/health")).status_code == 200
            predicted = await client.post("/predict", json=schema.EXAMPLE)
            return [await client.get("/ready"), await client.get("/model"), predicted]

    for answer in asyncio.run(ask()):
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["field"] == "model"


HOOKS = """
import schemathesis
from hypothesis import strategies

schemathesis.openapi.format("date-time-local", strategies.datetimes().map(lambda at: at.isoformat()))
"""
# Of its default checks, one does not count "too many rows" among the ways to refuse.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 404, 405, 413, 415, 422]
"""


def test_api_keeps_its_own_specification(released: Path, tmp_path: Path) -> None:
    """Whatever schemathesis makes of the specification, right or wrong, is answered as it says and never by a 500."""
    (tmp_path / "hooks.py").write_text(HOOKS)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    # The specification is the contract's and knows nothing of what a model has seen.
    with serving(released, **{f"{ENV_PREFIX}SERVING__UNSEEN_CATEGORIES": "as_missing"}) as server:
        command = ["run", f"{server.url}/openapi.json", "--max-examples", "50", "--generation-deterministic"]
        shown = subprocess.run(
            [str(Path(sys.executable).parent / "schemathesis"), *command, "--checks", "all", "--no-color"],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, shown.stdout
        assert "6 selected / 6 total" in shown.stdout
        assert metric(server, "api_rows_total") > 50
    assert "Traceback" not in server.log.read_text()
