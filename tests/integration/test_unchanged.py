"""A run on the same data, code and settings as a released version: it says so, and releases nothing."""

import json
from pathlib import Path

import pytest

from commands import call
from flights import FLIGHTS, enter_home, fill_home
from modelworks import stages
from modelworks.errors import QualityGateError
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, load_settings
from modelworks.stages.facts import Compared
from releases import copy_home

SAME = "version 1 was trained from exactly this data, code and settings"


def compare(name: str, period: str | None = None, n_trials: int | None = None, *, force: bool = False) -> Compared:
    """What `compare` finds after `ingest` and `validate`."""
    settings = load_settings()
    raw = stages.ingest(FLIGHTS, settings, period)
    clean = stages.validate(FLIGHTS, settings, raw.dataset_uri, name)
    return stages.compare(FLIGHTS, settings, clean.dataset_uri, name, n_trials, force=force)


def release(name: str, *, force: bool = False) -> str:
    """From ingest to deploy; the version."""
    settings = load_settings()
    compared = compare(name, force=force)
    assert compared.unchanged is None
    trained = stages.train(FLIGHTS, settings, compared.dataset_uri, name)
    return stages.deploy(FLIGHTS, settings, stages.evaluate(FLIGHTS, settings, trained.run_id).run_id).version


@pytest.fixture(scope="module")
def compared_once(tmp_path_factory: pytest.TempPathFactory, new_mlflow_database: Path) -> Path:
    """A project whose version 1 was released by the run "first"; made once, so nobody may change it."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(folder, monkeypatch)
        fill_home(folder, new_mlflow_database)
        assert compare("first").summary == "nothing has been released yet"
        assert release("first") == "1"
    return folder


@pytest.fixture
def home(compared_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with version 1 released."""
    return copy_home(compared_once, tmp_path, monkeypatch)


def test_same_data_code_and_settings_are_nothing_new_whatever_the_commit_and_whoever_approves(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_COMMIT", "of a page")
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__APPROVAL", "always")
    found = compare("second")
    assert found.unchanged == "1"
    assert found.summary == f"{SAME}: nothing new to release"
    run = Tracker(FLIGHTS, load_settings()).runs.describe("second")
    assert run
    assert (run.status, run.tags["unchanged"]) == ("FINISHED", "1")


@pytest.mark.parametrize(
    ("variable", "value", "changed"),
    [
        ("MODEL__PARAMETERS__MAX_ITER", "41", "[training], [model] or [tuning]"),
        ("MODEL__TYPE", "linear", "[training], [model] or [tuning]"),
        ("TRAINING__SEED", "7", "[training], [model] or [tuning]"),
        ("TUNING__FOLDS", "2", "[training], [model] or [tuning]"),
        ("GATES__METRICS__ROC_AUC__MIN", "0.51", "[gates]"),
        ("GATES__MAX_LOSS_OVER_CHAMPION", "0.02", "[gates]"),
        ("GATES__FAIRNESS__COLUMNS", '["carrier"]', "[gates]"),
    ],
)
def test_setting_that_shapes_or_judges_a_model_is_something_new(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, changed: str
) -> None:
    monkeypatch.setenv(ENV_PREFIX + variable, value)
    found = compare("second")
    assert (found.unchanged, found.summary) == (None, f"since version 1 changed: {changed}")


def test_version_that_traffic_has_taken_back_is_not_made_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__SEED", "7")
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__RELEASE", "canary")
    assert release("second") == "2"
    assert compare("third").unchanged == "2"
    stages.stop_rollout(FLIGHTS, load_settings(), reason="callers complain")
    found = compare("fourth")
    assert found.unchanged == "2"
    assert found.summary.endswith(
        "data, code and settings, and rolled out: see `rollout status`; `rollout start 2` does it again"
    )
    assert [each.to_version for each in ledger.read_ledger(load_settings())] == ["1"]


def test_changed_gates_judge_anew_and_the_same_again_do_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MIN", "0.84")
    with pytest.raises(QualityGateError, match="the model is refused"):
        release("stricter")
    monkeypatch.delenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MIN")
    assert compare("as before").unchanged == "1"
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MIN", "0.51")
    assert release("other") == "2"
    assert compare("other again").unchanged == "2"


def test_other_periods_other_code_and_trials_are_something_new(home: Path) -> None:
    assert compare("earlier", "2013-06").summary == "since version 1 changed: data"
    assert compare("tuned", n_trials=2).summary == "since version 1 changed: trials"
    (home / "src" / "own.py").write_text("A = 1", encoding="utf-8")
    assert compare("changed").summary == "since version 1 changed: project code"


def test_retry_of_the_run_that_made_the_version_goes_on(home: Path) -> None:
    assert compare("first").unchanged is None
    assert release("first") == "1"
    assert len(ledger.read_ledger(load_settings())) == 1


def test_forced_run_releases_a_version_that_predicts_the_same(home: Path) -> None:
    assert compare("second", force=True).summary == f"{SAME}; trained again, since --force asks for it"
    assert release("second", force=True) == "2"
    assert compare("third").unchanged == "2"


def test_version_that_was_taken_back_is_not_released_again_under_another_number(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "41")
    assert release("second") == "2"
    stages.rollback(FLIGHTS, load_settings(), reason="too many alarms")
    found = compare("third")
    assert found.unchanged == "2"
    assert found.summary.endswith("it is not the champion now: `rollback --to 2` makes it that again")


def test_train_by_hand_says_that_there_is_nothing_new(home: Path) -> None:
    uri = compare("second").dataset_uri

    def train(*options: str) -> dict[str, str]:
        return json.loads(call("train", "--dataset", uri, *options).stdout)

    assert train("--run-name", "third")["unchanged"] == "1"
    assert train("--run-name", "fourth", "--force").keys() == {"run_id", "summary"}


def test_run_ends_with_one_message_and_success(home: Path) -> None:
    shown = call("run", "--without-airflow")
    assert shown.returncode == 0, shown.stderr
    assert f"{SAME}: nothing new to release" in shown.stdout
    assert "--force trains and releases another all the same" in shown.stdout
    assert "train " not in shown.stdout
    found = json.loads(call("run", "--without-airflow", "--json").stdout)
    assert found == {"succeeded": True, "error": "", "unchanged": "1", "run": None}
    assert len(ledger.read_ledger(load_settings())) == 1
