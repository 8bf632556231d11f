"""Batch scores on real months, real storage and a real MLflow."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb
from typer.testing import CliRunner

from {{ cookiecutter.__package_name }} import (
    schema,
    scoring,
    stages,
    storage,
    tracking,
    training,
)
from {{ cookiecutter.__package_name }}.cli import app
from {{ cookiecutter.__package_name }}.config import ENV_PREFIX, PACKAGE, Settings
from {{ cookiecutter.__package_name }}.errors import (
    ContractError,
    NoChampionError,
    PartitionError,
    PipelineError,
)
from {{ cookiecutter.__package_name }}.storage import Partition

PROJECT = Path(__file__).resolve().parents[3]
NEWEST = "2013-07"


@pytest.fixture
def released(project: Path) -> Path:
    """A project with three clean months and a champion, version 1."""
    release("first")
    return project


def release(name: str) -> None:
    clean = stages.validate(stages.ingest()["dataset_uri"], name)
    trained = stages.train(clean["dataset_uri"], name)
    stages.deploy(stages.evaluate(trained["run_id"])["run_id"])


def partitions(settings: Settings, month: str = NEWEST) -> list[Partition]:
    return storage.find_partitions(settings.storage_uri, "scores", month)


def files(project: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (project / "var" / "data" / "scores").rglob("*")}


def test_scores_are_what_the_champion_predicts(released: Path, settings: Settings) -> None:
    facts = stages.score("2013-06")
    [scores] = partitions(settings, "2013-06")
    assert facts["scores_uri"] == f"{scores.uri}/{scores.file}"
    assert (scores.facts["model_version"], scores.source) == ("1", f"{settings.storage_uri}/clean/2013-06/v1")
    clean = storage.read_partition(storage.find_partitions(settings.storage_uri, "clean", "2013-06")[0])
    frame = storage.read_partition(scores)
    pd.testing.assert_frame_equal(frame[schema.KEY], clean[schema.KEY])
    tracker = tracking.Tracker(settings)
    model = tracker.load_model(tracker.get_version("1").model_uri)
    np.testing.assert_array_equal(frame["probability"], training.predict(model, clean))
    late = int(frame["decision"].sum())
    assert facts["decisions"] == {"0": len(frame) - late, "1": late}
    assert late == (frame["probability"] >= 0.5).sum()
    assert f"decisions: {len(frame) - late:,} of 0, {late} of 1" in facts["result"]
    assert f"predicted share {frame['probability'].mean():.4g};" in facts["result"]


def test_several_batches_are_the_same_scores(released: Path, settings: Settings, monkeypatch) -> None:
    whole = storage.read_partition(partitions_after_score(settings))
    monkeypatch.setenv(f"{ENV_PREFIX}SERVING__DECISION_THRESHOLD", "0.25")
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 1000)
    batches = storage.read_partition(partitions_after_score(settings))
    pd.testing.assert_frame_equal(batches.drop(columns="decision"), whole.drop(columns="decision"))
    assert batches["decision"].sum() > whole["decision"].sum()


def partitions_after_score(settings: Settings) -> Partition:
    stages.score()
    return partitions(settings)[-1]


def test_rerun_finds_the_scores_and_writes_nothing(released: Path, settings: Settings) -> None:
    first = stages.score()
    before = files(released)
    again = stages.score(NEWEST)
    assert again["scores_uri"] == first["scores_uri"]
    assert files(released) == before
    assert "found" in again["result"]


def test_new_champion_has_scores_of_its_own_and_the_old_ones_stay(released: Path, settings: Settings) -> None:
    stages.score()
    before = files(released)
    release("second")
    assert stages.score()["model_version"] == "2"
    assert [each.facts["model_version"] for each in partitions(settings)] == ["1", "2"]
    assert before.items() <= {**files(released), **before}.items()
    assert all(files(released)[path] == at for path, at in before.items() if path.endswith((".parquet", ".json")))


def test_corrected_month_is_scored_anew(released: Path, settings: Settings) -> None:
    stages.score("2013-06")
    source = released / "data" / "flights-2013-06.csv.gz"
    pd.read_csv(source, dtype="str", keep_default_na=False).iloc[1:].to_csv(source, index=False)
    stages.validate(stages.ingest(refresh=True)["dataset_uri"], "corrected")
    stages.score("2013-06")
    first, second = partitions(settings, "2013-06")
    assert (second.source, second.rows) == (f"{settings.storage_uri}/clean/2013-06/v2", first.rows - 1)


def test_other_threshold_decides_anew(released: Path, settings: Settings, monkeypatch) -> None:
    half = stages.score()
    monkeypatch.setenv(f"{ENV_PREFIX}SERVING__DECISION_THRESHOLD", "0.25")
    quarter = stages.score()
    assert quarter["decisions"]["1"] > half["decisions"]["1"]
    assert [each.facts["decision_threshold"] for each in partitions(settings)] == [0.5, 0.25]


def test_candidate_that_is_no_champion_does_not_score(released: Path) -> None:
    clean = stages.validate(stages.ingest()["dataset_uri"], "candidate only")
    stages.evaluate(stages.train(clean["dataset_uri"], "candidate only")["run_id"])
    assert stages.score()["model_version"] == "1"


def test_without_a_champion_nothing_is_scored(project: Path) -> None:
    with pytest.raises(NoChampionError, match=r"no champion yet to score with; `make run`"):
        stages.score()
    assert not files(project)


def test_month_that_is_not_there_is_named_beside_those_that_are(released: Path) -> None:
    with pytest.raises(PartitionError, match=r"clean: no month 2014-01, there are 2013-05 to 2013-07"):
        stages.score("2014-01")


def test_champion_of_other_columns_is_named(released: Path, settings: Settings, monkeypatch) -> None:
    monkeypatch.setattr(schema, "DTYPES", {n: t for n, t in schema.DTYPES.items() if n != "temp"})
    with pytest.raises(ContractError, match=r"the model needs columns that the data do not have: temp"):
        stages.score()
    assert not partitions(settings)


def test_flipped_byte_in_the_clean_month_is_refused_and_named(released: Path, settings: Settings) -> None:
    clean = storage.find_partitions(settings.storage_uri, "clean", NEWEST)[0]
    file = Path(clean.uri) / clean.file
    blob = bytearray(file.read_bytes())
    blob[len(blob) // 2] ^= 1
    file.write_bytes(blob)
    with pytest.raises(PartitionError, match=f"{file}: damaged"):
        stages.score()
    assert not files(released)


def test_tampered_champion_scores_nothing(released: Path, settings: Settings) -> None:
    with tracking._model_file(tracking.Tracker(settings).get_version("1").model_uri).open("ab") as file:
        file.write(b"!")
    with pytest.raises(PipelineError, match="SHA-256 differs"):
        stages.score()
    assert not files(released)


def test_killed_half_way_it_leaves_nothing_and_the_next_run_finishes(released: Path, settings: Settings) -> None:
    program = f"""
        import os, signal
        from {PACKAGE} import scoring, stages, storage
        scoring.CHUNK_ROWS = 1000
        publish, write = storage.PartitionWriter.publish, storage.PartitionWriter.write
        def killed_in_the_second_batch(writer, rows):
            if writer.rows:
                os.kill(os.getpid(), signal.SIGKILL)
            write(writer, rows)
        storage.PartitionWriter.write = killed_in_the_second_batch
        stages.score()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    assert subprocess.run(command, env=os.environ, check=False).returncode == -signal.SIGKILL
    assert not files(released)
    assert stages.score()["rows"] == storage.find_partitions(settings.storage_uri, "clean", NEWEST)[0].rows
    assert len(partitions(settings)) == 1


