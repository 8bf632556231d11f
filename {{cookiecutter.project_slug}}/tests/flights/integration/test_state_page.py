"""The page of the state, written by the command and served by the API, of a project with real versions."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from {{ cookiecutter.__package_name }} import monitoring, schema, status, tracking
from {{ cookiecutter.__package_name }}.cli import app
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, PACKAGE, load_settings
from {{ cookiecutter.__package_name }}.drift import ColumnDrift
from {{ cookiecutter.__package_name }}.errors import PipelineError
from {{ cookiecutter.__package_name }}.serving import page as serving_page
from {{ cookiecutter.__package_name }}.serving.champion import ChampionFollower
from {{ cookiecutter.__package_name }}.serving.metrics import ApiMetrics
from {{ cookiecutter.__package_name }}.serving.page import StatePage
from {{ cookiecutter.__package_name }}.serving.payload import Refusal

from example import enter_project
from servers import Load, Server, free_port, metric, serving


@pytest.fixture(scope="module")
def api(released_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_project(released_once, monkeypatch)
        with serving(tmp_path_factory.mktemp("api")) as server:
            yield server


def report(*words: str) -> str:
    """What the command prints."""
    shown = CliRunner().invoke(app, ["report", *words], catch_exceptions=False)
    assert shown.exit_code == 0
    return shown.stdout.strip()


def monitor(run: str) -> monitoring.Record:
    """Put on record that a new model was asked for in July, and that a run has taken that up."""
    settings = load_settings()
    record = monitoring.Record(
        sequence=1,
        at="2013-08-01T06:00:00+00:00",
        month="2013-07",
        champion="1",
        clean_sha256="beef",
        drift=[ColumnDrift("temp", 0.3, 0.1)],
        drift_note="",
        drift_alarm=True,
        health=[],
        performance=[],
        retrain=True,
        reason="drift in 2013-07",
        pipeline_run="monitoring 2013-07",
        run_id="of monitoring",
    )
    monitoring.append(settings, record)
    assert monitoring.claim(settings, "2013-07", run) == record
    return record


def test_report_tells_the_champion_and_its_past(released: Path) -> None:
    monitor("second")
    file = Path(report())
    assert file == released / "var" / "report.html"
    page = file.read_text()
    facts = status.read_status(load_settings())
    for said in (
        "<strong>Champion:</strong> version 2, since",
        "2013-05 to 2013-07",
        facts["champion"]["data_digest"],
        facts["champion"]["run_id"],
        f"{facts['champion']['metrics']['roc_auc']:.3f}",
        "released as version 1",
        "<strong>Newest month:</strong> 2013-07, drift; a new model was asked for: drift in 2013-07",
        f"3 clean months, 2013-05 to 2013-07, with {sum(each['rows'] for each in facts['partitions']):,} rows",
    ):
        assert said in page
    row = re.search(r"<tr>\n<td><a [^>]*>2013-07</a></td>.*?</tr>", page, re.DOTALL)
    assert row and "<td>released as version 2</td>" in row[0]
    assert page.count("<td>deploy</td>") == 2
    assert [each.name for each in file.parent.iterdir() if each.suffix == ".tmp"] == []


def test_report_of_an_empty_project_changes_nothing(project: Path) -> None:
    page = Path(report("--to", str(project / "new" / "state.html"))).read_text()
    assert "There is none yet" in page
    made = tracking.Tracker(load_settings())._client.search_experiments()
    assert [each.name for each in made] == ["Default"]  # which MLflow makes for itself
    assert not (project / "var" / "data").exists()


def test_reading_the_state_does_not_move_the_champion(released: Path) -> None:
    tracker = tracking.Tracker(load_settings())
    tracker.move_alias(tracking.CHAMPION, "1")
    page = Path(report()).read_text()
    assert "The champion is version 2 by the ledger, and version 1 by the registry" in page
    champion = tracker.find_alias(tracking.CHAMPION)
    assert champion and champion.version == "1"


def test_report_that_cannot_be_written_is_one_message_and_leaves_nothing(project: Path) -> None:
    command = [sys.executable, "-m", PACKAGE, "report", "--to", str(project / "data")]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 1
    assert shown.stderr == f"error: {project}/data: cannot be written: Is a directory; name another file with --to\n"
    with pytest.raises(PipelineError, match=r"state\.html: cannot be written: "):
        report("--to", str(project / "pipeline.toml" / "state.html"))
    assert list(project.glob("*.tmp")) == []


def test_page_is_built_once_for_all_who_ask(api: Server) -> None:
    with ThreadPoolExecutor(10) as pool:
        pages = list(pool.map(lambda _: httpx.get(f"{api.url}/", timeout=60), range(10)))
    assert {page.status_code for page in pages} == {200}
    assert len({page.text for page in pages}) == 1
    assert metric(api, "api_page_seconds_count") == 1


def test_api_serves_the_page_which_loads_and_runs_nothing(api: Server) -> None:
    answer = httpx.get(f"{api.url}/", timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<strong>Champion:</strong> version 2" in answer.text
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert (policy["style-src"], policy["img-src"]) == ("'unsafe-inline'", "data:")
    assert re.findall(r"<(?:script|link|iframe|form)\b", answer.text) == []
    head = httpx.head(f"{api.url}/", timeout=60)
    assert (head.status_code, head.text) == (200, "")
    assert head.headers["content-length"] == str(len(answer.content))
    refused = httpx.post(f"{api.url}/", json={})
    assert (refused.status_code, sorted(refused.headers["allow"].split(", "))) == (405, ["GET", "HEAD"])


def test_predictions_are_answered_while_the_page_waits_for_mlflow_in_vain(released: Path) -> None:
    ChampionFollower(load_settings(), ApiMetrics()).look()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        port = str(silent.getsockname()[1])
        mlflow = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", f"{ENV_PREFIX}STACK__MLFLOW_PORT": port}
        patience = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "3", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        with serving(released, **mlflow, **patience) as server, Load(server, [schema.EXAMPLE], threads=2) as load:
            before = len(load.answers)
            answer = httpx.get(f"{server.url}/", timeout=60)
            meanwhile = len(load.answers) - before
    assert answer.status_code == 503
    [error] = answer.json()["errors"]
    assert error["field"] == "page"
    assert f"MLflow does not answer at http://127.0.0.1:{port}" in error["message"]
    assert meanwhile > 30
    assert {status for status, _, _ in load.answers} == {200}


def test_password_of_mlflow_is_not_told_to_who_asks_for_the_page(released: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:secret@127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings, metrics = load_settings(), ApiMetrics()
    with pytest.raises(Refusal) as refused:
        asyncio.run(StatePage(settings, ChampionFollower(settings, metrics), metrics).get())
    assert "MLflow does not answer at http://127.0.0.1" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_page_that_was_built_stays_and_says_that_it_is_not_current(released: Path, monkeypatch) -> None:
    """The ledger cannot be read any more, and later it can."""
    monkeypatch.setattr(serving_page, "FRESH_S", 0)
    monkeypatch.setattr(serving_page, "RETRY_S", 0)
    settings, metrics = load_settings(), ApiMetrics()
    page = StatePage(settings, ChampionFollower(settings, metrics), metrics)
    broken = released / "var" / "data" / "ledger" / settings.registry / "000003.json"
    assert "Not current" not in asyncio.run(page.get())
    broken.write_text("{")
    shown = asyncio.run(page.get())
    assert "Not current: JSONDecodeError" in shown
    assert "<strong>Champion:</strong> version 2" in shown
    broken.unlink()
    assert "Not current" not in asyncio.run(page.get())


def test_champion_that_the_api_refuses_is_told(released: Path) -> None:
    settings, metrics = load_settings(), ApiMetrics()
    follower = ChampionFollower(settings, metrics)
    follower.look()
    follower.refused = ("3", "it predicts differently")
    shown = asyncio.run(StatePage(settings, follower, metrics).get())
    assert "The API refuses version 3, and it answers with version 2: it predicts differently" in shown


def test_what_draws_is_imported_when_the_page_is_asked_for_and_not_before() -> None:
    code = f"import sys, {PACKAGE}.serving; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
