"""Derived features: the project's function as a step of the model, and what it may not do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from flights import FLIGHTS
from modelworks.data import frames
from modelworks.errors import ContractError
from modelworks.models import derived, pipeline, scoring
from modelworks.models.derived import DerivedFeatures
from modelworks.project import FeatureFunction, Project
from modelworks.settings import Model, Training

SMALL = Model(parameters={"max_iter": 20, "min_samples_leaf": 5})
PLAIN = replace(FLIGHTS, features=None)
ME = f"{__name__}."


def add_all_kinds(flights: pd.DataFrame) -> pd.DataFrame:
    """A bool, an int, a float, a category and a date."""
    return flights.assign(
        is_cold=flights["temp"] < 32,
        hour=flights["scheduled_departure"].dt.hour.astype("int64"),
        load=flights["hour_departures"] / flights["recent_departures"],
        route=flights["carrier"] + "-" + flights["dest"],
        day=flights["scheduled_departure"].dt.normalize(),
    )


ADDED = {"is_cold": "number", "hour": "number", "load": "number", "route": "category", "day": "date"}
PROJECT = replace(FLIGHTS, features=add_all_kinds)


def with_function(function: FeatureFunction, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a function that belongs to this module."""
    function.__module__ = __name__
    monkeypatch.setitem(globals(), function.__name__, function)
    return replace(FLIGHTS, features=function)


@pytest.fixture
def learnable(rows) -> pd.DataFrame:
    """200 flights; late are those of AA to SFO and of B6 to LAX: no column by itself says which."""
    carrier, dest = np.tile(["AA", "B6"], 100), np.tile(["SFO", "SFO", "LAX", "LAX"], 50)
    temp = np.where(np.arange(200) % 7, 60.0, 20.0)
    late = (carrier == "AA") == (dest == "SFO")
    return rows(200, carrier=carrier, dest=dest, temp=temp, delayed=late.astype("int64"))


@pytest.fixture
def model(learnable: pd.DataFrame) -> Pipeline:
    return pipeline.fit(PROJECT, learnable, Training(), SMALL)


def reread(model: Pipeline, project: Project = PROJECT) -> Pipeline:
    return skops.io.loads(skops.io.dumps(model), trusted=pipeline.trusted_types(project))


def test_derived_columns_are_features_by_their_dtype(model: Pipeline) -> None:
    assert model[0].kinds_ == ADDED
    encoder = pipeline.find_column_encoder(model)
    assert encoder is not None
    assert encoder.texts == ["carrier", "dest", "route"]
    assert encoder.dates == ["day"]
    assert encoder.numbers[-3:] == ["is_cold", "hour", "load"]
    matrix = model[:-1].transform(frames.to_frame(FLIGHTS.contract, [FLIGHTS.contract.example]))
    assert matrix.shape == (1, len(encoder.get_feature_names_out()))
    assert not np.isnan(matrix[0, -3:]).any()


def test_values_are_those_of_the_function(model: Pipeline, rows) -> None:
    frame = rows(2, temp=[31.0, 33.0], hour_departures=[10, 30], recent_departures=[20, 20])
    matrix = pd.DataFrame(
        model[:-1].transform(frame), columns=pipeline.find_column_encoder(model).get_feature_names_out()
    )
    assert matrix["is_cold"].tolist() == [1.0, 0.0]
    assert matrix["hour"].tolist() == [6.0, 13.0]
    assert matrix["load"].tolist() == [0.5, 1.5]
    assert matrix["day"].tolist() == [15826.0, 15826.0]  # 1 May 2013, in days after 1 January 1970


def test_model_learns_what_only_a_derived_feature_says(learnable: pd.DataFrame) -> None:
    """`route` alone says it; stumps add up what carrier and destination say, each by itself."""
    stump = Model(parameters={"max_iter": 60, "min_samples_leaf": 5, "max_leaf_nodes": 2})
    with_it = pipeline.fit(PROJECT, learnable, Training(features=["temp", "route"]), stump)
    without = pipeline.fit(PROJECT, learnable, Training(features=["temp", "carrier", "dest"]), stump)
    late = learnable["delayed"] == 1
    assert pipeline.predict(PROJECT, with_it, learnable[late]).min() > 0.9
    assert pipeline.predict(PROJECT, without, learnable[late]).max() < 0.6


