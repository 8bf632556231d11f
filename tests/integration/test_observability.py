"""A real Prometheus sees a real API, and real traces leave it."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flights import FLIGHTS, TEMPLATE, enter_home
from modelworks.settings import ENV_PREFIX, load_settings
from otlp import Received, receiving
from prometheus import Prometheus, program, prometheus
from servers import Server, get, post, serving, wait_for

CONFIGURATION = TEMPLATE / "deploy" / "observability"
OF_AIRFLOW = {"airflow_ti_finish_total"}
"""What the API does not have; tests/integration/airflow/test_exported_metrics.py has it from Airflow."""


def expressions() -> list[tuple[str, str]]:
    """Every expression of the dashboards and of the rules, with the place where it is."""
    found = []
    for file in sorted((CONFIGURATION / "grafana" / "dashboards").glob("*.json")):
        dashboard = json.loads(file.read_text())
        panels = [(each["title"], target["expr"]) for each in dashboard["panels"] for target in each["targets"]]
        annotations = [(each["name"], each["expr"]) for each in dashboard["annotations"]["list"]]
        found += [(f"{file.stem}: {title}", expression) for title, expression in panels + annotations]
    rules = yaml.safe_load((CONFIGURATION / "rules.yml").read_text())
    found += [(rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]
    return [(place, expression.replace("$job", "api")) for place, expression in found]


def metrics_of(expression: str) -> set[str]:
    """The names of metrics in an expression: the words outside of labels, groupings, ranges and functions' names."""
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|on)\s*\([^)]*\)|offset \w+", " ", expression)
    return set(re.findall(r"\b[a-z]\w+\b(?!\s*\()", without_labels)) - {"or", "unless"}


@pytest.fixture(scope="module")
def api(monitored_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The API of a project whose version 1 has served July, with a log that may be broken."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(monitored_once, monkeypatch)
        with serving(tmp_path_factory.mktemp("api")) as server:
            yield server


@pytest.fixture(scope="module")
def watched(api: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, once it has seen the API answer and has the figures of pipeline and model."""
    row = FLIGHTS.contract.example
    with prometheus(CONFIGURATION, api.url.removeprefix("http://"), tmp_path_factory.mktemp("prometheus")) as server:
        server.wait_for("up == 1")
        assert post(f"{api.url}/predict", json=row).status_code == 200
        assert post(f"{api.url}/predict", json={**row, "carrier": None}).status_code == 422
        server.wait_for('api_requests_total{status="422"}')
        assert post(f"{api.url}/predict", json=[row, row]).status_code == 200
        server.wait_for('increase(api_requests_total{status="200", path="/predict"}[5m]) > 0')
        server.wait_for("model_champion_info")
        yield server


def test_every_expression_is_answered_and_names_only_metrics_that_exist(watched: Prometheus) -> None:
    known = watched.names() | OF_AIRFLOW
    missing = {place: names for place, each in expressions() if (names := metrics_of(each) - known)}
    assert missing == {}
    assert {name for _, each in expressions() for name in metrics_of(each)} >= OF_AIRFLOW
    for _, each in expressions():
        watched.query(each)


def test_every_panel_shows_something(watched: Prometheus) -> None:
    empty = {place for place, each in expressions() if ": " in place and not watched.query(each)}
    # Releases are those of the last five minutes; tasks are Airflow's.
    assert {place for place in empty if not place.endswith(": Releases")} == {"pipeline: Tasks"}


def test_rules_are_loaded_and_a_healthy_api_has_no_alert_of_its_own(watched: Prometheus) -> None:
    groups = watched.ask("rules")["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert len(rules) == 22
    assert {rule["health"] for rule in rules.values()} <= {"ok", "unknown"}
    of_api = {rule["name"] for group in groups if group["name"] == "api" for rule in group["rules"]}
    assert not of_api & watched.firing().keys()


def test_figures_are_those_of_the_project(watched: Prometheus, monitored_once: Path) -> None:
    [late] = watched.query('pipeline_periods_late{layer="clean"}')
    assert late["value"][1] == "0"
    [champion] = watched.query("model_champion_info")
    assert champion["metric"]["version"] == "1"
    # July has ended with its month.
    [measured] = watched.query("model_measured_period_end_timestamp_seconds")
    assert float(measured["value"][1]) == 1375315200  # 2013-08-01
    bounds = {each["metric"]["bound"]: float(each["value"][1]) for each in watched.query("model_loss")}
    assert bounds["low"] < bounds["value"] < bounds["high"]
    conditions = {each["metric"]["condition"] for each in watched.query("pipeline_condition == 1")}
    assert conditions


def test_lint_of_promtool_finds_nothing(api: Server) -> None:
    page = get(f"{api.url}/metrics").text
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_alert_fires_once_predictions_are_not_logged(
    released_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter_home(released_once, monkeypatch)
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "predictions").write_text("a file, where the log wants a folder")
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", str(storage))
    with (
        serving(tmp_path) as server,
        prometheus(CONFIGURATION, server.url.removeprefix("http://"), tmp_path) as watching,
    ):
        watching.wait_for("api_log_write_failures_total == 0")
        assert "PredictionsNotLogged" not in watching.firing()
        assert post(f"{server.url}/predict", json=FLIGHTS.contract.example).status_code == 200
        watching.wait_for('ALERTS{alertname="PredictionsNotLogged", alertstate="firing"}')
        alert = watching.firing()["PredictionsNotLogged"]
        assert alert["annotations"]["runbook"] == "deploy/observability/runbook.md#predictionsnotlogged"
        (storage / "predictions").unlink()  # or the API would try until it is killed


def test_a_request_is_traced_to_the_model(released_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter_home(released_once, monkeypatch)
    monkeypatch.setenv(f"{ENV_PREFIX}SERVING__LOG_PREDICTIONS", "false")
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with receiving() as receiver:
        variables = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        with serving(tmp_path, OTEL_BSP_SCHEDULE_DELAY="200", **variables) as server:
            row = FLIGHTS.contract.example
            headers = {"traceparent": caller, "X-Request-ID": "mine-1"}
            assert post(f"{server.url}/predict", json=[row, row], headers=headers).status_code == 200
            assert post(f"{server.url}/predict", json={**row, "carrier": None}).status_code == 422
            wait_for(lambda: len(receiver.spans) >= 5, server.log)
        spans = receiver.spans
    request, refused = [each for each in spans if each.name == "POST /predict"]
    assert sorted(each.name for each in spans) == ["POST /predict", "POST /predict", "predict", "validate", "validate"]
    assert {each.resource["service.name"] for each in spans} == {load_settings().name}
    assert request.raw.trace_id.hex() == caller.split("-")[1]
    assert request.raw.parent_span_id.hex() == caller.split("-")[2]
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["request.id"] == "mine-1"
    parts = children(request, spans)
    assert [each.name for each in parts] == ["validate", "predict"]
    assert parts[0].raw.end_time_unix_nano <= parts[1].raw.start_time_unix_nano
    assert (parts[1].attributes["model.version"], parts[1].attributes["rows"]) == ("2", 2)
    assert refused.attributes["http.response.status_code"] == 422
    assert [each.name for each in children(refused, spans)] == ["validate"]


def children(parent: Received, spans: list[Received]) -> list[Received]:
    """The spans right below a span, in the order in which they began."""
    below = [each for each in spans if each.raw.parent_span_id == parent.raw.span_id]
    return sorted(below, key=lambda each: each.raw.start_time_unix_nano)
