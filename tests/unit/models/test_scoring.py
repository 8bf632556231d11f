import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from flights import FLIGHTS
from modelworks.errors import ContractError
from modelworks.models import pipeline, scoring
from modelworks.settings import Model, Training


@pytest.fixture
def frame(rows) -> pd.DataFrame:
    """40 rows in which a long recent delay means a late arrival."""
    delay = np.tile([0.0, 90.0], 20)
    return rows(40, recent_delay=delay, delayed=(delay > 30).astype("int64"))


@pytest.fixture
def model(frame: pd.DataFrame) -> Pipeline:
    return pipeline.fit(FLIGHTS, frame, Training(), Model(parameters={"max_iter": 5, "min_samples_leaf": 2}))


def test_a_row_of_scores_for_each_row_under_its_key(frame: pd.DataFrame, model: Pipeline) -> None:
    scores = scoring.score(FLIGHTS, frame, model, "7", 0.5)
    assert scores.columns.tolist() == [*FLIGHTS.contract.identity, "probability", "decision", "model_version"]
    pd.testing.assert_frame_equal(scores[FLIGHTS.contract.identity], frame[FLIGHTS.contract.identity])
    assert scores["model_version"].unique().tolist() == ["7"]
    assert scores["decision"].tolist() == [0, 1] * 20


def test_probability_is_that_of_predict(frame: pd.DataFrame, model: Pipeline) -> None:
    scores = scoring.score(FLIGHTS, frame, model, "7", 0.5)
    np.testing.assert_array_equal(scores["probability"], pipeline.predict(FLIGHTS, model, frame))


def test_decision_is_one_from_the_threshold_on(frame: pd.DataFrame, model: Pipeline) -> None:
    low, high = np.unique(pipeline.predict(FLIGHTS, model, frame))
    decided = {
        t: scoring.score(FLIGHTS, frame, model, "7", t)["decision"].sum() for t in (0, low, high, np.nextafter(high, 1))
    }
    assert list(decided.values()) == [40, 40, 20, 0]


def test_no_rows_give_no_scores(frame: pd.DataFrame, model: Pipeline) -> None:
    scores = scoring.score(FLIGHTS, frame.head(0), model, "7", 0.5)
    assert scores.dtypes.to_dict() == scoring.score(FLIGHTS, frame, model, "7", 0.5).dtypes.to_dict()
    assert scores.empty


def test_no_outcome_is_read_and_none_is_needed(frame: pd.DataFrame, model: Pipeline) -> None:
    columns = scoring.columns(FLIGHTS, model)
    assert not set(columns) & set(FLIGHTS.contract.outcomes)
    pd.testing.assert_frame_equal(
        scoring.score(FLIGHTS, frame[columns], model, "7", 0.5), scoring.score(FLIGHTS, frame, model, "7", 0.5)
    )


def test_column_that_the_model_misses_is_named(frame: pd.DataFrame, model: Pipeline) -> None:
    with pytest.raises(ContractError, match=r"needs columns that the data do not have: temp, humidity;"):
        scoring.score(FLIGHTS, frame.drop(columns=["humidity", "temp"]), model, "7", 0.5)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_are_scored_in_order_and_as_the_whole(frame: pd.DataFrame, model: Pipeline, threads: int) -> None:
    batches = [frame.iloc[start : start + 7] for start in range(0, len(frame), 7)]
    scores = pd.concat(scoring.score_batches(FLIGHTS, batches, model, "7", 0.5, threads))
    pd.testing.assert_frame_equal(scores, scoring.score(FLIGHTS, frame, model, "7", 0.5), check_exact=True)


def test_no_more_batches_are_read_than_threads_can_take(frame: pd.DataFrame, model: Pipeline) -> None:
    read: list[int] = []
    batches = (read.append(number) or frame for number in range(100))
    scores = scoring.score_batches(FLIGHTS, batches, model, "7", 0.5, threads=2)
    next(scores)
    assert len(read) == 3
    scores.close()


def test_batch_that_cannot_be_scored_stops_the_rest(frame: pd.DataFrame, model: Pipeline) -> None:
    with pytest.raises(ContractError, match="temp"):
        list(scoring.score_batches(FLIGHTS, [frame, frame.drop(columns="temp"), frame], model, "7", 0.5, threads=2))
