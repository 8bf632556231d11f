"""Every executor gives the same partitions, facts, scores, drift and verdict, to the last bit."""

import json
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from flights import FLIGHTS, enter_home, fill_home
from modelworks import stages
from modelworks.data import partitions
from modelworks.data.files import file_sha256
from modelworks.registry.files import PLOT_DATA_FILE, VERDICT_FILE
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, load_settings
from modelworks.stages.rows import read_rows

EXECUTORS = {"local": ("local", 1), "two processes": ("processes", 2)}


def manifests(storage_uri: str) -> dict[str, Any]:
    """Every partition without the moment it was made, and without URIs and names that differ from home to home."""
    found = {}
    for layer in ("raw", "clean", "quarantine", "scores"):
        for period in partitions.list_periods(storage_uri, layer):
            for each in partitions.find_partitions(storage_uri, layer, period):
                fields = each.to_json()
                facts = {name: value for name, value in fields["facts"].items() if name != "model_uri"}
                found[f"{layer}/{period}/v{each.version}"] = {
                    name: value for name, value in fields.items() if name not in {"created_at", "source", "facts"}
                } | {"facts": facts}
    return found


def run_all(folder: Path, database: Path, executor: tuple[str, int]) -> dict[str, Any]:
    """What a release, its scores and its monitoring leave behind."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter_home(folder, monkeypatch)
        fill_home(folder, database)
        monkeypatch.setenv(f"{ENV_PREFIX}COMPUTE__EXECUTOR", executor[0])
        monkeypatch.setenv(f"{ENV_PREFIX}COMPUTE__WORKERS", str(executor[1]))
        monkeypatch.setenv(f"{ENV_PREFIX}COMPUTE__ROWS_PER_PART", "3000")
        settings = load_settings()
        raw = stages.ingest(FLIGHTS, settings, "2013-06")
        clean = stages.validate(FLIGHTS, settings, raw.dataset_uri, "run")
        run_id = stages.train(FLIGHTS, settings, clean.dataset_uri, "run").run_id
        stages.deploy(FLIGHTS, settings, stages.evaluate(FLIGHTS, settings, run_id).run_id)
        newest = stages.ingest(FLIGHTS, settings, "2013-07")
        stages.validate(FLIGHTS, settings, newest.dataset_uri, "july", for_training=False)
        scored = stages.score(FLIGHTS, settings, "2013-07")
        monitored = stages.monitor(FLIGHTS, settings, "july", "2013-07")
        tracker = Tracker(FLIGHTS, settings)
        runs, champion = tracker.runs, tracker.versions.get("1")
        (folder / "fetched").mkdir()
        few = settings.model_copy(update={"training": settings.training.model_copy(update={"max_rows": 1000})})
        sample, _ = read_rows(FLIGHTS, few, partitions.load_dataset(clean.dataset_uri))
        return {
            "model": file_sha256(tracker.models.fetch(champion.model_uri, folder / "fetched")),
            "sample": sample.astype("str").to_numpy().tolist(),
            "manifests": manifests(settings.storage_uri),
            "decisions": scored.decisions,
            "monitored": runs.metrics(monitored.run_id),
            "metrics": runs.metrics(run_id),
            "verdict": runs.find_json(run_id, VERDICT_FILE, None),
            "plots": runs.find_json(run_id, PLOT_DATA_FILE, None),
        }


def test_release_scores_and_drift_are_the_same_by_every_executor(
    tmp_path: Path, new_mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The workers of a real project import it; the flights of these tests are no package that could be imported.
    for module in [each for name, each in sys.modules.items() if name.partition(".")[0] == "flight_delays"]:
        cloudpickle.register_pickle_by_value(module)
    found = {name: run_all(tmp_path / name, new_mlflow_database, executor) for name, executor in EXECUTORS.items()}
    local, processes = found.values()
    several = [each for each in local["manifests"].values() if len(each["parts"]) > 1]
    assert len(several) == 7  # three periods as they came, three that are clean, and one of scores
    assert local["verdict"]
    assert 800 < len(local["sample"]) < 1200
    assert local["monitored"].keys() >= {"log_loss", "gain"}
    assert json.dumps(local, sort_keys=True) == json.dumps(processes, sort_keys=True)
