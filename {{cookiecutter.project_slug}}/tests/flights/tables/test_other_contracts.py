"""Whatever the contract is: its rows are read, predicted, scored, answered and logged."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from starlette.requests import Request

from {{ cookiecutter.__package_name }} import releases, schema, scoring, task, training
from {{ cookiecutter.__package_name }}.config import Model, Training, load_settings
from {{ cookiecutter.__package_name }}.errors import ReleaseError
from {{ cookiecutter.__package_name }}.serving import create_app, payload, prediction_log
from {{ cookiecutter.__package_name }}.serving.api import Api
from {{ cookiecutter.__package_name }}.serving.champion import Served
from {{ cookiecutter.__package_name }}.serving.payload import Refusal, RequestReader

from other_contract import CONTRACTS, make_rows, run_under

READER = RequestReader(1000)
SCORES = {
    "species": [
        *("no.", "probability_se tosa", 'probability_vers"icolor', "probability_größte", "decision", "model_version")
    ],
    "price": ["sold at", "house", "prediction", "model_version"],
    "ill": ["visit", "patient", "probability", "decision", "model_version"],
    "label": ["id", "probability", "decision", "model_version"],
}
ANSWERS = {
    "species": {"decision", "probabilities"},
    "price": {"prediction"},
    "ill": {"probability", "decision"},
    "label": {"probability", "decision"},
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_prediction_reaches_its_readers_whatever_the_contract(name: str, tmp_path: Path) -> None:
    run_under(CONTRACTS[name], tmp_path, check_rows, check_scores, check_answers, check_log, check_sample)


def fit(frame: pd.DataFrame) -> Pipeline:
    return training.fit(frame, Training(), Model(max_iter=5, min_samples_leaf=5))


def known_beforehand(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return schema.to_records(frame[schema.columns("time", "key", "feature")])


def refused(row: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(Refusal) as raised:
        READER.read(json.dumps([schema.EXAMPLE, row]).encode())
    assert raised.value.status == 422
    return list(raised.value.errors)


def check_rows() -> None:
    """Every column is read under its name, and each mistake is told under it."""
    [row], _ = READER.read(json.dumps(schema.EXAMPLE).encode())
    assert list(row) == schema.columns("time", "key", "feature")
    for name, value in list(row.items())[:20]:
        assert value == (pd.Timestamp(schema.EXAMPLE[name]) if schema.is_time(name) else schema.EXAMPLE[name])
        wrong = 7 if schema.is_text(name) or schema.is_time(name) else "7"
        assert [field for field, _ in refused({**schema.EXAMPLE, name: wrong})] == [f"[1].{name}"]
        without = {key: value for key, value in schema.EXAMPLE.items() if key != name}
        if name in schema.FEATURES:
            assert refused(without) == [(f"[1].{name}", "Field required")]
        else:
            assert READER.read(json.dumps(without).encode())[0] == [{**row, name: None}]
        if not schema.SCHEMA.columns[name].nullable:
            assert [field for field, _ in refused({**schema.EXAMPLE, name: None})] == [f"[1].{name}"]
    assert refused({**schema.EXAMPLE, schema.TARGET: 0}) == [(f"[1].{schema.TARGET}", "Extra inputs are not permitted")]


def check_scores() -> None:
    """A row of scores for each row, from which the prediction can be read again."""
    frame = make_rows(200)
    model = fit(frame)
    part = frame.iloc[50:]
    scores = scoring.score(part[scoring.columns(model)], model, "7", 0.5)
    assert scores.columns.tolist() == SCORES[schema.TARGET]
    pd.testing.assert_frame_equal(scores[schema.IDENTITY], part[schema.IDENTITY])
    prediction = training.predict(model, part)
    np.testing.assert_array_equal(task.from_columns(scores), prediction)
    if not task.IS_REGRESSION:
        assert scores["decision"].tolist() == payload.decide(prediction, 0.5)
        assert (scores["decision"] == part[schema.TARGET]).mean() > 0.9
    nothing = scoring.score(part.head(0), model, "7", 0.5)
    assert nothing.dtypes.to_dict() == scores.dtypes.to_dict()


def check_answers() -> None:
    """The API answers what the model predicts, as its specification says."""
    frame = make_rows(200)
    model, rows = fit(frame), known_beforehand(frame)
    settings = load_settings()
    api = Api(settings)
    api.follower.served = Served(
        version="7",
        run_id="r",
        model=training.skip_needless_encoding(model),
        categories=training.known_categories(model),
        metrics={},
        holdout_month="2024-01",
        held_out="20% of the rows, by chance",
        since="",
        source="registry",
    )
    assert api.describe_model().held_out == "20% of the rows, by chance"
    spec = create_app(settings).openapi()
    body = spec["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for sent in (body["examples"]["one row"]["value"], rows[:3]):
        jsonschema.validate(sent, {**body["schema"], "components": spec["components"]})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**rows[0], "spare": 1}, {**body["schema"], "components": spec["components"]})
    answer = json.loads(asyncio.run(api.answer(request(rows[:50]))))
    described = {"$ref": "#/components/schemas/Answer", "components": spec["components"]}
    jsonschema.validate(answer, described)
    assert all(each.keys() == ANSWERS[schema.TARGET] for each in answer["predictions"])
    predicted = [values_of(each) for each in answer["predictions"]]
    prediction = training.predict(model, frame.head(50))
    np.testing.assert_array_equal(predicted, prediction)
    if not task.IS_REGRESSION:
        decided = task.decide(prediction, settings.serving.decision_threshold)
        assert [each["decision"] for each in answer["predictions"]] == decided.tolist()
    wrong = {**answer["predictions"][0], "decision": "none of them"}  # and a number has no decision at all
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**answer, "predictions": [wrong]}, described)


def values_of(predicted: dict[str, Any]) -> float | list[float]:
    if "probabilities" in predicted:
        return [predicted["probabilities"][str(name)] for name in schema.CLASSES]
    return predicted["prediction" if task.IS_REGRESSION else "probability"]


def request(rows: list[dict[str, Any]]) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(rows).encode()}

    headers = [(b"content-type", b"application/json")]
    return Request({"type": "http", "headers": headers, "request_id": "mine"}, receive)


def check_log() -> None:
    """The log has the row as it was asked for, and the prediction in the columns of the scores."""
    frame = make_rows(200)
    model = fit(frame)
    rows, _ = READER.read(json.dumps(known_beforehand(frame)).encode())
    prediction = training.predict(model, frame)
    answered = prediction_log.Answered(
        "mine", datetime.now(UTC), "7", rows, prediction, payload.decide(prediction, 0.5)
    )
    logged = prediction_log.to_table([answered, answered]).to_pandas().iloc[200:].reset_index(drop=True)
    assert logged["request_id"].unique().tolist() == ["mine"]
    names = schema.columns("time", "key", "feature")
    pd.testing.assert_frame_equal(logged[names].astype(frame[names].dtypes), frame[names])
    scores = scoring.score(frame, model, "7", 0.5)
    same = [name for name in scores if name not in names]
    pd.testing.assert_frame_equal(logged[same].astype(scores[same].dtypes), scores[same])


def check_sample() -> None:
    """A model that was kept predicts its sample as before, and another one does not."""
    frame = make_rows(200)
    model, other = fit(frame), fit(frame.assign(**{schema.TARGET: frame[schema.TARGET].to_numpy()[::-1]}))
    rows = frame[schema.FEATURES].tail(50)
    sample = {"rows": schema.to_records(rows), "prediction": training.predict(model, rows).tolist()}
    kept = json.loads(json.dumps(sample))
    releases.check_sample(model, kept, "7")
    with pytest.raises(ReleaseError, match="version 7: loaded from the registry it predicts differently"):
        releases.check_sample(other, kept, "7")
