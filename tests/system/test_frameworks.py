"""Projects on each framework are checked, tested, released and served, and hold no other package."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from bakes import Bake, BakedProject, answer_to_example, assert_engine_passes, succeed


def install(bake: Bake, frameworks: str) -> BakedProject:
    """A project with its environment."""
    project = bake(frameworks=frameworks)
    succeed(project, "make", "setup")
    return project


def installed_packages(project: BakedProject) -> set[str]:
    """The names of all distributions in a project's environment but the project itself and the engine."""
    code = "from importlib.metadata import distributions; print(*(each.name for each in distributions()))"
    printed = succeed(project, ".venv/bin/python", "-c", code)
    return {str(canonicalize_name(name)) for name in printed.split()} - {project.path.name, "modelworks"}


def locked(project: BakedProject) -> set[str]:
    """The packages of a project's lock."""
    lock = (project.path / "requirements.lock").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", lock, re.MULTILINE))


def assert_it_works(project: BakedProject, *model_types: str) -> None:
    """Check a project, then release a model of each type and ask it for a prediction."""
    succeed(project, "make", "check")
    unlocked = installed_packages(project) - locked(project)
    assert unlocked == ({"torch"} if (project.path / "torch.lock").exists() else set())
    assert "0 that may not be used" in succeed(project, "make", "audit", "ARGS=--only licences")
    for version, model_type in enumerate(model_types, 1):
        served = released(project, model_type)
        assert served["model_version"] == str(version)
        assert 0 < served["predictions"][0]["probability"] < 1


def released(project: BakedProject, model_type: str) -> dict[str, Any]:
    """What the API answers to its own example, once `make run` has released a model of a type."""
    # Which of two model types is the better one does not matter here.
    gates = dict.fromkeys(("MAX_LOSS_OVER_CHAMPION", "MAX_SLICE_LOSS_OVER_CHAMPION"), "1")
    settings = {f"MODELWORKS_GATES__{name}": limit for name, limit in gates.items()}
    succeed(project, "make", "run", "ARGS=--period 2013-06", **settings, MODELWORKS_MODEL__TYPE=model_type)
    status = json.loads(succeed(project, project.command, "status", "--json"))
    answer = answer_to_example(project)
    assert answer["model_version"] == status["champion"]["version"]
    return answer


@pytest.mark.slow
def test_lightgbm_and_xgboost_are_tested_released_and_served(bake: Bake) -> None:
    project = install(bake, "lightgbm, xgboost")
    assert " passed" in succeed(project, "make", "test")
    assert_it_works(project, "lightgbm", "xgboost")


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.parametrize(
    ("frameworks", "model_type"),
    [
        pytest.param("pytorch", "pytorch", id="pytorch"),
        pytest.param("pytorch, keras", "keras", id="keras-on-torch"),
        pytest.param("keras", "keras", id="keras-on-tensorflow"),
    ],
)
def test_a_network_is_tested_released_and_served(frameworks: str, model_type: str, bake: Bake) -> None:
    project = install(bake, frameworks)
    assert_engine_passes(project, "tests/unit/models", "tests/unit/test_contract.py")
    assert " passed" in succeed(project, "make", "test")
    assert_it_works(project, model_type)


@pytest.mark.slow
@pytest.mark.heavy
def test_smoke_of_a_network(bake: Bake) -> None:
    """What CI runs of the heavy ones on each push: the shortest way from an environment to a released model."""
    project = install(bake, "pytorch")
    assert_engine_passes(project, "tests/unit/models", "-k", "pytorch")
    settings = {"MODELWORKS_MODEL__TYPE": "pytorch", "MODELWORKS_TRAINING__MAX_ROWS": "5000"}
    succeed(project, project.command, "run", "--without-airflow", "--period", "2013-03", **settings)
    assert json.loads(succeed(project, project.command, "status", "--json"))["champion"]["version"] == "1"
