"""What every model type keeps, on flights, texts and images."""

from itertools import product
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from examples import IMAGE
from model_rows import CASES, COUNT, N_TRAINED, Table, find_table
from modelworks.errors import ConfigError, ReleaseError
from modelworks.models import model_type as model_types
from modelworks.models import pipeline, preprocessing
from modelworks.models.model_type import ModelType
from modelworks.registry.models import read_model
from modelworks.settings import HOME_VARIABLE, Model, Training

NUMBERS = {"int64", "float64"}


@pytest.fixture(scope="module", params=CASES, ids=["-".join(case) for case in CASES])
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def table(case: tuple[str, str]) -> Table:
    return find_table(*case)


@pytest.fixture(scope="module")
def name(case: tuple[str, str]) -> str:
    """Of the model type."""
    return case[1]


@pytest.fixture(scope="module", autouse=True)
def home(case: tuple[str, str]) -> object:
    """Weights with a relative path are found from the example's folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(HOME_VARIABLE, str(IMAGE.home))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def model_type(table: Table, name: str) -> ModelType:
    return table.project.find_model_type(name)


@pytest.fixture(scope="module")
def fitted(table: Table, name: str) -> Pipeline:
    """Fitted on the first three quarters of the rows; nobody may change it."""
    return table.fit(table.rows, table.model_of(name))


def reread(table: Table, model: Pipeline) -> Pipeline:
    return skops.io.loads(skops.io.dumps(model), trusted=pipeline.trusted_types(table.project))


def test_it_learns_from_a_predictive_feature(table: Table, fitted: Pipeline) -> None:
    prediction = table.predict(fitted, table.rows)
    table.check_predictions(prediction, COUNT)
    assert table.loss(table.rows, prediction) < 0.6


def test_rows_of_gaps_only_and_of_unseen_categories_are_predicted(table: Table, fitted: Pipeline) -> None:
    strange, contract = table.strange, table.contract
    table.check_predictions(table.predict(fitted, strange), COUNT)
    numbers = {name: np.nan for name in table.used if contract.dtypes[name] in NUMBERS}
    times = {name: pd.NaT for name in table.used if contract.is_time(name) and name != contract.time}
    table.check_predictions(table.predict(fitted, strange.assign(**numbers, **times)), COUNT)


def test_gap_in_a_column_that_had_none_is_predicted(table: Table, name: str) -> None:
    filled = table.rows.assign(**{table.predictive: table.rows[table.predictive].bfill().ffill()})
    model = table.fit(filled, table.model_of(name))
    again = table.fit(filled, table.model_of(name))
    table.check_equal(table.predict(model, filled), table.predict(again, filled))
    if table.predictive != table.contract.time:
        nothing = filled[table.predictive].mask(filled[table.predictive].notna())
        table.check_predictions(table.predict(model, filled.assign(**{table.predictive: nothing})), COUNT)


def test_same_seed_gives_the_same_predictions(table: Table, name: str, fitted: Pipeline) -> None:
    again = table.predict(table.fit(table.rows, table.model_of(name)), table.rows)
    np.testing.assert_array_equal(again, table.predict(fitted, table.rows))


def test_clone_is_unfitted_and_learns_the_same(table: Table, fitted: Pipeline) -> None:
    copy = clone(fitted)
    assert not hasattr(copy[-1], "n_features_in_")
    learned, target = table.rows[:N_TRAINED], table.contract.target
    encoded = target.encode(learned[target.column])
    with pipeline.limit_threads(Training(threads=1)):  # sums of more threads are others
        copy.fit(learned[list(fitted.feature_names_in_)], encoded if target.is_regression else encoded.astype("int64"))
    np.testing.assert_array_equal(table.predict(copy, table.rows), table.predict(fitted, table.rows))


def test_rows_by_themselves_are_predicted_as_among_others(table: Table, fitted: Pipeline) -> None:
    some = pd.concat([table.rows.head(10), table.strange.head(2)])
    expected = table.predict(fitted, some)
    served = pipeline.skip_needless_encoding(reread(table, fitted))
    table.check_equal(table.predict(served, some), expected)
    alone = np.concatenate([table.predict(served, some.iloc[[at]]) for at in range(len(some))])
    table.check_equal(alone, expected)


@pytest.mark.slow
def test_every_choice_of_preprocessing_can_be_fitted_and_loaded(table: Table, name: str, model_type: ModelType) -> None:
    few = {"max_iter": 5} if "max_iter" in model_type.defaults else {}
    for encoding, imputation, scaling in product(model_type.encodings, model_type.imputations, model_type.scalings):
        settings = table.model_of(name, encoding=encoding, imputation=imputation, scaling=scaling)
        model = table.fit(table.rows, settings.model_copy(update={"parameters": {**settings.parameters, **few}}))
        prediction = table.predict(model, table.rows)
        table.check_predictions(prediction, COUNT)
        table.check_equal(table.predict(reread(table, model), table.rows), prediction)


def test_preprocessing_that_it_cannot_take_is_refused(table: Table, name: str, model_type: ModelType) -> None:
    for key, all_of, own in (
        ("encoding", preprocessing.ENCODINGS, model_type.encodings),
        ("imputation", preprocessing.IMPUTATIONS, model_type.imputations),
        ("scaling", preprocessing.SCALINGS, model_type.scalings),
    ):
        assert own
        assert {*own} <= {*all_of}
        for other in {*all_of} - {*own}:
            with pytest.raises(ConfigError, match=f"{key} = '{other}'.*allowed: {', '.join(own)}"):
                preprocessing.choices(table.project, Model(type=name, **{key: other}))


@pytest.mark.slow
def test_what_tuning_proposes_can_be_fitted(table: Table, name: str, model_type: ModelType) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(3):
        proposed = model_type.search_space(study.ask())
        assert proposed
        assert {*proposed} <= {*model_type.defaults}
        model = table.model_of(name)
        model = model.model_copy(update={"parameters": {**model.parameters, **proposed}})
        table.check_predictions(table.predict(table.fit(table.rows, model), table.rows), COUNT)
    assert len({str(trial.params) for trial in study.trials}) == 3


def test_default_is_within_the_search_space(model_type: ModelType) -> None:
    trial = optuna.create_study().ask()
    model_type.search_space(trial)
    # Boosted trees are tuned by the product of the two.
    total_step = model_type.defaults.get("learning_rate", 0) * model_type.defaults.get("max_iter", 0)
    known = {**model_type.defaults, "total_step": total_step}
    outside = [name for name, span in trial.distributions.items() if not span._contains(known[name])]
    assert outside == []


def test_unknown_parameter_is_refused_with_those_that_are_known(table: Table, name: str, model_type: ModelType) -> None:
    wrong = table.model_of(name).model_copy(update={"parameters": {"no_such": 1}})
    with pytest.raises(ConfigError, match=rf"no_such: .*allowed: (\w+, )*{', '.join(model_type.defaults) or 'none'}$"):
        pipeline.build_model(table.project, table.used, wrong, Training(threads=1))


def test_type_that_nobody_trusts_is_not_loaded(
    table: Table, fitted: Pipeline, model_type: ModelType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.skops"
    skops.io.dump(Pipeline([*fitted.steps[:-1], ("estimator", Path("stranger"))]), file)
    with pytest.raises(ReleaseError, match="refused to load"):
        read_model(table.project, file)
    skops.io.dump(fitted, file)
    read_model(table.project, file)
    trusted = pipeline.trusted_types(table.project)
    others = [each for each in trusted if each not in model_type.trusted_types]
    monkeypatch.setattr(pipeline, "trusted_types", lambda project: others)
    if model_type.trusted_types:
        with pytest.raises(ReleaseError, match="refused to load"):
            read_model(table.project, file)


def test_library_that_is_not_installed_is_named(table: Table, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_absent(distribution: str) -> str:
        raise model_types.PackageNotFoundError(distribution)

    monkeypatch.setattr(model_types, "version", is_absent)
    if needed := table.project.find_model_type(name).packages:
        with pytest.raises(ConfigError, match=rf"\[model\] type = '{name}' needs {', '.join(needed)}, not installed"):
            table.fit(table.rows, table.model_of(name))
