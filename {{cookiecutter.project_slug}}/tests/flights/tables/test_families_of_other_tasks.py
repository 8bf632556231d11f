"""Each family of the project under other contracts: many classes, numbers of a million, groups of rows."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from {{ cookiecutter.__package_name }} import families, schema, task, tracking, training
from {{ cookiecutter.__package_name }}.config import Model, Training

from other_contract import CLASSES_WITHOUT_TIME, NUMBER_WITH_TIME, TWO_TEXTS_BY_GROUP, make_rows, run_under

CONTRACTS = {"classes": CLASSES_WITHOUT_TIME, "numbers": NUMBER_WITH_TIME, "groups": TWO_TEXTS_BY_GROUP}


def split_rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from, and others."""
    rows = make_rows(1200).sample(frac=1, random_state=0, ignore_index=True)
    return rows[:800], rows[800:].reset_index(drop=True)


def small(family: str) -> Model:
    """The family's default, but for leaves that fit so few rows, and as many epochs as so few batches want."""
    others = {"max_epochs": 60} if "max_epochs" in families.find(family).defaults else {}
    return Model(family=family, min_samples_leaf=5, parameters=others)


def check_each_family_learns_and_is_loaded_as_it_was() -> None:
    learned, others = split_rows()
    target = task.code(others[schema.TARGET])
    baseline = task.fit_baseline(task.code(learned[schema.TARGET]))
    of_baseline = task.row_losses(target, baseline.predict(len(others)), baseline.scale).mean()
    for family in families.names():
        model = training.fit(learned, Training(), small(family))
        prediction = training.predict(model, others)
        loss = task.row_losses(target, prediction, baseline.scale).mean()
        assert loss < 0.7 * of_baseline, f"{family}: {loss:.3f}, baseline {of_baseline:.3f}"
        with tempfile.TemporaryDirectory() as folder:
            skops.io.dump(model, Path(folder) / "model.skops")
            loaded = tracking.read_model(Path(folder) / "model.skops")
        np.testing.assert_allclose(training.predict(loaded, others), prediction, rtol=0, atol=1e-9 * baseline.scale)


def check_gaps_and_what_was_never_seen_are_predicted() -> None:
    learned, others = split_rows()
    strange = others.copy()
    for name in schema.FEATURES:
        if schema.is_text(name):
            strange[name] = pd.Series("never seen", others.index, dtype="str")
        elif schema.DTYPES[name] == "float64":
            strange[name] = np.nan
    for family in families.names():
        prediction = training.predict(training.fit(learned, Training(), small(family)), strange)
        assert np.isfinite(prediction).all(), family


def check_class_without_a_row_keeps_its_place() -> None:
    learned, others = split_rows()
    learned = learned[learned[schema.TARGET] != schema.CLASSES[1]]
    for family in families.names():
        prediction = training.predict(training.fit(learned, Training(), small(family)), others)
        assert prediction.shape == (len(others), 3), family
        np.testing.assert_allclose(prediction.sum(axis=1), 1, atol=1e-6)
        assert (prediction[:, 1] == task.UNSEEN_CLASS).all(), family


@pytest.mark.parametrize("name", CONTRACTS)
def test_each_family_is_at_home_under_each_contract(name: str, tmp_path: Path) -> None:
    of_classes = [check_class_without_a_row_keeps_its_place] if name == "classes" else []
    run_under(
        CONTRACTS[name],
        tmp_path,
        check_each_family_learns_and_is_loaded_as_it_was,
        check_gaps_and_what_was_never_seen_are_predicted,
        *of_classes,
    )
