"""The command line as a person types it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from {{ cookiecutter.__package_name }}.cli import app
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, PACKAGE

PROJECT = Path(__file__).resolve().parents[3]


def call(*words: str, program: str = f"-m {PACKAGE}") -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, whose exit status counts."""
    return subprocess.run([sys.executable, *program.split(), *words], capture_output=True, text=True, check=False)


def facts_of(*words: str) -> dict:
    """What a command prints, as a person would copy it into the next one."""
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert shown.exit_code == 0
    return json.loads(shown.stdout)


def test_every_stage_prints_what_the_next_one_takes(project: Path) -> None:
    raw = facts_of("ingest", "--month", "2013-06")
    clean = facts_of("validate", "--dataset", raw["dataset_uri"], "--run-name", "by hand")
    trained = facts_of("train", "--dataset", clean["dataset_uri"], "--run-name", "by hand")
    assert trained["run_id"] == clean["run_id"]
    facts_of("evaluate", "--run", trained["run_id"])
    assert facts_of("deploy", "--run", trained["run_id"], "--reason", "why not")["version"] == "1"
    status = facts_of("status", "--json")
    assert status["champion"]["run_id"] == trained["run_id"]
    assert status["ledger"][0]["reason"] == "why not"


@pytest.mark.parametrize("command", [command.name or command.callback.__name__ for command in app.registered_commands])
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.stdout


def test_status_of_a_new_project_says_what_to_do(project: Path) -> None:
    shown = call("status")
    assert shown.returncode == 0
    assert "No champion yet" in shown.stdout


@pytest.mark.parametrize("program", [f"-m {PACKAGE} run", "scripts/run_dag.py"])
def test_mistake_in_a_setting_is_one_line_and_a_failure(project: Path, monkeypatch, program: str) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITER", "many")
    monkeypatch.chdir(PROJECT)
    shown = call(program=program)
    assert shown.returncode == 1
    assert f"{ENV_PREFIX}MODEL__MAX_ITER" in shown.stdout + shown.stderr
    assert "Traceback" not in shown.stdout + shown.stderr


@pytest.mark.parametrize("program", [f"-m {PACKAGE} search", str(PROJECT / "scripts" / "run_dag.py")])
@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("SEARCH__FAMILIES", '["magic"]', "[search] families: 'magic': no such family"),
        ("MODEL__PARAMETERS", '{"no_such": 1}', "[model.parameters] no_such: the family 'boosting' has no such"),
    ],
)
def test_name_that_there_is_not_is_told_before_anything_is_searched(
    project: Path, monkeypatch, program: str, key: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}{key}", value)
    shown = call("--trials", "2", program=program)
    assert shown.returncode == 1
    assert told in shown.stdout + shown.stderr
    assert not (project / "var" / "data").exists()


def test_search_that_is_started_again_goes_on_where_it_was(project: Path, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}SEARCH__FAMILIES", '["boosting"]')
    first, more = (call("search", "--trials", trials) for trials in ("2", "3"))
    assert re.search(r"boosting: 2 trials \(.*\), 0 of them found", first.stdout)
    assert re.search(r"boosting: 3 trials \(.*\), 2 of them found", more.stdout)
    assert "0 of them found" in call("search", "--trials", "1", "--run-name", "another").stdout


@pytest.mark.parametrize("program", [f"-m {PACKAGE} run", str(PROJECT / "scripts" / "run_dag.py")])
def test_answer_may_be_given_beforehand(project: Path, monkeypatch, program: str) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "always")
    rejected, approved = call("--reject", program=program), call("--approve", program=program)
    assert (rejected.returncode, approved.returncode) == (1, 0)
    assert "Not released; there is no champion" in rejected.stdout
    assert "Released   version 1 is the champion" in approved.stdout
    for shown, answer in ((rejected, "rejected"), (approved, "approved")):
        assert re.search(rf"{answer} by \w+: answered beforehand", shown.stdout)


def test_failed_stage_is_named_with_its_error_and_the_log(project: Path, monkeypatch) -> None:
    (project / "data" / "flights-2013-06.csv.gz").unlink()
    monkeypatch.setenv("AIRFLOW_HOME", str(project / "airflow"))
    shown = call(program=str(PROJECT / "scripts" / "run_dag.py"))
    assert shown.returncode == 1
    assert "ingest" in shown.stdout
    assert "flights-2013-06.csv.gz: no such file" in shown.stdout
    [log] = [word for word in shown.stdout.split() if word.endswith(".log")]
    assert "SourceError" in Path(log).read_text()
