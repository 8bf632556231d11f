"""The time as features: parts that differ between the training rows, the season as a circle, the trend where asked."""

import json

import numpy as np
import pandas as pd
import pytest

from modelworks.contract import Contract, column, identifier, regression
from modelworks.data import frames
from modelworks.models import pipeline
from modelworks.models.columns import ColumnEncoder, choose_time_parts
from modelworks.models.types import boosting, linear
from modelworks.project import Project
from modelworks.serving.payload import RequestReader
from modelworks.settings import Model, Training

CONTRACT = Contract(
    target=regression("demand", "how much was sold"),
    time="day",
    key=["id"],
    columns=[
        column("day", "datetime64[us]", "when"),
        identifier("id", "int64", "which"),
        column("x", "float64", "a number"),
    ],
    example={"day": "2024-02-29T00:00:00", "id": 1, "x": 0.5},
)
PROJECT = Project(contract=CONTRACT, model_types={"boosting": boosting.MODEL_TYPE, "linear": linear.MODEL_TYPE})
LINEAR = Model(type="linear")


def days_of(count: int, hours: int = 24, first: str = "2022-01-01") -> pd.DataFrame:
    """A row every so many hours, whose demand is x and rises by 0.1 a day."""
    at = pd.date_range(first, periods=count, freq=f"{hours}h").astype("datetime64[us]")
    x = np.random.default_rng(0).random(count)
    return pd.DataFrame({"day": at, "id": np.arange(count), "x": x, "demand": x + 0.1 * hours / 24 * np.arange(count)})


@pytest.mark.parametrize(
    ("count", "hours", "parts"),
    [
        (1, 24, []),
        (8, 24, ["day_of_week"]),
        (4, 168, []),
        (30, 7, ["minute_of_day", "day_of_week"]),
        (731, 24, ["day_of_week"]),
        (732, 24, ["day_of_week", "day_of_year_sin", "day_of_year_cos"]),
    ],
    ids=["one", "days", "weeks", "hours", "two years less a day", "two years"],
)
def test_parts_that_are_the_same_in_each_row_are_left_out(count: int, hours: int, parts: list[str]) -> None:
    times = days_of(count, hours)["day"]
    assert choose_time_parts(times, trend=False) == parts
    assert choose_time_parts(times, trend=True) == [*parts, *(["days"] if count > 1 else [])]


def test_parts_of_a_time_by_hand() -> None:
    parts = ["minute_of_day", "day_of_week", "day_of_year_sin", "day_of_year_cos", "days"]
    frame = pd.DataFrame({"at": pd.to_datetime(["1970-01-01T06:00", "2024-07-02T00:00"])})
    encoded = ColumnEncoder([], ["at"], [], [], parts).fit(frame).transform(frame)
    angle = 2 * np.pi * 183 / 365.25  # 2 July is the 184th day of a leap year
    expected = [[360, 3, 0, 1, 0.25], [0, 1, np.sin(angle), np.cos(angle), 19906]]
    np.testing.assert_allclose(encoded, expected, atol=1e-12)


def names_of(training: Training, frame: pd.DataFrame) -> list[str]:
    model = pipeline.fit(PROJECT, frame, training, LINEAR)
    step = pipeline.find_column_encoder(model)
    assert step
    return list(step.get_feature_names_out())


def test_time_without_a_part_is_no_feature() -> None:
    weekly = days_of(50, 168)
    assert names_of(Training(), weekly) == ["x"]
    assert names_of(Training(trend=True), weekly) == ["day_days", "x"]
    assert names_of(Training(features=["day"]), weekly) == ["day_minute_of_day"]


def test_linear_model_extrapolates_a_trend_and_trees_hold_the_last_level() -> None:
    frame = days_of(400)
    before, after = frame.iloc[:300], frame.iloc[300:]
    error = {}
    for model in (LINEAR, Model(type="boosting", parameters={"min_samples_leaf": 5})):
        fitted = pipeline.fit(PROJECT, before, Training(trend=True, threads=1), model)
        error[model.type] = float((pipeline.predict(PROJECT, fitted, after) - after["demand"]).mean())
    assert abs(error["linear"]) < 0.6  # ridge regression shrinks the slope a little
    assert error["boosting"] == pytest.approx(-5, abs=0.6)  # half of the 10 that are added in 100 days


def test_season_is_a_feature_from_two_years_on() -> None:
    frame = days_of(1200).assign(demand=lambda rows: 10 * np.cos(2 * np.pi * rows["day"].dt.day_of_year / 365.25))
    fitted = pipeline.fit(PROJECT, frame.iloc[:900], Training(), LINEAR)
    after = frame.iloc[900:]
    assert np.abs(pipeline.predict(PROJECT, fitted, after) - after["demand"]).max() < 0.5


def test_row_of_a_request_has_the_features_that_it_has_in_a_batch() -> None:
    frame = days_of(900, 23)
    model = pipeline.fit(PROJECT, frame, Training(trend=True), LINEAR)
    step = pipeline.find_column_encoder(model)
    assert step
    assert len(step.time_parts) == 5
    reader = RequestReader(CONTRACT, max_rows=1000)
    sent = [
        {"day": row.day.isoformat(), "id": row.id, "x": row.x}
        for row in frame[["day", "id", "x"]].itertuples(index=False)
    ]
    one, _ = reader.read(json.dumps(sent[517]).encode())
    many, _ = reader.read(json.dumps(sent).encode())
    features = list(model.feature_names_in_)
    in_batch = step.transform(frame[features])
    np.testing.assert_array_equal(step.transform(frames.to_frame(CONTRACT, many)[features]), in_batch)
    np.testing.assert_array_equal(step.transform(frames.to_frame(CONTRACT, one)[features]), in_batch[[517]])
