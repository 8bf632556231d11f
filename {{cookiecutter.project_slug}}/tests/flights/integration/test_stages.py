"""The stages on real months, real storage and a real MLflow, without Airflow."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import (
    journal,
    releases,
    schema,
    stages,
    status,
    storage,
    tracking,
    training,
)
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, Settings
from {{ cookiecutter.__package_name }}.deployment import LedgerEntry
from {{ cookiecutter.__package_name }}.errors import (
    ContractError,
    PartitionError,
    QualityGateError,
    ReleaseError,
    SourceChangedError,
    SourceError,
)

from example import read_sample, write_source


def run(name: str = "first", month: str | None = None) -> str:
    """All stages; returns the released version."""
    clean = stages.validate(stages.ingest(month)["dataset_uri"], name)
    trained = stages.train(clean["dataset_uri"], name)
    return stages.deploy(stages.evaluate(trained["run_id"])["run_id"])["version"]


def champion(settings: Settings) -> str | None:
    found = tracking.Tracker(settings).find_alias(tracking.CHAMPION)
    return found.version if found else None


def test_run_ends_in_a_champion_that_status_describes(project: Path, settings: Settings) -> None:
    assert run() == "1"
    found = status.read_status(settings)
    assert found["champion"]["version"] == "1"
    assert found["previous"] is None
    assert 0.60 <= found["champion"]["metrics"]["roc_auc"] <= 0.80
    assert [each["month"] for each in found["partitions"]] == ["2013-05", "2013-06", "2013-07"]
    [entry] = found["ledger"]
    assert (entry["action"], entry["from_version"], entry["to_version"]) == ("deploy", None, "1")
    assert json.loads(json.dumps(found)) == found


def test_second_run_takes_over_and_the_first_becomes_previous(project: Path, settings: Settings) -> None:
    run("first"), run("second")
    found = status.read_status(settings)
    assert (found["champion"]["version"], found["previous"]["version"]) == ("2", "1")
    assert found["champion"]["data_digest"] == found["previous"]["data_digest"]
    assert found["champion"]["metrics"]["loss_over_champion"] == 0.0


def test_mlflow_run_has_what_a_person_needs_to_judge_it(project: Path, settings: Settings) -> None:
    run()
    tracker = tracking.Tracker(settings)
    run_id = tracker.find_run("first")
    assert run_id
    found = tracker._client.get_run(run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params["seed"] == "2013"
    assert {"code_commit", "config_digest", "data_digest", "pipeline_run"} <= found.data.tags.keys()
    for metric in ("roc_auc", "average_precision", "log_loss", "brier_loss", "calibration_error"):
        values = [found.data.metrics[f"{metric}{end}"] for end in ("_low", "", "_high")]
        assert values == sorted(values)
    inputs = {each.tags[0].value: each.dataset.digest for each in found.inputs.dataset_inputs}
    assert inputs.keys() == {"training", "holdout"}
    files = {each.path for each in tracker._client.list_artifacts(run_id)}
    assert files >= {
        "calibration.png",
        "evaluation.json",
        "model_card.md",
        "permutation_importance.png",
        "precision_recall.png",
        "roc.png",
        "slices.png",
        "validation_report.md",
        "verdict.json",
    }


def test_registered_model_is_safe_pinned_and_signed(project: Path, settings: Settings) -> None:
    run()
    tracker = tracking.Tracker(settings)
    folder = tracking._model_file(tracker.get_version("1").model_uri).parent
    assert not [path.name for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")]
    assert (folder / "input_example.json").is_file()
    assert all("==" in line for line in (folder / "requirements.txt").read_text().split())
    assert "scheduled_departure" in (folder / "MLmodel").read_text()


def test_tampered_model_is_not_loaded(project: Path, settings: Settings) -> None:
    run()
    tracker = tracking.Tracker(settings)
    model_uri = tracker.get_version("1").model_uri
    with tracking._model_file(model_uri).open("ab") as file:
        file.write(b"!")
    with pytest.raises(ReleaseError, match="SHA-256 differs"):
        tracker.load_model(model_uri)


def test_two_runs_predict_the_same_and_the_holdout_is_unseen(project: Path, settings: Settings) -> None:
    run("first"), run("second")
    tracker = tracking.Tracker(settings)
    first, second = (tracker.get_version(version) for version in "12")
    dataset = storage.load_dataset(first.tags["dataset_uri"])
    frame = storage.read_partition(dataset.partitions[-1])
    for uris in ((first.model_uri, second.model_uri), (first.tags["candidate_uri"], second.tags["candidate_uri"])):
        one, other = (training.predict(tracker.load_model(uri), frame) for uri in uris)
        np.testing.assert_array_equal(one, other)
    earlier = pd.concat(storage.read_partition(partition) for partition in dataset.partitions[:-1])
    again = training.fit(earlier.reset_index(drop=True), settings.training, settings.model)
    np.testing.assert_array_equal(training.predict(again, frame), one)


def test_stages_that_are_started_again_make_nothing_twice(project: Path, settings: Settings) -> None:
    raw, again = stages.ingest(), stages.ingest()
    assert raw["dataset_uri"] == again["dataset_uri"]
    for _ in range(2):
        clean = stages.validate(raw["dataset_uri"], "first")
    for _ in range(2):
        trained = stages.train(clean["dataset_uri"], "first")
    for _ in range(2):
        stages.evaluate(trained["run_id"])
    assert [stages.deploy(trained["run_id"])["version"] for _ in range(2)] == ["1", "1"]
    client = tracking.Tracker(settings)._client
    assert len(client.search_runs([tracking.Tracker(settings).experiment_id])) == 1
    assert len(client.search_model_versions(f"name = '{settings.tracking.model_name}'")) == 1
    assert len(releases.read_ledger(settings)) == 1
    assert [each["version"] for each in status.read_status(settings)["partitions"]] == [1, 1, 1]


def test_crash_between_ledger_and_alias_is_mended(project: Path, settings: Settings, monkeypatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tracking.Tracker, "move_alias", crash)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert champion(settings) is None
    assert status.read_status(settings)["champion"]["version"] == "1"
    assert champion(settings) == "1"


def test_release_that_was_overtaken_is_refused(project: Path, settings: Settings, monkeypatch) -> None:
    record = releases.record

    def overtake(settings: Settings, ledger: list[LedgerEntry], entry: LedgerEntry) -> LedgerEntry:
        others = asdict(replace(entry, run_id="other", to_version="other"))
        journal.append_entry(settings.storage_uri, f"ledger/{settings.registry}", 1, others)
        return record(settings, ledger, entry)

    monkeypatch.setattr(releases, "record", overtake)
    with pytest.raises(ReleaseError, match="another release was made meanwhile"):
        run()
    assert champion(settings) is None


def test_model_compared_with_a_former_champion_is_refused(project: Path, settings: Settings) -> None:
    clean = stages.validate(stages.ingest()["dataset_uri"], "slow")
    slow = stages.evaluate(stages.train(clean["dataset_uri"], "slow")["run_id"])
    run("quick")
    with pytest.raises(ReleaseError, match=r"was compared with champion none, which is now 1; evaluate again"):
        stages.deploy(slow["run_id"])
    stages.evaluate(slow["run_id"])
    stages.deploy(slow["run_id"])
    assert [entry.from_version for entry in releases.read_ledger(settings)] == [None, "1"]
    assert champion(settings) == releases.read_ledger(settings)[-1].to_version


def test_model_of_other_settings_than_were_judged_is_refused(project: Path, settings: Settings, monkeypatch) -> None:
    clean = stages.validate(stages.ingest()["dataset_uri"], "first")
    judged = stages.evaluate(stages.train(clean["dataset_uri"], "first")["run_id"])
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITER", "7")
    with pytest.raises(ReleaseError, match=r"\[model\] or the contract changed since it was trained"):
        stages.deploy(judged["run_id"])
    assert champion(settings) is None


def test_champion_that_another_storage_released_is_not_taken_back(project: Path, settings: Settings) -> None:
    for name in ("first", "second", "third"):
        run(name)
    tracking.Tracker(settings).move_alias(tracking.CHAMPION, "1")
    with pytest.raises(ReleaseError, match=r"is version 1, but the ledger in .* ends with version 3"):
        status.read_status(settings)
    assert champion(settings) == "1"


def test_run_that_is_taken_up_with_other_settings_or_data_is_refused(
    project: Path, settings: Settings, monkeypatch
) -> None:
    clean = stages.validate(stages.ingest()["dataset_uri"], "first")
    stages.train(clean["dataset_uri"], "first")
    other = stages.validate(stages.ingest("2013-06")["dataset_uri"], "other")
    with pytest.raises(ReleaseError, match=r"began before the data changed"):
        stages.train(other["dataset_uri"], "first")
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__MAX_ITER", "7")
    with pytest.raises(ReleaseError, match=r"began before \[training\], \[model\] or \[search\] changed"):
        stages.train(clean["dataset_uri"], "first")


def test_champion_of_other_columns_is_named(project: Path, settings: Settings, monkeypatch) -> None:
    run("first")
    monkeypatch.setattr(schema, "SCHEMA", schema.SCHEMA.remove_columns(["temp"]))
    monkeypatch.setattr(schema, "DTYPES", {n: t for n, t in schema.DTYPES.items() if n != "temp"})
    monkeypatch.setattr(schema, "FEATURES", [n for n in schema.FEATURES if n != "temp"])
    for month in ("2013-05", "2013-06", "2013-07"):
        write_source(project, month, read_sample(month).iloc[::3].drop(columns="temp"))
    with pytest.raises(QualityGateError, match=r"champion needs columns that the contract no longer has: temp"):
        run("second")


def test_run_stays_running_until_it_is_released(project: Path, settings: Settings) -> None:
    clean = stages.validate(stages.ingest()["dataset_uri"], "first")
    tracker = tracking.Tracker(settings)
    run_id = stages.train(clean["dataset_uri"], "first")["run_id"]
    assert tracker._client.get_run(run_id).info.status == "RUNNING"
    stages.evaluate(run_id)
    assert tracker._client.get_run(run_id).info.status == "RUNNING"
    stages.deploy(run_id)
    assert tracker._client.get_run(run_id).info.status == "FINISHED"


def test_source_that_changed_is_refused_and_refresh_keeps_the_old(project: Path, settings: Settings) -> None:
    before = stages.ingest()
    write_source(project, "2013-06", read_sample("2013-06").iloc[1::3])
    with pytest.raises(SourceChangedError, match=r"flights-2013-06.csv.gz: not what was ingested .*--refresh"):
        stages.ingest()
    after = stages.ingest(refresh=True)
    assert after["dataset_uri"] != before["dataset_uri"]
    versions = storage.find_partitions(settings.storage_uri, "raw", "2013-06")
    assert [each.version for each in versions] == [1, 2]
    assert storage.read_dataset(storage.load_dataset(before["dataset_uri"])).shape[0]


def test_mlflow_that_does_not_answer_is_named(project: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    raw = stages.ingest()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"MLflow does not answer at http://127.0.0.1:9; start it"):
        stages.validate(raw["dataset_uri"], "first")


def test_missing_month_is_named_and_leaves_no_dataset(project: Path) -> None:
    (project / "data" / "flights-2013-06.csv.gz").unlink()
    with pytest.raises(SourceError, match=r"flights-2013-06.csv.gz: no such file, wanted for month 2013-06"):
        stages.ingest()
    assert not (project / "var" / "data" / "datasets").exists()


def test_bad_rows_are_quarantined_with_their_reason(project: Path, settings: Settings) -> None:
    frame = read_sample("2013-06").iloc[::3].reset_index(drop=True)
    frame.loc[[3, 7], "wind_speed"] = "1048.4"
    frame.loc[9, "distance"] = "far"
    write_source(project, "2013-06", frame)
    facts = stages.validate(stages.ingest()["dataset_uri"], "first")
    assert facts["quarantined"] == 3
    [partition] = storage.find_partitions(settings.storage_uri, "quarantine", "2013-06")
    reasons = storage.read_partition(partition)["reason"].tolist()
    assert [reason.split(":")[0] for reason in reasons] == ["wind_speed", "wind_speed", "distance"]
    clean = storage.find_partitions(settings.storage_uri, "clean", "2013-06")[0]
    assert clean.rows == len(frame) - 3


def test_real_incident_is_caught(project: Path, settings: Settings, monkeypatch) -> None:
    """Newark in February 2013 has a wind of 1,048 mph in 32 rows."""
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__URI", str(project / "data" / "bad-weather-ewr-{month}.csv.gz"))
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__FIRST_MONTH", "2013-01")
    incident = Path(__file__).parents[1] / "data" / "bad-weather-ewr-2013-02.csv.gz"
    shutil.copy(incident, project / "data")
    january = pd.read_csv(incident, dtype="str", keep_default_na=False)
    january["scheduled_departure"] = january["scheduled_departure"].str.replace("2013-02", "2013-01")
    january.assign(wind_speed="").to_csv(project / "data" / "bad-weather-ewr-2013-01.csv.gz", index=False)
    facts = stages.validate(stages.ingest("2013-02")["dataset_uri"], "first")
    assert facts["quarantined"] == 32
    [partition] = storage.find_partitions(settings.storage_uri, "quarantine", "2013-02")
    assert storage.read_partition(partition)["wind_speed"].unique().tolist() == ["1048.4"]


def test_too_many_bad_rows_stop_the_run_and_publish_no_clean_month(project: Path, settings: Settings) -> None:
    write_source(project, "2013-06", read_sample("2013-06").iloc[::3].assign(wind_speed="1048.4"))
    with pytest.raises(ContractError, match=r"raw/2013-06/v1: quarantined rows: 3158 of 3158.*wind_speed: in_range"):
        stages.validate(stages.ingest()["dataset_uri"], "first")
    assert storage.find_partitions(settings.storage_uri, "clean", "2013-06") == []
    tracker = tracking.Tracker(settings)
    run_id = tracker.find_run("first")
    assert run_id
    assert tracker._client.get_run(run_id).info.status == "FAILED"
    assert [each.path for each in tracker._client.list_artifacts(run_id)] == ["validation_report.md"]


def test_damaged_partition_is_refused_by_its_hash(project: Path, settings: Settings) -> None:
    raw = storage.load_dataset(stages.ingest()["dataset_uri"])
    file = Path(raw.partitions[0].uri) / raw.partitions[0].file
    blob = bytearray(file.read_bytes())
    blob[100] ^= 1
    file.write_bytes(blob)
    with pytest.raises(PartitionError, match=f"{file}: damaged"):
        stages.validate(raw.uri, "first")


def shuffle_labels(project: Path) -> None:
    for month in ("2013-05", "2013-06", "2013-07"):
        frame = read_sample(month).iloc[::3]
        shuffled = frame["delayed"].sample(frac=1, random_state=0).to_numpy()
        write_source(project, month, frame.assign(delayed=shuffled))


def test_model_of_shuffled_labels_is_refused_and_the_champion_stays(project: Path, settings: Settings) -> None:
    run("good")
    shuffle_labels(project)
    shutil.rmtree(project / "var" / "data" / "raw")
    with pytest.raises(QualityGateError, match="roc_auc floor"):
        run("shuffled")
    assert champion(settings) == "1"
    summary = status.find_run(settings, "shuffled")
    assert summary
    assert (summary["verdict"], summary["version"], summary["champion"]) == ("refused", None, "1")


def test_worse_model_is_refused_and_the_champion_stays(project: Path, settings: Settings, monkeypatch) -> None:
    run("good")
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["distance", "temp"]')
    with pytest.raises(QualityGateError, match="not worse than the champion"):
        run("worse")
    assert champion(settings) == "1"


def test_leak_is_refused(project: Path, settings: Settings) -> None:
    for month in ("2013-05", "2013-06", "2013-07"):
        frame = read_sample(month).iloc[::3]
        write_source(project, month, frame.assign(visibility=frame["delayed"]))
    with pytest.raises(QualityGateError, match="no leak"):
        run("leak")
    assert champion(settings) is None


def test_refused_run_cannot_be_deployed(project: Path, settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}GATES__MIN_ROC_AUC", "0.79")
    with pytest.raises(QualityGateError):
        run("refused")
    run_id = tracking.Tracker(settings).find_run("refused")
    assert run_id
    with pytest.raises(QualityGateError, match="the verdict is 'refused'"):
        stages.deploy(run_id)


def test_month_that_the_champion_learned_from_cannot_judge_it(project: Path, settings: Settings) -> None:
    run("newest")
    with pytest.raises(QualityGateError, match=r"trained on 2013-06 itself.*hold out 2013-07 or a later month"):
        run("older", month="2013-06")
    assert champion(settings) == "1"


def test_champion_that_somebody_else_registered_is_not_compared_blindly(project: Path, settings: Settings) -> None:
    client = tracking.Tracker(settings)._client
    client.create_registered_model(settings.tracking.model_name)
    client.create_model_version(settings.tracking.model_name, source="runs:/0/model")
    client.set_registered_model_alias(settings.tracking.model_name, tracking.CHAMPION, "1")
    with pytest.raises(QualityGateError, match="version 1, was not released by this pipeline"):
        run()


def test_run_name_with_a_quote_is_one_run(project: Path, settings: Settings) -> None:
    tracker = tracking.Tracker(settings)
    first, again = (tracker.open_run("it's", "2013-07", {}) for _ in range(2))
    assert first == again == tracker.find_run("it's")


def test_model_answers_through_mlflow_as_well(project: Path, settings: Settings) -> None:
    run()
    tracker = tracking.Tracker(settings)
    model_uri = tracker.get_version("1").model_uri
    model = tracker.load_model(model_uri)
    month = storage.find_partitions(settings.storage_uri, "clean", "2013-07")[0]
    frame = storage.read_partition(month).head(50)
    answer = mlflow.pyfunc.load_model(model_uri).predict(frame[list(model.feature_names_in_)])
    np.testing.assert_array_equal(answer[:, 1], training.predict(model, frame))


def test_outcome_as_a_feature_is_refused_before_anything_is_read(project: Path, monkeypatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}TRAINING__FEATURES", '["temp", "arr_delay"]')
    with pytest.raises(ContractError, match="'arr_delay' is an outcome"):
        stages.ingest()
    assert not (project / "var" / "data").exists()
