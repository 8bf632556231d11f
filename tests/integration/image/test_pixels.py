"""Images as their pixels: no network, and the same pipeline."""

from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from drawing import noise, to_text
from sklearn.base import clone

from examples import IMAGE, skip_without
from modelworks.data import images
from modelworks.models import pipeline
from modelworks.models.encoders.pixels import PixelEncoder
from modelworks.registry.models import read_model
from modelworks.settings import Model, Training

skip_without("PIL")


def encode(side: int, *texts: str | None) -> np.ndarray:
    encoder = PixelEncoder(side).fit(pd.Series(["any"]))
    return encoder.transform(pd.Series(list(texts), dtype="str"))


def test_pixels_are_what_the_picture_has(digits: pd.DataFrame) -> None:
    text = digits["image"].iloc[0]
    assert (encode(8, text)[0] * 255).round().tolist() == np.asarray(images.decode(text)).ravel().tolist()


def test_a_picture_of_another_size_is_brought_to_the_side() -> None:
    assert encode(4, to_text(noise(100))).shape == (1, 16)
    white = to_text(noise(30).point(lambda value: 255))
    assert encode(4, white).tolist() == [[1.0] * 16]


def test_colour_becomes_grey() -> None:
    red = noise(mode="RGB").point([255] * 256 + [0] * 512)
    assert np.unique(encode(8, to_text(red)).round(2)).tolist() == [0.3]


def test_a_null_is_a_gap() -> None:
    numbers = encode(8, None, to_text(noise()))
    assert np.isnan(numbers).all(axis=1).tolist() == [True, False]


def test_it_learns_and_a_saved_model_predicts_the_same(digits: pd.DataFrame, of_pixels: Model, tmp_path: Path) -> None:
    fitted = pipeline.fit(IMAGE.project, digits.iloc[40:], Training(), of_pixels)
    prediction = pipeline.predict(IMAGE.project, fitted, digits.head(40))
    target = IMAGE.project.contract.target.encode(digits["digit"].head(40))
    baseline = IMAGE.project.contract.target.fit_baseline(
        IMAGE.project.contract.target.encode(digits["digit"].iloc[40:])
    ).predict(40)
    assert (
        IMAGE.project.contract.target.row_losses(target, prediction).mean()
        < IMAGE.project.contract.target.row_losses(target, baseline).mean() - 0.5
    )
    skops.io.dump(fitted, tmp_path / "model.skops")
    assert (
        pipeline.predict(IMAGE.project, read_model(IMAGE.project, tmp_path / "model.skops"), digits.head(40)).tolist()
        == prediction.tolist()
    )


def test_selection_of_features_keeps_the_images(digits: pd.DataFrame, of_pixels: Model) -> None:
    fitted = pipeline.fit(IMAGE.project, digits, Training(), of_pixels.model_copy(update={"selected_fraction": 0.5}))
    assert list(fitted.feature_names_in_) == ["image"]


def test_encoder_is_cloned_with_its_settings() -> None:
    assert clone(PixelEncoder(16)).get_params() == {"image_side": 16}
