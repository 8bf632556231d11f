"""Tuning as a part of a pipeline run: kept in MLflow, continued, and followed by `train` and `deploy`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flights import FLIGHTS, REPOSITORY
from modelworks import stages
from modelworks.data import partitions
from modelworks.errors import ConfigError, ReleaseError
from modelworks.models import pipeline
from modelworks.models.model_type import model_types_to_tune
from modelworks.models.tuning import folds
from modelworks.models.tuning.trial import collect
from modelworks.registry.files import RECIPE_FILE
from modelworks.registry.runs import Runs
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, load_settings
from modelworks.stages.facts import Tuned
from modelworks.state import status

RUN = "tuned"


@pytest.fixture
def dataset_uri(project: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two periods to train on, of few features, so that a trial takes little."""
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["recent_delay", "carrier", "wind_speed", "visibility"]')
    return validated(RUN)


def validated(run_name: str) -> str:
    """The clean dataset of a pipeline run."""
    raw = stages.ingest(FLIGHTS, load_settings())
    return stages.validate(FLIGHTS, load_settings(), raw.dataset_uri, run_name).dataset_uri


def tune(dataset_uri: str, run_name: str, model_type: str, n_trials: int) -> Tuned:
    return stages.tune(FLIGHTS, load_settings(), dataset_uri, run_name, model_type, n_trials)


def found(tracker: Tracker, run_name: str = RUN) -> dict[str, dict[str, object]]:
    """The trials of the run by their names."""
    run_id = tracker.runs.find(run_name)
    assert run_id
    return {f"{each['model_type']} {each['number']}": each for each in tracker.runs.trials(run_id)}


def test_trials_are_runs_below_the_pipelines_run(dataset_uri: str) -> None:
    facts = tune(dataset_uri, RUN, "linear", 3)
    assert facts.trials == 3
    assert facts.summary.startswith("linear: 3 trials (")
    tracker = Tracker(FLIGHTS, load_settings())
    run_id = tracker.runs.find(RUN)
    assert run_id
    below = tracker.runs._client.search_runs([tracker.runs.experiment_id], f"tags.mlflow.parentRunId = '{run_id}'")
    assert sorted(run.info.run_name for run in below) == ["linear 0", "linear 1", "linear 2"]
    assert {run.info.status for run in below} == {"FINISHED"}
    first = next(run for run in below if run.info.run_name == "linear 0")
    assert first.data.params["type"] == "linear"
    assert first.data.params["l2_regularization"] == "5.0"
    assert first.data.metrics["log_loss"] == found(tracker)["linear 0"]["loss"]
    # They are no runs of pipelines.
    assert [run.name.split()[1] for run in tracker.runs.latest(10)] == [RUN]


