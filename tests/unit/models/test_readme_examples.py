"""The Python of the project's README does what it says there."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Template

from flights import FLIGHTS, TEMPLATE, Rows
from modelworks.models import pipeline
from modelworks.settings import Model, Training

README = (TEMPLATE / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
FEATURE, MODEL_TYPE = (Template(block).render(cookiecutter={"example": "tabular"}) for block in BLOCKS)


def run(source: str) -> dict[str, Any]:
    """The names that a piece of code defines; as a file of the project would, it may use pandas as `pd`."""
    names: dict[str, Any] = {"pd": pd, "__name__": "flight_delays.features"}
    exec(source, names)  # noqa: S102 - the project's own
    return names


def test_feature_of_the_readme_adds_its_column(rows: Rows) -> None:
    add_features = run(FEATURE)["add_features"]
    features = rows(2, distance=[1500, 2475])[FLIGHTS.contract.features]
    assert add_features(features)["is_long"].tolist() == [False, True]


def test_model_type_of_the_readme_fits_and_predicts(rows: Rows) -> None:
    project = replace(FLIGHTS, features=None, model_types=run(MODEL_TYPE)["MODEL_TYPES"])
    frame = rows(200, distance=[500, 2475] * 100)
    model = pipeline.fit(project, frame, Training(), Model(type="extra_trees"))
    prediction = pipeline.predict(project, model, frame)
    assert prediction[1::2].mean() > 0.9  # a long flight is late in these rows, a short one is not
    assert prediction[::2].mean() < 0.1
    assert np.isfinite(prediction).all()
