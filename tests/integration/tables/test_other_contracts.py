"""Whatever the contract is: its rows are read, predicted, scored, answered and logged."""

import asyncio
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from starlette.requests import Request

from modelworks.contract import Contract
from modelworks.data import frames
from modelworks.errors import ReleaseError
from modelworks.models import pipeline, scoring
from modelworks.models.fast import make_predictor
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.serving import prediction_log
from modelworks.serving.api import Api, build_app
from modelworks.serving.champion import Served
from modelworks.serving.payload import AnswerWriter, RequestReader
from modelworks.serving.problems import Refusal
from modelworks.settings import Model, Training
from tables import CONTRACTS, make_rows, project_of, settings_of

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

each_contract = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)


def fit(contract: Contract, frame: pd.DataFrame) -> Pipeline:
    return pipeline.fit(
        project_of(contract), frame, Training(), Model(parameters={"max_iter": 5, "min_samples_leaf": 5})
    )


def known_at_prediction_time(contract: Contract) -> list[str]:
    return contract.names_of("time", "key", "feature")


@cache
def reader_of(contract: Contract) -> RequestReader:
    """Of a thousand columns, it takes seconds to make."""
    return RequestReader(contract, 1000)


def refused(contract: Contract, row: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(Refusal) as raised:
        reader_of(contract).read(json.dumps([contract.example, row]).encode())
    assert raised.value.status == 422
    return list(raised.value.errors)


@each_contract
def test_every_column_is_read_under_its_name_and_each_mistake_is_named(contract: Contract) -> None:
    example, reader = contract.example, reader_of(contract)
    [row], _ = reader.read(json.dumps(example).encode())
    assert list(row) == known_at_prediction_time(contract)
    for name, value in list(row.items())[:20]:
        assert value == (pd.Timestamp(example[name]) if contract.is_time(name) else example[name])
        wrong = 7 if contract.is_text(name) or contract.is_time(name) else "7"
        assert [field for field, _ in refused(contract, {**example, name: wrong})] == [f"[1].{name}"]
        without = {key: value for key, value in example.items() if key != name}
        if name in contract.features:
            assert refused(contract, without) == [(f"[1].{name}", "Field required")]
        else:
            assert reader.read(json.dumps(without).encode())[0] == [{**row, name: None}]
        if not contract.columns[name].nullable:
            assert [field for field, _ in refused(contract, {**example, name: None})] == [f"[1].{name}"]
    assert refused(contract, {**example, contract.target.column: 0}) == [
        (f"[1].{contract.target.column}", "Extra inputs are not permitted")
    ]


@each_contract
def test_prediction_can_be_read_again_from_the_scores(contract: Contract) -> None:
    project, frame, target = project_of(contract), make_rows(contract, 200), contract.target
    model = fit(contract, frame)
    part = frame.iloc[50:]
    scores = scoring.score(project, part[scoring.columns(project, model)], model, "7", 0.5)
    assert scores.columns.tolist() == SCORES[target.column]
    pd.testing.assert_frame_equal(scores[contract.identity], part[contract.identity])
    prediction = pipeline.predict(project, model, part)
    np.testing.assert_array_equal(target.from_columns(scores), prediction)
    if not target.is_regression:
        assert scores["decision"].tolist() == AnswerWriter(target, 0.5).decide(prediction)
        assert (scores["decision"] == part[target.column]).mean() > 0.9
    nothing = scoring.score(project, part.head(0), model, "7", 0.5)
    assert nothing.dtypes.to_dict() == scores.dtypes.to_dict()


@each_contract
def test_api_answers_with_the_prediction_as_its_specification_says(contract: Contract, tmp_path: Path) -> None:
    project, settings, frame = project_of(contract), settings_of(tmp_path), make_rows(contract, 200)
    model, rows = fit(contract, frame), frames.to_records(frame[known_at_prediction_time(contract)])
    api = Api(project, settings)
    api.follower.served = served(project, model, rows[-20:])
    assert (api.describe_model().few_rows_by, api.describe_model().few_rows_reason) == ("treelite", "")
    assert api.describe_model().held_out == "20% of the rows, by chance"
    spec = build_app(project, settings).openapi()
    body = spec["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for sent in (body["examples"]["one row"]["value"], rows[:3]):
        jsonschema.validate(sent, {**body["schema"], "components": spec["components"]})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**rows[0], "spare": 1}, {**body["schema"], "components": spec["components"]})
    answer = json.loads(asyncio.run(api.answer(request(rows[:50]))))
    described = {"$ref": "#/components/schemas/Answer", "components": spec["components"]}
    jsonschema.validate(answer, described)
    assert all(each.keys() == ANSWERS[contract.target.column] for each in answer["predictions"])
    predicted = [values_of(contract, each) for each in answer["predictions"]]
    prediction = pipeline.predict(project, model, frame.head(50))
    np.testing.assert_allclose(predicted, prediction, rtol=1e-12, atol=1e-12)
    decided = contract.target.decide(prediction, settings.evaluation.decision_threshold)
    if decided is not None:
        assert [each["decision"] for each in answer["predictions"]] == decided.tolist()
    wrong = {**answer["predictions"][0], "decision": "none of them"}  # and a number has no decision at all
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**answer, "predictions": [wrong]}, described)


