"""Model types are plain data: importing one imports no library."""

import subprocess
import sys
from dataclasses import replace

import pytest
from sklearn.dummy import DummyClassifier

from flights import FLIGHTS
from model_rows import ALL_MODEL_TYPES
from modelworks.errors import ConfigError
from modelworks.models.model_type import ModelType, model_types_to_tune, trusted_types
from modelworks.models.parameters import complete_parameters
from modelworks.settings import Model, Settings

IMPORTED = """
import pkgutil, sys
from importlib import import_module
from modelworks.models import types
names = [each.name for each in pkgutil.iter_modules(types.__path__) if not each.name.startswith("_")]
for name in names:
    assert import_module(f"modelworks.models.types.{name}").MODEL_TYPE.build, name
import modelworks.models.encoders
heavy = {"sklearn", "pandas", "scipy", "optuna", "lightgbm", "xgboost", "torch", "keras", "mlflow"}
print(sorted(heavy & {*sys.modules}))
"""


def test_importing_a_model_type_or_an_encoder_imports_no_library() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_trusted_types_are_those_of_the_projects_model_types() -> None:
    assert "lightgbm.basic.Booster" not in trusted_types(FLIGHTS)
    assert "lightgbm.basic.Booster" in trusted_types(replace(FLIGHTS, model_types=ALL_MODEL_TYPES))


@pytest.mark.slow
def test_own_model_type_needs_a_title_and_how_it_is_built(settings: Settings) -> None:
    own = ModelType("always the same", lambda target, parameters, n_categorical, training: DummyClassifier())
    project = replace(FLIGHTS, model_types={**FLIGHTS.model_types, "constant": own})
    assert complete_parameters(project, Model(type="constant")) == {}
    assert "constant" in model_types_to_tune(project, settings, 3)
    with pytest.raises(ConfigError, match=r"parameters\] depth: the model type 'constant' has no such .*allowed: none"):
        complete_parameters(project, Model(type="constant", parameters={"depth": 3}))
