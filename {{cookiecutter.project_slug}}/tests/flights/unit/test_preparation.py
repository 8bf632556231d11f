import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package_name }} import preparation, training
from {{ cookiecutter.__package_name }}.config import Model, Training
from {{ cookiecutter.__package_name }}.errors import ConfigError

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
    pipeline = training.fit(frame, FEATURES, Model(**model))
    return np.asarray(pipeline[:-1].transform(frame[list(pipeline.feature_names_in_)]), "float64")[:4]


def test_boosting_gets_codes_and_gaps_as_they_are(learnable: pd.DataFrame) -> None:
    np.testing.assert_array_equal(prepared(learnable), [[0, 0, 50], [0, 90, 70], [1, 0, np.nan], [1, 90, 60]])


def test_category_becomes_a_column_each(learnable: pd.DataFrame) -> None:
    one_hot = prepared(learnable, family="linear", encoding="onehot")
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
    numbers = prepared(learnable, family="linear", scaling=scaling)[:, 2:4]
    assert np.abs(numbers).max() < 4


def test_features_that_say_most_are_selected(learnable: pd.DataFrame) -> None:
    model = training.fit(learnable, FEATURES, Model(selected_fraction=0.3))
    assert list(model.feature_names_in_) == ["recent_delay"]


def test_time_is_selected_by_one_of_its_parts(rows) -> None:
    frame = rows(200)
    frame = frame.assign(delayed=(frame["scheduled_departure"].dt.hour < 12).astype("int64"))
    settings = Training(features=["scheduled_departure", "temp", "humidity"])
    model = training.fit(frame, settings, Model(selected_fraction=0.25, min_samples_leaf=5))
    assert list(model.feature_names_in_) == ["scheduled_departure"]
    assert training.predict(model, frame).min() < 0.2


def test_family_says_what_it_cannot_take() -> None:
    with pytest.raises(
        ConfigError,
        match=r"\[model\] imputation = 'native': the family 'linear' cannot take it; allowed: median, mean",
    ):
        preparation.choices(Model(family="linear", imputation="native"))


def test_family_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(
        ConfigError, match=r"\[model\] family = 'magic': no such family; there are blend, boosting, forest"
    ):
        preparation.choices(Model(family="magic"))