def test_tuning_that_was_killed_is_continued_and_finds_the_same(
    dataset_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_trial = Runs.log_trial

    def is_killed_at_the_third(runs: Runs, run_id: str, name: str, *rest: dict) -> None:
        if name == "linear 2":
            raise KeyboardInterrupt
        log_trial(runs, run_id, name, *rest)

    with monkeypatch.context() as killed:
        killed.setattr(Runs, "log_trial", is_killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            tune(dataset_uri, RUN, "linear", 4)
    tracker = Tracker(FLIGHTS, load_settings())
    assert list(found(tracker)) == ["linear 0", "linear 1"]
    before = found(tracker)
    assert "4 trials" in tune(dataset_uri, RUN, "linear", 4).summary
    continued = found(tracker)
    assert {name: continued[name] for name in before} == before
    validated("at once")
    tune(dataset_uri, "at once", "linear", 4)
    for name, trial in found(tracker, "at once").items():
        assert (trial["model"], trial["loss"]) == (continued[name]["model"], continued[name]["loss"])


def test_trial_that_two_tasks_have_made_counts_once(dataset_uri: str) -> None:
    tune(dataset_uri, RUN, "linear", 2)
    tracker = Tracker(FLIGHTS, load_settings())
    run_id = tracker.runs.find(RUN)
    assert run_id
    other = {**found(tracker)["linear 1"], "loss": 0.0}
    tracker.runs.log_trial(run_id, "linear 1", other, {}, {})
    tune(dataset_uri, RUN, "linear", 3)
    kept = collect(tracker.runs.trials(run_id))
    assert [trial.number for trial in kept] == [0, 1, 2]
    assert kept[1].loss > 0


def test_tuning_sees_no_held_out_row(dataset_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    arrange = folds.arrange
    monkeypatch.setattr(
        folds, "arrange", lambda project, frame, *others: seen.append(frame) or arrange(project, frame, *others)
    )
    tune(dataset_uri, RUN, "linear", 1)
    assert seen[0]["scheduled_departure"].max() < np.datetime64("2013-07-01")
    assert partitions.load_dataset(dataset_uri).periods[-1] == "2013-07"


def run_with(monkeypatch: pytest.MonkeyPatch, dataset_uri: str, wanted: list[str], **model: str) -> str:
    """Tune some model types, and train; returns the MLflow run."""
    for name, value in model.items():
        monkeypatch.setenv(f"{ENV_PREFIX}MODEL__{'' if name == 'TYPE' else 'PARAMETERS__'}{name}", value)
    validated("by then")
    for model_type in wanted:
        tune(dataset_uri, "by then", model_type, 3)
    return stages.train(FLIGHTS, load_settings(), dataset_uri, "by then").run_id


def test_model_that_is_better_is_trained_and_deployed(dataset_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # One tree that learns next to nothing is no match for a linear model.
    run_id = run_with(monkeypatch, dataset_uri, ["boosting", "linear"], MAX_ITER="1", LEARNING_RATE="0.001")
    tracker = Tracker(FLIGHTS, load_settings())
    recipe = tracker.runs.load_json(run_id, RECIPE_FILE)["model"]
    assert recipe != load_settings().model.model_dump()
    assert " is chosen: " in tracker.runs.tags(run_id)["tuning"]
    text = tracker.runs.load_text(run_id, "leaderboard.md")
    assert "boosting 0 (default)" in text
    assert "**chosen**" in text
    assert "baseline" in text
    assert f'type = "{recipe["type"]}"' in text
    files = {each.path for each in tracker.runs._client.list_artifacts(run_id)}
    assert "tuning_history.png" in files
    stages.evaluate(FLIGHTS, load_settings(), run_id)
    assert stages.deploy(FLIGHTS, load_settings(), run_id).version == "1"
    champion = tracker.models.load(tracker.versions.get("1").model_uri)
    assert (
        type(champion[-1]).__name__
        == {
            "linear": "LogisticRegression",
            "boosting": "HistGradientBoostingClassifier",
        }[recipe["type"]]
    )
    assert champion[-1].get_params()["random_state" if recipe["type"] == "boosting" else "C"] is not None
    assert "equal in all" in stages.reproduce(FLIGHTS, load_settings(), "1").summary


def test_default_stands_where_nothing_is_better_by_more_than_chance(
    dataset_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_with(monkeypatch, dataset_uri, ["linear"], TYPE="linear")
    tracker = Tracker(FLIGHTS, load_settings())
    assert tracker.runs.tags(run_id)["tuning"].startswith("the default stands")
    assert tracker.runs.load_json(run_id, RECIPE_FILE)["model"] == load_settings().model.model_dump()


def test_run_that_was_tuned_with_other_settings_is_not_continued(
    dataset_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune(dataset_uri, RUN, "linear", 1)
    monkeypatch.setenv(f"{ENV_PREFIX}TUNING__FOLDS", "2")
    with pytest.raises(ReleaseError, match=r"before \[training\], \[model\] or \[tuning\] changed"):
        tune(dataset_uri, RUN, "linear", 2)


def test_model_types_to_tune_are_the_named_ones_and_the_configured_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_types_to_tune(FLIGHTS, load_settings()) == []
    assert model_types_to_tune(FLIGHTS, load_settings(), 5) == sorted(FLIGHTS.model_types)
    monkeypatch.setenv(f"{ENV_PREFIX}TUNING__MODEL_TYPES", '["linear"]')
    assert model_types_to_tune(FLIGHTS, load_settings(), 5) == ["boosting", "linear"]
    monkeypatch.setenv(f"{ENV_PREFIX}TUNING__TRIALS", "5")
    assert model_types_to_tune(FLIGHTS, load_settings()) == ["boosting", "linear"]
    assert model_types_to_tune(FLIGHTS, load_settings(), 0) == []
    monkeypatch.setenv(f"{ENV_PREFIX}TUNING__MODEL_TYPES", '["magic"]')
    with pytest.raises(
        ConfigError, match=r"\[tuning\] model_types: 'magic': no such model type; models.py has blend, boosting, "
    ):
        model_types_to_tune(FLIGHTS, load_settings())


def test_leaderboard_is_given_without_training(dataset_uri: str) -> None:
    for model_type in ("boosting", "linear"):
        tune(dataset_uri, RUN, model_type, 2)
    facts = stages.leaderboard(FLIGHTS, load_settings(), dataset_uri, RUN)
    assert "# Tuning" in facts.leaderboard
    summary = status.find_run(FLIGHTS, load_settings(), RUN)
    assert summary is None or not summary.version
    tracker = Tracker(FLIGHTS, load_settings())
    assert tracker.runs._client.get_run(facts.run_id).info.status == "FINISHED"


def test_leaderboard_of_nothing_says_so(dataset_uri: str) -> None:
    with pytest.raises(ReleaseError, match="nothing has been tuned"):
        stages.leaderboard(FLIGHTS, load_settings(), dataset_uri, RUN)


DIES_WHILE_A_TRIAL_IS_KEPT = """
import os, signal, sys
from flights import FLIGHTS, REPOSITORY
from modelworks import stages
from modelworks.registry.files import TRIAL_FILE
from modelworks.registry.runs import Runs
from modelworks.settings import load_settings

log_json, kept = Runs.log_json, []

def is_killed_at_the_second(runs, run_id, content, file):
    if file == TRIAL_FILE:
        kept.append(run_id)
        if len(kept) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    log_json(runs, run_id, content, file)

Runs.log_json = is_killed_at_the_second
stages.tune(FLIGHTS, load_settings(), sys.argv[1], sys.argv[2], "linear", 3)
"""


def test_run_of_a_trial_that_a_kill_cut_off_does_not_seem_to_run_for_ever(dataset_uri: str) -> None:
    command = [sys.executable, "-c", DIES_WHILE_A_TRIAL_IS_KEPT, dataset_uri, RUN]
    died = subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": str(REPOSITORY / "tests")})
    assert died.returncode == -signal.SIGKILL
    tracker = Tracker(FLIGHTS, load_settings())
    assert list(found(tracker)) == ["linear 0"]
    assert statuses(tracker) == [("linear 0", "FINISHED"), ("linear 1", "RUNNING")]
    tune(dataset_uri, RUN, "boosting", 1)  # of another model_type, which may well be running
    assert ("linear 1", "RUNNING") in statuses(tracker)
    tune(dataset_uri, RUN, "linear", 3)
    assert [each for each in statuses(tracker) if each[0].startswith("linear")] == [
        ("linear 0", "FINISHED"),
        ("linear 1", "FINISHED"),
        ("linear 1", "KILLED"),
        ("linear 2", "FINISHED"),
    ]


def statuses(tracker: Tracker) -> list[tuple[str, str]]:
    """Name and status of the runs below the pipeline's."""
    below = f"tags.mlflow.parentRunId = '{tracker.runs.find(RUN)}'"
    runs = tracker.runs._client.search_runs([tracker.runs.experiment_id], below)
    return sorted((run.info.run_name, run.info.status) for run in runs)


def test_model_type_that_is_too_slow_for_a_single_trial_says_so(
    dataset_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = pipeline.fit

    def slow(*given: object) -> object:
        until = time.process_time() + 0.6
        while time.process_time() < until:
            pass
        return fit(*given)

    monkeypatch.setattr(pipeline, "fit", slow)
    monkeypatch.setenv(f"{ENV_PREFIX}TUNING__SECONDS", "1")
    uri = validated("slow")
    summary = tune(uri, "slow", "linear", 3).summary
    assert summary == "linear: no trial, since [tuning] seconds = 1 are too few for one"
    # That of [model] is measured, since the others are compared with it.
    assert tune(uri, "slow", "boosting", 3).trials == 1
