"""The search as a part of a pipeline run: kept in MLflow, gone on with, and followed by `train` and `deploy`."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from {{ cookiecutter.__package_name }} import families, stages, status, storage
from {{ cookiecutter.__package_name }}.automl import trials
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, load_settings
from {{ cookiecutter.__package_name }}.errors import ConfigError, ReleaseError
from {{ cookiecutter.__package_name }}.tracking import RECIPE_FILE, Tracker

RUN = "searched"


@pytest.fixture
def dataset_uri(project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two months to learn from, of few features, so that a trial takes little."""
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["recent_delay", "carrier", "wind_speed", "visibility"]')
    return str(stages.validate(stages.ingest()["dataset_uri"], RUN)["dataset_uri"])


def found(tracker: Tracker, run_name: str = RUN) -> dict[str, dict[str, object]]:
    """The trials of the run by their names."""
    run_id = tracker.find_run(run_name)
    assert run_id
    return {f"{each['family']} {each['number']}": each for each in tracker.trials(run_id)}


def test_trials_are_runs_below_the_pipelines_run(dataset_uri: str) -> None:
    facts = stages.search(dataset_uri, RUN, "linear", 3)
    assert facts["trials"] == 3
    assert facts["result"].startswith("linear: 3 trials (")
    tracker = Tracker(load_settings())
    run_id = tracker.find_run(RUN)
    assert run_id
    below = tracker._client.search_runs([tracker.experiment_id], f"tags.mlflow.parentRunId = '{run_id}'")
    assert sorted(run.info.run_name for run in below) == ["linear 0", "linear 1", "linear 2"]
    assert {run.info.status for run in below} == {"FINISHED"}
    first = next(run for run in below if run.info.run_name == "linear 0")
    assert first.data.params["family"] == "linear"
    assert first.data.metrics["log_loss"] == found(tracker)["linear 0"]["loss"]
    # They are no runs of pipelines.
    assert [run.name.split()[1] for run in tracker.latest_runs(10)] == [RUN]


