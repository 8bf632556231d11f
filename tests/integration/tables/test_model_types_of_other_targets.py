"""Each model type under other contracts: many classes, numbers of a million, groups of rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from examples import skip_without
from model_rows import ALL_MODEL_TYPES, LIBRARIES
from modelworks.contract import Contract
from modelworks.models import pipeline
from modelworks.project import Project
from modelworks.registry.models import read_model
from modelworks.settings import Model, Training
from modelworks.targets import UNSEEN_CLASS
from tables import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP, make_rows, project_of

CONTRACTS = {"classes": CLASSES_WITHOUT_TIME, "numbers": NUMBER_WITH_TIME, "groups": TWO_TEXTS_BY_GROUP}


@pytest.fixture(params=ALL_MODEL_TYPES)
def model_type(request: pytest.FixtureRequest) -> str:
    skip_without(*LIBRARIES.get(request.param, []))
    return request.param


@pytest.fixture(params=CONTRACTS)
def project(request: pytest.FixtureRequest) -> Project:
    return with_all_model_types(CONTRACTS[request.param])


def with_all_model_types(contract: Contract) -> Project:
    return replace(project_of(contract), model_types=ALL_MODEL_TYPES)


def split_rows(contract: Contract) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to train on, and others."""
    rows = make_rows(contract, 1200).sample(frac=1, random_state=0, ignore_index=True)
    return rows[:800], rows[800:].reset_index(drop=True)


def small(model_type: str) -> Model:
    """The model type's default, but for leaves that fit so few rows, and as many epochs as so few batches want."""
    others = {"max_epochs": 60} if "max_epochs" in ALL_MODEL_TYPES[model_type].defaults else {}
    return Model(type=model_type, parameters={"min_samples_leaf": 5, **others})


def test_each_model_type_learns_and_is_loaded_as_it_was(project: Project, model_type: str, tmp_path: Path) -> None:
    trained_on, others = split_rows(project.contract)
    target = project.contract.target
    encoded = target.encode(others[target.column])
    baseline = target.fit_baseline(target.encode(trained_on[target.column]))
    of_baseline = target.row_losses(encoded, baseline.predict(len(others)), baseline.scale).mean()
    model = pipeline.fit(project, trained_on, Training(), small(model_type))
    prediction = pipeline.predict(project, model, others)
    loss = target.row_losses(encoded, prediction, baseline.scale).mean()
    assert loss < 0.7 * of_baseline, f"{loss:.3f}, baseline {of_baseline:.3f}"
    skops.io.dump(model, tmp_path / "model.skops")
    loaded = pipeline.predict(project, read_model(project, tmp_path / "model.skops"), others)
    np.testing.assert_allclose(loaded, prediction, rtol=0, atol=1e-9 * baseline.scale)


def test_gaps_and_unseen_categories_are_predicted(project: Project, model_type: str) -> None:
    trained_on, others = split_rows(project.contract)
    strange = others.copy()
    for name in project.contract.features:
        if project.contract.is_text(name):
            strange[name] = pd.Series("never seen", others.index, dtype="str")
        elif project.contract.dtypes[name] == "float64":
            strange[name] = np.nan
    model = pipeline.fit(project, trained_on, Training(), small(model_type))
    assert np.isfinite(pipeline.predict(project, model, strange)).all()


def test_class_without_a_row_keeps_its_place(model_type: str) -> None:
    project = with_all_model_types(CLASSES_WITHOUT_TIME)
    target = project.contract.target
    trained_on, others = split_rows(project.contract)
    trained_on = trained_on[trained_on[target.column] != target.classes[1]]
    model = pipeline.fit(project, trained_on, Training(), small(model_type))
    prediction = pipeline.predict(project, model, others)
    assert prediction.shape == (len(others), 3)
    np.testing.assert_allclose(prediction.sum(axis=1), 1, atol=1e-6)
    assert (prediction[:, 1] == UNSEEN_CLASS).all()
