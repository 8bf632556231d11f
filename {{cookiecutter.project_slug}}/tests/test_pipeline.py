"""The whole, on a sample of the data, with real Airflow, MLflow and API."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import pytest
import uvicorn
from modelworks import Project, stages
from modelworks.airflow.run import run_training
from modelworks.data import partitions
from modelworks.errors import QualityGateError
from modelworks.models.model_type import model_types_to_tune
from modelworks.registry.tracker import Tracker
from modelworks.serving import create_app
from modelworks.settings import Settings
from modelworks.state.status import find_run

from conftest import OPEN_GATES, Sample, make_sandbox


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, sample: Sample) -> Iterator[tuple[Settings, str]]:
    """A project whose training DAG has released a model, and the name of its run."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        settings = make_sandbox(tmp_path_factory.mktemp("released"), sample, monkeypatch, OPEN_GATES)
        run = run_training(settings, {"reason": "a test"})
        assert run.state == "success"
        yield settings, run.run_id


def test_the_training_dag_releases_a_model(project: Project, released: tuple[Settings, str]) -> None:
    settings, run_name = released
    run = find_run(project, settings, run_name)
    assert run
    assert run.version == "1"


def test_the_champion_scores_a_period_and_is_monitored(project: Project, released: tuple[Settings, str]) -> None:
    settings, _ = released
    scored = stages.score(project, settings)
    scores = partitions.read_partition(partitions.find_partitions(settings.storage_uri, "scores", scored.period)[-1])
    assert len(scores) > 0
    assert np.isfinite(project.contract.target.from_columns(scores)).all()
    assert set(project.contract.key) <= set(scores)
    assert stages.monitor(project, settings, "monitoring").summary


@contextmanager
def serving() -> Iterator[httpx.Client]:
    """A client of the API, which has loaded the champion."""
    server = uvicorn.Server(uvicorn.Config(create_app(), port=0, log_level="warning"))
    thread = Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            wait_for(lambda: client.get("/ready").status_code == 200)
            yield client
    finally:
        server.should_exit = True
        thread.join()


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < deadline, "the API is not ready after ten minutes"
        time.sleep(0.1)


def test_the_api_answers_the_example_of_the_contract(project: Project, released: tuple[Settings, str]) -> None:
    with serving() as api:
        answer = api.post("/predict", json=[project.contract.example, project.contract.example])
        assert answer.status_code == 200, answer.text
        first, second = answer.json()["predictions"]
        assert first == second
        wrong = api.post("/predict", json={**project.contract.example, "no such column": 1})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "no such column")


def test_model_types_are_tuned_and_the_choice_is_trained(
    project: Project, tmp_path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = {"TUNING__MODEL_TYPES": '["linear"]', "TUNING__FOLDS": "2"}
    settings = make_sandbox(tmp_path, sample, monkeypatch, OPEN_GATES | tuning)
    clean = stages.validate(project, settings, stages.ingest(project, settings).dataset_uri, "run")
    for model_type in model_types_to_tune(project, settings, 2):
        assert stages.tune(project, settings, clean.dataset_uri, "run", model_type, 2).trials == 2
    trained = stages.train(project, settings, clean.dataset_uri, "run")
    assert "# Tuning" in Tracker(project, settings).runs.load_text(trained.run_id, "leaderboard.md")
    assert stages.evaluate(project, settings, trained.run_id).run_id == trained.run_id


def test_a_model_of_shuffled_labels_is_refused(
    project: Project, tmp_path: Path, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, random = project.contract.target.column, np.random.default_rng(0)
    shuffled = {
        period: frame.assign(**{name: random.permutation(frame[name].to_numpy())}).astype({name: frame[name].dtype})
        for period, frame in sample.items()
    }
    settings = make_sandbox(tmp_path, shuffled, monkeypatch)
    clean = stages.validate(project, settings, stages.ingest(project, settings).dataset_uri, "run")
    trained = stages.train(project, settings, clean.dataset_uri, "run")
    with pytest.raises(QualityGateError, match="beats the baseline"):
        stages.evaluate(project, settings, trained.run_id)
