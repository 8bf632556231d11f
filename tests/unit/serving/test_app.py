"""The app with models that were fitted a moment ago: no registry, no process of its own."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from flights import FLIGHTS, Rows, make_home
from modelworks.contract import Contract, column, identifier, one_of, regression
from modelworks.data import frames
from modelworks.models import pipeline
from modelworks.models.fast import Predictor, make_predictor
from modelworks.project import Project
from modelworks.serving import create_app
from modelworks.serving.champion import Served
from modelworks.settings import Model, Training, load_settings

BOXES = Project(
    contract=Contract(
        target=regression("price", "what it costs", unit="EUR"),
        columns=[
            identifier("id", "str", "box"),
            column("colour", "str", "colour of the box", one_of("red", "blue")),
            column("mass", "float64", "mass", unit="kg"),
        ],
        key=["id"],
        example={"id": "a", "colour": "red", "mass": 1.5},
    ),
    model_types=FLIGHTS.model_types,
)
FEW_TREES = Model(parameters={"max_iter": 10, "min_samples_leaf": 5})


def add_traffic(rows: pd.DataFrame) -> pd.DataFrame:
    """The flights' rows with the share of an hour's departures that have left."""
    return rows.assign(traffic=rows["recent_departures"] / rows["hour_departures"])


def divide_by_zero(rows: pd.DataFrame) -> pd.DataFrame:
    """The flights' rows with a column that is infinite at a temperature of 0 degrees, which no row of training has."""
    return rows.assign(inverse=1 / rows["temp"])


def make_flights(rows: Rows) -> pd.DataFrame:
    """Flights that are late where more have left than an hour has."""
    drawn = np.random.default_rng(7)
    frame = rows(
        300,
        carrier=drawn.choice(["AA", "DL", "UA"], 300),
        recent_departures=drawn.integers(0, 60, 300),
        hour_departures=drawn.integers(10, 50, 300),
        temp=np.where(drawn.random(300) < 0.2, np.nan, drawn.normal(60, 10, 300)),
    )
    return frame.assign(delayed=frame["recent_departures"].gt(frame["hour_departures"]).astype("float64"))


def make_boxes() -> pd.DataFrame:
    """Boxes that cost twice their mass, and one more where they are red."""
    drawn = np.random.default_rng(7)
    mass, colour = drawn.random(200), drawn.choice(["red", "blue"], 200)
    price = 2 * mass + (colour == "red")
    return pd.DataFrame({"id": [f"b{at}" for at in range(200)], "colour": colour, "mass": mass, "price": price})


def to_predictor(project: Project, model: Pipeline) -> Predictor:
    """Checked on the contract's example, in place of a sample."""
    return make_predictor(project, pipeline.skip_needless_encoding(model), [project.contract.example])


def serve(project: Project, model: Pipeline, home: Path) -> Any:
    """An app that answers with a model."""
    make_home(home)
    app = create_app(project, load_settings(home, {"serving": {"log_predictions": False}}))
    app.state.api.follower.served = Served(
        version="7",
        run_id="r",
        predictor=to_predictor(project, model),
        categories=pipeline.known_categories(model),
        metrics={},
        holdout_period="",
        held_out="",
        since="",
        source="registry",
    )
    return app


def ask(app: Any, *bodies: object, query: str = "") -> list[dict[str, Any]]:
    """The answers to requests that come one after the other."""

    async def post() -> list[dict[str, Any]]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return [(await client.post(f"/predict{query}", json=body)).json() for body in bodies]

    return asyncio.run(post())