def test_model_asks_for_the_features_of_the_contract_only(model: Pipeline, learnable: pd.DataFrame) -> None:
    """So the API's request schema and the signature in MLflow are those of the contract."""
    assert list(model.feature_names_in_) == FLIGHTS.contract.features
    few = pipeline.fit(PROJECT, learnable, Training(features=["route", "temp"]), SMALL)
    assert list(few.feature_names_in_) == FLIGHTS.contract.features
    assert pipeline.find_column_encoder(few).get_feature_names_out().tolist() == ["route", "temp"]
    assert set(pipeline.known_categories(model)) == {"carrier", "dest"}


def test_no_function_is_no_step(learnable: pd.DataFrame) -> None:
    assert [name for name, _ in pipeline.fit(PLAIN, learnable, Training(), SMALL).steps] == ["columns", "estimator"]
    assert derived.trusted_types(PLAIN) == []


def test_training_batches_and_single_json_rows_agree(model: Pipeline, learnable: pd.DataFrame) -> None:
    expected = pipeline.predict(PROJECT, model, learnable)
    served = pipeline.skip_needless_encoding(reread(model))
    assert served[-1]._preprocessor is None
    batches = scoring.score_batches(
        PROJECT, (learnable.iloc[at : at + 33] for at in range(0, 200, 33)), served, "1", 0.5, threads=2
    )
    np.testing.assert_array_equal(pd.concat(batches)["probability"], expected)
    for at in (0, 7, 13):
        [record] = frames.to_records(learnable.iloc[[at]])
        row = frames.to_frame(FLIGHTS.contract, [record], list(served.feature_names_in_))
        assert pipeline.predict(PROJECT, served, row) == expected[[at]]


def test_rows_of_mlflows_own_server_are_predicted_equally(model: Pipeline, learnable: pd.DataFrame) -> None:
    """It hands over texts as objects and times in nanoseconds."""
    strange = learnable[list(model.feature_names_in_)].astype({
        "scheduled_departure": "datetime64[ns]",
        "carrier": "object",
        "dest": "object",
    })
    np.testing.assert_array_equal(model.predict_proba(strange)[:, 1], pipeline.predict(PROJECT, model, learnable))


def test_clone_is_fitted_to_the_same_model(model: Pipeline, learnable: pd.DataFrame) -> None:
    again = clone(model).fit(learnable[FLIGHTS.contract.features], learnable["delayed"].astype("int64"))
    np.testing.assert_array_equal(
        pipeline.predict(PROJECT, again, learnable), pipeline.predict(PROJECT, model, learnable)
    )


def test_saved_model_names_its_function_and_nothing_else_is_trusted(model: Pipeline) -> None:
    assert reread(model)[0].function is add_all_kinds
    assert f"{ME}add_all_kinds" in pipeline.trusted_types(PROJECT)
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException, match="add_all_kinds"):
        reread(model, replace(FLIGHTS, features=None))


