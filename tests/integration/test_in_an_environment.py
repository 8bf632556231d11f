"""A release in an environment: its name stands on all that the run leaves, and nothing runs that it refuses."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flights import FLIGHTS
from modelworks import stages
from modelworks.cli.app import app
from modelworks.errors import ConfigError
from modelworks.registry import ledger
from modelworks.registry.files import MODEL_CARD_FILE, VALIDATION_REPORT_FILE
from modelworks.registry.tracker import Tracker
from modelworks.serving import create_app
from modelworks.settings import ENVIRONMENT_VARIABLE, load_settings
from releases import evaluate_flights, release_flights
from servers import open_client


@pytest.fixture
def staging(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project in the environment staging."""
    (project / "environments").mkdir()
    (project / "environments" / "staging.toml").write_text("[serving]\nchampion_poll_s = 0.2\n")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "staging")
    factory = logging.getLogRecordFactory()
    yield project
    logging.setLogRecordFactory(factory)


def printed(*words: str) -> str:
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    return str(shown.stdout)


def test_its_name_stands_on_run_ledger_pages_metrics_and_log_lines(staging: Path, caplog, capfd) -> None:
    with caplog.at_level(logging.INFO, "modelworks"):
        release_flights("first", "2013-06")
        stages.validate(
            FLIGHTS, load_settings(), stages.ingest(FLIGHTS, load_settings(), "2013-07").dataset_uri, "next"
        )
        stages.score(FLIGHTS, load_settings())
        watched = stages.monitor(FLIGHTS, load_settings(), "watch")
    assert "[staging] train: started" in caplog.messages
    settings = load_settings()
    tracker = Tracker(FLIGHTS, settings)
    run_id = tracker.runs.find("first")
    assert run_id
    assert tracker.runs.tags(run_id)["environment"] == "staging"
    monitoring = Tracker(FLIGHTS, settings, settings.monitoring_experiment)
    assert monitoring.runs.tags(watched.run_id)["environment"] == "staging"
    assert [entry.environment for entry in ledger.read_ledger(settings)] == ["staging"]
    assert "# flight-delays in staging, version 1" in tracker.runs.load_text(run_id, MODEL_CARD_FILE)
    assert "# Validation report in staging" in tracker.runs.load_text(run_id, VALIDATION_REPORT_FILE)
    [page] = [each for each in (staging / "var" / "mlflow").rglob("*.html") if "Monitoring" in each.read_text()]
    assert "<h1>Monitoring of 2013-07 in staging</h1>" in page.read_text()
    for command, heading in (("report", "flight-delays in staging"), ("explore", "flight-delays in staging: the data")):
        assert f"<h1>{heading}</h1>" in Path(printed(command).strip()).read_text()
    status = json.loads(printed("status", "--json"))
    assert (status["environment"], status["ledger"][0]["environment"]) == ("staging", "staging")
    with open_client(create_app(FLIGHTS, settings)) as client:
        assert 'api_environment_info{environment="staging"} 1.0' in client.get("/metrics").text
        assert client.get("/openapi.json").json()["info"]["title"] == "flight-delays in staging: predictions"


def test_question_to_the_person_who_approves_names_it(staging: Path, monkeypatch) -> None:
    monkeypatch.setenv("MODELWORKS_GATES__APPROVAL", "always")
    run_id = Tracker(FLIGHTS, load_settings()).runs.find("first") or evaluate_flights("first", "2013-06")
    assert stages.evaluate(FLIGHTS, load_settings(), run_id).question.startswith(
        "Release in staging the model that was"
    )


def test_nothing_is_named_where_none_is_chosen(project: Path) -> None:
    release_flights("first", "2013-06")
    settings = load_settings()
    status = json.loads(printed("status", "--json"))
    assert "environment" not in status
    assert not {"environment", "promoted_from"} & status["ledger"][0].keys()
    run_id = status["champion"]["run_id"]
    assert "environment" not in Tracker(FLIGHTS, settings).runs.tags(run_id)
    [entry] = (project / "var" / "data" / "ledger").rglob("*.json")
    assert not {"environment", "promoted_from"} & json.loads(entry.read_text()).keys()
    with open_client(create_app(FLIGHTS, settings)) as client:
        assert "api_environment_info" not in client.get("/metrics").text


def test_prod_refuses_stages_and_the_api_before_anything_is_written(staging: Path, monkeypatch) -> None:
    (staging / "environments" / "prod.toml").touch()
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "prod")
    settings = load_settings()
    for attempt in (lambda: stages.ingest(FLIGHTS, settings, None), lambda: create_app(FLIGHTS, settings)):
        with pytest.raises(ConfigError, match="the environment prod refuses to go on: approval: "):
            attempt()
    assert not (staging / "var" / "data").exists()


def test_uncommitted_code_is_refused_where_a_model_is_made_or_released(staging: Path, monkeypatch) -> None:
    run_id = evaluate_flights("first", "2013-06")
    monkeypatch.setenv("MODELWORKS_POLICY__REQUIRE_COMMITTED_CODE", "true")
    settings = load_settings()
    raw = stages.ingest(FLIGHTS, settings, "2013-06")  # says nothing of code
    with pytest.raises(ConfigError, match=r"staging refuses to go on: committed code: .* is in no git repository"):
        stages.train(FLIGHTS, settings, raw.dataset_uri, "first")
    with pytest.raises(ConfigError, match="staging refuses to go on: committed code"):
        stages.deploy(FLIGHTS, settings, run_id)
    monkeypatch.setenv("GIT_COMMIT", "abc")
    assert stages.deploy(FLIGHTS, settings, run_id).version == "1"
