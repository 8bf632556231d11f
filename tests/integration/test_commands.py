"""The command line as a person types it."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from commands import call
from flights import FLIGHTS
from modelworks.cli.app import app
from modelworks.settings import ENV_PREFIX

MAKE_RUN, PLAIN_RUN = ("run",), ("run", "--without-airflow")
either_run = pytest.mark.parametrize("run", [PLAIN_RUN, MAKE_RUN], ids=["plain", "airflow"])


def facts_of(*words: str) -> dict:
    """What a command prints, as a person would copy it into the next one."""
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert shown.exit_code == 0
    return json.loads(shown.stdout)


def test_every_stage_prints_what_the_next_one_takes(project: Path) -> None:
    raw = facts_of("ingest", "--period", "2013-06")
    clean = facts_of("validate", "--dataset", raw["dataset_uri"], "--run-name", "by hand")
    trained = facts_of("train", "--dataset", clean["dataset_uri"], "--run-name", "by hand")
    assert trained["run_id"] == clean["run_id"]
    facts_of("evaluate", "--run", trained["run_id"])
    assert facts_of("deploy", "--run", trained["run_id"], "--reason", "why not")["version"] == "1"
    status = facts_of("status", "--json")
    assert status["champion"]["run_id"] == trained["run_id"]
    assert status["ledger"][0]["reason"] == "why not"


@pytest.mark.parametrize("command", list(get_command(app).commands))
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.stdout


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from modelworks.cli.app import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not set(printed.splitlines()[-1].split()) & {"airflow", "mlflow", "pandas", "sklearn", "skops", "optuna"}


def test_status_of_a_new_project_says_what_to_do(project: Path) -> None:
    """In a new interpreter, which imports what the command needs by itself."""
    command = [sys.executable, "-m", "modelworks", "status"]
    shown = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "No champion yet" in shown.stdout


@either_run
def test_mistake_in_a_setting_is_one_line_and_a_failure(project: Path, monkeypatch, run: tuple[str, ...]) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED", "many")
    shown = call(*run)
    assert shown.returncode == 1
    assert f"{ENV_PREFIX}TRAINING__SEED" in shown.stdout + shown.stderr
    assert "Traceback" not in shown.stdout + shown.stderr


@pytest.mark.parametrize("command", ["tune", "run"])
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("TUNING__MODEL_TYPES", '["magic"]', "[tuning] model_types: 'magic': no such model type"),
        ("MODEL__PARAMETERS", '{"no_such": 1}', "[model.parameters] no_such: the model type 'boosting' has no such"),
        ("MODEL__PARAMETERS__MAX_ITER", "many", "[model.parameters] max_iter = 'many': not of type int"),
        (
            "GATES__METRICS__RECAL__MIN",
            "0.5",
            "[gates.metrics] recal: a binary target has no such metric; did you mean",
        ),
        ("TRAINING__HOLDOUT", "0.2", "[training] holdout = 0.2: rows have a time (contract.py), so it has to be a num"),
    ],
)
def test_name_that_there_is_not_is_refused_before_anything_is_tuned(
    project: Path, monkeypatch, command: str, key: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}{key}", value)
    shown = call(command, "--trials", "2")
    assert shown.returncode == 1
    assert message in shown.stdout + shown.stderr
    assert not (project / "var" / "data").exists()


def test_tuning_that_is_started_again_continues(project: Path, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TUNING__MODEL_TYPES", '["boosting"]')
    first, more = (call("tune", "--trials", trials) for trials in ("2", "3"))
    assert re.search(r"boosting: 2 trials \(.*\), 0 of them found", first.stdout)
    assert re.search(r"boosting: 3 trials \(.*\), 2 of them found", more.stdout)
    assert "0 of them found" in call("tune", "--trials", "1", "--run-name", "another").stdout


@either_run
def test_answer_may_be_given_in_advance(project: Path, monkeypatch, run: tuple[str, ...]) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "always")
    rejected, approved = call(*run, "--reject"), call(*run, "--approve")
    assert (rejected.returncode, approved.returncode) == (1, 0)
    assert "Not released; there is no champion" in rejected.stdout
    assert "Released   version 1 is the champion" in approved.stdout
    for shown, answer in ((rejected, "rejected"), (approved, "approved")):
        assert re.search(rf"{answer} by \w+: answered on the command line", shown.stdout)


def test_failed_stage_is_named_with_its_error_and_the_log(project: Path, monkeypatch) -> None:
    (project / "data" / "flights-2013-06.csv.gz").unlink()
    monkeypatch.setenv("AIRFLOW_HOME", str(project / "airflow"))
    shown = call(*MAKE_RUN)
    assert shown.returncode == 1
    assert "ingest" in shown.stdout
    assert "flights-2013-06.csv.gz: no such file" in shown.stdout
    [log] = [word for word in shown.stdout.split() if word.endswith(".log")]
    assert "NoRowsError" in Path(log).read_text()


@either_run
def test_refusal_and_its_figures_are_printed_once(project: Path, monkeypatch, run: tuple[str, ...]) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MIN", "0.84")
    shown = call(*run)
    assert shown.returncode == 1
    for once in ("the model is refused", "at least 0.840 required", "Not released"):
        assert (shown.stdout + shown.stderr).count(once) == 1, once


@either_run
def test_json_of_a_run_is_all_that_is_on_standard_output(project: Path, monkeypatch, run: tuple[str, ...]) -> None:
    released = call(*run, "--json")
    assert released.returncode == 0
    found = json.loads(released.stdout)
    assert (found["succeeded"], found["error"], found["run"]["version"]) == (True, "", "1")
    assert re.search(r"✓ \S+  deploy ", released.stderr)
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "41")  # of the same there would be nothing new
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MIN", "0.84")
    refused = call(*run, "--json")
    assert refused.returncode == 1
    found = json.loads(refused.stdout)
    assert (found["succeeded"], found["run"]["verdict"], found["run"]["version"]) == (False, "refused", None)
    assert found["error"].startswith("the model is refused, the champion stays: 1 of ")


def test_run_that_fails_before_there_is_a_model_has_its_error_in_the_json(project: Path) -> None:
    (project / "data" / "flights-2013-06.csv.gz").unlink()
    shown = call(*PLAIN_RUN, "--json")
    assert shown.returncode == 1
    found = json.loads(shown.stdout)
    assert (found["succeeded"], found["run"]) == (False, None)
    assert "flights-2013-06.csv.gz: no such file" in found["error"]
    assert shown.stderr.count("no such file") == 1


def test_each_command_that_a_program_may_read_prints_json_and_nothing_else(released: Path, capfd) -> None:
    def read(*words: str) -> dict:
        capfd.readouterr()
        app([*words, "--json"], standalone_mode=False)
        return json.loads(capfd.readouterr().out)

    assert read("status")["champion"]["version"] == "2"
    assert [entry["to_version"] for entry in read("history")] == ["1", "2"]
    assert read("score")["model_version"] == "2"
    assert read("monitor")["alarms"] == []
    assert read("reproduce", "2")["version"] == "2"
    assert read("rollback", "--reason", "a test")["version"] == "1"
    tuned = read("tune", "--trials", "1")
    assert tuned["chosen"] in {trial["name"] for trial in tuned["trials"]}
    assert {trial["name"]: trial["state"] for trial in tuned["trials"]}["boosting 0"] == "complete"


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["rollback"], "make rollback ARGS=\"--reason '...'\""),
        (["approve"], "approve --reason '...'"),
        (["reject"], "reject --reason '...'"),
    ],
)
def test_question_without_a_terminal_names_the_option_and_ends_with_2(
    project: Path, words: list[str], option: str
) -> None:
    shown = call(*words)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr == f"error: --reason is missing, and there is no terminal to ask on: {option}\n"


def test_name_of_a_run_is_airflow_s_own_unless_it_runs_without(project: Path) -> None:
    shown = call(*MAKE_RUN, "--run-name", "mine")
    assert shown.returncode == 1
    assert "--run-name: Airflow names its runs; give it with --without-airflow" in shown.stderr


def test_explain_shows_what_each_feature_contributes(released: Path) -> None:
    found = facts_of("explain", "--json")
    assert (found["model_version"], found["explanation"]["unit"]) == ("2", "log-odds of 1")
    [row] = found["explanation"]["rows"]
    assert row["base"] + sum(row["contributions"].values()) == pytest.approx(row["margin"], abs=1e-9)
    [prediction] = found["predictions"]
    assert 1 / (1 + math.exp(-row["margin"])) == pytest.approx(prediction["probability"], abs=1e-9)
    (released / "rows.json").write_text(json.dumps([FLIGHTS.contract.example] * 2), encoding="utf-8")
    # In a process of its own: its console writes to the file descriptor, which a runner does not see.
    shown = call("explain", str(released / "rows.json"), "--version", "1").stdout
    assert "Row 2      probability 0." in shown
    assert ", by version 1" in shown
    assert re.search(r"(?m)^base +[+-]\d\.\d{4}$", shown)
    assert re.search(r"(?m)^carrier +\w\w +[+-]\d\.\d{4}$", shown)
    assert re.search(r"(?m)^margin +[+-]\d\.\d{4}$", shown)


def test_row_that_cannot_be_explained_is_one_message(released: Path) -> None:
    wrong = json.dumps(FLIGHTS.contract.example | {"temp": "warm"})
    (released / "wrong.json").write_text(wrong, encoding="utf-8")
    for words, message in (
        ([str(released / "wrong.json")], "wrong.json: temp: 'warm' is no number here; accepted: a number, not as text"),
        ([str(released / "missing.json")], "missing.json: No such file or directory; name a file of JSON with a row"),
        (["--version", "9"], "has no version 9"),
    ):
        shown = call("explain", *words)
        assert (shown.returncode, shown.stdout) == (1, "")
        assert message in shown.stderr
