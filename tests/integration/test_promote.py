"""A version goes from one environment to the next: other MLflow server, other storage, same bytes."""

import json
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from commands import call, run_python
from flights import FLIGHTS
from modelworks import stages
from modelworks.data import frames
from modelworks.errors import ConfigError, PipelineError, QualityGateError, ReleaseError
from modelworks.models import pipeline
from modelworks.registry import ledger
from modelworks.registry.files import MODEL_CARD_FILE, ORIGIN_FILE, PROFILE_FILE, WARNINGS_FILE
from modelworks.registry.tracker import Tracker
from modelworks.serving import create_app
from modelworks.settings import Settings
from promotions import (
    copy_here,
    enter,
    leave_variables,
    make_staged_home,
    mlflow_server,
    release_here,
    train_here,
    write_environment,
)
from releases import client_of, flights_without
from servers import Server, open_client, wait_until_ready

PERIOD_OF_PROD = {"source": {"last": "2013-07"}}
OPEN = {"require_approval": False, "require_tracking_server": False, "require_committed_code": False}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """The MLflow of each environment."""
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_server(folder / "staging") as staging, mlflow_server(folder / "prod") as prod:
        yield {"staging": staging, "prod": prod}


@pytest.fixture(scope="module")
def staged_once(servers: dict[str, Server], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has released version 1 in staging, made once, so no test may change what is there."""
    home = tmp_path_factory.mktemp("staged")
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_staged_home(home, monkeypatch)
        write_environment(home, "staging", servers["staging"].url)
        assert release_here(enter("staging", monkeypatch), "made in staging") == "1"
    return home


@pytest.fixture
def home(staged_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with an environment `prod` of the test's own, whose MLflow is a file."""
    shutil.copytree(staged_once, tmp_path, dirs_exist_ok=True, symlinks=True)
    leave_variables(monkeypatch)
    monkeypatch.setenv("MODELWORKS_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_prod(tmp_path)
    return tmp_path


def write_prod(home: Path, **tables: dict[str, object]) -> None:
    given = {"policy": OPEN, "gates": {"approval": "never"}, **PERIOD_OF_PROD} | tables
    write_environment(home, "prod", f"sqlite:///{home}/var/prod.db", **given)


def files_of(settings: Settings, model_uri: str, folder: Path) -> dict[str, bytes]:
    """All files of a model, by name."""
    client = client_of(settings)
    model_id = model_uri.removeprefix("models:/")
    location = client.get_logged_model(model_id).artifact_location
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder.mkdir()
    get_artifact_repository(location, tracking_uri=settings.tracking_uri).download_artifacts("", str(folder))
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_version_is_the_same_bytes_on_the_other_server_and_is_released_by_the_rules_there(
    home: Path, servers: dict[str, Server], tmp_path_factory: pytest.TempPathFactory, monkeypatch
) -> None:
    write_environment(home, "prod", servers["prod"].url, **PERIOD_OF_PROD)
    monkeypatch.setenv("GIT_COMMIT", "abc")
    asked = call("promote", "1", "--from", "staging", "--env", "prod", "--approve", "--reason", "good there", "--json")
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["version"] == "1"

    staging, prod = enter("staging", monkeypatch), enter("prod", monkeypatch)
    there, here = Tracker(FLIGHTS, staging), Tracker(FLIGHTS, prod)
    original, copy = there.versions.get("1"), here.versions.get("1")
    folder = tmp_path_factory.mktemp("files")
    for name, uris in {
        "model": (original.model_uri, copy.model_uri),
        "candidate": (original.tags["candidate_uri"], copy.tags["candidate_uri"]),
    }.items():
        left = files_of(staging, uris[0], folder / f"{name}-there")
        assert left == files_of(prod, uris[1], folder / f"{name}-here")
        assert "model.skops" in left
    rows = frames.to_frame(FLIGHTS.contract, [FLIGHTS.contract.example])
    predicted = [
        pipeline.predict(FLIGHTS, ledger.load_version(FLIGHTS, tracker, version), rows)
        for tracker, version in ((there, original), (here, copy))
    ]
    np.testing.assert_array_equal(*predicted)

    [entry] = ledger.read_ledger(prod)
    assert entry.promoted_from
    assert (entry.promoted_from.environment, entry.promoted_from.version) == ("staging", "1")
    assert (entry.promoted_from.run_id, entry.promoted_from.registry) == (original.run_id, staging.registry)
    assert entry.promoted_from.sha256 == there.models.sha256(original.model_uri) == here.models.sha256(copy.model_uri)
    assert (entry.environment, entry.reason) == ("prod", "good there")
    assert entry.approved_by
    assert entry.data_digest == original.tags["data_digest"]
    assert ledger.read_ledger(staging)[0].promoted_from is None

    lineage = ("first_period", "last_period", "held_out", "trained_on", "data_digest", "config_digest", "code_commit")
    assert {name: copy.tags[name] for name in lineage} == {name: original.tags[name] for name in lineage}
    assert (original.tags["held_out"], copy.tags["measured_on"]) == ("2013-06", "2013-07")
    origin = here.runs.load_json(copy.run_id, ORIGIN_FILE)
    assert origin["metrics"] == there.runs.metrics(original.run_id)
    assert here.runs.metrics(copy.run_id)["log_loss"] != origin["metrics"]["log_loss"]
    card = here.runs.load_text(copy.run_id, MODEL_CARD_FILE)
    assert card.startswith("# flight-delays in prod, version 1\n")
    assert "## flight-delays in staging, version 1\n" in card
    for fact in (original.run_id, copy.run_id, entry.promoted_from.sha256, original.tags["data_digest"]):
        assert fact in card

    again = call("promote", "1", "--from", "staging", "--env", "prod", "--json")
    assert json.loads(again.stdout) == {"succeeded": True, "error": "", "version": "1", "run": None}
    assert "version 1 of staging is here already, as version 1, the champion" in again.stderr
    assert len(ledger.read_ledger(prod)) == 1
    assert len(client_of(prod).search_model_versions("name = 'flight-delays'")) == 1
    with open_client(create_app(FLIGHTS, prod)) as client:
        wait_until_ready(client)
        served = client.get("/model").json()
        assert (served["version"], served["held_out"]) == ("1", "2013-07")
        answer = client.post("/predict", json=FLIGHTS.contract.example).json()
        assert answer["predictions"][0]["probability"] == pytest.approx(float(predicted[0].ravel()[0]), abs=1e-6)


def test_drift_is_measured_against_the_rows_that_it_was_trained_on_elsewhere(home: Path, monkeypatch) -> None:
    settings = enter("prod", monkeypatch)
    run_id = copy_here(settings)
    stages.evaluate(FLIGHTS, settings, run_id)
    stages.deploy(FLIGHTS, settings, run_id)
    shutil.rmtree(home / "var" / "staging")  # nobody may need it any more
    assert Tracker(FLIGHTS, settings).runs.find_json(run_id, PROFILE_FILE, None)
    assert stages.score(FLIGHTS, settings, "2013-07").model_version == "1"
    page = Path(stages.monitor(FLIGHTS, settings, "watch", "2013-07").report.partition(" in ")[2])
    text = next((home / "var").rglob(page.name)).read_text()
    assert "recent_departures" in text
    assert "there is no champion" not in text


def test_where_the_newest_rows_are_those_it_held_out_its_candidate_is_measured(home: Path, monkeypatch) -> None:
    write_prod(home, source={"last": "2013-06"})
    settings = enter("prod", monkeypatch)
    run_id = copy_here(settings)
    tracker = Tracker(FLIGHTS, settings)
    tags = tracker.runs.tags(run_id)
    assert tags["candidate_uri"] == tags["copied_candidate_uri"] != tags["copied_model_uri"]
    stages.evaluate(FLIGHTS, settings, run_id)
    metrics, there = tracker.runs.metrics(run_id), tracker.runs.load_json(run_id, ORIGIN_FILE)["metrics"]
    assert metrics["log_loss"] == pytest.approx(there["log_loss"])  # the same rows, by the same model
    stages.deploy(FLIGHTS, settings, run_id)
    # The next model of this environment is compared with it as with one of its own.
    write_prod(home, source={"last": "2013-06"}, model={"parameters": {"max_iter": 45}})
    settings = enter("prod", monkeypatch)
    stages.evaluate(FLIGHTS, settings, own := train_here(settings, "own"))
    assert tracker.runs.tags(own)["compared_with"] == "1"


def test_it_is_not_measured_on_rows_that_it_was_trained_on(home: Path, monkeypatch) -> None:
    write_environment(home, "later", f"sqlite:///{home}/var/later.db", gates={"approval": "never"}, **PERIOD_OF_PROD)
    release_here(enter("later", monkeypatch), "later")
    write_prod(home, source={"last": "2013-06"})
    settings = enter("prod", monkeypatch)
    with pytest.raises(QualityGateError, match="version 1 of later was trained on 2013-06 itself"):
        copy_here(settings, source="later")
    assert ledger.read_ledger(settings) == []


def test_gates_and_champion_of_the_target_decide(home: Path, monkeypatch) -> None:
    settings = enter("prod", monkeypatch)
    assert release_here(settings, "own") == "1"
    run_id = copy_here(settings)
    stages.evaluate(FLIGHTS, settings, run_id)
    assert Tracker(FLIGHTS, settings).runs.tags(run_id)["compared_with"] == "1"
    write_prod(home, gates={"approval": "never", "metrics": {"roc_auc": {"min": 0.84}}})
    settings = enter("prod", monkeypatch)
    with pytest.raises(QualityGateError, match="the model is refused, the champion stays: roc_auc"):
        stages.evaluate(FLIGHTS, settings, run_id)
    with pytest.raises(QualityGateError, match="the verdict is 'refused'"):
        stages.deploy(FLIGHTS, settings, run_id)
    assert [entry.to_version for entry in ledger.read_ledger(settings)] == ["1"]
    write_prod(home, gates={"approval": "never"})
    settings = enter("prod", monkeypatch)
    stages.evaluate(FLIGHTS, settings, run_id)
    assert stages.deploy(FLIGHTS, settings, run_id).version == "2"
    stages.rollback(FLIGHTS, settings)
    found = stages.find_promoted(FLIGHTS, settings, "1", "staging")
    assert found.version == "2"
    assert "as version 2, not the champion now: `rollback --to 2` makes it that" in found.summary


def test_approval_is_that_of_the_target(home: Path, monkeypatch) -> None:
    write_prod(home, gates={"approval": "always"})
    monkeypatch.setenv("GIT_COMMIT", "abc")
    refused = call("promote", "1", "--from", "staging", "--env", "prod", "--reject", "--json")
    assert refused.returncode == 1
    assert "rejected by" in json.loads(refused.stdout)["error"]
    settings = enter("prod", monkeypatch)
    assert ledger.read_ledger(settings) == []
    approved = call("promote", "1", "--from", "staging", "--env", "prod", "--approve")  # asks anew
    assert approved.returncode == 0, approved.stderr
    assert "version 1 is the champion" in approved.stdout
    [entry] = ledger.read_ledger(settings)
    assert entry.approved_by
    assert entry.reason == "version 1 of staging passed every check on 2013-07"


def test_version_that_was_taken_back_says_so_to_who_approves(home: Path, monkeypatch) -> None:
    write_environment(home, "test", f"sqlite:///{home}/var/test.db", gates={"approval": "never"})
    test = enter("test", monkeypatch)
    release_here(test, "first")
    write_environment(
        home,
        "test",
        f"sqlite:///{home}/var/test.db",
        gates={"approval": "never"},
        model={"parameters": {"max_iter": 45}},
    )
    test = enter("test", monkeypatch)
    assert release_here(test, "second") == "2"
    stages.rollback(FLIGHTS, test, by="Ada", reason="too many alarms")
    write_prod(home, gates={"approval": "on_warning"})
    settings = enter("prod", monkeypatch)
    evaluated = stages.evaluate(FLIGHTS, settings, copy_here(settings, "2", "test"))
    assert evaluated.asks_for_approval
    assert "version 2 of test: it was taken back there, at " in evaluated.about
    assert "by Ada: too many alarms" in evaluated.about


def test_other_engine_is_a_warning(home: Path, monkeypatch) -> None:
    settings = enter("prod", monkeypatch)
    monkeypatch.setattr("modelworks.__version__", "9.9.9")
    run_id = copy_here(settings)
    stages.evaluate(FLIGHTS, settings, run_id)
    said = Tracker(FLIGHTS, settings).runs.load_json(run_id, WARNINGS_FILE)
    assert "version 1 of staging was made with another version of the engine: 2.0.0, here 9.9.9" in said


@pytest.mark.parametrize(
    ("version", "source", "error", "said"),
    [
        ("1", "stagin", ConfigError, r"--from = 'stagin': no file environments/stagin.toml; did you mean staging\?"),
        (
            "7",
            "staging",
            ReleaseError,
            "7 cannot be promoted from staging: model 'flight-delays' has no version 7",
        ),
        ("1", "prod", ReleaseError, "version 1 cannot be promoted from prod: model 'flight-delays' has no version 1"),
    ],
)
def test_unknown_version_or_environment_is_refused(
    home: Path, monkeypatch, version: str, source: str, error: type[PipelineError], said: str
) -> None:
    settings = enter("prod", monkeypatch)
    with pytest.raises(error, match=said):
        stages.find_promoted(FLIGHTS, settings, version, source)


def test_environments_that_share_a_registry_have_nothing_to_promote(
    home: Path, servers: dict[str, Server], monkeypatch
) -> None:
    write_environment(home, "prod", servers["staging"].url, policy=OPEN, gates={"approval": "never"})
    settings = enter("prod", monkeypatch)
    with pytest.raises(ReleaseError, match="staging and prod have the same registry"):
        stages.find_promoted(FLIGHTS, settings, "1", "staging")


def test_version_of_no_release_is_refused(home: Path, monkeypatch) -> None:
    [entry] = (home / "var" / "staging" / "ledger").rglob("*.json")
    entry.unlink()
    settings = enter("prod", monkeypatch)
    with pytest.raises(ReleaseError, match=r"version 1 of flight-delays@\w+ was never released; only a release"):
        stages.find_promoted(FLIGHTS, settings, "1", "staging")


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"verdict": "refused"}, "the verdict is 'refused'"),
        ({"approval": "rejected"}, "rejected; only an approved model"),
    ],
)
def test_refused_or_rejected_version_is_refused(home: Path, monkeypatch, tags: dict[str, str], said: str) -> None:
    staging = enter("staging", monkeypatch)
    runs = Tracker(FLIGHTS, staging).runs
    run_id = ledger.read_ledger(staging)[0].run_id
    before = {name: runs.tags(run_id)[name] for name in tags}
    runs.set_tags(run_id, tags)
    try:
        settings = enter("prod", monkeypatch)
        with pytest.raises(ReleaseError, match=said):
            stages.find_promoted(FLIGHTS, settings, "1", "staging")
    finally:
        runs.set_tags(run_id, before)


