from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flights import FLIGHTS
from modelworks.errors import ConfigError
from modelworks.models import pipeline, preprocessing
from modelworks.settings import Model, Training

PLAIN = replace(FLIGHTS, features=None)
FEATURES = Training(features=["recent_delay", "carrier", "temp"])


@pytest.fixture
def learnable(rows) -> pd.DataFrame:
    """Flights that are late after a long delay, some of whose temperatures are missing."""
    delay = np.tile([0.0, 90.0], 100)
    return rows(
        200,
        recent_delay=delay,
        carrier=np.tile(["AA", "AA", "B6", "B6"], 50),
        temp=np.tile([50.0, 70.0, np.nan, 60.0, 80.0], 40),
        delayed=(delay > 30).astype("int64"),
    )


def prepared(frame: pd.DataFrame, **model: object) -> np.ndarray:
    """What the estimator gets of the first four rows: carrier, delay and temperature, prepared."""
    fitted = pipeline.fit(PLAIN, frame, FEATURES, Model(**model))
    return np.asarray(fitted[:-1].transform(frame[list(fitted.feature_names_in_)]), "float64")[:4]


def test_boosting_gets_codes_and_gaps_as_they_are(learnable: pd.DataFrame) -> None:
    np.testing.assert_array_equal(prepared(learnable), [[0, 0, 50], [0, 90, 70], [1, 0, np.nan], [1, 90, 60]])


def test_category_becomes_a_column_each(learnable: pd.DataFrame) -> None:
    one_hot = prepared(learnable, type="linear", encoding="onehot")
    np.testing.assert_array_equal(one_hot[:, :2], [[1, 0], [1, 0], [0, 1], [0, 1]])


def test_category_becomes_its_mean_of_the_target(learnable: pd.DataFrame) -> None:
    frame = learnable.assign(delayed=(learnable["carrier"] == "B6").astype("int64"))
    np.testing.assert_allclose(prepared(frame, encoding="target")[:, 0], [0, 0, 1, 1], atol=0.05)


@pytest.mark.parametrize(("imputation", "filled"), [("median", 65.0), ("mean", 65.0)])
def test_gap_is_filled_and_marked(learnable: pd.DataFrame, imputation: str, filled: float) -> None:
    np.testing.assert_array_equal(
        prepared(learnable, imputation=imputation)[:, 2:], [[50, 0], [70, 0], [filled, 1], [60, 0]]
    )


@pytest.mark.parametrize("scaling", ["standard", "squashing"])
def test_numbers_are_of_one_size(learnable: pd.DataFrame, scaling: str) -> None:
    numbers = prepared(learnable, type="linear", scaling=scaling)[:, 2:4]
    assert np.abs(numbers).max() < 4


def test_features_that_say_most_are_selected(learnable: pd.DataFrame) -> None:
    model = pipeline.fit(PLAIN, learnable, FEATURES, Model(selected_fraction=0.3))
    assert list(model.feature_names_in_) == ["recent_delay"]


def test_time_is_selected_by_one_of_its_parts(rows) -> None:
    frame = rows(200)
    frame = frame.assign(delayed=(frame["scheduled_departure"].dt.hour < 12).astype("int64"))
    settings = Training(features=["scheduled_departure", "temp", "humidity"])
    model = pipeline.fit(PLAIN, frame, settings, Model(selected_fraction=0.25, parameters={"min_samples_leaf": 5}))
    assert list(model.feature_names_in_) == ["scheduled_departure"]
    assert pipeline.predict(PLAIN, model, frame).min() < 0.2


def test_model_type_says_what_it_cannot_take() -> None:
    with pytest.raises(
        ConfigError,
        match=r"\[model\] imputation = 'native': the model type 'linear' cannot take it; allowed: median, mean",
    ):
        preprocessing.choices(FLIGHTS, Model(type="linear", imputation="native"))


def test_error_of_an_unknown_model_type_names_those_that_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"\[model\] type = 'magic': no such model type; models.py has blend, boosting, forest"
    ):
        preprocessing.choices(FLIGHTS, Model(type="magic"))
    with pytest.raises(ConfigError, match=r"'bosting': no such model type; did you mean 'boosting'\? models.py has"):
        preprocessing.choices(FLIGHTS, Model(type="bosting"))