def served(project: Project, model: Pipeline, sample: list[dict[str, Any]]) -> Served:
    return Served(
        version="7",
        run_id="r",
        predictor=make_predictor(project, pipeline.skip_needless_encoding(model), sample),
        categories=pipeline.known_categories(model),
        metrics={},
        holdout_period="2024-01",
        held_out="20% of the rows, by chance",
        since="",
        source="registry",
    )


def values_of(contract: Contract, predicted: dict[str, Any]) -> float | list[float]:
    if "probabilities" in predicted:
        return [predicted["probabilities"][str(name)] for name in contract.target.classes]
    return predicted["prediction" if contract.target.is_regression else "probability"]


def request(rows: list[dict[str, Any]]) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(rows).encode()}

    headers = [(b"content-type", b"application/json")]
    return Request({"type": "http", "headers": headers, "query_string": b"", "request_id": "mine"}, receive)


@each_contract
def test_log_has_the_row_of_the_request_and_the_columns_of_the_scores(contract: Contract) -> None:
    project, frame = project_of(contract), make_rows(contract, 200)
    model, names = fit(contract, frame), known_at_prediction_time(contract)
    rows, _ = reader_of(contract).read_columns(json.dumps(frames.to_records(frame[names])).encode())
    prediction = pipeline.predict(project, model, frame)
    decisions = AnswerWriter(contract.target, 0.5).decide(prediction)
    answered = prediction_log.Answered("mine", datetime.now(UTC), "7", rows, prediction, decisions)
    logged = prediction_log.to_table(contract, [answered, answered]).to_pandas().iloc[200:].reset_index(drop=True)
    assert logged["request_id"].unique().tolist() == ["mine"]
    pd.testing.assert_frame_equal(logged[names].astype(frame[names].dtypes), frame[names])
    scores = scoring.score(project, frame, model, "7", 0.5)
    same = [name for name in scores if name not in names]
    pd.testing.assert_frame_equal(logged[same].astype(scores[same].dtypes), scores[same])


@each_contract
def test_model_that_was_kept_predicts_its_sample_and_another_does_not(contract: Contract) -> None:
    project, frame, target = project_of(contract), make_rows(contract, 200), contract.target.column
    model = fit(contract, frame)
    other = fit(contract, frame.assign(**{target: frame[target].to_numpy()[::-1]}))
    rows = frame[contract.features].tail(50)
    sample = {
        "rows": frames.to_records(rows),
        "prediction": pipeline.predict(project, model, rows).tolist(),
        "tolerance": 1e-12,
    }
    kept = json.loads(json.dumps(sample))
    ledger.check_sample(project, model, kept, "7")
    with pytest.raises(ReleaseError, match="version 7: loaded from the registry it predicts differently"):
        ledger.check_sample(project, other, kept, "7")