def test_other_contract_is_refused_before_anything_is_copied(home: Path, monkeypatch) -> None:
    settings = enter("prod", monkeypatch)
    raw = stages.ingest(FLIGHTS, settings, None)
    clean = stages.validate(FLIGHTS, settings, raw.dataset_uri, "promotion")
    changed = flights_without("wind_gust")
    with pytest.raises(ReleaseError, match=r"version 1 of staging was made under contract version \w+, and this is"):
        stages.promote(changed, settings, clean.dataset_uri, "promotion", "1", "staging")
    assert models_of(settings) == []


def models_of(settings: Settings) -> list[str]:
    """Names of the models that are whole."""
    client = client_of(settings)
    [experiment] = [each for each in client.search_experiments() if each.name == settings.experiment]
    found = client.search_logged_models([experiment.experiment_id])
    return sorted(each.name for each in found if "sha256" in each.tags)


def test_damaged_file_is_refused_and_nothing_is_copied(home: Path, servers: dict[str, Server], monkeypatch) -> None:
    staging = enter("staging", monkeypatch)
    uri = Tracker(FLIGHTS, staging).versions.get("1").model_uri.removeprefix("models:/")
    [file] = [each for each in servers["staging"].log.parent.rglob("model.skops") if uri in str(each)]
    original = file.read_bytes()
    file.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    try:
        settings = enter("prod", monkeypatch)
        with pytest.raises(ReleaseError, match=r"model\.skops is not the file that was saved: its SHA-256 differs"):
            copy_here(settings)
    finally:
        file.write_bytes(original)
    assert models_of(settings) == []
    assert ledger.read_ledger(settings) == []


