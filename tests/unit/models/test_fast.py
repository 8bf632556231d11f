"""Rows from JSON are predicted as a frame of them, by treelite where it agrees and else by the estimator."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from examples import skip_without
from model_rows import LIBRARIES, TABLES, Table, table_of
from modelworks.contract import multiclass, regression
from modelworks.data import frames
from modelworks.data.columnar import Columns
from modelworks.errors import ContractError
from modelworks.models import pipeline
from modelworks.models.fast import FEW_ROWS, Predictor, make_predictor, predictor
from modelworks.models.model_type import ModelType
from modelworks.settings import Model, Training

TREELITE, ESTIMATOR = True, False


def add_wind_of_seats(rows: pd.DataFrame) -> pd.DataFrame:
    """A derived number and a derived category."""
    return rows.assign(per_seat=rows["wind"] / (1 + rows["seats"]), initial=rows["carrier"].str[:1])


def change_a_single_row(rows: pd.DataFrame) -> pd.DataFrame:
    """The same, and a change of the contract's column that is seen in no training."""
    made = add_wind_of_seats(rows)
    return made.assign(wind=-1000.0) if len(rows) == 1 else made


PLAIN = {
    "binary": TABLES["flights"],
    "multiclass": table_of(multiclass("kind", "kind", classes=["x", "y", "z", "never seen"])),
    "regression": table_of(regression("price", "what was paid", unit="EUR")),
}
DERIVED = Table(replace(PLAIN["regression"].project, features=add_wind_of_seats), Model())


def fit(table: Table, model_type: str, **settings: Any) -> Pipeline:
    """A fitted model as the API holds it."""
    skip_without(*LIBRARIES.get(model_type, []))
    return pipeline.skip_needless_encoding(table.fit(table.rows, table.model_of(model_type, **settings)))


def to_json(model: Pipeline, frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frames.to_records(frame[list(model.feature_names_in_)])


def make(table: Table, model: Pipeline) -> Predictor:
    """A predictor that was checked on the last 20 rows."""
    return make_predictor(table.project, model, to_json(model, table.rows.tail(20)))


def predict(made: Predictor, records: list[dict[str, Any]]) -> np.ndarray:
    return made.predict(Columns.from_records(records))


def check_parity(table: Table, model: Pipeline, made: Predictor) -> None:
    """Rows with gaps, and with categories that nobody has seen, alone, in few and in many, as in a frame."""
    rows = pd.concat([table.rows.head(FEW_ROWS), table.strange.tail(FEW_ROWS)], ignore_index=True)
    expected, sent = table.predict(model, rows), to_json(model, rows)
    scale = np.maximum(1, np.abs(expected))
    found = {
        "alone": np.concatenate([predict(made, [row]) for row in sent]),
        "few": np.concatenate([predict(made, sent[:FEW_ROWS]), predict(made, sent[FEW_ROWS:])]),
        "many": predict(made, sent),
    }
    for name, predicted in found.items():
        assert predicted.shape == expected.shape, name
        assert np.max(np.abs(predicted - expected) / scale) <= 1e-12, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "model_type", "settings", "is_by_treelite"),
    [
        ("binary", "boosting", {}, TREELITE),
        ("binary", "boosting", {"encoding": "target", "imputation": "median"}, TREELITE),
        ("binary", "forest", {}, TREELITE),
        ("binary", "blend", {}, TREELITE),
        ("binary", "linear", {}, ESTIMATOR),
        ("binary", "lightgbm", {}, TREELITE),
        ("binary", "xgboost", {}, ESTIMATOR),
        ("multiclass", "boosting", {}, TREELITE),
        ("multiclass", "boosting", {"encoding": "target"}, TREELITE),
        ("multiclass", "forest", {}, TREELITE),
        ("multiclass", "blend", {}, TREELITE),
        ("multiclass", "lightgbm", {}, TREELITE),
        ("multiclass", "xgboost", {}, ESTIMATOR),
        ("regression", "boosting", {}, TREELITE),
        ("regression", "forest", {"encoding": "target"}, TREELITE),
        ("regression", "blend", {}, TREELITE),
        ("regression", "lightgbm", {}, TREELITE),
        ("regression", "xgboost", {}, ESTIMATOR),
        ("regression", "linear", {"encoding": "target", "scaling": "squashing"}, ESTIMATOR),
    ],
    ids=str,
)
def test_rows_are_predicted_as_in_a_frame(
    kind: str, model_type: str, settings: dict[str, Any], is_by_treelite: bool
) -> None:
    table = PLAIN[kind]
    model = fit(table, model_type, **settings)
    made = make(table, model)
    check_parity(table, model, made)
    assert made.encoder is model[0]  # no frame is made
    assert (made.few is not None) == is_by_treelite == (made.reason == ""), made.reason


