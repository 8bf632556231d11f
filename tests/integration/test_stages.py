"""The stages on real periods, real storage and a real MLflow, without Airflow."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS, enter_home, fill_home, read_sample, write_source
from modelworks import stages
from modelworks.data import journal, partitions
from modelworks.errors import (
    ContractError,
    PartitionError,
    QualityGateError,
    ReleaseError,
    SourceChangedError,
    SourceError,
)
from modelworks.models import pipeline
from modelworks.registry import ledger
from modelworks.registry.files import PLOT_DATA_FILE
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION, Versions
from modelworks.settings import ENV_PREFIX, Settings, load_settings
from modelworks.state import status
from releases import (
    client_of,
    copy_home,
    evaluate_flights,
    find_champion,
    flights_without,
    folder_of,
    release_flights,
    tampered,
    train_flights,
)


@pytest.fixture(scope="module")
def repeated_once(tmp_path_factory: pytest.TempPathFactory, new_mlflow_database: Path) -> Path:
    """A project that has released the same data and settings twice; made once, so no test may change it."""
    folder = tmp_path_factory.mktemp("repeated")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(folder, monkeypatch)
        fill_home(folder, new_mlflow_database)
        release_flights("first")
        release_flights("second")
    return folder


@pytest.fixture
def repeated(repeated_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a project of its own that has released the same data and settings twice."""
    return load_settings(copy_home(repeated_once, tmp_path, monkeypatch))


def test_run_ends_in_a_champion_that_status_describes(project: Path, settings: Settings) -> None:
    assert release_flights("first") == "1"
    found = status.read_status(FLIGHTS, settings)
    assert found.champion
    assert (found.champion.version, found.champion.model_type) == ("1", "boosting")
    assert found.previous is None
    assert 0.60 <= found.champion.metrics["roc_auc"] <= 0.80
    assert [each.period for each in found.partitions] == ["2013-05", "2013-06", "2013-07"]
    [entry] = found.ledger
    assert (entry.action, entry.from_version, entry.to_version) == ("deploy", None, "1")
    assert json.loads(json.dumps(found.to_json())) == found.to_json()


def test_second_run_takes_over_and_the_first_becomes_previous(repeated: Settings) -> None:
    found = status.read_status(FLIGHTS, repeated)
    assert found.champion
    assert found.previous
    assert (found.champion.version, found.previous.version) == ("2", "1")
    assert found.champion.data_digest == found.previous.data_digest
    assert found.champion.metrics["gain_over_champion"] == 0.0


