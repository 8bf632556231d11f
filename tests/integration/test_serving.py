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
from mlflow import MlflowClient

from flights import FLIGHTS, enter_home, make_home
from modelworks.data import frames
from modelworks.models import pipeline
from modelworks.models.fast import predictor
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION
from modelworks.serving import create_app
from modelworks.serving.champion import ChampionFollower
from modelworks.serving.metrics import ApiMetrics
from modelworks.settings import ENV_PREFIX, load_settings
from servers import Load, Server, free_port, get, is_up, metric, post, running, serving, wait_for

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def api(released_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One API for all tests that change nothing; categories that the model does not know are refused."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(released_once, monkeypatch)
        monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", str(tmp_path_factory.mktemp("log")))
        with serving(tmp_path_factory.mktemp("api")) as server:
            yield server


@pytest.fixture
def sample(released: Path) -> pd.DataFrame:
    """Real rows that the champion keeps as its sample."""
    tracker = Tracker(FLIGHTS, load_settings())
    champion = tracker.versions.find_alias(CHAMPION)
    assert champion
    return frames.to_frame(FLIGHTS.contract, tracker.runs.load_json(champion.run_id, ledger.SAMPLE_FILE)["rows"])


def test_example_of_the_docs_works(api: Server) -> None:
    spec = get(f"{api.url}/openapi.json").json()
    body = spec["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        answer = post(f"{api.url}/predict", json=example["value"], headers={"X-Request-ID": "mine-1"})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["request_id"] == answer.headers["X-Request-ID"] == "mine-1"
        assert found["model_version"] == "2"
        wanted = len(example["value"]) if isinstance(example["value"], list) else 1
        assert len(found["predictions"]) == wanted
        for prediction in found["predictions"]:
            assert prediction["decision"] == int(prediction["probability"] >= 0.5)


def test_request_id_that_is_not_sane_is_replaced(api: Server) -> None:
    answer = post(f"{api.url}/predict", json=FLIGHTS.contract.example, headers={"X-Request-ID": "a b;c"})
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] != "a b;c"


def test_probes_and_the_model_are_answered(api: Server) -> None:
    assert get(f"{api.url}/health").json() == {"status": "alive"}
    assert get(f"{api.url}/ready").json() == {"status": "ready"}
    model = get(f"{api.url}/model").json()
    assert (model["version"], model["source"]) == ("2", "registry")
    assert (model["holdout_period"], model["held_out"]) == ("2013-07", "2013-07")
    assert 0.6 <= model["metrics"]["roc_auc"] <= 0.8
    assert model["refused"] is None
    assert (model["few_rows_by"], model["few_rows_reason"]) == ("treelite", "")
    assert metric(api, "api_model_by_treelite") == 1
    assert "not treelite" not in api.log.read_text()
    assert get(f"{api.url}/docs").status_code == 200


def big_body() -> bytes:
    return b"[" + b" " * (100 * 2**20) + b"]"


@pytest.mark.parametrize(
    ("content", "headers", "status", "field"),
    [
        (json.dumps({**FLIGHTS.contract.example, "carrier": "ZZ"}), JSON, 422, "carrier"),
        (json.dumps([FLIGHTS.contract.example, {**FLIGHTS.contract.example, "dest": "ZZZ"}]), JSON, 422, "[1].dest"),
        (json.dumps({**FLIGHTS.contract.example, "temp": float("nan")}), JSON, 422, "temp"),
        (json.dumps([FLIGHTS.contract.example] * 10_000), JSON, 413, "body"),
        ("[]", JSON, 422, "body"),
        ("{", JSON, 400, "body"),
        (json.dumps(FLIGHTS.contract.example), {"Content-Type": "text/csv"}, 415, "Content-Type"),
        (json.dumps(FLIGHTS.contract.example), {}, 415, "Content-Type"),
        (big_body, JSON, 413, "body"),
        (lambda: iter([b"["] + [b" " * 2**20] * 100), JSON, 413, "body"),
    ],
    ids=["carrier", "dest", "nan", "rows", "empty", "broken", "csv", "untyped", "100 MB", "100 MB in chunks"],
)
def test_bad_input_is_a_4xx_that_names_the_field(api: Server, content, headers, status: int, field: str) -> None:
    sent = content() if callable(content) else content
    answer = post(f"{api.url}/predict", content=sent, headers=headers)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem.keys() == {"request_id", "errors"}
    assert problem["errors"][0]["field"] == field
    spec = get(f"{api.url}/openapi.json").json()
    assert str(status) in spec["paths"]["/predict"]["post"]["responses"]


def test_unknown_paths_and_methods_have_the_same_shape(api: Server) -> None:
    for answer, status in ((get(f"{api.url}/x"), 404), (get(f"{api.url}/predict"), 405)):
        assert (answer.status_code, answer.json().keys()) == (status, {"request_id", "errors"})


def test_client_that_goes_away_leaves_no_trace(api: Server) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: 1000\r\n\r\n{")
    assert post(f"{api.url}/predict", json=FLIGHTS.contract.example).status_code == 200
    assert "Traceback" not in api.log.read_text()


def test_api_and_mlflow_and_the_pipeline_predict_the_same(api: Server, sample: pd.DataFrame, tmp_path: Path) -> None:
    """Three ways to serve a version: over our API, in process, and by MLflow's own server."""
    tracker = Tracker(FLIGHTS, load_settings())
    champion = tracker.versions.find_alias(CHAMPION)
    assert champion
    expected = pipeline.predict(FLIGHTS, tracker.models.load(champion.model_uri), sample)
    rows = frames.to_records(sample)
    together = post(f"{api.url}/predict", json=rows).json()["predictions"]
    alone = [post(f"{api.url}/predict", json=row).json()["predictions"][0] for row in rows]
    command = ["mlflow", "models", "serve", "--model-uri", champion.model_uri, "--env-manager", "local"]
    settings = load_settings()
    # The model calls the project's function of derived features; a project is installed in its environment.
    environment = {"MLFLOW_TRACKING_URI": settings.tracking_uri, "PYTHONPATH": str(settings.home / "src")}
    with running(command, "/ping", tmp_path, **environment) as server:
        answer = post(f"{server.url}/invocations", json={"dataframe_records": rows})
    by_mlflow = [prediction[1] for prediction in answer.json()["predictions"]]
    assert len(expected) == len(by_mlflow) > 10
    for served in ([each["probability"] for each in together], [each["probability"] for each in alone], by_mlflow):
        np.testing.assert_allclose(served, expected, rtol=0, atol=1e-9)


def test_champion_changes_under_load_without_a_failed_or_mixed_answer(released: Path, sample: pd.DataFrame) -> None:
    """A release, a rollback and a broken version; then a stop, after which the log holds every answer."""
    tracker = Tracker(FLIGHTS, load_settings())
    versions = {number: tracker.versions.get(number) for number in "12"}
    models = {number: tracker.models.load(version.model_uri) for number, version in versions.items()}
    expected = {number: float(pipeline.predict(FLIGHTS, model, sample)[0]) for number, model in models.items()}
    assert expected["1"] != expected["2"]
    name = load_settings().registered_model
    # It has the file of one version, and the sample of the other.
    client = MlflowClient(load_settings().tracking_uri)
    source = client.get_model_version(name, "1").source
    broken = client.create_model_version(name, source, run_id=versions["2"].run_id, tags=versions["1"].tags)

    def last_answered_by(number: str) -> bool:
        return load.answers[-1:] != [] and load.answers[-1][1] == number

    def wait_for_answers(count: int) -> None:
        wanted = len(load.answers) + count
        wait_for(lambda: len(load.answers) >= wanted, server.log)

    with serving(released) as server, Load(server, frames.to_records(sample)) as load:
        for number in ("1", "2"):
            tracker.versions.move_alias(CHAMPION, number)
            wait_for(lambda wanted=number: last_answered_by(wanted), server.log)
        tracker.versions.move_alias(CHAMPION, str(broken.version))
        wait_for(lambda: metric(server, "api_model_reload_failures_total") > 0, server.log)
        time.sleep(1)  # in which the registry is asked again, and would be refused again
        wait_for_answers(10)
        answer = get(f"{server.url}/model").json()
        tracker.versions.move_alias(CHAMPION, "1")
        wait_for(lambda: last_answered_by("1"), server.log)
        assert get(f"{server.url}/model").json()["refused"] is None
        load.__exit__()
        server.stop()
    assert (answer["version"], answer["refused"]["version"]) == ("2", str(broken.version))
    assert "predicts differently" in answer["refused"]["reason"]
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
    ChampionFollower(FLIGHTS, load_settings(), ApiMetrics()).poll()
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)  # the API has its own default
    port = str(free_port())
    down = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", f"{ENV_PREFIX}STACK__MLFLOW_PORT": port}
    with serving(released, **down) as server:
        model = get(f"{server.url}/model").json()
        assert (model["version"], model["source"]) == ("2", "cache")
        assert model["registry_error"]
        assert post(f"{server.url}/predict", json=FLIGHTS.contract.example).status_code == 200
        assert metric(server, "api_registry_failures_total") > 0


def test_damaged_copy_is_not_served(released: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    settings = load_settings()
    ChampionFollower(FLIGHTS, settings, ApiMetrics()).poll()
    [file] = (released / "var" / "serving").rglob("*.skops")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    port = str(free_port())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv(f"{ENV_PREFIX}STACK__MLFLOW_PORT", port)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    follower = ChampionFollower(FLIGHTS, load_settings(), ApiMetrics())
    follower.poll()
    assert follower.served is None
    assert "damaged" in caplog.text


def test_model_of_a_changed_file_is_refused_and_the_old_one_stays(released: Path, tmp_path: Path) -> None:
    tracker = Tracker(FLIGHTS, load_settings())
    tracker.versions.move_alias(CHAMPION, "1")
    metrics = ApiMetrics()
    follower = ChampionFollower(FLIGHTS, load_settings(), metrics)
    follower.poll()
    version = tracker.versions.get("2")
    client = MlflowClient(load_settings().tracking_uri)
    client.set_logged_model_tags(version.model_uri.removeprefix("models:/"), {"sha256": "of another file"})
    tracker.versions.move_alias(CHAMPION, "2")
    for _ in range(3):
        follower.poll()
    assert follower.served
    assert follower.served.version == "1"
    assert follower.refused
    assert "SHA-256 differs" in follower.refused[1]
    assert metrics.registry.get_sample_value("api_model_reload_failures_total") == 1


def test_estimator_that_treelite_does_not_import_serves_and_the_log_says_why(
    released: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    def refuse(estimator: object) -> None:
        raise TypeError("another release of its trees")

    monkeypatch.setattr(predictor, "import_estimator", refuse)
    metrics = ApiMetrics()
    follower = ChampionFollower(FLIGHTS, load_settings(), metrics)
    follower.poll()
    assert follower.served
    assert follower.served.predictor.few is None
    assert "version 2: its estimator predicts few rows, not treelite: TypeError: another release" in caplog.text
    assert metrics.registry.get_sample_value("api_model_by_treelite") == 0


def test_without_a_model_the_api_says_so(project: Path) -> None:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(FLIGHTS, load_settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            assert (await client.get("/health")).status_code == 200
            predicted = await client.post("/predict", json=FLIGHTS.contract.example)
            return [await client.get("/ready"), await client.get("/model"), predicted]

    for answer in asyncio.run(ask()):
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["field"] == "model"


def test_factory_alone_loads_the_project_and_sets_the_environment(tmp_path: Path) -> None:
    """As uvicorn calls it. Before, nothing is read, set or imported that the API needs only later."""
    make_home(tmp_path)
    (tmp_path / ".env").write_text("MLFLOW_HTTP_REQUEST_TIMEOUT=3\n")
    code = """
import os, sys
before = dict(os.environ)
from modelworks.serving import create_app
assert os.environ == before
assert "mlflow" not in sys.modules
app = create_app()
import json
print(json.dumps({"title": app.title, **{name: os.environ[name] for name in os.environ if name not in before}}))
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "MODELWORKS_"))}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=kept, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert '"title": "flight-delays: predictions"' in shown.stdout
    assert '"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"' in shown.stdout
    assert '"MLFLOW_HTTP_REQUEST_TIMEOUT": "3"' in shown.stdout  # .env has the last word
    assert '"MLFLOW_DISABLE_TELEMETRY": "true"' in shown.stdout


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
        wait_for(lambda: is_up(server, "/"), server.log)  # the first page takes a while, and is a 503 until then
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