def test_file_that_is_changed_on_its_way_is_refused(home: Path, monkeypatch) -> None:
    module = sys.modules["modelworks.stages.promote"]  # the package has the stage under this name
    settings, read = enter("prod", monkeypatch), module.read_origin

    def tampered(settings: Settings, source: str, version: str, folder: Path):
        origin = read(settings, source, version, folder)
        with (folder / "candidate" / "model.skops").open("ab") as file:
            file.write(b"x")
        return origin

    monkeypatch.setattr(module, "read_origin", tampered)
    with pytest.raises(ReleaseError, match=r"the candidate of version 1 of staging: model\.skops is not the file"):
        copy_here(settings)
    assert models_of(settings) == []


def test_unsigned_model_is_refused_where_signatures_are_demanded(home: Path, monkeypatch) -> None:
    from test_signed_models import ec, write_pair

    write_pair(home, "key", ec.generate_private_key(ec.SECP256R1()))
    write_prod(home, tracking={"uri": f"sqlite:///{home}/var/prod.db", "verification_key": "key.pub"})
    settings = enter("prod", monkeypatch)
    with pytest.raises(ReleaseError, match="version 1 of staging: the model is not signed"):
        copy_here(settings)
    assert models_of(settings) == []


KILL = """
import os, signal
from modelworks.cli import main
from modelworks.registry import ledger
from modelworks.registry.origin import Copies
from modelworks.registry.versions import Versions
from modelworks.registry.runs import Runs
from mlflow import MlflowClient
import sys
sys.argv = ["modelworks", "promote", "1", "--from", "staging", "--env", "prod"]
owner, name, when = {step}
function = getattr(owner, name)
def killed(*arguments, **options):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    function(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, killed)
main()
"""