def to_rows(project: Project, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as a client sends it: outcomes are not known yet."""
    return frames.to_records(frame[project.contract.names_of("time", "key", "feature")])


def test_two_projects_are_served_in_one_process(tmp_path: Path, rows: Rows) -> None:
    flights, boxes = make_flights(rows), make_boxes()
    of_flights = pipeline.fit(FLIGHTS, flights, Training(), FEW_TREES)
    of_boxes = pipeline.fit(BOXES, boxes, Training(), FEW_TREES)
    expected = pipeline.predict(FLIGHTS, of_flights, flights), pipeline.predict(BOXES, of_boxes, boxes)
    apps = serve(FLIGHTS, of_flights, tmp_path / "flights"), serve(BOXES, of_boxes, tmp_path / "boxes")
    for _ in range(2):
        [answer] = ask(apps[0], to_rows(FLIGHTS, flights))
        assert [each["probability"] for each in answer["predictions"]] == pytest.approx(expected[0], abs=1e-12)
        [answer] = ask(apps[1], to_rows(BOXES, boxes))
        assert [each["prediction"] for each in answer["predictions"]] == pytest.approx(expected[1], abs=1e-12)
        [refused] = ask(apps[1], FLIGHTS.contract.example)
        assert refused["errors"][0] == {"field": "colour", "message": "Field required"}
    specs = [app.openapi() for app in apps]
    assert [list(spec["components"]["schemas"]["Row"]["properties"]) for spec in specs] == [
        FLIGHTS.contract.names_of("time", "key", "feature"),
        ["id", "colour", "mass"],
    ]
    assert [spec["info"]["version"] for spec in specs] == [FLIGHTS.contract.version, BOXES.contract.version]


def test_derived_features_change_predictions_and_not_the_request(tmp_path: Path, rows: Rows) -> None:
    """The API derives what training derived, of one row and of many."""
    frame = make_flights(rows)
    plain, derived = replace(FLIGHTS, features=None), replace(FLIGHTS, features=add_traffic)
    model = pipeline.fit(derived, frame, Training(), FEW_TREES)
    assert "traffic" in pipeline.find_column_encoder(model).get_feature_names_out()
    expected = pipeline.predict(derived, model, frame)
    without = pipeline.predict(plain, pipeline.fit(plain, frame, Training(), FEW_TREES), frame)
    assert np.abs(expected - without).max() > 0.01
    app = serve(derived, model, tmp_path / "derived")
    sent = to_rows(derived, frame)
    many, *ones = ask(app, sent, *sent[:20])
    assert [each["probability"] for each in many["predictions"]] == pytest.approx(expected, abs=1e-12)
    assert [each["predictions"][0]["probability"] for each in ones] == pytest.approx(expected[:20], abs=1e-12)
    [refused] = ask(app, {**sent[0], "traffic": 1.0})
    assert refused["errors"] == [{"field": "traffic", "message": "Extra inputs are not permitted"}]
    schema = app.openapi()["components"]["schemas"]["Row"]
    assert schema == serve(plain, model, tmp_path / "plain").openapi()["components"]["schemas"]["Row"]


def test_derived_feature_that_fails_for_one_row_is_named_and_fails_no_other(tmp_path: Path, rows: Rows, caplog) -> None:
    frame = make_flights(rows)
    project = replace(FLIGHTS, features=divide_by_zero)
    app = serve(project, pipeline.fit(project, frame, Training(), FEW_TREES), tmp_path / "home")
    row = to_rows(project, frame)[0]
    good, bad, again = ask(app, row, {**row, "temp": 0.0}, row)
    assert good["predictions"] == again["predictions"]
    [error] = bad["errors"]
    assert error["field"] == "model"
    assert "divide_by_zero column 'inverse' is infinite in 1 of 1 rows" in error["message"]
    assert bad["request_id"] in caplog.text


def test_app_of_a_given_project_leaves_the_environment_alone(tmp_path: Path) -> None:
    make_home(tmp_path)
    settings = load_settings(tmp_path)
    before = dict(os.environ)
    assert create_app(FLIGHTS, settings).title == "flight-delays: predictions"
    assert dict(os.environ) == before


@pytest.mark.parametrize("model_type", ["boosting", "linear"])
def test_explanation_is_added_on_request_and_sums_to_the_probability(
    tmp_path: Path, rows: Rows, model_type: str
) -> None:
    frame = make_flights(rows)
    model = pipeline.fit(FLIGHTS, frame, Training(), FEW_TREES.model_copy(update={"type": model_type}))
    app, sent = serve(FLIGHTS, model, tmp_path), to_rows(FLIGHTS, frame)[:3]
    [plain], [explained] = ask(app, sent), ask(app, sent, query="?explain=true")
    [refused] = ask(app, sent, query="?explain=yes")
    assert plain.keys() == {"request_id", "model_version", "predictions"}
    assert explained["predictions"] == plain["predictions"]
    assert explained["explanation"]["unit"] == "log-odds of 1"
    for row, prediction in zip(explained["explanation"]["rows"], plain["predictions"], strict=True):
        assert list(row["contributions"]) == pipeline.used_features(model)
        assert row["base"] + sum(row["contributions"].values()) == pytest.approx(row["margin"], abs=1e-9)
        assert 1 / (1 + np.exp(-row["margin"])) == pytest.approx(prediction["probability"], abs=1e-9)
    assert refused["errors"] == [{"field": "explain", "message": "expected true or false, not 'yes'"}]


def test_model_that_cannot_be_explained_says_so_and_still_predicts(tmp_path: Path, rows: Rows) -> None:
    frame = make_flights(rows)
    model = pipeline.fit(FLIGHTS, frame, Training(), FEW_TREES.model_copy(update={"type": "blend"}))
    app, sent = serve(FLIGHTS, model, tmp_path), to_rows(FLIGHTS, frame)[:2]
    [refused] = ask(app, sent, query="?explain=true")
    [error] = refused["errors"]
    assert error["field"] == "explain"
    assert error["message"].startswith("a VotingClassifier cannot be explained: its prediction is no sum of")
    assert len(ask(app, sent)[0]["predictions"]) == 2


def test_many_rows_are_explained_as_one_by_one(tmp_path: Path, rows: Rows) -> None:
    frame = make_flights(rows)
    app = serve(FLIGHTS, pipeline.fit(FLIGHTS, frame, Training(), FEW_TREES), tmp_path)
    sent = to_rows(FLIGHTS, frame)[:150]  # more than a batch
    many, last = ask(app, sent, sent[-1], query="?explain=true")
    assert len(many["explanation"]["rows"]) == 150
    [alone] = last["explanation"]["rows"]
    assert many["explanation"]["rows"][-1]["contributions"] == pytest.approx(alone["contributions"], abs=1e-12)


def test_champion_that_changes_is_explained_by_itself(tmp_path: Path, rows: Rows) -> None:
    frame = make_flights(rows)
    first = pipeline.fit(FLIGHTS, frame, Training(), FEW_TREES)
    second = pipeline.fit(FLIGHTS, frame, Training(), FEW_TREES.model_copy(update={"type": "linear"}))
    app, row = serve(FLIGHTS, first, tmp_path), to_rows(FLIGHTS, frame)[0]
    [before] = ask(app, row, query="?explain=true")
    follower = app.state.api.follower
    follower.served = replace(follower.served, version="8", predictor=to_predictor(FLIGHTS, second))
    [after] = ask(app, row, query="?explain=true")
    assert before["explanation"]["rows"] != after["explanation"]["rows"]
    assert after["explanation"]["rows"][0]["base"] == pytest.approx(second[-1].intercept_[0])


def test_specification_describes_explanations(tmp_path: Path, rows: Rows) -> None:
    app = serve(FLIGHTS, pipeline.fit(FLIGHTS, make_flights(rows), Training(), FEW_TREES), tmp_path)
    described = app.openapi()
    [parameter] = described["paths"]["/predict"]["post"]["parameters"]
    assert (parameter["name"], parameter["in"], parameter["schema"]["type"]) == ("explain", "query", "boolean")
    schemas = described["components"]["schemas"]
    assert schemas["Answer"]["required"] == ["request_id", "model_version", "predictions"]
    assert schemas["Answer"]["properties"]["explanation"] == {"$ref": "#/components/schemas/Explanation"}
    assert schemas["RowExplanation"]["required"] == ["margin", "base", "contributions"]
