"""No global state: several contracts, homes, settings and MLflow stores work side by side in one process."""

import os
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from modelworks import stages
from modelworks.contract import Contract
from modelworks.data import frames
from modelworks.models import pipeline
from modelworks.project import Project
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION
from modelworks.serving.api import build_app
from modelworks.settings import Settings
from servers import open_client, wait_until_ready
from tables import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP, make_rows, project_of, write_periods

CONTRACTS = {"binary": TWO_TEXTS_BY_GROUP, "classes": CLASSES_WITHOUT_TIME, "numbers": NUMBER_WITH_TIME}
PERIODS = ["2024-01", "2024-02", "2024-03"]
SEEDS = {"binary": 1, "classes": 2, "numbers": 3}


@pytest.fixture
def projects(tmp_path: Path) -> dict[str, tuple[Project, Settings]]:
    return {
        name: (
            project_of(contract),
            write_periods(tmp_path / name, contract, make_rows(contract, 900), PERIODS, training={"seed": SEEDS[name]}),
        )
        for name, contract in CONTRACTS.items()
    }


def test_three_kinds_of_projects_are_trained_evaluated_released_and_served_in_turns(
    projects: dict[str, tuple[Project, Settings]],
) -> None:
    environment, tracking_uri = dict(os.environ), mlflow.get_tracking_uri()
    raw = {name: stages.ingest(*both) for name, both in projects.items()}
    clean = {name: stages.validate(*both, raw[name].dataset_uri, "run") for name, both in projects.items()}
    trained = {name: stages.train(*both, clean[name].dataset_uri, "run") for name, both in projects.items()}
    for name, both in projects.items():
        stages.evaluate(*both, trained[name].run_id)
    deployed = {name: stages.deploy(*both, trained[name].run_id) for name, both in projects.items()}
    scored = {name: stages.score(*both) for name, both in projects.items()}
    assert {each.version for each in deployed.values()} == {"1"}
    assert len({each.run_id for each in trained.values()}) == 3
    for name, (project, settings) in projects.items():
        assert Path(scored[name].scores_uri).is_relative_to(settings.home)
        runs = MlflowClient(settings.tracking_uri).search_runs([Tracker(project, settings).runs.experiment_id])
        assert [run.data.params["seed"] for run in runs] == [str(SEEDS[name])]
    assert mlflow.get_tracking_uri() == tracking_uri
    assert dict(os.environ) == environment
    assert_served(projects)


def assert_served(projects: dict[str, tuple[Project, Settings]]) -> None:
    """Three APIs answer in turns, each as its own champion predicts."""
    apps = {name: build_app(*both) for name, both in projects.items()}
    with (
        open_client(apps["binary"]) as binary,
        open_client(apps["classes"]) as classes,
        open_client(apps["numbers"]) as n,
    ):
        clients = {"binary": binary, "classes": classes, "numbers": n}
        for client in clients.values():
            wait_until_ready(client)
        for start in (0, 10):
            for name, client in clients.items():
                project, settings = projects[name]
                rows = make_rows(project.contract, 900).iloc[start : start + 10]
                answer = client.post("/predict", json=requested(project.contract, rows))
                assert answer.status_code == 200, answer.text
                found = [value_of(project.contract, each) for each in answer.json()["predictions"]]
                np.testing.assert_allclose(found, predicted(project, settings, rows), rtol=1e-12)


def requested(contract: Contract, rows: pd.DataFrame) -> list[dict[str, Any]]:
    return frames.to_records(rows[contract.names_of("time", "key", "feature")])


def predicted(project: Project, settings: Settings, rows: pd.DataFrame) -> np.ndarray:
    tracker = Tracker(project, settings)
    champion = tracker.versions.find_alias(CHAMPION)
    assert champion
    return pipeline.predict(project, tracker.models.load(champion.model_uri), rows)


def value_of(contract: Contract, answer: dict[str, Any]) -> float | list[float]:
    if "probabilities" in answer:
        return [answer["probabilities"][str(name)] for name in contract.target.classes]
    return float(answer["prediction" if contract.target.is_regression else "probability"])
