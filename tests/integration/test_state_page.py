"""The page of the state, written by the command and served by the API, of a project with real versions."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from commands import call
from flights import FLIGHTS, enter_home
from inbox import serving as listening
from modelworks.cli.app import app
from modelworks.errors import PipelineError
from modelworks.monitoring import records
from modelworks.monitoring.drift import ColumnDrift
from modelworks.registry.files import PLOT_DATA_FILE
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION
from modelworks.serving import page as serving_page
from modelworks.serving.champion import ChampionFollower
from modelworks.serving.metrics import ApiMetrics
from modelworks.serving.page import StatePage
from modelworks.serving.problems import Refusal
from modelworks.settings import ENV_PREFIX, load_settings
from modelworks.state import pictures, status
from servers import Load, Server, SilentServer, free_port, get, metric, post, serving, wait_for


@pytest.fixture(scope="module")
def api(released_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(released_once, monkeypatch)
        with serving(tmp_path_factory.mktemp("api")) as server:
            yield server


def report(*words: str) -> str:
    """What the command prints."""
    shown = CliRunner().invoke(app, ["report", *words], catch_exceptions=False)
    assert shown.exit_code == 0
    return shown.stdout.strip()


def monitor(run: str) -> records.Record:
    """Put on record that a new model was requested in July, and that a run has claimed the request."""
    settings = load_settings()
    record = records.Record(
        sequence=1,
        at="2013-08-01T06:00:00+00:00",
        period="2013-07",
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
    records.append_record(settings, record)
    assert records.claim_request(settings, "2013-07", run) == record
    return record


def test_report_shows_the_champion_and_its_past(released: Path) -> None:
    monitor("second")
    file = Path(report())
    assert file == released / "var" / "report.html"
    page = file.read_text()
    facts = status.read_status(FLIGHTS, load_settings())
    assert facts.champion
    for said in (
        "<strong>Champion:</strong> version 2, since",
        "2013-05 to 2013-07",
        facts.champion.data_digest or "no digest",
        facts.champion.run_id,
        f"{facts.champion.metrics['roc_auc']:.3f}",
        "released as version 1",
        "<strong>Newest period:</strong> 2013-07, drift; a new model was requested: drift in 2013-07",
        f"3 clean periods, 2013-05 to 2013-07, with {sum(each.rows for each in facts.partitions):,} rows",
    ):
        assert said in page
    row = re.search(r"<tr>\n<td><a [^>]*>2013-07</a></td>.*?</tr>", page, re.DOTALL)
    assert row
    assert "<td>released as version 2</td>" in row[0]
    assert page.count("<td>deploy</td>") == 2
    assert [each.name for each in file.parent.iterdir() if each.suffix == ".tmp"] == []


def captions(page: str) -> list[str]:
    """What the pictures show, in their order."""
    return re.findall(r'<span class="figure" role="img" aria-label="([^"]*)"><svg ', page)


OF_CHAMPION = [
    "calibration: observed share by predicted probability",
    "ROC curve: true positive rate by false positive rate",
    "precision by recall",
    "permutation importance of the features",
    "log loss by carrier",
    "log loss by hour",
]
OF_RUNS = "ROC-AUC and log loss of the latest training runs"


def test_report_shows_the_champion_and_the_runs_in_pictures(released: Path) -> None:
    page = Path(report()).read_text()
    assert captions(page) == [*OF_CHAMPION, OF_RUNS]
    assert '<div class="status good"><b>✓ Healthy</b> version 2 serves; no period has been monitored yet' in page
    assert page.count("<svg ") == page.count("</svg>") == 7
    facts = status.read_status(FLIGHTS, load_settings())
    assert facts.champion
    assert f"ROC-AUC {facts.champion.metrics['roc_auc']:.3f} [" in page.split("</svg>")[1]


@pytest.mark.parametrize("content", [None, "{", '{"metrics": {}}'], ids=["missing", "no JSON", "of another version"])
def test_report_of_a_run_without_numbers_to_draw_has_all_but_the_pictures(released: Path, content: str | None) -> None:
    """Runs from before the file was kept have none."""
    tracker = Tracker(FLIGHTS, load_settings())
    champion = tracker.versions.find_alias(CHAMPION)
    assert champion
    uri = MlflowClient(load_settings().tracking_uri).get_run(champion.run_id).info.artifact_uri
    assert uri
    file = Path(uri.removeprefix("file://")) / PLOT_DATA_FILE
    kept = file.read_text()  # of a project that other tests read
    try:
        file.unlink()
        if content is not None:
            file.write_text(content)
        page = Path(report()).read_text()
    finally:
        file.write_text(kept)
    assert captions(page) == [OF_RUNS]
    assert "<strong>Champion:</strong> version 2" in page


def status_printed(capfd) -> str:
    """What the command prints for people, past Python's standard output."""
    assert CliRunner().invoke(app, ["status"], catch_exceptions=False).exit_code == 0
    printed: str = capfd.readouterr().out
    return printed