STEPS = [
    'Copies, "upload_model", "before"',
    'MlflowClient, "log_model_artifacts", "after"',  # a model that is not yet marked as whole
    'Copies, "upload_model", "after"',  # one of two
    'Copies, "upload_files", "after"',
    'Versions, "register", "before"',
    'Versions, "register", "after"',  # a version that no ledger names
    'ledger, "record", "after"',  # a release that no alias names yet
    'Versions, "move_alias", "after"',
]


def test_killed_at_each_step_it_goes_on_and_leaves_no_half_version(home: Path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_COMMIT", "abc")
    for step in STEPS:
        killed = run_python("-c", KILL.format(step=step))
        assert killed.returncode == -signal.SIGKILL, (step, killed.stdout, killed.stderr)
    settings = enter("prod", monkeypatch)
    done = call("promote", "1", "--from", "staging", "--env", "prod", "--json")
    assert json.loads(done.stdout)["version"] == "1", done.stderr
    [version] = client_of(settings).search_model_versions("name = 'flight-delays'")
    assert version.version == "1" or int(version.version) == 1
    [entry] = ledger.read_ledger(settings)
    tracker = Tracker(FLIGHTS, settings)
    assert tracker.versions.find_alias("champion").version == "1"
    assert models_of(settings) == ["candidate", "model"]
    run = client_of(settings).get_run(entry.run_id)
    assert (run.info.status, run.data.tags["model_version"]) == ("FINISHED", "1")
    ledger.load_version(FLIGHTS, tracker, tracker.versions.get("1"))
