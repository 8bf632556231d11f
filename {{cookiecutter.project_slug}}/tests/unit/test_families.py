"""What every family of models keeps, under whatever contract the project has.

The rows are made from the contract. One of its features tells the target, mostly; the others tell nothing.
"""

import base64
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import skops.io
from PIL import Image, ImageDraw
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from {{ cookiecutter.__package_name }} import families, preparation, schema, task, tracking, training
from {{ cookiecutter.__package_name }}.config import (
    ENV_PREFIX,
    HOME_VARIABLE,
    Model,
    Training,
    load_settings,
)
from {{ cookiecutter.__package_name }}.errors import ConfigError, ReleaseError
from {{ cookiecutter.__package_name }}.tracking import Tracker

PROJECT = Path(__file__).resolve().parents[2]
TRAINING = Training(threads=1)
COUNT = 800
N_FEATURES = 12
"""So many at most: a contract may have a thousand."""
CLASSES = schema.CLASSES[:3]
"""So many at most, for the same reason; where there are more, some have no row."""

NUMBERS = [name for name in schema.FEATURES if schema.DTYPES[name] in {"int64", "float64"}]
TEXTS = [name for name in schema.FEATURES if schema.is_text(name)]
IMAGES = [name for name, content in schema.CONTENTS.items() if content == "image"]
TELLING = next(iter([*NUMBERS, *TEXTS, *schema.FEATURES]))
OTHERS = [name for name in schema.FEATURES if name != TELLING]
USED = [TELLING, *OTHERS[: N_FEATURES - 1], *[name for name in TEXTS if name not in OTHERS[: N_FEATURES - 1]][:2]]

QUICK: dict[str, dict[str, Any]] = {
    "forest": {"n_estimators": 40},
    "blend": {"forest_n_estimators": 20},
    "pytorch": {"hidden_width": 32, "batch_size": 64, "step_size": 0.01},
    "keras": {"hidden_width": 32, "batch_size": 64, "step_size": 0.01},
    "fine_tuned": {"epochs": 1, "step_size": 2e-4},
}
"""Parameters of families whose own defaults are for more rows."""
WORDS = ["apple", "bridge", "cloud", "doctor", "engine", "forest", "guitar", "harbour", "island", "jacket"]
"""As different to a network that reads them as they are as categories."""
TOLERANCE = max(training.tolerance(Model()), 1e-6)  # the latter for what comes of 32 bits


def names() -> list[str]:
    """The families that can learn from what the contract has: some read a text, and tell classes only."""
    reads_texts = bool(schema.DOCUMENT_FEATURES) and not task.IS_REGRESSION
    return [name for name in families.names() if reads_texts or not families.find(name).encoder]


def model_of(family: str, **settings: Any) -> Model:
    ours = load_settings().model
    encoder = {"encoder": ours.encoder, "weights": ours.weights, "weights_revision": ours.weights_revision}
    return Model(
        family=family,
        max_iter=40,
        min_samples_leaf=5,
        max_tokens=8,
        parameters=QUICK.get(family, {}),
        **encoder,
        **settings,
    )


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Rows with gaps in all features."""
    random = np.random.default_rng(5)
    signal = random.normal(size=COUNT)
    frame = pd.DataFrame({name: noise(name, random) for name in USED})
    frame[TELLING] = told(TELLING, signal)
    frame = frame.assign(**{name: frame[name].map(draw).astype("str") for name in USED if name in IMAGES})
    target = signal + random.normal(0, 0.3, COUNT)
    gaps = {name: frame[name].astype("float64") if schema.DTYPES[name] == "int64" else frame[name] for name in USED}
    frame = frame.assign(**{name: values.mask(random.random(COUNT) < 0.05) for name, values in gaps.items()})
    if task.IS_REGRESSION:
        return frame.assign(**{schema.TARGET: 1e6 + 1e5 * target})
    position = np.digitize(target, np.quantile(target, np.arange(1, len(CLASSES)) / len(CLASSES)))
    return frame.assign(**{schema.TARGET: pd.Series(CLASSES).take(position).to_numpy()})


def draw(word: str) -> str:
    """A picture of a word's first letter, in base64."""
    image, file = Image.new("L", (8, 12)), BytesIO()
    ImageDraw.Draw(image).text((1, 0), word[0], 255)
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def noise(name: str, random: np.random.Generator) -> pd.Series:
    values: dict[str, Callable[[], Any]] = {
        "int64": lambda: random.integers(0, 50, COUNT),
        "float64": lambda: random.normal(100, 20, COUNT),
        "str": lambda: random.choice(["a", "b", "c", "d", "e"], COUNT),
        "datetime64[us]": lambda: (
            pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 40_000, COUNT), "min")
        ),
    }
    return pd.Series(values[schema.DTYPES[name]](), dtype=schema.DTYPES[name])


