"""Models of every type as MLflow keeps them: loaded in another process, they predict the same."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from commands import run_python
from examples import IMAGE
from flights import FLIGHTS, make_home
from model_rows import CASES, Table, find_table
from modelworks.models import pipeline
from modelworks.project import Project
from modelworks.registry.tracker import Tracker
from modelworks.settings import ENV_PREFIX, HOME_VARIABLE, Model, Settings, Training, load_settings

LOAD = """
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from model_rows import TABLES
from modelworks.models import pipeline
from modelworks.registry.models import read_model

# skops imports PyTorch itself where it is installed.
assert not {"lightgbm", "xgboost", "keras", "tensorflow"} & {*sys.modules}, "slow, and not needed yet"
table, model, rows, prediction = sys.argv[1:]
project = TABLES[table].project
np.save(prediction, pipeline.predict(project, read_model(project, Path(model)), pd.read_pickle(rows)))
"""
SERVE = """
import json, sys

import numpy as np
import pandas as pd
import mlflow.pyfunc
from fastapi.testclient import TestClient
from flights import FLIGHTS  # which makes the project's package importable, as its environment does
from mlflow.pyfunc.scoring_server import init

model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.read_pickle(sys.argv[2])
split = {"dataframe_split": json.loads(rows.to_json(orient="split", date_format="iso", date_unit="us"))}
answer = TestClient(init(model)).post("/invocations", json=split)
assert answer.status_code == 200, answer.text
np.save(sys.argv[3], np.stack([model.predict(rows), np.array(answer.json()["predictions"])]))
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_mlflow_database: Path) -> Settings:
    """Of a project without data."""
    make_home(tmp_path)
    (tmp_path / "weights").symlink_to(IMAGE.home / "weights")
    (tmp_path / "var" / "mlflow").mkdir(parents=True)
    (tmp_path / "var" / "mlflow" / "mlflow.db").write_bytes(new_mlflow_database.read_bytes())
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX) or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return load_settings()


def save(project: Project, settings: Settings, fitted: Pipeline, example: pd.DataFrame, model: Model) -> Path:
    """Save a model; returns its file, in MLflow's folder for it."""
    tracker = Tracker(project, settings)
    run_id = tracker.runs.open("saved", "2024-01", {})
    uri = tracker.models.save(run_id, "model", fitted, example, pipeline.packages(project, model))
    folder = settings.home / "fetched"
    folder.mkdir()
    return tracker.models.fetch(uri, folder)


def run(script: str, *arguments: object) -> None:
    ended = run_python("-c", script, *map(str, arguments))
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("case", CASES, ids=["-".join(case) for case in CASES])
def test_saved_model_predicts_the_same_in_a_new_process(
    case: tuple[str, str], settings: Settings, tmp_path: Path
) -> None:
    table: Table = find_table(*case)
    model = table.model_of(case[1])
    fitted = table.fit(table.rows, model)
    file = save(table.project, settings, fitted, table.rows.head(), model)
    table.rows.to_pickle(tmp_path / "rows.pkl")
    run(LOAD, case[0], file, tmp_path / "rows.pkl", tmp_path / "prediction.npy")
    table.check_equal(np.load(tmp_path / "prediction.npy"), table.predict(fitted, table.rows))


@pytest.mark.parametrize("features", [None, FLIGHTS.features], ids=["contract", "derived"])
def test_mlflows_own_server_predicts_the_same(
    features: object, rows, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mlflow models serve` in the project's environment: by pyfunc, and over HTTP."""
    project = replace(FLIGHTS, features=features)
    temp = np.tile([50.0, 20.0, np.nan], 40)
    frame = rows(120, temp=temp, precip=np.tile([0.0, 0.1], 60), delayed=(np.arange(120) % 3 == 1).astype("int64"))
    fitted = pipeline.fit(project, frame, Training(), Model(parameters={"max_iter": 20, "min_samples_leaf": 5}))
    save(project, settings, fitted, frame.head(), Model())
    [folder] = {each.parent for each in (settings.home / "var" / "mlflow").rglob("MLmodel")}
    frame[list(fitted.feature_names_in_)].to_pickle(tmp_path / "rows.pkl")
    run(SERVE, folder, tmp_path / "rows.pkl", tmp_path / "prediction.npy")
    expected = pipeline.predict(project, fitted, frame)
    by_pyfunc, by_http = np.load(tmp_path / "prediction.npy")
    np.testing.assert_array_equal(by_pyfunc[:, 1], expected)
    np.testing.assert_array_equal(by_http[:, 1], expected)
