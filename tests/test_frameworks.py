"""A project has the frameworks that were chosen, and neither a file nor a package of any other."""

from __future__ import annotations

import itertools
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake, BakedProject, succeed, tool
from live_project import fetch, stack
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NETWORKS = {"networks/__init__.py", "networks/table.py"}

# What is there with a framework: files of the package, what pyproject.toml asks for, and what only it has in the lock.
FILES = {
    "lightgbm": {"families/lightgbm.py"},
    "xgboost": {"families/xgboost.py"},
    "pytorch": {"families/pytorch.py", "networks/pytorch.py"} | NETWORKS,
    "keras": {"families/keras.py", "networks/keras.py"} | NETWORKS,
}
ASKED = {
    "lightgbm": {"lightgbm"},
    "xgboost": {"xgboost", "xgboost-cpu"},
    "pytorch": {"filelock", "networkx", "setuptools", "sympy"},
    "keras": {"keras"},
    "tensorflow": {"tensorflow", "tensorflow-cpu"},
}
LOCKED = {
    "lightgbm": {"lightgbm"},
    "xgboost": {"xgboost", "xgboost-cpu"},
    "pytorch": {"filelock", "mpmath", "networkx", "setuptools", "sympy"},
    "keras": {"absl-py", "h5py", "keras", "ml-dtypes", "namex", "optree"},
    "tensorflow": {
        *("astunparse", "flatbuffers", "gast", "google-pasta", "libclang", "opt-einsum", "setuptools", "tensorflow"),
        *("tensorflow-cpu", "wheel"),
    },
}
COMBINATIONS = [chosen for count in range(5) for chosen in itertools.combinations(FILES, count)]


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda chosen: "-".join(chosen) or "scikit-learn")
def chosen(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What is chosen beside scikit-learn."""
    return tuple(request.param)


@pytest.fixture(scope="module")
def baked(chosen: tuple[str, ...], bake: Bake) -> BakedProject:
    """A project with these frameworks."""
    return bake(frameworks=", ".join(("scikit-learn", *chosen)))


@pytest.fixture(scope="module")
def plain(bake: Bake) -> BakedProject:
    """A project with scikit-learn alone."""
    return bake()


def parts(chosen: tuple[str, ...]) -> list[str]:
    """What is locked for a choice: TensorFlow too, for a Keras without PyTorch."""
    return [*chosen, *(["tensorflow"] if "keras" in chosen and "pytorch" not in chosen else [])]


def entries(project: BakedProject, lock: str = "requirements.lock") -> list[str]:
    """Each locked package as one line: the pin, its marker and its hashes."""
    joined = (project.path / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if not line.startswith("#")]


def names(requirements: list[str]) -> set[str]:
    """The packages of requirements, whatever the version."""
    return {Requirement(each.split("--hash")[0]).name for each in requirements}


def asked_for(project: BakedProject) -> set[str]:
    """The packages that a project asks for by name."""
    declared = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))
    return names(declared["project"]["dependencies"])


def test_it_has_the_files_of_what_was_chosen_and_no_others(
    chosen: tuple[str, ...], baked: BakedProject, plain: BakedProject
) -> None:
    relative = [{str(path.relative_to(project.path)) for path in project.files} for project in (baked, plain)]
    wanted = {f"src/flight_delays/{name}" for framework in chosen for name in FILES[framework]}
    assert relative[0] - relative[1] == wanted | ({"torch.lock"} if "pytorch" in chosen else set())
    assert relative[1] - relative[0] == set()
    assert not (baked.path / "frameworks").exists()
    assert (baked.package_dir / "networks").exists() == bool({"pytorch", "keras"} & {*chosen})


def test_it_asks_for_their_packages_and_no_others(
    chosen: tuple[str, ...], baked: BakedProject, plain: BakedProject
) -> None:
    wanted = {name for part in parts(chosen) for name in ASKED[part]}
    assert asked_for(baked) - asked_for(plain) == wanted
    groups = tomllib.loads((baked.path / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert ("torch" in groups) == ("pytorch" in chosen)


def test_it_locks_what_they_need_and_no_more(chosen: tuple[str, ...], baked: BakedProject, plain: BakedProject) -> None:
    assert set(entries(plain)) <= set(entries(baked))
    wanted = {name for part in parts(chosen) for name in LOCKED[part]}
    assert names(entries(baked)) - names(entries(plain)) == wanted
    assert not [entry for entry in entries(baked) if "--hash=sha256:" not in entry]
    if "pytorch" in chosen:
        assert names(entries(baked, "torch.lock")) == {"torch"}


def test_its_lock_is_sorted_and_has_each_version_once(baked: BakedProject) -> None:
    pins = [re.split(r" *(?:;|--hash)", entry)[0] for entry in entries(baked)]
    assert len(pins) == len(set(pins))
    packages = [pin.split("==")[0] for pin in pins]
    assert packages == sorted(packages)
    assert (baked.path / "requirements.lock").read_text(encoding="utf-8").startswith("# This file was autogenerated")


def test_it_is_born_linted_and_formatted(baked: BakedProject) -> None:
    for arguments in (["check"], ["format", "--check"]):
        done = baked.run(tool("ruff"), *arguments, "--no-cache")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("answer", ["KERAS,PyTorch", " pytorch , scikit-learn,keras,", "keras,keras, pytorch,keras"])
def test_neither_case_nor_spaces_nor_order_nor_repetition_matter(answer: str, bake: Bake) -> None:
    one, other = bake(frameworks=answer, git_init=False), bake(frameworks="pytorch, keras", git_init=False)
    contents = [{path.relative_to(each.path): path.read_bytes() for path in each.files} for each in (one, other)]
    assert contents[0] == contents[1]


def test_nothing_at_all_is_scikit_learn(bake: Bake, plain: BakedProject) -> None:
    assert asked_for(bake(frameworks="")) == asked_for(plain)


def install(bake: Bake, frameworks: str) -> BakedProject:
    """A project with its environment."""
    project = bake(frameworks=frameworks)
    succeed(project, "make", "setup")
    return project


def installed_packages(project: BakedProject) -> set[str]:
    """The names of all distributions in a project's environment but the project itself."""
    code = "from importlib.metadata import distributions; print(*(each.name for each in distributions()))"
    printed = succeed(project, ".venv/bin/python", "-c", code)
    return {str(canonicalize_name(name)) for name in printed.split()} - {project.path.name}


def assert_it_works(project: BakedProject, *families: str) -> None:
    """Check and test a project, then release a model of each family and ask it for a prediction."""
    succeed(project, "make", "check")
    unlocked = installed_packages(project) - names(entries(project))
    assert unlocked == ({"torch"} if (project.path / "torch.lock").exists() else set())
    assert " passed" in succeed(project, "make", "test", "ARGS=tests/unit tests/contract")
    assert "0 that may not be used" in succeed(project, "make", "licences")
    for version, family in enumerate(families, 1):
        served = released(project, family)
        assert served["model_version"] == str(version)
        assert 0 < served["predictions"][0]["probability"] < 1


def released(project: BakedProject, family: str) -> dict[str, Any]:
    """What the API answers to its own example, once `make run` has released a model of a family."""
    # Which of two families is the better one does not matter here.
    gates = dict.fromkeys(("MAX_LOSS_OVER_CHAMPION", "MAX_SLICE_LOSS_OVER_CHAMPION"), "1")
    settings = {f"FLIGHT_DELAYS_GATES__{name}": limit for name, limit in gates.items()}
    settings["FLIGHT_DELAYS_MODEL__FAMILY"] = family
    done = project.run("make", "run", "ARGS=--month 2013-06", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    status = json.loads(succeed(project, ".venv/bin/flight-delays", "status", "--json"))
    with stack(project.path, dict(os.environ)) as live:
        page = fetch(f"{live.api}/openapi.json")
        body = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        answer: dict[str, Any] = fetch(f"{live.api}/predict", body["examples"]["one row"]["value"])
    assert answer["model_version"] == status["champion"]["version"]
    return answer


@pytest.mark.slow
def test_lightgbm_and_xgboost_are_tested_released_and_served(bake: Bake) -> None:
    assert_it_works(install(bake, "lightgbm, xgboost"), "lightgbm", "xgboost")


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.parametrize(
    ("frameworks", "family"),
    [
        pytest.param("pytorch", "pytorch", id="pytorch"),
        pytest.param("pytorch, keras", "keras", id="keras-on-torch"),
        pytest.param("keras", "keras", id="keras-on-tensorflow"),
    ],
)
def test_a_network_is_tested_released_and_served(frameworks: str, family: str, bake: Bake) -> None:
    assert_it_works(install(bake, frameworks), family)


@pytest.mark.slow
@pytest.mark.heavy
def test_smoke_of_a_network(bake: Bake) -> None:
    """What CI runs of the heavy ones on each push: the shortest way from an environment to a released model."""
    project = install(bake, "pytorch")
    assert " passed" in succeed(project, "make", "test", "ARGS=tests/unit/test_families.py -k pytorch")
    settings = {"FLIGHT_DELAYS_MODEL__FAMILY": "pytorch", "FLIGHT_DELAYS_TRAINING__MAX_ROWS": "5000"}
    done = project.run(".venv/bin/flight-delays", "run", "--month", "2013-03", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(succeed(project, ".venv/bin/flight-delays", "status", "--json"))["champion"]["version"] == "1"


def test_sizes_that_are_told_are_those_that_were_measured(plain: BakedProject, template: Path) -> None:
    """By the column "adds" of the README's table of families; that of Keras on TensorFlow has the TensorFlow in it."""
    readme = (template / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in readme.splitlines() if line.startswith("| ")]
    names = {*FILES, "keras on TensorFlow"}
    size = {row[0]: int(row[5].replace(",", "")) for row in rows if len(row) == 8 and row[0] in names}
    beside = size["keras"] - size["pytorch"]
    prompt = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))["__prompts__"]["frameworks"]
    for told, name in (
        (size["lightgbm"], "lightgbm"),
        (size["xgboost"], "xgboost"),
        (size["pytorch"], "pytorch"),
        (beside, "keras"),
    ):
        assert f"{name} (+{told} MB" in prompt
        assert f"| `{name}` | {told} MB" in (plain.path / "README.md").read_text(encoding="utf-8")
        assert f" {told} MB |" in readme
    assert f" {size['keras on TensorFlow']:,} MB |" in readme