def test_mlflow_run_has_what_a_person_needs_to_judge_it(repeated: Settings) -> None:
    tracker = Tracker(FLIGHTS, repeated)
    run_id = tracker.runs.find("first")
    assert run_id
    found = client_of(repeated).get_run(run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params["seed"] == "2013"
    assert (found.data.params["max_iter"], found.data.params["max_features"]) == ("40", "1.0")  # set, and by default
    assert {"code_commit", "config_digest", "data_digest", "pipeline_run"} <= found.data.tags.keys()
    for metric in ("roc_auc", "average_precision", "log_loss", "brier_loss", "calibration_error"):
        values = [found.data.metrics[f"{metric}{end}"] for end in ("_low", "", "_high")]
        assert values == sorted(values)
    inputs = {each.tags[0].value: each.dataset.digest for each in found.inputs.dataset_inputs}
    assert inputs.keys() == {"training", "holdout"}
    page = f"run {run_id}, its reports and plots in var/mlflow/artifacts/{run_id}/artifacts"
    summary = status.find_run(FLIGHTS, repeated, "first")
    assert summary
    assert summary.page == page
    ranked = {each["feature"] for each in tracker.runs.load_json(run_id, PLOT_DATA_FILE)["importance"]}
    assert ranked == {*FLIGHTS.contract.features, "north_wind", "frost"}
    files = {each.path for each in client_of(repeated).list_artifacts(run_id)}
    assert files >= {
        "calibration.png",
        "evaluation.json",
        "model_card.md",
        "permutation_importance.png",
        "plot_data.json",
        "precision_recall.png",
        "roc.png",
        "slices.png",
        "validation_report.md",
        "verdict.json",
    }


def test_registered_model_is_safe_pinned_and_signed(repeated: Settings) -> None:
    folder = folder_of(repeated, "1")
    assert {path.name for path in folder.rglob("*")} == {
        "MLmodel",
        "conda.yaml",
        "input_example.json",
        "model.skops",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    }
    assert all("==" in line for line in (folder / "requirements.txt").read_text().split())
    assert "scheduled_departure" in (folder / "MLmodel").read_text()


def test_tampered_model_is_not_loaded(repeated: Settings) -> None:
    tracker, file = Tracker(FLIGHTS, repeated), folder_of(repeated, "1") / "model.skops"
    model_uri = tracker.versions.get("1").model_uri
    with tampered(file, file.read_bytes() + b"!"), pytest.raises(ReleaseError, match="SHA-256 differs"):
        tracker.models.load(model_uri)
    assert tracker.models.load(model_uri)


def test_two_runs_predict_the_same_and_the_holdout_is_unseen(repeated: Settings) -> None:
    tracker = Tracker(FLIGHTS, repeated)
    first, second = (tracker.versions.get(version) for version in "12")
    dataset = partitions.load_dataset(repeated.absolute(first.tags["dataset_uri"]))
    frame = partitions.read_partition(dataset.partitions[-1])
    for uris in ((first.model_uri, second.model_uri), (first.tags["candidate_uri"], second.tags["candidate_uri"])):
        one, other = (pipeline.predict(FLIGHTS, tracker.models.load(uri), frame) for uri in uris)
        np.testing.assert_array_equal(one, other)
    earlier = pd.concat(partitions.read_partition(partition) for partition in dataset.partitions[:-1])
    again = pipeline.fit(FLIGHTS, earlier.reset_index(drop=True), repeated.training, repeated.model)
    np.testing.assert_array_equal(pipeline.predict(FLIGHTS, again, frame), one)


def test_stages_that_are_started_again_make_nothing_twice(project: Path, settings: Settings) -> None:
    raw, again = stages.ingest(FLIGHTS, settings), stages.ingest(FLIGHTS, settings)
    assert raw.dataset_uri == again.dataset_uri
    for _ in range(2):
        clean = stages.validate(FLIGHTS, settings, raw.dataset_uri, "first")
    for _ in range(2):
        trained = stages.train(FLIGHTS, settings, clean.dataset_uri, "first")
    for _ in range(2):
        stages.evaluate(FLIGHTS, settings, trained.run_id)
    assert [stages.deploy(FLIGHTS, settings, trained.run_id).version for _ in range(2)] == ["1", "1"]
    client = client_of(settings)
    assert len(client.search_runs([Tracker(FLIGHTS, settings).runs.experiment_id])) == 1
    assert len(client.search_model_versions(f"name = '{settings.registered_model}'")) == 1
    assert len(ledger.read_ledger(settings)) == 1
    assert [each.version for each in status.read_status(FLIGHTS, settings).partitions] == [1, 1, 1]


def test_crash_between_ledger_and_alias_is_repaired_by_the_next_stage(
    project: Path, settings: Settings, monkeypatch
) -> None:
    """Reading the state goes by the ledger, and changes nothing."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Versions, "move_alias", crash)
        with pytest.raises(KeyboardInterrupt):
            release_flights("first")
    assert find_champion(settings) is None
    found = status.read_status(FLIGHTS, settings)
    assert found.champion
    assert found.champion.version == "1"
    assert find_champion(settings) is None
    assert stages.score(FLIGHTS, settings).model_version == "1"
    assert find_champion(settings) == "1"


def test_release_that_was_overtaken_is_refused(project: Path, settings: Settings, monkeypatch) -> None:
    record = ledger.record

    def overtake(settings: Settings, entries: list[LedgerEntry], entry: LedgerEntry) -> LedgerEntry:
        others = asdict(replace(entry, run_id="other", to_version="other"))
        journal.append_entry(settings.storage_uri, f"ledger/{settings.registry}", 1, others)
        return record(settings, entries, entry)

    monkeypatch.setattr(ledger, "record", overtake)
    with pytest.raises(ReleaseError, match="another release was made meanwhile"):
        release_flights("first")
    assert find_champion(settings) is None


def test_model_compared_with_a_former_champion_is_refused(project: Path, settings: Settings) -> None:
    slow = evaluate_flights("slow")
    release_flights("quick")
    with pytest.raises(ReleaseError, match=r"was compared with champion none, which is now 1; evaluate again"):
        stages.deploy(FLIGHTS, settings, slow)
    stages.evaluate(FLIGHTS, settings, slow)
    stages.deploy(FLIGHTS, settings, slow)
    assert [entry.from_version for entry in ledger.read_ledger(settings)] == [None, "1"]
    assert find_champion(settings) == ledger.read_ledger(settings)[-1].to_version


def test_model_of_other_settings_than_were_judged_is_refused(project: Path, settings: Settings, monkeypatch) -> None:
    run_id = evaluate_flights("first")
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "7")
    with pytest.raises(ReleaseError, match=r"\[model\] or the contract changed since it was trained"):
        stages.deploy(FLIGHTS, load_settings(), run_id)
    assert find_champion(settings) is None


def test_champion_that_another_storage_released_is_not_taken_back(repeated: Settings) -> None:
    release_flights("third")
    Tracker(FLIGHTS, repeated).versions.move_alias(CHAMPION, "1")
    with pytest.raises(ReleaseError, match=r"is version 1, but the ledger in .* ends with version 3"):
        stages.score(FLIGHTS, repeated)
    assert find_champion(repeated) == "1"


def test_run_that_is_continued_with_other_settings_or_data_is_refused(
    project: Path, settings: Settings, monkeypatch
) -> None:
    clean = stages.validate(FLIGHTS, load_settings(), stages.ingest(FLIGHTS, load_settings()).dataset_uri, "first")
    stages.train(FLIGHTS, load_settings(), clean.dataset_uri, "first")
    other = stages.validate(
        FLIGHTS, load_settings(), stages.ingest(FLIGHTS, load_settings(), "2013-06").dataset_uri, "other"
    )
    with pytest.raises(ReleaseError, match=r"began before the data changed"):
        stages.train(FLIGHTS, load_settings(), other.dataset_uri, "first")
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "7")
    with pytest.raises(ReleaseError, match=r"began before \[training\], \[model\] or \[tuning\] changed"):
        stages.train(FLIGHTS, load_settings(), clean.dataset_uri, "first")


def test_champion_of_other_columns_is_named(repeated: Settings) -> None:
    for period in ("2013-05", "2013-06", "2013-07"):
        write_source(repeated.home, period, read_sample(period).iloc[::3].drop(columns="pressure"))
    with pytest.raises(QualityGateError, match=r"champion needs columns that the contract no longer has: pressure"):
        release_flights("third", project=flights_without("pressure"))


def test_run_stays_running_until_it_is_released(project: Path, settings: Settings) -> None:
    run_id = train_flights("first")
    assert client_of(settings).get_run(run_id).info.status == "RUNNING"
    stages.evaluate(FLIGHTS, settings, run_id)
    assert client_of(settings).get_run(run_id).info.status == "RUNNING"
    stages.deploy(FLIGHTS, settings, run_id)
    assert client_of(settings).get_run(run_id).info.status == "FINISHED"


def test_source_that_changed_is_refused_and_refresh_keeps_the_old(project: Path, settings: Settings) -> None:
    before = stages.ingest(FLIGHTS, settings)
    write_source(project, "2013-06", read_sample("2013-06").iloc[1::3])
    with pytest.raises(SourceChangedError, match=r"flights-2013-06.csv.gz: changed since it was ingested .*--refresh"):
        stages.ingest(FLIGHTS, settings)
    after = stages.ingest(FLIGHTS, settings, refresh=True)
    assert after.dataset_uri != before.dataset_uri
    versions = partitions.find_partitions(settings.storage_uri, "raw", "2013-06")
    assert [each.version for each in versions] == [1, 2]
    assert partitions.read_dataset(partitions.load_dataset(before.dataset_uri)).shape[0]


def test_mlflow_that_does_not_answer_is_named(project: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    raw = stages.ingest(FLIGHTS, load_settings())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"MLflow does not answer at http://127.0.0.1:9; start it"):
        stages.validate(FLIGHTS, load_settings(), raw.dataset_uri, "first")


def test_missing_period_is_named_and_leaves_no_dataset(project: Path) -> None:
    (project / "data" / "flights-2013-06.csv.gz").unlink()
    with pytest.raises(SourceError, match=r"flights-2013-06.csv.gz: no such file, wanted for period 2013-06"):
        stages.ingest(FLIGHTS, load_settings())
    assert not (project / "var" / "data" / "datasets").exists()


def test_bad_rows_are_quarantined_with_their_reason(project: Path, settings: Settings) -> None:
    frame = read_sample("2013-06").iloc[::3].reset_index(drop=True)
    frame.loc[[3, 7], "wind_speed"] = "1048.4"
    frame.loc[9, "distance"] = "far"
    write_source(project, "2013-06", frame)
    facts = stages.validate(FLIGHTS, settings, stages.ingest(FLIGHTS, settings).dataset_uri, "first")
    assert facts.quarantined == 3
    [partition] = partitions.find_partitions(settings.storage_uri, "quarantine", "2013-06")
    reasons = partitions.read_partition(partition)["reason"].tolist()
    assert [reason.split(":")[0] for reason in reasons] == ["wind_speed", "wind_speed", "distance"]
    clean = partitions.find_partitions(settings.storage_uri, "clean", "2013-06")[0]
    assert clean.rows == len(frame) - 3


def test_real_incident_is_caught(project: Path, settings: Settings, monkeypatch) -> None:
    """Newark in February 2013 has a wind of 1,048 mph in 32 rows."""
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__URI", str(project / "data" / "bad-weather-ewr-{period}.csv.gz"))
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__FIRST", "2013-01")
    incident = Path(__file__).parents[1] / "data" / "bad-weather-ewr-2013-02.csv.gz"
    shutil.copy(incident, project / "data")
    january = pd.read_csv(incident, dtype="str", keep_default_na=False)
    january["scheduled_departure"] = january["scheduled_departure"].str.replace("2013-02", "2013-01")
    january.assign(wind_speed="").to_csv(project / "data" / "bad-weather-ewr-2013-01.csv.gz", index=False)
    facts = stages.validate(
        FLIGHTS, load_settings(), stages.ingest(FLIGHTS, load_settings(), "2013-02").dataset_uri, "first"
    )
    assert facts.quarantined == 32
    [partition] = partitions.find_partitions(settings.storage_uri, "quarantine", "2013-02")
    assert partitions.read_partition(partition)["wind_speed"].unique().tolist() == ["1048.4"]


def test_too_many_bad_rows_stop_the_run_and_publish_no_clean_period(project: Path, settings: Settings) -> None:
    write_source(project, "2013-06", read_sample("2013-06").iloc[::3].assign(wind_speed="1048.4"))
    with pytest.raises(ContractError, match=r"raw/2013-06/v1: quarantined rows: 3,158 of 3,158 .*wind_speed: in_range"):
        stages.validate(FLIGHTS, settings, stages.ingest(FLIGHTS, settings).dataset_uri, "first")
    assert partitions.find_partitions(settings.storage_uri, "clean", "2013-06") == []
    tracker = Tracker(FLIGHTS, settings)
    run_id = tracker.runs.find("first")
    assert run_id
    assert client_of(settings).get_run(run_id).info.status == "FAILED"
    assert [each.path for each in client_of(settings).list_artifacts(run_id)] == ["validation_report.md"]


def test_damaged_partition_is_refused_by_its_hash(project: Path, settings: Settings) -> None:
    raw = partitions.load_dataset(stages.ingest(FLIGHTS, settings).dataset_uri)
    file = Path(raw.partitions[0].files[0])
    blob = bytearray(file.read_bytes())
    blob[100] ^= 1
    file.write_bytes(blob)
    with pytest.raises(PartitionError, match=f"{file}: damaged"):
        stages.validate(FLIGHTS, settings, raw.uri, "first")


def shuffle_labels(project: Path) -> None:
    for period in ("2013-05", "2013-06", "2013-07"):
        frame = read_sample(period).iloc[::3]
        shuffled = frame["delayed"].sample(frac=1, random_state=0).to_numpy()
        write_source(project, period, frame.assign(delayed=shuffled))


def test_model_of_shuffled_labels_is_refused_and_the_champion_stays(repeated: Settings) -> None:
    shuffle_labels(repeated.home)
    shutil.rmtree(repeated.home / "var" / "data" / "raw")
    with pytest.raises(QualityGateError, match="roc_auc floor"):
        release_flights("shuffled")
    assert find_champion(repeated) == "2"
    summary = status.find_run(FLIGHTS, repeated, "shuffled")
    assert summary
    assert (summary.verdict, summary.version, summary.champion) == ("refused", None, "2")


def test_worse_model_is_refused_and_the_champion_stays(repeated: Settings, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["distance", "temp"]')
    with pytest.raises(QualityGateError, match="not worse than the champion"):
        release_flights("worse")
    assert find_champion(repeated) == "2"


def test_leak_is_refused(project: Path, settings: Settings) -> None:
    for period in ("2013-05", "2013-06", "2013-07"):
        frame = read_sample(period).iloc[::3]
        write_source(project, period, frame.assign(visibility=frame["delayed"]))
    with pytest.raises(QualityGateError, match="no leak"):
        release_flights("leak")
    assert find_champion(settings) is None


def test_refused_run_cannot_be_deployed(project: Path, settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__METRICS__ROC_AUC__MIN", "0.79")
    with pytest.raises(QualityGateError):
        release_flights("refused")
    run_id = Tracker(FLIGHTS, settings).runs.find("refused")
    assert run_id
    with pytest.raises(QualityGateError, match="the verdict is 'refused'"):
        stages.deploy(FLIGHTS, load_settings(), run_id)


def test_period_that_the_champion_trained_on_cannot_judge_it(repeated: Settings) -> None:
    with pytest.raises(QualityGateError, match=r"trained on 2013-06 itself.*hold out 2013-07 or a later period"):
        release_flights("older", period="2013-06")
    assert find_champion(repeated) == "2"


def test_champion_that_somebody_else_registered_is_not_compared_blindly(project: Path, settings: Settings) -> None:
    client = client_of(settings)
    client.create_registered_model(settings.registered_model)
    client.create_model_version(settings.registered_model, source="runs:/0/model")
    client.set_registered_model_alias(settings.registered_model, CHAMPION, "1")
    with pytest.raises(QualityGateError, match="version 1, was not released by this pipeline"):
        release_flights("first")


def test_run_name_with_a_quote_is_one_run(project: Path, settings: Settings) -> None:
    tracker = Tracker(FLIGHTS, settings)
    first, again = (tracker.runs.open("it's", "2013-07", {}) for _ in range(2))
    assert first == again == tracker.runs.find("it's")


def test_model_answers_through_mlflow_as_well(repeated: Settings, monkeypatch) -> None:
    tracker = Tracker(FLIGHTS, repeated)
    model_uri = tracker.versions.get("1").model_uri
    model = tracker.models.load(model_uri)
    period = partitions.find_partitions(repeated.storage_uri, "clean", "2013-07")[0]
    frame = partitions.read_partition(period).head(50)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", repeated.tracking_uri)
    name = repeated.registered_model
    for uri in (model_uri, f"models:/{name}/1", f"models:/{name}@champion"):
        answer = mlflow.pyfunc.load_model(uri).predict(frame[list(model.feature_names_in_)])
        np.testing.assert_array_equal(answer[:, 1], pipeline.predict(FLIGHTS, model, frame))


def test_outcome_as_a_feature_is_refused_before_anything_is_read(project: Path, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["temp", "arr_delay"]')
    with pytest.raises(ContractError, match="'arr_delay' is an outcome"):
        stages.ingest(FLIGHTS, load_settings())
    assert not (project / "var" / "data").exists()