def test_status_begins_with_what_to_do_next(released: Path, capfd) -> None:
    shown = status_printed(capfd)
    assert "✓ Healthy: version 2 serves; no period has been monitored yet\n  Next nothing to do; " in shown
    Tracker(FLIGHTS, load_settings()).versions.move_alias(CHAMPION, "1")
    shown = status_printed(capfd)
    assert "✗ Registry differs from the ledger: The champion is version 2 by the ledger, and version 1" in shown
    plain = json.loads(CliRunner().invoke(app, ["status", "--json"], catch_exceptions=False).stdout)
    assert plain["health"]["condition"] == "registry_differs"
    assert plain["health"]["action"] == "the next training run moves the alias to version 2: `make run`"
    assert (plain["health"]["level"], plain["health"]["also"]) == ("bad", [])


def test_status_of_a_new_project_says_how_to_begin(project: Path, capfd) -> None:
    shown = status_printed(capfd)
    assert (
        "? No champion yet: nothing has been released\n  Next `make run` trains and releases the first model" in shown
    )


def test_pictures_are_drawn_again_only_where_the_state_has_changed(released: Path, monkeypatch) -> None:
    monkeypatch.setattr(serving_page, "FRESH_S", 0)
    drawn: list[int] = []

    def draw(*state: Any) -> dict[str, pictures.Picture]:
        drawn.append(1)
        return draw_pictures(*state)

    draw_pictures = pictures.draw_pictures
    monkeypatch.setattr(pictures, "draw_pictures", draw)
    settings, metrics = load_settings(), ApiMetrics()
    page = StatePage(FLIGHTS, settings, ChampionFollower(FLIGHTS, settings, metrics), metrics)
    first = asyncio.run(page.get())
    assert len(captions(first)) == 7
    assert captions(asyncio.run(page.get())) == captions(first)
    assert len(drawn) == 1
    monitor("second")
    assert "drift of each column in 2013-07" in captions(asyncio.run(page.get()))
    assert len(drawn) == 2


def test_report_of_an_empty_project_changes_nothing(project: Path) -> None:
    page = Path(report("--to", str(project / "new" / "state.html"))).read_text()
    assert "There is none yet" in page
    made = MlflowClient(load_settings().tracking_uri).search_experiments()
    assert [each.name for each in made] == ["Default"]  # which MLflow makes for itself
    assert not (project / "var" / "data").exists()


def test_reading_the_state_does_not_move_the_champion(released: Path) -> None:
    tracker = Tracker(FLIGHTS, load_settings())
    tracker.versions.move_alias(CHAMPION, "1")
    page = Path(report()).read_text()
    assert "The champion is version 2 by the ledger, and version 1 by the registry" in page
    facts = status.read_status(FLIGHTS, load_settings())
    assert facts.champion
    assert facts.champion.version == "2"
    champion = tracker.versions.find_alias(CHAMPION)
    assert champion
    assert champion.version == "1"


def test_report_that_cannot_be_written_is_one_message_and_leaves_nothing(project: Path) -> None:
    shown = call("report", "--to", str(project / "data"))
    assert shown.returncode == 1
    assert shown.stderr == f"error: {project}/data: cannot be written: Is a directory; name another file with --to\n"
    with pytest.raises(PipelineError, match=r"state\.html: cannot be written: "):
        report("--to", str(project / "pipeline.toml" / "state.html"))
    assert list(project.glob("*.tmp")) == []


