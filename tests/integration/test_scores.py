"""Batch scores on real periods, real storage and a real MLflow."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from airflow.utils.db import initdb
from typer.testing import CliRunner

from flights import FLIGHTS, enter_home, fill_home, load_dag
from modelworks import stages
from modelworks.cli.app import app
from modelworks.data import partitions
from modelworks.data.partitions import Partition
from modelworks.errors import ContractError, NoChampionError, PartitionError, PipelineError
from modelworks.models import part_scores, pipeline
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, Settings, load_settings
from releases import copy_home, evaluate_flights, flights_without, folder_of, release_flights, tampered

NEWEST = "2013-07"


@pytest.fixture(scope="module")
def first_once(tmp_path_factory: pytest.TempPathFactory, new_mlflow_database: Path) -> Path:
    """A project with three clean periods and a champion, version 1; made once, so no test may change it."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(folder, monkeypatch)
        fill_home(folder, new_mlflow_database)
        release_flights("first")
    return folder


@pytest.fixture
def home(first_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own with three clean periods and a champion, version 1."""
    return copy_home(first_once, tmp_path, monkeypatch)


def scores_of(settings: Settings, period: str = NEWEST) -> list[Partition]:
    return partitions.find_partitions(settings.storage_uri, "scores", period)


def clean_of(settings: Settings, period: str = NEWEST) -> Partition:
    return partitions.find_partitions(settings.storage_uri, "clean", period)[0]


def files(project: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (project / "var" / "data" / "scores").rglob("*")}


def test_scores_are_what_the_champion_predicts(home: Path) -> None:
    settings = load_settings()
    facts = stages.score(FLIGHTS, settings, "2013-06")
    [scores] = scores_of(settings, "2013-06")
    assert facts.scores_uri == scores.files[0]
    assert (scores.facts["model_version"], scores.source) == ("1", f"{settings.storage_uri}/clean/2013-06/v1")
    clean = partitions.read_partition(clean_of(settings, "2013-06"))
    frame = partitions.read_partition(scores)
    pd.testing.assert_frame_equal(frame[FLIGHTS.contract.key], clean[FLIGHTS.contract.key])
    tracker = Tracker(FLIGHTS, settings)
    model = tracker.models.load(tracker.versions.get("1").model_uri)
    np.testing.assert_array_equal(frame["probability"], pipeline.predict(FLIGHTS, model, clean))
    late = int(frame["decision"].sum())
    assert facts.decisions == {"0": len(frame) - late, "1": late}
    assert late == (frame["probability"] >= 0.5).sum()
    assert f"decisions: {len(frame) - late:,} of 0, {late} of 1" in facts.summary
    assert f"predicted share {frame['probability'].mean():.4g};" in facts.summary


def test_several_batches_are_the_same_scores(home: Path, monkeypatch) -> None:
    whole = partitions.read_partition(newest_scores_after_a_run())
    monkeypatch.setenv(f"{ENV_PREFIX}EVALUATION__DECISION_THRESHOLD", "0.25")
    monkeypatch.setattr(part_scores, "CHUNK_ROWS", 1000)
    batches = partitions.read_partition(newest_scores_after_a_run())
    pd.testing.assert_frame_equal(batches.drop(columns="decision"), whole.drop(columns="decision"))
    assert batches["decision"].sum() > whole["decision"].sum()


def newest_scores_after_a_run() -> Partition:
    settings = load_settings()
    stages.score(FLIGHTS, settings)
    return scores_of(settings)[-1]


def test_rerun_finds_the_scores_and_writes_nothing(home: Path) -> None:
    settings = load_settings()
    first = stages.score(FLIGHTS, settings)
    before = files(home)
    again = stages.score(FLIGHTS, settings, NEWEST)
    assert again.scores_uri == first.scores_uri
    assert files(home) == before
    assert "found" in again.summary


def test_new_champion_has_scores_of_its_own_and_the_old_ones_stay(home: Path) -> None:
    settings = load_settings()
    stages.score(FLIGHTS, settings)
    before = files(home)
    release_flights("second")
    assert stages.score(FLIGHTS, settings).model_version == "2"
    assert [each.facts["model_version"] for each in scores_of(settings)] == ["1", "2"]
    assert before.items() <= {**files(home), **before}.items()
    assert all(files(home)[path] == at for path, at in before.items() if path.endswith((".parquet", ".json")))


def test_corrected_period_is_scored_anew(home: Path) -> None:
    settings = load_settings()
    stages.score(FLIGHTS, settings, "2013-06")
    source = home / "data" / "flights-2013-06.csv.gz"
    pd.read_csv(source, dtype="str", keep_default_na=False).iloc[1:].to_csv(source, index=False)
    stages.validate(FLIGHTS, settings, stages.ingest(FLIGHTS, settings, refresh=True).dataset_uri, "corrected")
    stages.score(FLIGHTS, settings, "2013-06")
    first, second = scores_of(settings, "2013-06")
    assert (second.source, second.rows) == (f"{settings.storage_uri}/clean/2013-06/v2", first.rows - 1)


def test_other_threshold_decides_anew(home: Path, monkeypatch) -> None:
    settings = load_settings()
    half = stages.score(FLIGHTS, load_settings())
    monkeypatch.setenv(f"{ENV_PREFIX}EVALUATION__DECISION_THRESHOLD", "0.25")
    quarter = stages.score(FLIGHTS, load_settings())
    assert quarter.decisions["1"] > half.decisions["1"]
    assert [each.facts["decision_threshold"] for each in scores_of(settings)] == [0.5, 0.25]


def test_candidate_that_is_no_champion_does_not_score(home: Path) -> None:
    evaluate_flights("candidate only")
    assert stages.score(FLIGHTS, load_settings()).model_version == "1"


def test_without_a_champion_nothing_is_scored(project: Path) -> None:
    with pytest.raises(NoChampionError, match=r"no champion yet to score with; `make run`"):
        stages.score(FLIGHTS, load_settings())
    assert not files(project)


def test_period_that_is_not_there_is_named_beside_those_that_are(home: Path) -> None:
    settings = load_settings()
    with pytest.raises(PartitionError, match=r"clean: no period 2014-01, there are 2013-05 to 2013-07"):
        stages.score(FLIGHTS, settings, "2014-01")


def test_champion_of_other_columns_is_named(home: Path) -> None:
    settings = load_settings()
    with pytest.raises(ContractError, match=r"the model needs columns that the data do not have: pressure"):
        stages.score(flights_without("pressure"), settings)
    assert not scores_of(settings)


def test_flipped_byte_in_the_clean_period_is_refused_and_named(home: Path) -> None:
    settings = load_settings()
    clean = clean_of(settings)
    file = Path(clean.files[0])
    blob = bytearray(file.read_bytes())
    blob[len(blob) // 2] ^= 1
    file.write_bytes(blob)
    with pytest.raises(PartitionError, match=f"{file}: damaged"):
        stages.score(FLIGHTS, settings)
    assert not files(home)


def test_tampered_champion_scores_nothing(home: Path) -> None:
    settings = load_settings()
    file = folder_of(settings, "1") / "model.skops"
    with tampered(file, file.read_bytes() + b"!"), pytest.raises(PipelineError, match="SHA-256 differs"):
        stages.score(FLIGHTS, settings)
    assert not files(home)


SCORE = """
from modelworks import load_project, load_settings, stages
settings = load_settings()
project = load_project(settings.home)
"""


def test_killed_half_way_it_leaves_nothing_and_the_next_run_finishes(home: Path) -> None:
    settings = load_settings()
    program = f"""{SCORE}
import os, signal
from modelworks.data.parts import PartWriter
from modelworks.models import part_scores
part_scores.CHUNK_ROWS = 1000
write = PartWriter.write
def killed_in_the_second_batch(writer, rows):
    if writer.rows:
        os.kill(os.getpid(), signal.SIGKILL)
    write(writer, rows)
PartWriter.write = killed_in_the_second_batch
stages.score(project, settings)
"""
    killed = subprocess.run([sys.executable, "-c", program], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not files(home)
    assert stages.score(FLIGHTS, settings).rows == clean_of(settings).rows
    assert len(scores_of(settings)) == 1


def test_memory_does_not_grow_with_the_rows(home: Path) -> None:
    """In 900,000 rows more, the features alone would be 110 MB."""
    settings = load_settings()
    clean = clean_of(settings)
    peak_kib = {}
    for period, times in (("2020-01", 20), ("2020-02", 300)):
        with partitions.new_partition(settings.storage_uri, "clean", period) as writer:
            frame = pd.concat([partitions.read_partition(clean)] * 20)
            for _ in range(times // 20):
                writer.write(frame)
            writer.publish(source="copied", source_sha256=period, contract_version=FLIGHTS.contract.version)
        program = f"""{SCORE}
import resource
stages.score(project, settings, "{period}")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
        command = [sys.executable, "-c", program]
        peak_kib[times] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    assert peak_kib[300] - peak_kib[20] < 50 * 1024, peak_kib


def test_command_prints_a_line_and_where_the_scores_are(home: Path) -> None:
    shown = CliRunner().invoke(app, ["score", "--period", "2013-06"], catch_exceptions=False)
    result, uri = shown.stdout.splitlines()
    assert result.startswith("2013-06: 3,158 rows scored, by version 1; ")
    assert len(pd.read_parquet(uri)) == 3158
    as_json = CliRunner().invoke(app, ["score", "--period", "2013-06", "--json"], catch_exceptions=False)
    assert json.loads(as_json.stdout)["scores_uri"] == uri


def run_dag(home: Path, **conf: str) -> str:
    """The state that a run by the form ends in; `dag.test` leaves the form's values in the DAG, so each has its own."""
    initdb()
    return str(load_dag(home, "scoring").test(logical_date=None, run_conf=conf).state)


def test_dag_by_hand_scores_the_period_of_the_form_or_the_newest(home: Path) -> None:
    settings = load_settings()
    assert run_dag(home, period="2013-05") == "success"
    assert (len(scores_of(settings, "2013-05")), len(scores_of(settings))) == (1, 0)
    assert run_dag(home) == "success"
    assert (len(scores_of(settings, "2013-05")), len(scores_of(settings))) == (1, 1)


def test_dag_by_hand_fails_without_a_champion(project: Path) -> None:
    assert run_dag(project) == "failed"
