"""Labels that come later than their rows, on real periods, real storage and a real MLflow."""

from pathlib import Path

import pandas as pd
import pytest

from flights import FLIGHTS, read_sample, write_source
from modelworks import stages
from modelworks.data import partitions
from modelworks.data.partitions import Partition
from modelworks.errors import ContractError, SourceChangedError, SourceError
from modelworks.registry.files import EVALUATION_FILE
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, Settings, load_settings
from modelworks.state import status

PERIODS = ("2013-05", "2013-06", "2013-07")
NEWEST = "2013-07"
ROWS = 3341  # of July


@pytest.fixture
def apart(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose sources have no outcomes; the labels of May and June are there, those of July are not."""
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__URI", "data/labels-{period}.csv")
    for period in PERIODS:
        write_source(project, period, rows_of(period).drop(columns=FLIGHTS.contract.outcomes))
    write_labels(project, "2013-05")
    write_labels(project, "2013-06")
    return project


@pytest.fixture
def settings(apart: Path) -> Settings:
    return load_settings()


def rows_of(period: str) -> pd.DataFrame:
    return read_sample(period).iloc[::3]


def labels_of(period: str) -> pd.DataFrame:
    return rows_of(period)[FLIGHTS.contract.label_columns]


def write_labels(project: Path, period: str, labels: pd.DataFrame | None = None) -> Path:
    path = project / "data" / f"labels-{period}.csv"
    (labels_of(period) if labels is None else labels).to_csv(path, index=False)
    return path


def prepare(name: str = "first", period: str | None = None) -> str:
    """Ingest and validate; returns the clean dataset."""
    return stages.validate(
        FLIGHTS, load_settings(), stages.ingest(FLIGHTS, load_settings(), period).dataset_uri, name
    ).dataset_uri


def release(name: str = "first", period: str | None = None) -> str:
    trained = stages.train(FLIGHTS, load_settings(), prepare(name, period), name)
    return stages.deploy(
        FLIGHTS, load_settings(), stages.evaluate(FLIGHTS, load_settings(), trained.run_id).run_id
    ).version


def versions(settings: Settings, layer: partitions.Layer, period: str = NEWEST) -> list[Partition]:
    return partitions.find_partitions(settings.storage_uri, layer, period)


def label_facts(partition: Partition) -> list[int]:
    return [partition.facts[name] for name in ("labelled", "missing", "contradictory", "unmatched")]


def test_period_without_labels_is_ingested_validated_and_scored_and_cannot_be_held_out(
    apart: Path, settings: Settings
) -> None:
    release("older", period="2013-06")
    raw = stages.ingest(FLIGHTS, load_settings())
    assert raw.summary == f"3 periods 2013-05 to 2013-07, 9,632 rows (1 new); labels: {ROWS:,} missing"
    clean = stages.validate(FLIGHTS, load_settings(), raw.dataset_uri, "newest")
    assert f"{ROWS:,} without a label" in clean.summary
    [partition] = versions(settings, "clean")
    assert (partition.rows, partition.facts["unlabelled"]) == (ROWS, ROWS)
    assert stages.score(FLIGHTS, load_settings(), NEWEST).rows == ROWS
    with pytest.raises(
        ContractError,
        match=rf"period 2013-07: 0 of {ROWS:,} rows have a label, too few .*min_labelled_fraction = 0.9.*"
        rf"in {apart}/data/labels-2013-07.csv; or hold out an earlier period",
    ):
        stages.train(FLIGHTS, load_settings(), clean.dataset_uri, "newest")
    assert status.read_status(FLIGHTS, settings).champion.version == "1"


def test_labels_that_arrive_make_new_versions_and_the_rows_are_those_of_a_source_with_outcomes(
    apart: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prepare("before")
    write_labels(apart, NEWEST)
    assert stages.ingest(FLIGHTS, load_settings()).summary == "3 periods 2013-05 to 2013-07, 9,632 rows (1 new)"
    after = prepare("after")
    assert after != before
    assert [[each.version for each in versions(settings, "clean", period)] for period in PERIODS] == [[1], [1], [1, 2]]
    assert label_facts(versions(settings, "raw")[1]) == [ROWS, 0, 0, 0]
    joined = partitions.read_partition(versions(settings, "clean")[1])
    write_source(apart, NEWEST, rows_of(NEWEST))
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__URI", "")
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__FIRST", "2013-06")
    write_source(apart, "2013-06", rows_of("2013-06"))
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", "var/other")
    whole = partitions.load_dataset(prepare("whole")).partitions[-1]
    pd.testing.assert_frame_equal(partitions.read_partition(whole), joined)


def test_training_on_late_labels_is_the_same_whenever_it_is_repeated(
    apart: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare("before")
    write_labels(apart, NEWEST)
    assert release("late") == "1"
    recorded = Tracker(FLIGHTS, settings).versions.get("1").tags["dataset_uri"]
    late = partitions.load_dataset(settings.absolute(recorded))
    assert prepare("again") == late.uri
    assert stages.reproduce(FLIGHTS, load_settings(), "1").changed == []
    monkeypatch.setenv(f"{ENV_PREFIX}STORAGE__URI", "var/other")
    anew = partitions.load_dataset(prepare("anew"))  # where all labels are there from the beginning
    assert [each.sha256 for each in anew.partitions] == [each.sha256 for each in late.partitions]


def test_labels_that_vanish_are_not_forgotten(apart: Path) -> None:
    path = write_labels(apart, NEWEST)
    known = stages.ingest(FLIGHTS, load_settings()).dataset_uri
    path.unlink()
    assert stages.ingest(FLIGHTS, load_settings()).dataset_uri == known


def test_corrected_labels_are_taken_and_those_that_only_moved_change_no_row(apart: Path, settings: Settings) -> None:
    write_labels(apart, NEWEST)
    first = stages.ingest(FLIGHTS, load_settings())
    write_labels(apart, NEWEST, labels_of(NEWEST)[::-1])
    moved = [stages.ingest(FLIGHTS, load_settings()) for _ in range(2)]
    assert {each.dataset_uri for each in moved} == {first.dataset_uri}
    assert ["(1 new)" in each.summary for each in moved] == [True, False]
    write_labels(apart, NEWEST, labels_of(NEWEST).assign(delayed="1"))
    assert stages.ingest(FLIGHTS, load_settings()).dataset_uri != first.dataset_uri
    assert [each.version for each in versions(settings, "raw")] == [1, 2, 3]


def test_changed_source_is_refused_whether_its_labels_came_or_not(apart: Path) -> None:
    stages.ingest(FLIGHTS, load_settings())
    write_source(apart, NEWEST, rows_of(NEWEST).drop(columns=FLIGHTS.contract.outcomes).iloc[1:])
    write_labels(apart, NEWEST)
    with pytest.raises(SourceChangedError, match=r"flights-2013-07.csv.gz: changed since it was ingested"):
        stages.ingest(FLIGHTS, load_settings())
    assert stages.ingest(FLIGHTS, load_settings(), refresh=True).summary.endswith("(1 new); labels: 1 unmatched")


def test_contradictory_missing_and_unmatched_labels_are_counted(apart: Path, settings: Settings) -> None:
    labels = labels_of(NEWEST)
    denied = labels.head(1).assign(delayed={"0": "1", "1": "0"}[labels["delayed"].iat[0]])
    elsewhere = labels_of("2013-06").head(3)
    write_labels(apart, NEWEST, pd.concat([labels.iloc[:-5], denied, labels.iloc[[7]], elsewhere]))
    result = stages.ingest(FLIGHTS, load_settings()).summary
    assert result.endswith("; labels: 5 missing, 1 contradictory, 3 unmatched")
    [raw] = versions(settings, "raw")
    assert label_facts(raw) == [ROWS - 6, 5, 1, 3]
    assert raw.facts["labels"] == str(apart / "data" / "labels-2013-07.csv")
    assert partitions.read_partition(raw)["delayed"].isna().sum() == 6


def test_partly_labelled_period_is_measured_on_what_is_known(apart: Path, settings: Settings) -> None:
    known = labels_of(NEWEST).iloc[: -ROWS // 20]
    write_labels(apart, NEWEST, known)
    trained = stages.train(FLIGHTS, load_settings(), prepare(), "first")
    stages.evaluate(FLIGHTS, load_settings(), trained.run_id)
    tracker = Tracker(FLIGHTS, settings)
    assert tracker.runs.metrics(trained.run_id)["holdout_rows"] == len(known)
    assert tracker.runs.load_json(trained.run_id, EVALUATION_FILE)["unlabelled"] == ROWS - len(known)
    run = status.find_run(FLIGHTS, settings, "first")
    assert run
    assert (run.rows, run.unlabelled) == (9632, ROWS - len(known))


def test_too_few_labels_are_refused_when_they_are_measured_as_well(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_labels(apart, NEWEST, labels_of(NEWEST).head(ROWS // 2))
    dataset_uri = prepare()
    with pytest.raises(ContractError, match=r"1,670 of 3,341 rows have a label"):
        stages.train(FLIGHTS, load_settings(), dataset_uri, "first")
    with monkeypatch.context() as patched:
        patched.setenv(f"{ENV_PREFIX}LABELS__MIN_LABELLED_FRACTION", "0.4")
        run_id = stages.train(FLIGHTS, load_settings(), dataset_uri, "first").run_id
    with pytest.raises(ContractError, match=r"1,670 of 3,341 rows have a label"):
        stages.evaluate(FLIGHTS, load_settings(), run_id)


def test_period_without_labels_in_the_training_span_is_left_out(apart: Path, settings: Settings) -> None:
    write_labels(apart, NEWEST)
    (apart / "data" / "labels-2013-06.csv").unlink()
    trained = stages.train(FLIGHTS, load_settings(), prepare(), "first")
    assert "3,133 rows (3,158 without a label left out) of 2 periods 2013-05 to 2013-06" in trained.summary
    stages.deploy(FLIGHTS, load_settings(), stages.evaluate(FLIGHTS, load_settings(), trained.run_id).run_id)
    assert "equal in all 6,474 predictions" in stages.reproduce(FLIGHTS, load_settings(), "1").summary


def test_training_without_any_label_is_refused(apart: Path) -> None:
    write_labels(apart, NEWEST)
    for period in ("2013-05", "2013-06"):
        (apart / "data" / f"labels-{period}.csv").unlink()
    with pytest.raises(ContractError, match=r"'delayed': only \[\] in 0 rows of training data"):
        stages.train(FLIGHTS, load_settings(), prepare(), "first")


def test_training_stays_the_delay_behind_and_ingestion_does_not(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__DELAY_PERIODS", "1")
    assert stages.ingest(FLIGHTS, load_settings()).period == "2013-06"
    assert stages.ingest(FLIGHTS, load_settings(), for_training=False).period == "2013-07"
    assert stages.ingest(FLIGHTS, load_settings(), "2013-07").period == "2013-07"
    assert release() == "1"


def test_labels_in_parquet_are_taken_as_well(apart: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__URI", "data/labels-{period}.parquet")
    whole = pd.read_csv(apart / "data" / "labels-2013-06.csv", parse_dates=["scheduled_departure"])
    whole.to_parquet(apart / "data" / "labels-2013-06.parquet")
    stages.ingest(FLIGHTS, load_settings(), "2013-06")
    assert label_facts(versions(settings, "raw", "2013-06")[0]) == [3158, 0, 0, 0]


def test_bad_labels_put_their_rows_into_quarantine_also_beside_a_source_that_does_not_parse(
    apart: Path, settings: Settings
) -> None:
    labels = labels_of("2013-06").reset_index(drop=True)
    labels.loc[3, "delayed"] = "7"
    labels.loc[5, "delayed"] = "soon"
    write_labels(apart, "2013-06", labels)
    source = rows_of("2013-06").drop(columns=FLIGHTS.contract.outcomes).reset_index(drop=True)
    source.loc[9, "distance"] = "far"
    write_source(apart, "2013-06", source)
    prepare(period="2013-06")
    [quarantined] = versions(settings, "quarantine", "2013-06")
    assert [reason.split(": ")[0] for reason in partitions.read_partition(quarantined)["reason"]] == [
        "delayed",
        "delayed",
        "distance",
    ]
    [clean] = versions(settings, "clean", "2013-06")
    assert (clean.rows, clean.facts["unlabelled"]) == (3155, 0)


def test_labels_that_lack_a_column_or_cannot_be_read_are_named(apart: Path) -> None:
    path = write_labels(apart, NEWEST, labels_of(NEWEST).drop(columns="flight"))
    with pytest.raises(ContractError, match=f"{path}: columns missing 'flight'"):
        stages.ingest(FLIGHTS, load_settings())
    path.write_bytes(b"")
    with pytest.raises(SourceError, match=f"{path}: empty file"):
        stages.ingest(FLIGHTS, load_settings())


def test_outcomes_in_no_file_are_refused_with_the_remedy(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages.ingest(FLIGHTS, load_settings())
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__URI", "")
    with pytest.raises(ContractError, match=r"flights-2013-05.csv.gz: .*add the outcomes, or name the file"):
        stages.ingest(FLIGHTS, load_settings())


def test_outcomes_in_the_source_as_well_are_refused_with_the_remedy(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.ingest(FLIGHTS, load_settings())
    monkeypatch.setenv(f"{ENV_PREFIX}LABELS__URI", "data/labels-{period}.csv")
    with pytest.raises(ContractError, match=r"flights-2013-05.csv.gz: .*take them out of the source, or set that to"):
        stages.ingest(FLIGHTS, load_settings())


@pytest.mark.usefixtures("apart")
def test_first_period_is_ingested_though_there_is_none_to_train_on() -> None:
    assert stages.ingest(FLIGHTS, load_settings(), "2013-05", for_training=False).summary.endswith(
        "2013-05, 3,133 rows (1 new)"
    )
    with pytest.raises(SourceError, match="no period before it to train on"):
        stages.ingest(FLIGHTS, load_settings(), "2013-05")
