"""Approval, deployment, the way back, and the proof of a version, on a real MLflow and a real ledger."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flights import FLIGHTS, enter_home, fill_home
from modelworks import stages
from modelworks.checks import Check, failures
from modelworks.data import partitions
from modelworks.errors import PartitionError, QualityGateError, ReleaseError
from modelworks.evaluation.holdout import HoldoutEvaluation
from modelworks.project import Project, ReleaseGate
from modelworks.registry import ledger, lineage
from modelworks.registry.files import RECIPE_FILE, SAMPLE_FILE
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Versions
from modelworks.reporting.console import ANSWER_VARIABLE
from modelworks.settings import ENV_PREFIX, Settings, load_settings
from modelworks.state import status
from releases import (
    client_of,
    copy_home,
    evaluate_flights,
    find_champion,
    folder_of,
    run_file,
    tampered,
)


def moves(settings: Settings) -> list[tuple[str, str | None, str]]:
    return [(entry.action, entry.from_version, entry.to_version) for entry in ledger.read_ledger(settings)]


def champion_of(settings: Settings) -> str | None:
    """The version in force, by the ledger."""
    found = status.read_status(FLIGHTS, settings).champion
    return found.version if found else None


@pytest.fixture(scope="module")
def pending_once(tmp_path_factory: pytest.TempPathFactory, new_mlflow_database: Path) -> Path:
    """A project whose run "first" waits for a person's answer; made once, so no test may change it."""
    folder = tmp_path_factory.mktemp("pending")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(folder, monkeypatch)
        fill_home(folder, new_mlflow_database)
        monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "always")
        evaluate_flights("first")
    return folder


@pytest.fixture
def pending(pending_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The MLflow run that waits for an answer, in a project of its own in which each release needs one."""
    copy_home(pending_once, tmp_path, monkeypatch)
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "always")
    run_id = Tracker(FLIGHTS, load_settings()).runs.find("first")
    assert run_id
    return run_id


def test_release_waits_for_a_person_and_names_them(pending: str) -> None:
    settings = load_settings()
    with pytest.raises(QualityGateError, match="a person has to approve it"):
        stages.deploy(FLIGHTS, settings, pending)
    assert find_champion(settings) is None
    stages.approve(FLIGHTS, settings, pending, True, by="Ada", reason="looks right")
    stages.approve(FLIGHTS, settings, pending, True, by="Ada", reason="looks right")  # a retry
    stages.deploy(FLIGHTS, settings, pending)
    assert ledger.read_ledger(settings)[-1].approved_by == "Ada"
    with pytest.raises(ReleaseError, match="released already, as version 1"):
        stages.approve(FLIGHTS, settings, pending, False)


def test_rejected_model_is_never_released_and_the_record_says_why(pending: str) -> None:
    settings = load_settings()
    with pytest.raises(QualityGateError, match="rejected by Ada: too close; the champion stays"):
        stages.approve(FLIGHTS, settings, pending, False, by="Ada", reason="too close")
    with pytest.raises(ReleaseError, match="rejected by Ada already"):
        stages.approve(FLIGHTS, settings, pending, True, by="Bob")
    with pytest.raises(QualityGateError, match="rejected by Ada"):
        stages.deploy(FLIGHTS, settings, pending)
    found = status.find_run(FLIGHTS, settings, "first")
    assert found
    assert (found.approval, found.answered_by, found.answer_reason) == ("rejected", "Ada", "too close")
    assert client_of(settings).get_run(pending).info.status == "FAILED"
    assert find_champion(settings) is None


def test_new_evaluation_asks_anew(pending: str) -> None:
    settings = load_settings()
    stages.approve(FLIGHTS, settings, pending, True, by="Ada")
    stages.evaluate(FLIGHTS, settings, pending)
    with pytest.raises(QualityGateError, match="a person has to approve it"):
        stages.deploy(FLIGHTS, settings, pending)


def test_approval_that_is_switched_on_after_the_evaluation_counts(pending: str, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "never")
    assert not stages.evaluate(FLIGHTS, load_settings(), pending).asks_for_approval
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "on_warning")  # the first release is one
    with pytest.raises(QualityGateError, match="a person has to approve it"):
        stages.deploy(FLIGHTS, load_settings(), pending)


def test_refused_model_cannot_be_approved(pending: str, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MIN", "0.79")
    with pytest.raises(QualityGateError):
        stages.evaluate(FLIGHTS, load_settings(), pending)
    with pytest.raises(QualityGateError, match="the verdict is 'refused'"):
        stages.approve(FLIGHTS, load_settings(), pending, True)


def no_late_flights(evaluation: HoldoutEvaluation) -> Check:
    return Check("no late flights", False, f"loss {evaluation.loss()} on {len(evaluation.rows):,} rows")


def small_airports(evaluation: HoldoutEvaluation) -> Check:
    raise ZeroDivisionError("no small airport")


def judged_by(*release_gates: ReleaseGate) -> Project:
    """The flights, with release gates of one's own."""
    return replace(FLIGHTS, release_gates=list(release_gates))


def test_release_gate_of_the_project_refuses_with_its_name_and_figures_on_record(pending: str) -> None:
    settings = load_settings()
    with pytest.raises(QualityGateError, match=r"no late flights: loss 0\.\d+ \[.*\] on [\d,]+ rows"):
        stages.evaluate(judged_by(no_late_flights), settings, pending)
    found = status.find_run(FLIGHTS, settings, "first")
    assert found
    assert found.verdict == "refused"
    [failed] = failures(found.checks)
    assert failed.name == found.checks[-1].name == "no late flights"
    assert "no late flights: loss" in Tracker(FLIGHTS, settings).runs.tags(pending)["refusal"]
    with pytest.raises(QualityGateError, match="the verdict is 'refused'"):
        stages.deploy(FLIGHTS, settings, pending)


def test_release_gate_that_raises_refuses_by_the_name_of_its_function(pending: str) -> None:
    settings = load_settings()
    with pytest.raises(QualityGateError, match="small_airports raised ZeroDivisionError: no small airport"):
        stages.evaluate(judged_by(small_airports), settings, pending)
    found = status.find_run(FLIGHTS, settings, "first")
    assert found
    assert [check.name for check in failures(found.checks)] == ["small_airports"]


def test_release_gate_that_is_not_fatal_is_a_warning_to_the_person_who_is_asked(pending: str, monkeypatch) -> None:
    def careful(evaluation: HoldoutEvaluation) -> Check:
        return Check("few storms", False, "only 3 days", fatal=False)

    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "on_warning")
    evaluated = stages.evaluate(judged_by(careful), load_settings(), pending)
    assert evaluated.asks_for_approval
    assert "- few storms: only 3 days" in evaluated.about