def test_search_that_was_killed_goes_on_and_finds_the_same(dataset_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log_trial = Tracker.log_trial

    def is_killed_at_the_second(tracker: Tracker, run_id: str, name: str, *rest: dict) -> None:
        if name == "linear 2":
            raise KeyboardInterrupt
        log_trial(tracker, run_id, name, *rest)

    with monkeypatch.context() as killed:
        killed.setattr(Tracker, "log_trial", is_killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            stages.search(dataset_uri, RUN, "linear", 4)
    tracker = Tracker(load_settings())
    assert list(found(tracker)) == ["linear 0", "linear 1"]
    before = found(tracker)
    assert "4 trials" in stages.search(dataset_uri, RUN, "linear", 4)["result"]
    gone_on = found(tracker)
    assert {name: gone_on[name] for name in before} == before
    stages.validate(stages.ingest()["dataset_uri"], "at once")
    stages.search(dataset_uri, "at once", "linear", 4)
    for name, trial in found(tracker, "at once").items():
        assert (trial["model"], trial["loss"]) == (gone_on[name]["model"], gone_on[name]["loss"])


def test_trial_that_two_tasks_have_made_counts_once(dataset_uri: str) -> None:
    stages.search(dataset_uri, RUN, "linear", 2)
    tracker = Tracker(load_settings())
    run_id = tracker.find_run(RUN)
    assert run_id
    twin = {**found(tracker)["linear 1"], "loss": 0.0}
    tracker.log_trial(run_id, "linear 1", twin, {}, {})
    stages.search(dataset_uri, RUN, "linear", 3)
    kept = trials.collect(tracker.trials(run_id))
    assert [trial.number for trial in kept] == [0, 1, 2]
    assert kept[1].loss > 0


def test_search_sees_no_held_out_row(dataset_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    arrange = trials.arrange
    monkeypatch.setattr(trials, "arrange", lambda frame, search: seen.append(frame) or arrange(frame, search))
    stages.search(dataset_uri, RUN, "linear", 1)
    assert seen[0]["scheduled_departure"].max() < np.datetime64("2013-07-01")
    assert storage.load_dataset(dataset_uri).months[-1] == "2013-07"


def run_with(monkeypatch: pytest.MonkeyPatch, dataset_uri: str, wanted: list[str], **model: str) -> str:
    """Search some families, and train; returns the MLflow run."""
    for name, value in model.items():
        monkeypatch.setenv(f"{ENV_PREFIX}MODEL__{name}", value)
    stages.validate(stages.ingest()["dataset_uri"], "by then")
    for family in wanted:
        stages.search(dataset_uri, "by then", family, 3)
    return str(stages.train(dataset_uri, "by then")["run_id"])


def test_model_that_is_better_is_trained_and_deployed(dataset_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # One tree that learns next to nothing is no match for a linear model.
    run_id = run_with(monkeypatch, dataset_uri, ["boosting", "linear"], MAX_ITER="1", LEARNING_RATE="0.001")
    tracker = Tracker(load_settings())
    recipe = tracker.load_json(run_id, RECIPE_FILE)["model"]
    assert recipe != load_settings().model.model_dump()
    assert " is taken: " in tracker.tags(run_id)["search"]
    text = tracker.load_text(run_id, "leaderboard.md")
    assert "boosting 0 (default)" in text
    assert "**taken**" in text
    assert "baseline" in text
    assert f'family = "{recipe["family"]}"' in text
    files = {each.path for each in tracker._client.list_artifacts(run_id)}
    assert "search_history.png" in files
    stages.evaluate(run_id)
    assert stages.deploy(run_id)["version"] == "1"
    champion = tracker.load_model(tracker.get_version("1").model_uri)
    assert (
        type(champion[-1]).__name__
        == {
            "linear": "LogisticRegression",
            "boosting": "HistGradientBoostingClassifier",
        }[recipe["family"]]
    )
    assert champion[-1].get_params()["random_state" if recipe["family"] == "boosting" else "C"] is not None
    assert "equal in all" in stages.reproduce("1")["result"]


def test_default_stands_where_nothing_is_better_by_more_than_chance(
    dataset_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_with(monkeypatch, dataset_uri, ["linear"], FAMILY="linear")
    tracker = Tracker(load_settings())
    assert tracker.tags(run_id)["search"].startswith("the default stands")
    assert tracker.load_json(run_id, RECIPE_FILE)["model"] == load_settings().model.model_dump()


def test_run_that_was_searched_with_other_settings_is_not_gone_on_with(
    dataset_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.search(dataset_uri, RUN, "linear", 1)
    monkeypatch.setenv(f"{ENV_PREFIX}SEARCH__FOLDS", "2")
    with pytest.raises(ReleaseError, match=r"before \[training\], \[model\] or \[search\] changed"):
        stages.search(dataset_uri, RUN, "linear", 2)


def test_families_of_a_search_are_those_that_are_named_and_the_configured_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert families.to_search(load_settings()) == []
    assert families.to_search(load_settings(), 5) == families.names()
    monkeypatch.setenv(f"{ENV_PREFIX}SEARCH__FAMILIES", '["linear"]')
    assert families.to_search(load_settings(), 5) == ["boosting", "linear"]
    monkeypatch.setenv(f"{ENV_PREFIX}SEARCH__TRIALS", "5")
    assert families.to_search(load_settings()) == ["boosting", "linear"]
    assert families.to_search(load_settings(), 0) == []
    monkeypatch.setenv(f"{ENV_PREFIX}SEARCH__FAMILIES", '["magic"]')
    with pytest.raises(ConfigError, match=r"\[search\] families: 'magic': no such family; there are blend, boosting, "):
        families.to_search(load_settings())


def test_leaderboard_is_told_without_training(dataset_uri: str) -> None:
    for family in ("boosting", "linear"):
        stages.search(dataset_uri, RUN, family, 2)
    facts = stages.leaderboard(dataset_uri, RUN)
    assert "# Search" in facts["leaderboard"]
    summary = status.find_run(load_settings(), RUN)
    assert summary is None or not summary["version"]
    tracker = Tracker(load_settings())
    assert tracker._client.get_run(facts["run_id"]).info.status == "FINISHED"


def test_leaderboard_of_nothing_says_so(dataset_uri: str) -> None:
    with pytest.raises(ReleaseError, match="nothing has been searched"):
        stages.leaderboard(dataset_uri, RUN)


DIES_WHILE_A_TRIAL_IS_KEPT = """
import os, signal, sys
from {{ cookiecutter.__package_name }} import stages
from {{ cookiecutter.__package_name }}.tracking import TRIAL_FILE, Tracker

log_json, kept = Tracker.log_json, []

def is_killed_at_the_second(tracker, run_id, content, file):
    if file == TRIAL_FILE:
        kept.append(run_id)
        if len(kept) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    log_json(tracker, run_id, content, file)

Tracker.log_json = is_killed_at_the_second
stages.search(sys.argv[1], sys.argv[2], "linear", 3)
"""


def test_run_of_a_trial_that_a_kill_cut_off_does_not_seem_to_run_for_ever(dataset_uri: str) -> None:
    command = [sys.executable, "-c", DIES_WHILE_A_TRIAL_IS_KEPT, dataset_uri, RUN]
    died = subprocess.run(command, check=False)
    assert died.returncode == -signal.SIGKILL
    tracker = Tracker(load_settings())
    assert list(found(tracker)) == ["linear 0"]
    assert statuses(tracker) == [("linear 0", "FINISHED"), ("linear 1", "RUNNING")]
    stages.search(dataset_uri, RUN, "boosting", 1)  # of another family, which may well be running
    assert ("linear 1", "RUNNING") in statuses(tracker)
    stages.search(dataset_uri, RUN, "linear", 3)
    assert [each for each in statuses(tracker) if each[0].startswith("linear")] == [
        ("linear 0", "FINISHED"),
        ("linear 1", "FINISHED"),
        ("linear 1", "KILLED"),
        ("linear 2", "FINISHED"),
    ]


def statuses(tracker: Tracker) -> list[tuple[str, str]]:
    """Name and status of the runs below the pipeline's."""
    below = f"tags.mlflow.parentRunId = '{tracker.find_run(RUN)}'"
    runs = tracker._client.search_runs([tracker.experiment_id], below)
    return sorted((run.info.run_name, run.info.status) for run in runs)


def test_family_that_is_too_slow_for_a_single_trial_says_so(dataset_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = trials.training.fit

    def slow(*given: object) -> object:
        until = time.process_time() + 0.6
        while time.process_time() < until:
            pass
        return fit(*given)

    monkeypatch.setattr(trials.training, "fit", slow)
    monkeypatch.setenv(f"{ENV_PREFIX}SEARCH__SECONDS", "1")
    uri = stages.validate(stages.ingest()["dataset_uri"], "slow")["dataset_uri"]
    told = stages.search(uri, "slow", "linear", 3)["result"]
    assert told == "linear: no trial, as [search] seconds = 1 are too few for one"
    # That of [model] is measured, as the others are compared with it.
    assert stages.search(uri, "slow", "boosting", 3)["trials"] == 1
