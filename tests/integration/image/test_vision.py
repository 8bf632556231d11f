"""The pre-trained network: images become numbers, the same ones everywhere, and other weights are refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from drawing import Image, noise, to_text
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from examples import IMAGE, model_with, skip_without
from flights import REPOSITORY
from modelworks.errors import ConfigError, WeightsError
from modelworks.models import encoders, pipeline
from modelworks.models.encoders import vision
from modelworks.models.encoders import weights as weight_files
from modelworks.registry.models import read_model
from modelworks.settings import Model, Training

skip_without("PIL", "keras", "torch")

HELPERS = {"PYTHONPATH": str(REPOSITORY / "tests")}
LATER = """
import sys, numpy as np, pandas as pd
from pathlib import Path
from examples import IMAGE
from modelworks.models import pipeline
from modelworks.registry.models import read_model
model = read_model(IMAGE.project, Path(sys.argv[1]))
np.save(sys.argv[3], pipeline.predict(IMAGE.project, model, pd.read_parquet(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def encoder() -> vision.VisionEncoder:
    """Fitted, which is to say that it knows its weights."""
    weights = str(IMAGE.home / str(IMAGE.model.parameters["weights"]))
    return vision.VisionEncoder(weights).fit(pd.Series(["any"]))


@pytest.fixture
def own_weights(tmp_path: Path) -> Path:
    """A copy of the network."""
    return Path(shutil.copy(IMAGE.home / str(IMAGE.model.parameters["weights"]), tmp_path / "own.keras"))


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of keras.applications that has learned nothing, for small pictures in colour."""
    import keras

    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg"
    )
    file = tmp_path_factory.mktemp("weights") / "coloured.keras"
    network.save(file)
    return file


def encode(encoder: vision.VisionEncoder, *texts: str | None) -> np.ndarray:
    return encoder.transform(pd.Series(list(texts), dtype="str"))


def test_an_image_has_the_same_numbers_alone_and_beside_others(
    encoder: vision.VisionEncoder, digits: pd.DataFrame
) -> None:
    text = digits["image"].iloc[0]
    alone = encode(encoder, text)
    vision.memory.forget()
    together = encode(encoder, text, to_text(noise(500)), *digits["image"].iloc[1:90])
    assert together[0] == pytest.approx(alone[0], abs=1e-5)
    assert np.abs(together[1] - together[0]).max() > 0.01


def test_a_null_is_a_gap(encoder: vision.VisionEncoder) -> None:
    numbers = encode(encoder, None, to_text(noise()))
    assert np.isnan(numbers).all(axis=1).tolist() == [True, False]
    assert numbers.shape == (2, encoder.size)


def test_only_nulls_are_only_gaps(encoder: vision.VisionEncoder) -> None:
    assert np.isnan(encode(encoder, None, None)).all()


def test_saved_model_predicts_the_same_in_another_process(
    fitted: Pipeline, digits: pd.DataFrame, tmp_path: Path
) -> None:
    skops.io.dump(fitted, tmp_path / "model.skops")
    digits.to_parquet(tmp_path / "rows.parquet")
    files = [str(tmp_path / name) for name in ("model.skops", "rows.parquet", "predicted.npy")]
    done = subprocess.run(
        [sys.executable, "-c", LATER, *files], capture_output=True, text=True, check=False, env=os.environ | HELPERS
    )
    assert done.returncode == 0, done.stderr
    assert np.load(files[2]) == pytest.approx(pipeline.predict(IMAGE.project, fitted, digits), abs=1e-5)


def test_it_learns_more_from_few_digits_than_from_pixels(
    fitted: Pipeline, digits: pd.DataFrame, of_pixels: Model
) -> None:
    held_out = digits.head(40)
    target = IMAGE.project.contract.target.encode(held_out["digit"])
    pixels = pipeline.fit(IMAGE.project, digits.iloc[40:], Training(), of_pixels)
    losses = [
        IMAGE.project.contract.target.row_losses(target, pipeline.predict(IMAGE.project, each, held_out)).mean()
        for each in (fitted, pixels)
    ]
    assert losses[0] < losses[1]


def test_model_of_other_weights_is_refused(
    own_weights: Path, digits: pd.DataFrame, model: Model, tmp_path: Path
) -> None:
    there = model_with(model, weights=str(own_weights))
    skops.io.dump(pipeline.fit(IMAGE.project, digits, Training(), there), tmp_path / "model.skops")
    network = vision.load_network(str(own_weights))
    network.set_weights([each * 1.001 for each in network.get_weights()])
    network.save(own_weights)
    begin_anew()
    with pytest.raises(WeightsError, match=r"has other weights than the model was trained with: SHA-256"):
        pipeline.predict(IMAGE.project, read_model(IMAGE.project, tmp_path / "model.skops"), digits)


def test_model_whose_weights_are_gone_says_where_they_should_be(
    own_weights: Path, digits: pd.DataFrame, model: Model
) -> None:
    fitted = pipeline.fit(IMAGE.project, digits, Training(), model_with(model, weights=str(own_weights)))
    own_weights.unlink()
    begin_anew()
    with pytest.raises(WeightsError, match=r"\[model.parameters\] weights = '.*own.keras': no such file"):
        pipeline.predict(IMAGE.project, fitted, digits)


def test_network_that_is_in_memory_needs_its_file_no_more(
    own_weights: Path, digits: pd.DataFrame, model: Model
) -> None:
    """As in an API that has been started with it."""
    fitted = pipeline.fit(IMAGE.project, digits, Training(), model_with(model, weights=str(own_weights)))
    before = pipeline.predict(IMAGE.project, fitted, digits)
    own_weights.unlink()
    vision.memory.forget()
    assert pipeline.predict(IMAGE.project, fitted, digits) == pytest.approx(before, abs=1e-5)


def begin_anew() -> None:
    """Forget what a process remembers, as if it were another."""
    vision._load_same.cache_clear()
    vision.memory.forget()


def test_a_network_of_keras_reads_grey_pictures_in_its_colours(
    coloured: Path, digits: pd.DataFrame, model: Model, tmp_path: Path
) -> None:
    there = model_with(model, weights=str(coloured))
    fitted = pipeline.fit(IMAGE.project, digits, Training(), there)
    assert fitted.steps[0][1].encoders_[0].size == 576
    skops.io.dump(fitted, tmp_path / "model.skops")
    loaded = read_model(IMAGE.project, tmp_path / "model.skops")
    assert pipeline.predict(IMAGE.project, loaded, digits) == pytest.approx(
        pipeline.predict(IMAGE.project, fitted, digits), abs=1e-5
    )
    # The weights are not kept with the model.
    assert (tmp_path / "model.skops").stat().st_size < coloured.stat().st_size / 2


@pytest.mark.parametrize(("channels", "mean"), [(3, [200, 100, 0]), (1, [118.5])])
def test_a_picture_comes_in_the_colours_and_the_range_that_the_network_reads(
    channels: int, mean: list[float], tmp_path: Path
) -> None:
    """By a network that takes the mean: of a grey one that is 0.299 of red, 0.587 of green, 0.114 of blue."""
    import keras

    pixels = keras.Input((4, 6, channels))
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(pixels)).save(tmp_path / "mean.keras")
    encoder = vision.VisionEncoder(str(tmp_path / "mean.keras")).fit(pd.Series(["any"]))
    assert encode(encoder, to_text(Image.new("RGB", (30, 20), (200, 100, 0))))[0] == pytest.approx(mean, abs=0.6)
    assert encode(encoder, to_text(Image.new("L", (30, 20), 50)))[0] == pytest.approx([50] * channels)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"encoder": "telepathy"},
            r"'telepathy': no such encoder; there are pixels, spacy_vectors, tokens, transformer, vision",
        ),
        ({"weights": ""}, r"weights = '': no such file of the format .keras"),
        ({"weights": "no such.keras"}, r"weights = 'no such.keras': no such file"),
        ({"weights": "pipeline.toml"}, r"weights = 'pipeline.toml': no such file of the format .keras"),
        ({"weights": "package:no_such_package/a.keras"}, r"no package 'no_such_package' is installed"),
        ({"weights": "application:VGG16"}, r"no such application; there are ConvNeXtTiny, .*MobileNetV3Small"),
    ],
)
def test_weights_that_cannot_be_had_are_named(
    digits: pd.DataFrame, model: Model, changed: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        pipeline.fit(IMAGE.project, digits, Training(), model_with(model, **changed))


def test_weights_that_cannot_be_downloaded_are_named(
    digits: pd.DataFrame, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    there = model_with(model, weights="application:MobileNetV3Small")
    # Not of the kind that is never tried again: a connection may come back.
    with pytest.raises(ConnectionError, match=r"MobileNetV3Small': neither downloaded before.*`KERAS_BACKEND=torch "):
        pipeline.fit(IMAGE.project, digits, Training(), there)


def test_every_application_has_the_name_that_keras_gives_it() -> None:
    import keras

    assert [name for name in vision.APPLICATIONS if not callable(getattr(keras.applications, name, None))] == []


@pytest.mark.parametrize("kind", ["text", "code", "pictures"])
def test_file_that_is_no_such_network_is_refused(kind: str, digits: pd.DataFrame, model: Model, tmp_path: Path) -> None:
    file, message = make_unfit(kind, tmp_path)
    with pytest.raises(ConfigError, match=message):
        pipeline.fit(IMAGE.project, digits, Training(), model_with(model, weights=str(file)))


def make_unfit(kind: str, folder: Path) -> tuple[Path, str]:
    """A file with the right name, and what is said of it."""
    import keras

    file = folder / f"{kind}.keras"
    if kind == "text":
        file.write_text("no network", encoding="utf-8")
        return file, "Keras cannot load"
    pixels = keras.Input((8, 8, 1))
    if kind == "code":
        layer = keras.layers.Flatten()(keras.layers.Lambda(lambda values: values * 2)(pixels))
        keras.Model(pixels, layer).save(file)
        return file, "Keras cannot load .*ambda"
    keras.Model(pixels, keras.layers.Conv2D(2, 3)(pixels)).save(file)
    return file, r"makes \(None, 6, 6, 2\); wanted is one that takes"


def test_boosting_learns_from_images_as_well(digits: pd.DataFrame, model: Model) -> None:
    boosting = model_with(model, type="boosting", max_iter=20, min_samples_leaf=5)
    fitted = pipeline.fit(IMAGE.project, digits.iloc[40:], Training(), boosting)
    target = IMAGE.project.contract.target.encode(digits["digit"].head(40))
    baseline = IMAGE.project.contract.target.fit_baseline(
        IMAGE.project.contract.target.encode(digits["digit"].iloc[40:])
    ).predict(40)
    loss = IMAGE.project.contract.target.row_losses(
        target, pipeline.predict(IMAGE.project, fitted, digits.head(40))
    ).mean()
    assert loss < IMAGE.project.contract.target.row_losses(target, baseline).mean()


def test_an_image_in_a_search_is_encoded_once(encoder: vision.VisionEncoder, digits: pd.DataFrame) -> None:
    vision.memory.forget()
    runs: list[int] = []

    class Counted(vision.VisionEncoder):
        def _run(self, images: list[str]) -> np.ndarray:
            runs.append(len(images))
            return super()._run(images)

    counted = Counted(encoder.weights).fit(pd.Series(["any"]))
    counted.transform(digits["image"].head(10))
    counted.transform(digits["image"].head(12))
    assert runs == [10, 2]


def test_encoder_is_cloned_with_its_settings(encoder: vision.VisionEncoder) -> None:
    assert clone(encoder).get_params() == encoder.get_params()


def test_encoder_is_trusted(model: Model) -> None:
    assert "modelworks.models.encoders.vision.VisionEncoder" in encoders.trusted_types(IMAGE.project.contract)


def test_package_may_hold_the_weights(own_weights: Path, monkeypatch: pytest.MonkeyPatch, digits: pd.DataFrame) -> None:
    package = own_weights.parent / "some_weights"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(own_weights, package)
    monkeypatch.syspath_prepend(os.fspath(own_weights.parent))
    encoder = vision.VisionEncoder("package:some_weights/own.keras").fit(digits["image"])
    assert encoder.sha256_ == weight_files.identify(own_weights)