def test_function_is_given_the_features_and_no_outcome(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[pd.DataFrame] = []

    def keep(flights: pd.DataFrame) -> pd.DataFrame:
        seen.append(flights)
        return flights.assign(warm=flights["temp"] > 50)

    project = with_function(keep, monkeypatch)
    model = pipeline.fit(project, learnable, Training(), SMALL)
    pipeline.predict(project, model, learnable)
    pipeline.predict(project, model, learnable.head(1))
    for frame in seen:
        assert list(frame.columns) == FLIGHTS.contract.features
        assert frame.dtypes.astype("str").to_dict() == {
            name: FLIGHTS.contract.dtypes[name] for name in FLIGHTS.contract.features
        }


@pytest.mark.parametrize("count", [1, 200])
def test_function_that_writes_to_its_rows_changes_nobody_elses(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    def write(flights: pd.DataFrame) -> pd.DataFrame:
        flights["warm"] = flights["temp"] > 50
        return flights

    def overwrite(flights: pd.DataFrame) -> pd.DataFrame:
        flights.loc[:, "temp"] = 0.0
        return flights.assign(warm=1)

    project = with_function(write, monkeypatch)
    model = pipeline.fit(project, learnable, Training(), SMALL)
    frame = learnable.head(count)[list(model.feature_names_in_)]
    before = frame.copy(deep=True)
    pipeline.predict(project, model, frame)
    with pytest.raises(ContractError):
        derived.make_step(with_function(overwrite, monkeypatch)).fit(frame)
    pd.testing.assert_frame_equal(frame, before)


def add(**columns: Callable[[pd.DataFrame], Any]) -> FeatureFunction:
    return lambda flights: flights.assign(**columns)


def sorted_anew(flights: pd.DataFrame) -> pd.DataFrame:
    return flights.sort_values("distance", ascending=False).assign(x=1)


MISTAKES: dict[str, tuple[FeatureFunction, str]] = {
    "raises": (add(x=lambda f: f["temp"] / "a"), "raises TypeError: "),
    "reads the target": (add(x=lambda f: f["delayed"]), "reads 'delayed', an outcome: it is not known at prediction"),
    "reads an outcome": (add(x=lambda f: f[["temp", "dep_delay"]].sum(axis=1)), "reads 'dep_delay', an outcome"),
    "reads an outcome as an attribute": (add(x=lambda f: f.arr_delay), "reads 'arr_delay', an outcome: "),
    "reads what there is not": (add(x=lambda f: f["tmep"]), "raises KeyError: 'tmep'; did you mean column 'temp'?"),
    "looks up what there is not": (add(x=lambda _: {}["qqq"]), "raises KeyError: 'qqq'"),
    "reads what is no feature": (add(x=lambda f: f["flight"]), "reads 'flight', which is no feature of the contract"),
    "returns no frame": (lambda flights: flights["temp"], "returns Series, and a DataFrame is wanted"),
    "returns nothing": (lambda flights: None, "returns NoneType, and a DataFrame is wanted"),
    "fewer rows": (lambda flights: flights.assign(x=1).iloc[1:], "returns 11 rows for 12"),
    "more rows": (lambda flights: pd.concat([flights, flights]).assign(x=1), "returns 24 rows for 12"),
    "another order": (sorted_anew, "changes the order or the index of the rows"),
    "another order, hidden": (
        lambda flights: sorted_anew(flights).reset_index(drop=True),
        "changes column 'scheduled_departure' of the contract, or the order of the rows",
    ),
    "changes a column": (add(temp=lambda f: f["temp"].fillna(0) + 1, x=1), "changes column 'temp' of the contract"),
    "changes a dtype": (add(distance=lambda f: f["distance"] * 1.0, x=1), "changes column 'distance' of the contract"),
    "drops a column": (lambda flights: flights.assign(x=1).drop(columns="temp"), "drops column 'temp' of the contract"),
    "adds no column": (lambda flights: flights, "adds no column"),
    "a reserved name": (add(prediction=1), "adds column 'prediction', a name that the contract or the engine uses"),
    "the name of an outcome": (
        add(dep_delay=1),
        "adds column 'dep_delay', a name that the contract or the engine uses",
    ),
    "the name of a key": (add(flight=1), "adds column 'flight', a name that the contract or the engine uses"),
    "two of a name": (
        lambda flights: pd.concat([flights.assign(x=1), flights[["temp"]].set_axis(["x"], axis=1)], axis=1),
        "returns two columns 'x'",
    ),
    "a name that is no str": (
        lambda flights: flights.assign(x=1).rename(columns={"x": 7}),
        "adds column 7, and",
    ),
    "objects": (add(x=lambda f: pd.Series([[1]] * len(f), f.index)), "adds column 'x' of dtype object; allowed: bool"),
    "a duration": (add(x=lambda f: f["scheduled_departure"].diff()), "adds column 'x' of dtype timedelta64"),
    "a time zone": (
        add(x=lambda f: f["scheduled_departure"].dt.tz_localize("UTC")),
        "adds column 'x' of dtype datetime",
    ),
    "pandas categories": (add(x=lambda f: f["carrier"].astype("category")), "adds column 'x' of dtype category"),
    "infinite": (add(x=lambda f: f["distance"] / 0), "column 'x' is infinite in 12 of 12 rows; return a null where"),
}


@pytest.mark.parametrize(("function", "mistake"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_of_a_function_is_refused_by_its_name(
    rows, monkeypatch: pytest.MonkeyPatch, function: FeatureFunction, mistake: str
) -> None:
    function.__name__ = "broken"
    project = with_function(function, monkeypatch)
    frame = rows(12, distance=list(range(100, 112)))
    with pytest.raises(ContractError) as refused:
        pipeline.fit(project, frame, Training(), SMALL)
    assert str(refused.value).startswith(f"{ME}broken {mistake}")


@pytest.mark.parametrize("count", [1, 12], ids=["one row", "twelve rows"])
@pytest.mark.parametrize(
    ("mistaken", "mistake"),
    [
        (lambda f: f.assign(warm=1, temp=0.0), "changes column 'temp' of the contract"),
        (lambda f: f.assign(warm=1).iloc[:0], "returns 0 rows for "),
        (lambda f: f.assign(cold=1), "does not add column 'warm', which the model was trained with; let the function"),
        (lambda f: f.assign(warm="yes"), "column 'warm' has dtype str, and was a number in training"),
        (lambda f: f.assign(warm=np.inf), "column 'warm' is infinite in "),
        (lambda f: f.assign(warm=f["dep_delay"]), "reads 'dep_delay', an outcome"),
        (lambda f: f["temp"], "returns Series"),
    ],
)
def test_mistake_that_shows_only_in_later_rows_is_refused_there(
    rows, monkeypatch: pytest.MonkeyPatch, count: int, mistaken: FeatureFunction, mistake: str
) -> None:
    def by_temperature(flights: pd.DataFrame) -> pd.DataFrame:
        return mistaken(flights) if flights["temp"].max() > 100 else flights.assign(warm=flights["temp"] > 50)

    project = with_function(by_temperature, monkeypatch)
    model = pipeline.fit(project, rows(40), Training(), SMALL)
    with pytest.raises(ContractError) as refused:
        pipeline.predict(project, model, rows(count, temp=101.0))
    assert str(refused.value).startswith(f"{ME}by_temperature {mistake}")


def test_column_that_came_to_the_function_after_training_is_left_out(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_phase(flights: pd.DataFrame) -> pd.DataFrame:
        return flights.assign(**dict.fromkeys(columns, flights["temp"] > 50))

    columns = ["warm"]
    project = with_function(by_phase, monkeypatch)
    model = pipeline.fit(project, learnable, Training(), SMALL)
    before = pipeline.predict(project, model, learnable)
    columns = ["new", "warm", "newer"]
    np.testing.assert_array_equal(pipeline.predict(project, model, learnable), before)
    step = derived.find_step(model)
    assert step.transform(learnable).columns.tolist() == step.get_feature_names_out().tolist()


def test_model_does_not_depend_on_derived_columns_that_it_does_not_use(learnable: pd.DataFrame) -> None:
    some = pipeline.fit(PROJECT, learnable, Training(features=["temp", "load"]), SMALL)
    assert derived.find_step(some).kinds_ == {"load": "number"}
    none = pipeline.fit(PROJECT, learnable, Training(features=["temp"]), SMALL)
    assert derived.find_step(none) is None
    np.testing.assert_array_equal(
        pipeline.predict(PROJECT, none, learnable),
        pipeline.predict(PLAIN, pipeline.fit(PLAIN, learnable, Training(features=["temp"]), SMALL), learnable),
    )


def test_derived_column_of_nulls_is_a_gap_whatever_its_dtype(rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a single row pandas cannot infer the dtype."""

    def name_parts(flights: pd.DataFrame) -> pd.DataFrame:
        is_known = flights["carrier"] != "ZZ"
        return flights.assign(
            kind=flights["carrier"].map({"AA": "old", "B6": "new"}),
            age=flights["carrier"].map({"AA": 80, "B6": 20}) if is_known.all() else None,
            since=flights["scheduled_departure"] if is_known.all() else np.nan,
        )

    project = with_function(name_parts, monkeypatch)
    model = pipeline.fit(project, rows(40, carrier=["AA", "B6"] * 20), Training(), SMALL)
    assert model[0].kinds_ == {"kind": "category", "age": "number", "since": "date"}
    unknown = rows(1, carrier="ZZ")
    assert np.isfinite(pipeline.predict(project, model, unknown)).all()
    encoder = pipeline.find_column_encoder(model)
    matrix = pd.DataFrame(model[:-1].transform(unknown), columns=encoder.get_feature_names_out())
    assert matrix[["kind", "age", "since"]].isna().all(axis=None)


def test_features_of_training_may_be_derived_ones_and_no_others(learnable: pd.DataFrame) -> None:
    with pytest.raises(
        ContractError, match=r"'spped' is no feature of the contract, and no derived one. Allowed: .*load"
    ):
        pipeline.fit(PROJECT, learnable, Training(features=["load", "spped"]), SMALL)
    with pytest.raises(ContractError, match="'dep_delay' is an outcome"):
        pipeline.fit(PROJECT, learnable, Training(features=["load", "dep_delay"]), SMALL)
    only = pipeline.fit(PROJECT, learnable, Training(features=["load"]), SMALL)
    assert pipeline.find_column_encoder(only).get_feature_names_out().tolist() == ["load"]


def test_names_are_checked_before_there_are_rows() -> None:
    derived.check_names(PROJECT, ["temp", "load"])
    with pytest.raises(ContractError, match="'dep_delay' is an outcome"):
        derived.check_names(PROJECT, ["dep_delay"])
    with pytest.raises(ContractError, match="'load' is no feature of the contract"):
        derived.check_names(PLAIN, ["load"])


def test_derived_column_without_any_value_is_left_out(learnable: pd.DataFrame) -> None:
    model = pipeline.fit(PROJECT, learnable.assign(recent_departures=0, hour_departures=0), Training(), SMALL)
    names = pipeline.find_column_encoder(model).get_feature_names_out()
    assert "load" not in names
    assert "route" in names


def test_derived_features_are_selected_like_others(learnable: pd.DataFrame) -> None:
    selected = SMALL.model_copy(update={"selected_fraction": 0.25})
    model = pipeline.fit(PROJECT, learnable, Training(features=["carrier", "dest", "temp", "route"]), selected)
    assert pipeline.find_column_encoder(model).get_feature_names_out().tolist() == ["route"]


def test_function_that_a_saved_model_could_not_name_is_refused(learnable: pd.DataFrame) -> None:
    def inner(flights: pd.DataFrame) -> pd.DataFrame:
        return flights.assign(x=1)

    for function in (inner, lambda flights: flights.assign(x=1)):
        with pytest.raises(ContractError, match="is no function at the top level of a module"):
            pipeline.fit(replace(FLIGHTS, features=function), learnable, Training(), SMALL)


def test_columns_in_another_order_are_the_same_columns(
    learnable: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backwards(flights: pd.DataFrame) -> pd.DataFrame:
        return flights.assign(warm=flights["temp"] > 50)[["warm", *flights.columns[::-1]]]

    project = with_function(backwards, monkeypatch)
    model = pipeline.fit(project, learnable, Training(), SMALL)
    one = learnable.head(1)
    assert pipeline.predict(project, model, one) == pipeline.predict(project, model, learnable)[:1]


def test_step_is_a_transformer_of_scikit_learn(learnable: pd.DataFrame) -> None:
    step = derived.make_step(PROJECT)
    assert isinstance(step, DerivedFeatures)
    fitted = step.fit(learnable)
    assert fitted is step
    assert fitted.get_feature_names_out().tolist() == [*FLIGHTS.contract.features, *ADDED]
    pd.testing.assert_frame_equal(fitted.transform(learnable), add_all_kinds(learnable[FLIGHTS.contract.features]))
