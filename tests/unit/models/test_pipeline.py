from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from flights import FLIGHTS
from modelworks.errors import ContractError
from modelworks.models.columns import MAX_CATEGORIES, ColumnEncoder
from modelworks.models.pipeline import fit, known_categories, predict, skip_needless_encoding
from modelworks.settings import Model, Training

SMALL = Model(parameters={"max_iter": 20, "min_samples_leaf": 5})
PLAIN = replace(FLIGHTS, features=None)
"""Without derived features, so that a model asks for the columns that it uses."""


@pytest.fixture
def learnable(rows) -> pd.DataFrame:
    """200 rows in which a long recent delay means a late arrival."""
    delay = np.tile([0.0, 90.0], 100)
    carrier = np.tile(["AA", "AA", "B6", "B6"], 50)
    return rows(200, recent_delay=delay, carrier=carrier, delayed=(delay > 30).astype("int64"))


def test_columns_are_categories_as_codes_then_times_in_parts_then_numbers() -> None:
    frame = pd.DataFrame({
        "number": [2, 3],
        "text": ["b", "a"],
        "time": pd.to_datetime(["2013-05-06T06:30", "2013-05-12T23:59"]),  # a Monday and a Sunday
        "date": pd.to_datetime(["2013-05-06T06:30", None]),
    })
    features = ColumnEncoder(["text"], ["time"], ["date"], ["number"]).fit(frame)
    np.testing.assert_array_equal(features.transform(frame), [[1, 390, 0, 15831, 2], [0, 1439, 6, np.nan, 3]])
    assert features.get_feature_names_out().tolist() == [
        "text",
        "time_minute_of_day",
        "time_day_of_week",
        "date",
        "number",
    ]


def test_missing_and_unseen_categories_are_nan() -> None:
    features = ColumnEncoder(["text"], [], [], []).fit(pd.DataFrame({"text": ["a", None]}))
    assert np.isnan(features.transform(pd.DataFrame({"text": ["z", None]}))).all()


def test_rare_categories_share_the_last_code() -> None:
    common = [f"c{index:03}" for index in range(MAX_CATEGORIES)]
    features = ColumnEncoder(["text"], [], [], []).fit(pd.DataFrame({"text": [*common, *common, "rare", "unusual"]}))
    codes = features.transform(pd.DataFrame({"text": ["c000", "c249", "rare", "unusual"]}))
    assert codes[:, 0].tolist() == [0, MAX_CATEGORIES - 1, MAX_CATEGORIES, MAX_CATEGORIES]


def test_same_seed_gives_the_same_predictions(learnable: pd.DataFrame) -> None:
    first, second = (predict(FLIGHTS, fit(FLIGHTS, learnable, Training(), SMALL), learnable) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_classes_are_whole_numbers_though_the_target_may_be_null(learnable: pd.DataFrame) -> None:
    assert learnable["delayed"].dtype == "float64"
    assert fit(FLIGHTS, learnable, Training(), SMALL).classes_.tolist() == [0, 1]
    assert fit(FLIGHTS, learnable, Training(), SMALL).classes_.dtype == "int64"


def test_nothing_labelled_is_nothing_to_learn(learnable: pd.DataFrame) -> None:
    with pytest.raises(ContractError, match=r"'delayed': only \[\] in 0 rows"):
        fit(FLIGHTS, learnable.iloc[:0], Training(), SMALL)


def test_model_sees_no_outcome(learnable: pd.DataFrame) -> None:
    model = fit(FLIGHTS, learnable, Training(), SMALL)
    assert not set(model.feature_names_in_) & set(FLIGHTS.contract.outcomes)
    with pytest.raises(ContractError, match="'dep_delay' is an outcome"):
        fit(FLIGHTS, learnable, Training(features=["temp", "dep_delay"]), SMALL)


def test_outcomes_do_not_change_a_prediction(learnable: pd.DataFrame) -> None:
    model = fit(FLIGHTS, learnable, Training(), SMALL)
    np.testing.assert_array_equal(
        predict(FLIGHTS, model, learnable),
        predict(FLIGHTS, model, learnable.assign(dep_delay=999.0, arr_delay=None, delayed=1)),
    )


def test_longer_delays_raise_the_probability(learnable: pd.DataFrame) -> None:
    model = fit(FLIGHTS, learnable, Training(), SMALL)
    calm, jammed = (predict(FLIGHTS, model, learnable.assign(recent_delay=minutes)) for minutes in (0.0, 90.0))
    assert (jammed > calm).all()


def test_unseen_categories_and_nulls_are_predicted(learnable: pd.DataFrame) -> None:
    model = fit(FLIGHTS, learnable, Training(), SMALL)
    strange = learnable.head(3).assign(carrier="ZZ", dest="QQQ", recent_delay=np.nan, temp=np.nan)
    probability = predict(FLIGHTS, model, strange)
    assert ((probability >= 0) & (probability <= 1)).all()


def test_column_order_does_not_matter(learnable: pd.DataFrame) -> None:
    model = fit(FLIGHTS, learnable, Training(), SMALL)
    np.testing.assert_array_equal(
        predict(FLIGHTS, model, learnable), predict(FLIGHTS, model, learnable[learnable.columns[::-1]])
    )


def test_subset_of_features_is_used(learnable: pd.DataFrame) -> None:
    model = fit(PLAIN, learnable, Training(features=["recent_delay"]), SMALL)
    assert list(model.feature_names_in_) == ["recent_delay"]


def test_column_without_any_value_is_left_out(learnable: pd.DataFrame) -> None:
    model = fit(PLAIN, learnable.assign(temp=np.nan), Training(), SMALL)
    assert "temp" not in model.feature_names_in_


def test_one_class_only_is_refused(learnable: pd.DataFrame) -> None:
    with pytest.raises(ContractError, match=r"'delayed': only \[0\] in 200 rows"):
        fit(FLIGHTS, learnable.assign(delayed=0), Training(), SMALL)


def test_needless_encoding_is_skipped_without_a_difference(learnable: pd.DataFrame) -> None:
    model = fit(FLIGHTS, learnable, Training(), SMALL)
    unseen = learnable.assign(carrier="ZZ", dest="ZZZ")
    expected = predict(FLIGHTS, model, learnable), predict(FLIGHTS, model, unseen)
    quick = skip_needless_encoding(model)
    assert quick[-1]._preprocessor is None
    assert np.array_equal(predict(FLIGHTS, quick, learnable), expected[0])
    assert np.array_equal(predict(FLIGHTS, quick, unseen), expected[1])


def test_encoding_that_changes_codes_stays(learnable: pd.DataFrame) -> None:
    model = fit(FLIGHTS, learnable, Training(), SMALL)
    encoder = model[-1]._preprocessor.named_transformers_["encoder"]
    encoder.categories_[0] = encoder.categories_[0] + 1
    assert skip_needless_encoding(model)[-1]._preprocessor is not None
    other = Pipeline([("estimator", DummyClassifier())]).fit(learnable[["distance"]], learnable["delayed"])
    assert skip_needless_encoding(other) is other
    assert known_categories(other) == {}


def test_known_categories_are_those_of_the_rows(learnable: pd.DataFrame) -> None:
    assert known_categories(fit(FLIGHTS, learnable, Training(), SMALL)) == {"carrier": {"AA", "B6"}, "dest": {"LAX"}}
