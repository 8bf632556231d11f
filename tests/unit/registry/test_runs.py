"""Runs of an experiment, and what merely asking for them leaves behind."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from modelworks.registry.runs import metric_name
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings
from tables import TWO_TEXTS_BY_GROUP, project_of, settings_of


@pytest.fixture
def settings(tmp_path: Path, new_mlflow_database: Path) -> Settings:
    (tmp_path / "var" / "mlflow").mkdir(parents=True)
    shutil.copy(new_mlflow_database, tmp_path / "var" / "mlflow")
    return settings_of(tmp_path)


@pytest.mark.slow
def test_asking_for_runs_makes_no_experiment(settings: Settings) -> None:
    tracker = Tracker(project_of(TWO_TEXTS_BY_GROUP), settings)
    assert tracker.runs.find("first") is None
    assert tracker.runs.describe("first") is None
    assert tracker.runs.latest(5) == []
    assert tracker.versions.find_alias("champion") is None
    client = MlflowClient(settings.tracking_uri)
    assert [each.name for each in client.search_experiments()] == ["Default"]
    assert list(client.search_registered_models()) == []


@pytest.mark.slow
def test_two_experiments_of_one_project_know_their_own_runs(settings: Settings) -> None:
    project = project_of(TWO_TEXTS_BY_GROUP)
    training, monitoring = Tracker(project, settings), Tracker(project, settings, settings.monitoring_experiment)
    run_id = training.runs.open("first", "2024-01", {"by": "Ada"})
    assert training.runs.find("first") == run_id
    assert monitoring.runs.find("first") is None
    assert training.runs.tags(run_id)["by"] == "Ada"


@pytest.mark.parametrize(
    ("column", "name"), [("a.b, c", "a.b_ c"), ('sepal "length" [cm]', "sepal _length_ _cm_"), ("größe", "gr__e")]
)
def test_metric_has_the_characters_that_mlflow_allows(column: str, name: str) -> None:
    assert metric_name(column) == name
