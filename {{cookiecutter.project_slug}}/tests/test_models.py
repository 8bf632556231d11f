"""Behaviour of the models: every type fits and predicts, and a fitted one reacts as the domain says."""

import numpy as np
import pandas as pd
import pytest
from modelworks import Project, load_project, load_settings
from modelworks.models import pipeline
from modelworks.settings import Training
from sklearn.pipeline import Pipeline

from conftest import HOME, Sample, known_parameters

MODEL_TYPES = load_project(HOME).model_types
SMALL = known_parameters(load_project(HOME), max_iter=30, min_samples_leaf=20)
MODEL = load_settings(HOME, {"model": {"parameters": SMALL}}).model
TRAINING = Training(threads=1)


@pytest.fixture(scope="module")
def rows(project: Project, sample: Sample) -> pd.DataFrame:
    """Rows of all periods whose target is known."""
    frame = pd.concat(sample.values(), ignore_index=True)
    return frame[frame[project.contract.target.column].notna()].reset_index(drop=True)


def fit(project: Project, rows: pd.DataFrame, model_type: str) -> Pipeline:
    with pipeline.limit_threads(TRAINING):
        return pipeline.fit(project, rows, TRAINING, MODEL.model_copy(update={"type": model_type}))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_each_model_type_beats_the_baseline_on_its_own_rows(
    project: Project, rows: pd.DataFrame, model_type: str
) -> None:
    target = project.contract.target
    labels = target.encode(rows[target.column])
    prediction = pipeline.predict(project, fit(project, rows, model_type), rows)
    assert np.isfinite(prediction).all()
    baseline = target.fit_baseline(labels).predict(len(rows))
    assert target.row_losses(labels, prediction).mean() < target.row_losses(labels, baseline).mean()


@pytest.fixture(scope="module")
def model(project: Project, rows: pd.DataFrame) -> Pipeline:
    """A fitted model of the type that the settings name."""
    return fit(project, rows, MODEL.type)


def test_the_same_rows_give_the_same_model(project: Project, rows: pd.DataFrame, model: Pipeline) -> None:
    again = fit(project, rows, MODEL.type)
    np.testing.assert_array_equal(pipeline.predict(project, again, rows), pipeline.predict(project, model, rows))


def test_outcomes_do_not_change_a_prediction(project: Project, rows: pd.DataFrame, model: Pipeline) -> None:
    known = rows.drop(columns=project.contract.outcomes)
    np.testing.assert_array_equal(pipeline.predict(project, model, known), pipeline.predict(project, model, rows))


def test_the_flight_number_does_not_change_a_prediction(project: Project, rows: pd.DataFrame, model: Pipeline) -> None:
    renumbered = rows.assign(flight=1)
    np.testing.assert_array_equal(pipeline.predict(project, model, renumbered), pipeline.predict(project, model, rows))


@pytest.mark.parametrize(("column", "good", "bad"), [("recent_delay", 0.0, 60.0), ("scheduled_departure", 7, 19)])
def test_late_airports_and_evenings_raise_the_probability_of_a_delay(
    project: Project, rows: pd.DataFrame, model: Pipeline, column: str, good: float, bad: float
) -> None:
    def mean_with(value: float) -> float:
        is_time = project.contract.is_time(column)
        values = rows[column].dt.normalize() + pd.Timedelta(hours=value) if is_time else value
        return float(pipeline.predict(project, model, rows.assign(**{column: values})).mean())

    assert mean_with(bad) > mean_with(good) + 0.05
