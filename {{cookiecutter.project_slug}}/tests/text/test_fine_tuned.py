"""The transformer that goes on learning: the same each time, saved with its weights, and better than a guess."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from {{ cookiecutter.__package_name }} import task, training
from {{ cookiecutter.__package_name }}.config import Model, Training, load_settings
from {{ cookiecutter.__package_name }}.tracking import read_model


@pytest.fixture(scope="module")
def tuned(changes: pd.DataFrame) -> Pipeline:
    """Two epochs of a month; larger steps make up for few rows."""
    return training.fit(changes.iloc[40:], Training(), tuning())


def tuning() -> Model:
    changed = {"family": "fine_tuned", "max_tokens": 24, "parameters": {"epochs": 2, "step_size": 2e-4}}
    return load_settings().model.model_copy(update=changed)


def test_it_learns(tuned: Pipeline, changes: pd.DataFrame) -> None:
    held_out = changes.head(40)
    target = task.code(held_out["area"])
    baseline = task.fit_baseline(task.code(changes["area"].iloc[40:])).predict(40)
    loss = task.row_losses(target, training.predict(tuned, held_out)).mean()
    assert loss < task.row_losses(target, baseline).mean() - 0.1


def test_the_same_rows_and_seed_give_the_same_network(tuned: Pipeline, changes: pd.DataFrame) -> None:
    again = training.fit(changes.iloc[40:], Training(), tuning())
    assert training.predict(again, changes).tolist() == training.predict(tuned, changes).tolist()


def test_what_was_saved_predicts_the_same(tuned: Pipeline, changes: pd.DataFrame, tmp_path: Path) -> None:
    skops.io.dump(tuned, tmp_path / "model.skops")
    assert (tmp_path / "model.skops").stat().st_size > 50_000_000  # its weights are its own
    loaded = read_model(tmp_path / "model.skops")
    assert training.predict(loaded, changes) == pytest.approx(training.predict(tuned, changes), abs=1e-6)


def test_a_row_alone_is_predicted_as_among_others(tuned: Pipeline, changes: pd.DataFrame) -> None:
    alone = training.predict(tuned, changes.head(1))
    assert alone[0] == pytest.approx(training.predict(tuned, changes)[0], abs=1e-5)


def test_its_texts_are_watched_as_vectors(tuned: Pipeline, changes: pd.DataFrame) -> None:
    found = training.watched(tuned, changes[list(tuned.feature_names_in_)])
    assert list(found) == ["kind", *(f"title ({number})" for number in range(1, 6))]
    assert (
        np.abs(found.drop(columns="kind").to_numpy()).max() < 1
    )  # as of vectors of length 1, not of numbers of tokens


def test_a_gap_has_a_prediction(tuned: Pipeline, changes: pd.DataFrame) -> None:
    gap = changes.head(2).assign(title=pd.Series([None, "fix a test"], dtype="str"))
    assert training.predict(tuned, gap).sum(axis=1) == pytest.approx(1)


def test_an_unfitted_copy_has_its_parameters(tuned: Pipeline) -> None:
    estimator = tuned.steps[-1][1]
    assert clone(estimator).get_params() == estimator.get_params()