def test_page_is_built_once_for_all_who_ask(api: Server) -> None:
    def ask() -> list[httpx.Response]:
        with ThreadPoolExecutor(10) as pool:
            return list(pool.map(lambda _: get(f"{api.url}/"), range(10)))

    pages = ask()
    while any("is being built" in page.text or serving_page.UNDRAWN in page.text for page in pages):
        pages = ask()  # on a busy machine it takes longer than a request waits
    assert {page.status_code for page in pages} == {200}
    assert len({page.text for page in pages}) == 1
    assert metric(api, "api_page_seconds_count") == 1


def test_api_serves_the_page_which_loads_and_runs_nothing(api: Server) -> None:
    answer = get(f"{api.url}/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<strong>Champion:</strong> version 2" in answer.text
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert (policy["style-src"], policy["img-src"]) == ("'unsafe-inline'", "data:")
    assert re.findall(r"<(?:script|link|iframe|form)\b", answer.text) == []
    head = httpx.head(f"{api.url}/", timeout=60)
    assert (head.status_code, head.text) == (200, "")
    assert head.headers["content-length"] == str(len(answer.content))
    refused = post(f"{api.url}/", json={})
    assert (refused.status_code, sorted(refused.headers["allow"].split(", "))) == (405, ["GET", "HEAD"])


def test_predictions_are_answered_while_the_page_waits_for_mlflow_in_vain(released: Path) -> None:
    ChampionFollower(FLIGHTS, load_settings(), ApiMetrics()).poll()
    with listening(SilentServer()) as mlflow:
        address = f"http://127.0.0.1:{mlflow.port}"
        # It would wait for minutes: what ends that is the connection, which breaks when we have seen enough.
        environment = {
            "MLFLOW_TRACKING_URI": address,
            f"{ENV_PREFIX}STACK__MLFLOW_PORT": str(mlflow.port),
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "600",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        }
        with (
            serving(released, **environment) as server,
            Load(server, [FLIGHTS.contract.example], threads=2) as load,
            ThreadPoolExecutor(1) as person,
        ):
            mlflow.lets_go.clear()
            page = person.submit(get, f"{server.url}/")
            before = len(load.answers)
            wait_for(lambda: len(load.answers) > before + 30, server.log)
            assert metric(server, "api_page_seconds_count") == 0
            mlflow.lets_go.set()
            answer = page.result()
            while "it is being built" in answer.text:  # which it says after some seconds
                answer = get(f"{server.url}/")
    assert answer.status_code == 503
    [error] = answer.json()["errors"]
    assert error["field"] == "page"
    assert f"MLflow does not answer at {address}" in error["message"]
    assert {status for status, _, _ in load.answers} == {200}


def test_password_of_mlflow_is_not_shown_on_the_page(released: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:secret@127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings, metrics = load_settings(), ApiMetrics()
    with pytest.raises(Refusal) as refused:
        asyncio.run(StatePage(FLIGHTS, settings, ChampionFollower(FLIGHTS, settings, metrics), metrics).get())
    assert "MLflow does not answer at http://127.0.0.1" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_page_that_was_built_stays_and_says_that_it_is_not_current(released: Path, monkeypatch) -> None:
    """The ledger cannot be read any more, and later it can."""
    monkeypatch.setattr(serving_page, "FRESH_S", 0)
    monkeypatch.setattr(serving_page, "RETRY_S", 0)
    settings, metrics = load_settings(), ApiMetrics()
    page = StatePage(FLIGHTS, settings, ChampionFollower(FLIGHTS, settings, metrics), metrics)
    broken = released / "var" / "data" / "ledger" / settings.registry / "000003.json"
    assert "Not current" not in asyncio.run(page.get())
    broken.write_text("{")
    shown = asyncio.run(page.get())
    assert "Not current: JSONDecodeError" in shown
    assert "<strong>Champion:</strong> version 2" in shown
    broken.unlink()
    assert "Not current" not in asyncio.run(page.get())


def test_champion_that_the_api_refuses_is_shown(released: Path) -> None:
    settings, metrics = load_settings(), ApiMetrics()
    follower = ChampionFollower(FLIGHTS, settings, metrics)
    follower.poll()
    follower.refused = ("3", "it predicts differently")
    shown = asyncio.run(StatePage(FLIGHTS, settings, follower, metrics).get())
    assert "The API refuses version 3, and it answers with version 2: it predicts differently" in shown


def test_what_draws_is_imported_when_the_page_is_asked_for_and_not_before() -> None:
    code = "import sys, modelworks.serving; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
