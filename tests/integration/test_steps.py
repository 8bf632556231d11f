"""The stages as steps of a workflow engine: text and files in, text and files out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flights import FLIGHTS
from modelworks.cli.app import app
from modelworks.errors import ConfigError, QualityGateError, ReleaseError
from modelworks.registry import ledger
from modelworks.settings import ENV_PREFIX, load_settings
from modelworks.state.status import find_run

AFTER_COMPARE = ("tune", "train", "evaluate", "deploy")


def call(stage: str, *words: str) -> Result:
    """Run a step in this process; its error is raised."""
    return CliRunner().invoke(app, ["step", stage, *words], catch_exceptions=False)


def facts_of(stage: str, *words: str) -> dict:
    """What a step prints that has to succeed."""
    done = call(stage, *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def prepare(folder: Path, run: str, trials: str = "", force: str = "false") -> str:
    """From ingest to compare, each step given the file that the one before has written; the clean dataset."""
    raw, clean = folder / run / "ingest" / "dataset", folder / run / "validate" / "dataset"
    facts_of("ingest", "--period", "", "--refresh", "false", "--output", str(raw))
    words = ("--reason", "a try", "--by", "kubeflow", "--output", str(clean))
    facts_of("validate", "--run-name", run, "--dataset", raw.read_text(), *words)
    facts_of("compare", "--run-name", run, "--dataset", clean.read_text(), "--trials", trials, "--force", force)
    return clean.read_text()


def go_on(run: str, dataset: str, trials: str = "") -> list[dict]:
    """From tune to deploy."""
    words = {
        "tune": ("--dataset", dataset, "--trials", trials),
        "train": ("--dataset", dataset),
        "deploy": ("--by", "K"),
    }
    return [facts_of(stage, "--run-name", run, *words.get(stage, ())) for stage in AFTER_COMPARE]


def test_steps_lead_to_a_release_and_again_to_nothing_new(project: Path, tmp_path: Path) -> None:
    tuned, trained, _, deployed = go_on("first", prepare(tmp_path, "first"))
    assert tuned == {"tuned": [], "summary": "no tuning is asked for"}
    assert deployed["version"] == "1"
    [entry] = ledger.read_ledger(load_settings())
    assert (entry.by, entry.reason, entry.pipeline_run) == ("K", "a try", "first")
    assert (entry.run_id, entry.to_version) == (trained["run_id"], "1")

    again = go_on("second", prepare(tmp_path, "second"))
    assert [each["unchanged"] for each in again] == ["1"] * 4
    assert "version 1 was trained from exactly this data, code and settings" in again[0]["summary"]
    assert ledger.read_ledger(load_settings()) == [entry]
    assert find_run(FLIGHTS, load_settings(), "second") is None

    assert go_on("third", prepare(tmp_path, "third", force="TRUE"))[-1]["version"] == "2"


def test_step_tunes_as_many_trials_as_it_is_given(project: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TUNING__MODEL_TYPES", '["linear"]')
    dataset = prepare(tmp_path, "tuned", trials="1")
    tuned = facts_of("tune", "--run-name", "tuned", "--dataset", dataset, "--trials", "1")
    assert [(each["model_type"], each["trials"]) for each in tuned["tuned"]] == [("boosting", 1), ("linear", 1)]
    facts_of("train", "--run-name", "tuned", "--dataset", dataset)


def test_step_deploy_waits_for_a_person_and_goes_on_when_it_is_tried_again(
    project: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "always")
    dataset = prepare(tmp_path, "asks")
    facts_of("train", "--run-name", "asks", "--dataset", dataset)
    run_id = facts_of("evaluate", "--run-name", "asks")["run_id"]
    with pytest.raises(QualityGateError, match=f"run {run_id}: a person has to approve it, by .gates. approval"):
        call("deploy", "--run-name", "asks")
    assert ledger.read_ledger(load_settings()) == []
    approved = CliRunner().invoke(app, ["approve", "--run", "asks", "--reason", "looks good"], catch_exceptions=False)
    assert approved.exit_code == 0, approved.output
    assert facts_of("deploy", "--run-name", "asks")["version"] == "1"
    assert ledger.read_ledger(load_settings())[0].approved_by


@pytest.mark.parametrize("name", ["", "{{$.pipeline_job_uuid}}"])
def test_name_that_the_engine_has_not_filled_in_is_refused(project: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"--run-name .*: not a run's name"):
        call("evaluate", "--run-name", name)


def test_trials_that_are_no_number_and_a_run_that_is_not_there_are_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--trials 'many': not a number"):
        call("compare", "--run-name", "first", "--dataset", str(tmp_path), "--trials", "many")
    with pytest.raises(ReleaseError, match="--run-name nobody: no such run; the step `validate` opens it"):
        call("evaluate", "--run-name", "nobody")
