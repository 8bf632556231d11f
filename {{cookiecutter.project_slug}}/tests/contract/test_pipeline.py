"""All stages on a sample of the data, from the source to answers of the API."""

from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import families, schema, stages, storage, task
from {{ cookiecutter.__package_name }}.config import load_settings
from {{ cookiecutter.__package_name }}.errors import QualityGateError
from {{ cookiecutter.__package_name }}.tracking import Tracker

from sampled import OPEN_GATES
from servers import serving


def train_and_judge() -> dict[str, object]:
    clean = stages.validate(stages.ingest()["dataset_uri"], "run")
    return stages.evaluate(stages.train(clean["dataset_uri"], "run")["run_id"])


def test_model_is_released_scores_answers_and_is_watched(new_project: Callable[..., Path], tmp_path: Path) -> None:
    new_project(**OPEN_GATES)
    stages.deploy(train_and_judge()["run_id"])
    settings = load_settings()

    scores = storage.read_partition(
        storage.find_partitions(settings.storage_uri, "scores", stages.score()["month"])[-1]
    )
    assert len(scores) > 0
    assert np.isfinite(task.from_columns(scores)).all()
    assert set(schema.KEY) <= set(scores)

    assert stages.monitor("monitoring")["result"]

    (tmp_path / "api").mkdir()
    with serving(tmp_path / "api") as api:
        answer = httpx.post(f"{api.url}/predict", json=[schema.EXAMPLE, schema.EXAMPLE])
        assert answer.status_code == 200, answer.text
        first, second = answer.json()["predictions"]
        assert first == second
        wrong = httpx.post(f"{api.url}/predict", json={**schema.EXAMPLE, "no such column": 1})
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "no such column")


def test_model_is_searched_and_the_choice_is_what_is_trained(new_project: Callable[..., Path]) -> None:
    new_project(**OPEN_GATES, SEARCH__FAMILIES='["linear"]', SEARCH__FOLDS="2")
    clean = stages.validate(stages.ingest()["dataset_uri"], "run")
    for family in families.to_search(load_settings(), 2):
        assert stages.search(clean["dataset_uri"], "run", family, 2)["trials"] == 2
    run_id = stages.train(clean["dataset_uri"], "run")["run_id"]
    assert "# Search" in Tracker(load_settings()).load_text(run_id, "leaderboard.md")
    assert stages.evaluate(run_id)["run_id"] == run_id


def test_model_of_shuffled_labels_is_refused(sample: dict[str, pd.DataFrame], new_project: Callable[..., Path]) -> None:
    random = np.random.default_rng(0)
    shuffled = {
        month: frame.assign(**{schema.TARGET: random.permutation(frame[schema.TARGET].to_numpy())}).astype({
            schema.TARGET: schema.DTYPES[schema.TARGET]
        })
        for month, frame in sample.items()
    }
    new_project(shuffled)
    with pytest.raises(QualityGateError, match="beats the baseline"):
        train_and_judge()