def test_derived_columns_are_computed_and_then_predicted_by_treelite() -> None:
    model = pipeline.fit(DERIVED.project, DERIVED.rows, Training(threads=1), DERIVED.model_of("boosting"))
    assert {"per_seat", "initial"} <= {*pipeline.used_features(model)}
    made = make(DERIVED, model)
    check_parity(DERIVED, model, made)
    assert made.encoder  # reads the contract's columns from the rows
    assert made.few


def test_column_that_the_function_changes_in_a_single_row_is_read_from_the_request() -> None:
    project = replace(DERIVED.project, features=change_a_single_row)
    model = pipeline.fit(project, DERIVED.rows, Training(threads=1), DERIVED.model_of("boosting"))
    made = make_predictor(project, model, to_json(model, DERIVED.rows.tail(20)))
    two = DERIVED.rows.dropna().head(2)
    expected = pipeline.predict(project, model, two)
    np.testing.assert_allclose(predict(made, to_json(model, two.head(1))), expected[:1], rtol=1e-12)
    with pytest.raises(ContractError, match="changes column 'wind'"):
        pipeline.predict(project, model, two.head(1))


def test_classes_without_rows_in_training_keep_their_share() -> None:
    table = PLAIN["multiclass"]
    model = fit(table, "boosting")
    predicted = predict(make(table, model), to_json(model, table.rows.head(3)))
    assert predicted.shape == (3, 4)
    assert (predicted[:, 3] == 1e-4).all()


def build_calibrated(*_: Any) -> CalibratedClassifierCV:
    return CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=10, random_state=0), ensemble=False)


def test_calibrated_model_of_a_project_is_served_by_itself_without_a_frame() -> None:
    of_flights = PLAIN["binary"].project
    own = ModelType(title="calibrated trees", build=build_calibrated)
    table = Table(replace(of_flights, model_types={**of_flights.model_types, "calibrated": own}), Model())
    model = table.fit(table.rows, Model(type="calibrated"))
    made = make(table, model)
    check_parity(table, model, made)
    assert made.few is None
    assert made.reason == "TypeError: treelite imports no CalibratedClassifierCV"
    assert made.encoder


def test_trees_that_treelite_predicts_otherwise_are_served_by_the_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    table = PLAIN["binary"]
    model = fit(table, "boosting")
    agreeing = make(table, model)
    assert agreeing.few

    def one_off(matrix: np.ndarray) -> np.ndarray:
        found = agreeing.few(matrix)
        found[-1] += [-2e-12, 2e-12]
        return found

    monkeypatch.setattr(predictor, "import_estimator", lambda _: one_off)
    made = make(table, model)
    assert made.few is None
    assert made.reason == "treelite predicts otherwise, by up to 2e-12"
    check_parity(table, model, made)


def test_gaps_that_no_row_of_the_sample_has_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    table = PLAIN["regression"]
    model = fit(table, "boosting")
    complete = to_json(model, table.rows.dropna().tail(20))
    agreeing = make_predictor(table.project, model, complete)
    assert agreeing.few

    def wrong_in_gaps(matrix: np.ndarray) -> np.ndarray:
        return agreeing.few(matrix) + 1000 * np.isnan(matrix[:, -1])

    monkeypatch.setattr(predictor, "import_estimator", lambda _: wrong_in_gaps)
    assert make_predictor(table.project, model, complete).few is None


def test_many_rows_go_to_the_estimator() -> None:
    table = PLAIN["binary"]
    model = fit(table, "boosting")
    rows = to_json(model, table.rows.head(FEW_ROWS + 1))

    def forbidden(matrix: np.ndarray) -> np.ndarray:
        raise AssertionError(f"{len(matrix)} rows")

    made = replace(make(table, model), few=forbidden)
    assert len(predict(made, rows)) == FEW_ROWS + 1
    with pytest.raises(AssertionError, match="100 rows"):
        predict(made, rows[:FEW_ROWS])


def test_model_without_a_sample_is_served_by_itself() -> None:
    table = PLAIN["binary"]
    made = make_predictor(table.project, fit(table, "boosting"), [])
    assert made.few is None
    assert made.reason