def test_memory_does_not_grow_with_the_rows(released: Path, settings: Settings) -> None:
    """In 900,000 rows more, the features alone would be 110 MB."""
    clean = storage.find_partitions(settings.storage_uri, "clean", NEWEST)[0]
    peak_kib = {}
    for month, times in (("2020-01", 20), ("2020-02", 300)):
        with storage.new_partition(settings.storage_uri, "clean", month) as writer:
            frame = pd.concat([storage.read_partition(clean)] * 20)
            for _ in range(times // 20):
                writer.write(frame)
            writer.publish(source="copied", source_sha256=month, contract_version=schema.version())
        program = (
            f"import resource; from {PACKAGE} import stages; stages.score('{month}'); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", program]
        peak_kib[times] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    assert peak_kib[300] - peak_kib[20] < 50 * 1024, peak_kib


def test_command_prints_a_line_and_where_the_scores_are(released: Path, settings: Settings) -> None:
    shown = CliRunner().invoke(app, ["score", "--month", "2013-06"], catch_exceptions=False)
    result, uri = shown.stdout.splitlines()
    assert result.startswith("2013-06: 3,158 rows scored, by version 1; ")
    assert len(pd.read_parquet(uri)) == 3158
    as_json = CliRunner().invoke(app, ["score", "--month", "2013-06", "--json"], catch_exceptions=False)
    assert json.loads(as_json.stdout)["scores_uri"] == uri


def run_dag(**conf: str) -> str:
    """The state that a run by the form ends in; `dag.test` leaves the form's values in the DAG, so each has its own."""
    initdb()
    dag = DagBag(PROJECT / "dags" / "scoring.py").dags[f"{PACKAGE}_scoring"]
    return str(dag.test(logical_date=None, run_conf=conf).state)


def test_dag_by_hand_scores_the_month_of_the_form_or_the_newest(released: Path, settings: Settings) -> None:
    assert run_dag(month="2013-05") == "success"
    assert (len(partitions(settings, "2013-05")), len(partitions(settings))) == (1, 0)
    assert run_dag() == "success"
    assert (len(partitions(settings, "2013-05")), len(partitions(settings))) == (1, 1)


def test_dag_by_hand_fails_without_a_champion(project: Path) -> None:
    assert run_dag() == "failed"