def told(name: str, signal: np.ndarray) -> pd.Series:
    """The signal as a feature of this name can hold it."""
    share = pd.Series(signal).rank(pct=True)
    values: dict[str, Callable[[], Any]] = {
        "int64": lambda: (share * 1000).astype("int64"),
        "float64": lambda: share * 10,
        "str": lambda: [WORDS[int(9.99 * each)] for each in share],
        # Over the day, and over years
        "datetime64[us]": lambda: (
            pd.Timestamp("2020-01-01") + pd.to_timedelta((share * 1400).astype("int64") * 1441, "min")
        ),
    }
    return pd.Series(values[schema.DTYPES[name]](), dtype=schema.DTYPES[name])


@pytest.fixture(scope="module", params=names())
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def fitted(family: str, rows: pd.DataFrame) -> Pipeline:
    """Fitted on the first three quarters of the rows; nobody may change it."""
    return fit(rows, model_of(family))


def fit(rows: pd.DataFrame, model: Model) -> Pipeline:
    with warnings.catch_warnings(), training.limit_threads(TRAINING):
        warnings.simplefilter("error")
        return training.fit(rows[: COUNT * 3 // 4], Training(threads=1, features=USED), model)


def loss(rows: pd.DataFrame, prediction: np.ndarray) -> float:
    """Of the last quarter of the rows, against the baseline of all: below 1 is better than that."""
    target = task.code(rows[schema.TARGET])
    baseline = task.fit_baseline(target[: COUNT * 3 // 4])
    held_out = slice(COUNT * 3 // 4, None)
    if not task.IS_REGRESSION:  # of a class that a forest has not seen it says that it cannot be, which costs too much
        prediction = 0.99 * prediction + 0.01 * baseline.predict(COUNT)
    own = task.row_losses(target[held_out], prediction[held_out], baseline.scale).mean()
    constant = task.row_losses(target[held_out], baseline.predict(COUNT)[held_out], baseline.scale).mean()
    return float(own / constant)


def check_predictions(prediction: np.ndarray, n_rows: int) -> None:
    assert len(prediction) == n_rows
    assert np.isfinite(prediction).all()
    if not task.IS_REGRESSION:
        assert ((prediction >= 0) & (prediction <= 1)).all()
    if task.IS_MULTICLASS:
        np.testing.assert_allclose(prediction.sum(axis=1), 1, atol=1e-6)


def same(first: np.ndarray, second: np.ndarray) -> None:
    """Equal but for what may differ where it is computed among other rows."""
    np.testing.assert_allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE)


def test_it_learns_what_a_feature_tells(fitted: Pipeline, rows: pd.DataFrame) -> None:
    prediction = training.predict(fitted, rows)
    check_predictions(prediction, COUNT)
    assert loss(rows, prediction) < 0.6


def test_rows_of_gaps_only_and_of_unseen_categories_are_predicted(fitted: Pipeline, rows: pd.DataFrame) -> None:
    strange = rows.assign(**{name: "never seen before" for name in USED if schema.is_text(name) and name not in IMAGES})
    check_predictions(training.predict(fitted, strange), COUNT)
    numbers = {name: np.nan for name in USED if schema.DTYPES[name] in {"int64", "float64"}}
    times = {name: pd.NaT for name in USED if schema.is_time(name) and name != schema.TIME}
    check_predictions(training.predict(fitted, strange.assign(**numbers, **times)), COUNT)


def test_gap_in_a_column_that_had_none_is_predicted(family: str, rows: pd.DataFrame) -> None:
    filled = rows.assign(**{TELLING: rows[TELLING].bfill().ffill()})
    model = fit(filled, model_of(family))
    same(training.predict(model, filled), training.predict(fit(filled, model_of(family)), filled))
    if TELLING != schema.TIME:
        nothing = filled[TELLING].mask(filled[TELLING].notna())
        check_predictions(training.predict(model, filled.assign(**{TELLING: nothing})), COUNT)


def test_same_seed_gives_the_same_predictions(family: str, fitted: Pipeline, rows: pd.DataFrame) -> None:
    again = training.predict(fit(rows, model_of(family)), rows)
    np.testing.assert_array_equal(again, training.predict(fitted, rows))


def test_clone_is_unfitted_and_learns_the_same(fitted: Pipeline, rows: pd.DataFrame) -> None:
    copy = clone(fitted)
    assert not hasattr(copy[-1], "n_features_in_")
    learned = rows[: COUNT * 3 // 4]
    target = task.code(learned[schema.TARGET])
    with training.limit_threads(TRAINING):  # sums of more threads are others
        copy.fit(learned[list(fitted.feature_names_in_)], target if task.IS_REGRESSION else target.astype("int64"))
    np.testing.assert_array_equal(training.predict(copy, rows), training.predict(fitted, rows))


def test_rows_by_themselves_are_predicted_as_among_others(fitted: Pipeline, rows: pd.DataFrame) -> None:
    strange = rows.assign(**{name: "never seen before" for name in USED if schema.is_text(name) and name not in IMAGES})
    some = pd.concat([rows.head(10), strange.head(2)])
    expected = training.predict(fitted, some)
    served = training.skip_needless_encoding(skops_copy(fitted))
    same(training.predict(served, some), expected)
    same(np.concatenate([training.predict(served, some.iloc[[at]]) for at in range(len(some))]), expected)


def skops_copy(model: Pipeline) -> Pipeline:
    return skops.io.loads(skops.io.dumps(model), trusted=tracking.TRUSTED_TYPES)


def test_every_choice_of_what_comes_before_it_fits_and_may_be_loaded(family: str, rows: pd.DataFrame) -> None:
    found = families.find(family)
    few = {"max_iter": 5} if "max_iter" in found.defaults else {}
    for encoding, imputation, scaling in product(found.encodings, found.imputations, found.scalings):
        settings = model_of(family, encoding=encoding, imputation=imputation, scaling=scaling)
        model = fit(rows, settings.model_copy(update=few))
        prediction = training.predict(model, rows)
        check_predictions(prediction, COUNT)
        same(training.predict(skops_copy(model), rows), prediction)


def test_choice_that_it_cannot_take_is_refused(family: str) -> None:
    found = families.find(family)
    for key, all_of, own in (
        ("encoding", preparation.ENCODINGS, found.encodings),
        ("imputation", preparation.IMPUTATIONS, found.imputations),
        ("scaling", preparation.SCALINGS, found.scalings),
    ):
        assert own
        assert {*own} <= {*all_of}
        for other in {*all_of} - {*own}:
            with pytest.raises(ConfigError, match=f"{key} = '{other}'.*allowed: {', '.join(own)}"):
                preparation.choices(Model(family=family, **{key: other}))


def test_what_a_search_proposes_can_be_fitted(family: str, rows: pd.DataFrame) -> None:
    found = families.find(family)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(3):
        proposed = found.suggest(study.ask())
        assert proposed
        assert {*proposed} <= {*found.defaults}
        model = model_of(family)
        model = model.model_copy(update={"parameters": {**model.parameters, **proposed}})
        check_predictions(training.predict(fit(rows, model), rows), COUNT)
    assert len({str(trial.params) for trial in study.trials}) == 3


def test_default_is_within_what_a_search_proposes(family: str) -> None:
    found = families.find(family)
    trial = optuna.create_study().ask()
    found.suggest(trial)
    # Boosted trees are asked for by the product of the two.
    total_step = found.defaults.get("learning_rate", 0) * found.defaults.get("max_iter", 0)
    known = {**found.defaults, "total_step": total_step}
    outside = [name for name, span in trial.distributions.items() if not span._contains(known[name])]
    assert outside == []


def test_unknown_parameter_is_refused_with_those_that_are_known(family: str) -> None:
    with pytest.raises(ConfigError, match="no_such: .*allowed: " + ", ".join(families.find(family).defaults)):
        training.build_model(USED, model_of(family).model_copy(update={"parameters": {"no_such": 1}}), TRAINING)


LOAD = """
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from {{ cookiecutter.__package_name }} import tracking, training

# skops imports PyTorch itself where it is installed.
assert not {"lightgbm", "xgboost", "keras", "tensorflow"} & {*sys.modules}, "slow, and not needed yet"
model, rows, prediction = map(Path, sys.argv[1:])
np.save(prediction, training.predict(tracking.read_model(model), pd.read_pickle(rows)))
"""


def test_saved_model_predicts_the_same_in_a_new_process(
    fitted: Pipeline, family: str, rows: pd.DataFrame, new_project: Path
) -> None:
    tracker = Tracker(load_settings())
    run_id = tracker.open_run("saved", "2024-01", {})
    uri = tracker.save_model(run_id, "model", fitted, rows.head(), training.packages(model_of(family)))
    file = tracker.fetch_model(uri)
    rows.to_pickle(new_project / "rows.pkl")
    command = [sys.executable, "-c", LOAD, file, new_project / "rows.pkl", new_project / "prediction.npy"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    same(np.load(new_project / "prediction.npy"), training.predict(fitted, rows))


@pytest.fixture
def new_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_mlflow_database: Path) -> Path:
    """A project without data."""
    (tmp_path / "pipeline.toml").write_text((PROJECT / "pipeline.toml").read_text(encoding="utf-8"), encoding="utf-8")
    if (PROJECT / "weights").is_dir():  # of a pre-trained network
        shutil.copytree(PROJECT / "weights", tmp_path / "weights")
    (tmp_path / "var" / "mlflow").mkdir(parents=True)
    (tmp_path / "var" / "mlflow" / "mlflow.db").write_bytes(new_mlflow_database.read_bytes())
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX) or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv(f"{ENV_PREFIX}TRACKING__URI", "")
    return tmp_path


def test_type_that_nobody_trusts_is_not_loaded(
    fitted: Pipeline, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.skops"
    skops.io.dump(Pipeline([*fitted.steps[:-1], ("estimator", Path("stranger"))]), file)
    with pytest.raises(ReleaseError, match="refused to load"):
        tracking.read_model(file)
    skops.io.dump(fitted, file)
    for unlisted in families.find(family).trusted_types:
        monkeypatch.setattr(tracking, "TRUSTED_TYPES", [each for each in tracking.TRUSTED_TYPES if each != unlisted])
    if families.find(family).trusted_types:
        with pytest.raises(ReleaseError, match="refused to load"):
            tracking.read_model(file)
