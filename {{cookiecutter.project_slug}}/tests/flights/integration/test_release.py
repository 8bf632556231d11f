"""Approval, deployment, the way back, and the proof of a version, on a real MLflow and a real ledger."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb

from {{ cookiecutter.__package_name }} import releases, stages, status, storage, tracking
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, PACKAGE, Settings
from {{ cookiecutter.__package_name }}.console import ANSWER_VARIABLE
from {{ cookiecutter.__package_name }}.errors import (
    PartitionError,
    QualityGateError,
    ReleaseError,
)

PROJECT = Path(__file__).resolve().parents[3]


def judge(name: str) -> str:
    """All stages but the release; returns the MLflow run."""
    clean = stages.validate(stages.ingest()["dataset_uri"], name)
    return stages.evaluate(stages.train(clean["dataset_uri"], name)["run_id"])["run_id"]


def release(name: str) -> str:
    return stages.deploy(judge(name))["version"]


def champion(settings: Settings) -> str | None:
    found = tracking.Tracker(settings).find_alias(tracking.CHAMPION)
    return found.version if found else None


def moves(settings: Settings) -> list[tuple[str, str | None, str]]:
    return [(entry.action, entry.from_version, entry.to_version) for entry in releases.read_ledger(settings)]


@pytest.fixture
def always(project: Path, monkeypatch) -> None:
    """A project in which a person has to agree to each release."""
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "always")


def test_release_waits_for_a_person_and_names_them(always: None, settings: Settings) -> None:
    run_id = judge("first")
    with pytest.raises(QualityGateError, match="a person has to approve it"):
        stages.deploy(run_id)
    assert champion(settings) is None
    stages.approve(run_id, True, by="Ada", reason="looks right")
    stages.approve(run_id, True, by="Ada", reason="looks right")  # a retry
    stages.deploy(run_id)
    assert releases.read_ledger(settings)[-1].approved_by == "Ada"
    with pytest.raises(ReleaseError, match="released already, as version 1"):
        stages.approve(run_id, False)


def test_rejected_model_is_never_released_and_the_record_says_why(always: None, settings: Settings) -> None:
    run_id = judge("first")
    with pytest.raises(QualityGateError, match="rejected by Ada: too close; the champion stays"):
        stages.approve(run_id, False, by="Ada", reason="too close")
    with pytest.raises(ReleaseError, match="rejected by Ada already"):
        stages.approve(run_id, True, by="Bob")
    with pytest.raises(QualityGateError, match="rejected by Ada"):
        stages.deploy(run_id)
    found = status.find_run(settings, "first")
    assert found
    assert (found["approval"], found["answered_by"], found["answer_reason"]) == ("rejected", "Ada", "too close")
    assert tracking.Tracker(settings)._client.get_run(run_id).info.status == "FAILED"
    assert champion(settings) is None


def test_new_evaluation_asks_anew(always: None, settings: Settings) -> None:
    run_id = judge("first")
    stages.approve(run_id, True, by="Ada")
    stages.evaluate(run_id)
    with pytest.raises(QualityGateError, match="a person has to approve it"):
        stages.deploy(run_id)


def test_approval_that_is_switched_on_after_the_evaluation_counts(project: Path, monkeypatch) -> None:
    run_id = judge("first")
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "on_warning")  # the first release is one
    with pytest.raises(QualityGateError, match="a person has to approve it"):
        stages.deploy(run_id)


def test_refused_model_cannot_be_approved(always: None, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__MIN_ROC_AUC", "0.79")
    clean = stages.validate(stages.ingest()["dataset_uri"], "first")
    run_id = stages.train(clean["dataset_uri"], "first")["run_id"]
    with pytest.raises(QualityGateError):
        stages.evaluate(run_id)
    with pytest.raises(QualityGateError, match="the verdict is 'refused'"):
        stages.approve(run_id, True)


@pytest.mark.parametrize(("answer", "state", "version"), [("approve", "success", "1"), ("reject", "failed", None)])
def test_run_in_one_process_follows_the_answer_of_its_command(
    always: None, settings: Settings, monkeypatch, answer: str, state: str, version: str | None
) -> None:
    initdb()
    monkeypatch.setenv(ANSWER_VARIABLE, answer)
    run = DagBag(PROJECT / "dags" / "training.py").dags[f"{PACKAGE}_training"].test(logical_date=None)
    assert run.state == state
    assert champion(settings) == version


@pytest.mark.parametrize(("typed", "expected"), [("y\nlooks right\n", (True, "looks right")), ("\n\n", (False, ""))])
def test_person_at_the_terminal_is_asked(typed: str, expected: tuple[bool, str]) -> None:
    question = f"import sys; from {PACKAGE}.console import ask_for_approval as ask; a = ask('Release?', '# About')"
    child, terminal = pty.fork()
    if child == 0:
        os.environ.pop(ANSWER_VARIABLE, None)
        program = f"{question}; print('\\n>>', repr(tuple(a)))"
        os.execv(sys.executable, [sys.executable, "-c", program])  # noqa: S606
    os.write(terminal, typed.encode())
    shown = b""
    while b">>" not in shown or not shown.endswith(b"\r\n"):
        shown += os.read(terminal, 4096)
    os.waitpid(child, 0)
    assert b"Release?" in shown
    assert repr((expected[0], None, expected[1])).encode() in shown


def test_rollback_brings_the_former_champion_back(project: Path, settings: Settings) -> None:
    release("first"), release("second")
    assert stages.rollback(by="Ada", reason="too many alarms")["version"] == "1"
    assert champion(settings) == "1"
    assert moves(settings)[-1] == ("rollback", "2", "1")
    last = releases.read_ledger(settings)[-1]
    assert (last.by, last.reason) == ("Ada", "too many alarms")
    with pytest.raises(ReleaseError, match="version 1 is the first release"):
        stages.rollback()
    stages.rollback("2")
    assert champion(settings) == "2"
    assert status.read_status(settings)["champion"]["version"] == "2"


def test_deploy_of_a_run_that_was_taken_back_does_not_release_it_again(project: Path, settings: Settings) -> None:
    release("first")
    second = judge("second")
    stages.deploy(second)
    stages.rollback()
    assert stages.deploy(second)["result"].endswith("version 1 has taken its place since")
    assert champion(settings) == "1"


def test_rollback_to_a_damaged_model_is_refused_and_the_champion_stays(project: Path, settings: Settings) -> None:
    release("first"), release("second")
    tracker = tracking.Tracker(settings)
    with tracking._model_file(tracker.get_version("1").model_uri).open("ab") as file:
        file.write(b"!")
    with pytest.raises(ReleaseError, match="SHA-256 differs"):
        stages.rollback()
    assert champion(settings) == "2"
    assert len(moves(settings)) == 2


def test_rollback_to_a_model_that_predicts_otherwise_is_refused(project: Path, settings: Settings) -> None:
    release("first"), release("second")
    tracker = tracking.Tracker(settings)
    run_id = tracker.get_version("1").run_id
    sample = tracker.load_json(run_id, releases.SAMPLE_FILE)
    tracker.log_json(run_id, {**sample, "prediction": sample["prediction"][::-1]}, releases.SAMPLE_FILE)
    with pytest.raises(ReleaseError, match="it predicts differently"):
        stages.rollback()
    assert champion(settings) == "2"


def test_rollback_that_crashes_before_the_alias_is_finished_by_the_next_call(
    project: Path, settings: Settings, monkeypatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    release("first"), release("second")
    with monkeypatch.context() as patched:
        patched.setattr(tracking.Tracker, "move_alias", crash)
        with pytest.raises(KeyboardInterrupt):
            stages.rollback()
    assert champion(settings) == "2"
    assert status.read_status(settings)["champion"]["version"] == "1"
    assert champion(settings) == "1"


def test_two_deployments_at_once_have_one_winner(project: Path, settings: Settings) -> None:
    run_ids = [judge(name) for name in ("one", "other")]
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", PACKAGE, "deploy", "--run", run_id],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for run_id in run_ids
    ]
    ends = [(*racer.communicate(), racer.returncode) for racer in racers]
    [won] = [json.loads(out) for out, _, code in ends if code == 0]
    [lost] = [err for _, err, code in ends if code != 0]
    assert "another release was made meanwhile" in lost or "was compared with champion none, which is now" in lost
    [entry] = releases.read_ledger(settings)
    assert entry.to_version == won["version"] == champion(settings)
    assert entry.run_id == won["run_id"]


def test_version_is_trained_again_to_equal_predictions(project: Path, settings: Settings, monkeypatch) -> None:
    version = release("first")
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITER", "7")  # the settings of now do not matter
    monkeypatch.setenv("GIT_COMMIT", "another")
    facts = stages.reproduce(version)
    assert "equal in all" in facts["result"]
    [changed] = facts["changed"]
    assert changed.startswith("code commit: then ")
    assert changed.endswith(", now another")


def test_version_that_cannot_be_made_again_says_what_differs(project: Path, settings: Settings) -> None:
    version = release("first")
    tracker = tracking.Tracker(settings)
    run_id = tracker.get_version(version).run_id
    recipe = tracker.load_json(run_id, "recipe.json")
    recipe["model"]["max_iter"] = 39
    recipe["environment"]["numpy"] = "1.0"
    tracker.log_json(run_id, recipe, "recipe.json")
    with pytest.raises(ReleaseError, match=r"predicts differently, by up to .* what differs: numpy: then 1\.0, now"):
        stages.reproduce(version)


def test_version_whose_data_are_gone_names_the_month(project: Path, settings: Settings) -> None:
    version = release("first")
    [month] = storage.find_partitions(settings.storage_uri, "clean", "2013-06")
    Path(month.uri, month.file).unlink()
    with pytest.raises(PartitionError, match=r"clean/2013-06/v1/.*missing"):
        stages.reproduce(version)