@pytest.mark.parametrize(("typed", "expected"), [("y\nlooks right\n", (True, "looks right")), ("\n\n", (False, ""))])
def test_person_at_the_terminal_is_asked(typed: str, expected: tuple[bool, str]) -> None:
    question = "from modelworks.reporting.console import ask_for_approval as ask; a = ask('Release?', '# About')"
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


def test_rollback_says_what_it_does_before_it_asks_why(released: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(released)
        os.execv(sys.executable, [sys.executable, "-m", "modelworks", "rollback"])  # noqa: S606
    os.write(terminal, b"too many alarms\n")
    shown = b""
    with contextlib.suppress(OSError):  # the terminal of a program that has ended
        while more := os.read(terminal, 4096):
            shown += more
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown.decode()
    assert b"Version 1 becomes the champion in place of 2. Why (goes on the record):" in shown
    assert b"nothing was scored with it, since Airflow is not up; `make score` scores the newest period" in shown
    [*_, entry] = ledger.read_ledger(load_settings())
    assert (entry.action, entry.to_version, entry.reason) == ("rollback", "1", "too many alarms")


def test_rollback_brings_the_former_champion_back(released: Path) -> None:
    settings = load_settings()
    assert stages.rollback(FLIGHTS, settings, by="Ada", reason="too many alarms").version == "1"
    assert find_champion(settings) == "1"
    assert moves(settings)[-1] == ("rollback", "2", "1")
    last = ledger.read_ledger(settings)[-1]
    assert (last.by, last.reason) == ("Ada", "too many alarms")
    with pytest.raises(ReleaseError, match="version 1 is the first release"):
        stages.rollback(FLIGHTS, settings)
    stages.rollback(FLIGHTS, settings, "2")
    assert find_champion(settings) == "2"
    assert champion_of(settings) == "2"


def test_deploy_of_a_run_that_was_taken_back_does_not_release_it_again(released: Path, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "45")  # of version 2
    settings = load_settings()
    second = Tracker(FLIGHTS, settings).versions.get("2").run_id
    stages.rollback(FLIGHTS, settings)
    assert stages.deploy(FLIGHTS, settings, second).summary.endswith("version 1 has taken its place since")
    assert find_champion(settings) == "1"


def test_rollback_to_a_damaged_model_is_refused_and_the_champion_stays(released: Path) -> None:
    settings = load_settings()
    file = folder_of(settings, "1") / "model.skops"
    with tampered(file, file.read_bytes() + b"!"), pytest.raises(ReleaseError, match="SHA-256 differs"):
        stages.rollback(FLIGHTS, settings)
    assert find_champion(settings) == "2"
    assert len(moves(settings)) == 2


def test_rollback_to_a_model_that_predicts_otherwise_is_refused(released: Path) -> None:
    settings = load_settings()
    file = run_file(settings, "1", SAMPLE_FILE)
    sample = json.loads(file.read_text())
    other = json.dumps({**sample, "prediction": sample["prediction"][::-1]}).encode()
    with tampered(file, other), pytest.raises(ReleaseError, match="it predicts differently"):
        stages.rollback(FLIGHTS, settings)
    assert find_champion(settings) == "2"


def test_rollback_that_crashes_before_the_alias_is_finished_by_the_next_stage(released: Path, monkeypatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    settings = load_settings()
    with monkeypatch.context() as patched:
        patched.setattr(Versions, "move_alias", crash)
        with pytest.raises(KeyboardInterrupt):
            stages.rollback(FLIGHTS, settings)
    assert find_champion(settings) == "2"
    assert champion_of(settings) == "1"
    assert stages.score(FLIGHTS, settings).model_version == "1"
    assert find_champion(settings) == "1"


def test_two_deployments_at_once_have_one_winner(project: Path, settings: Settings) -> None:
    run_ids = [evaluate_flights(name) for name in ("one", "other")]
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "modelworks", "deploy", "--run", run_id],
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
    [entry] = ledger.read_ledger(settings)
    assert entry.to_version == won["version"] == find_champion(settings)
    assert entry.run_id == won["run_id"]


def test_version_is_trained_again_to_equal_predictions(released: Path, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "7")  # the settings of now do not matter
    monkeypatch.setenv("GIT_COMMIT", "another")
    facts = stages.reproduce(FLIGHTS, load_settings(), "1")
    assert "equal in all" in facts.summary
    [changed] = facts.changed
    assert changed.startswith("code commit: then ")
    assert changed.endswith(", now another")


def test_code_that_changed_is_named_by_its_half(released: Path, monkeypatch) -> None:
    (released / "src" / "own.py").write_text("A = 1", encoding="utf-8")
    (released / "requirements.lock").write_text("numpy==2.4", encoding="utf-8")
    facts = stages.reproduce(FLIGHTS, load_settings(), "1")
    assert [each.split(":")[0] for each in facts.changed] == ["project code", "lock"]
    monkeypatch.setattr(lineage, "engine_sha256", lambda: "patched")
    monkeypatch.setattr("modelworks.__version__", "2.0.1")
    again = stages.reproduce(FLIGHTS, load_settings(), "1")
    assert [each.split(":")[0] for each in again.changed] == ["project code", "engine code", "engine version", "lock"]
    assert again.changed[2] == "engine version: then 2.0.0, now 2.0.1"


def test_version_that_cannot_be_made_again_says_what_differs(released: Path) -> None:
    settings = load_settings()
    file = run_file(settings, "1", RECIPE_FILE)
    recipe = json.loads(file.read_text())
    recipe["model"]["parameters"]["max_iter"] = 39
    recipe["environment"]["numpy"] = "1.0"
    differs = r"predicts differently, by up to .* what differs: .*numpy: then 1\.0, now"
    with tampered(file, json.dumps(recipe).encode()), pytest.raises(ReleaseError, match=differs):
        stages.reproduce(FLIGHTS, settings, "1")


def test_version_whose_data_are_gone_names_the_period(released: Path) -> None:
    settings = load_settings()
    dataset = partitions.load_dataset(
        settings.absolute(Tracker(FLIGHTS, settings).versions.get("1").tags["dataset_uri"])
    )
    june = dataset.partitions[1]
    gone = tampered(Path(june.files[0]), None)
    with gone, pytest.raises(PartitionError, match=r"clean/2013-06/v1/.*missing"):
        stages.reproduce(FLIGHTS, settings, "1")
