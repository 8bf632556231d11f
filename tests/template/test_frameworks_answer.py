"""A project has the model types and the packages of the frameworks that were chosen, and of no other."""

from __future__ import annotations

import ast
import itertools
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bakes import Bake, BakedProject, tool

FRAMEWORKS = ("lightgbm", "xgboost", "pytorch", "keras")
TYPES = {"blend", "boosting", "forest", "linear"}  # of scikit-learn

# What is there with a framework: what a project asks for, and what only it has in the lock.
ASKED = {
    "lightgbm": {"lightgbm"},
    "xgboost": {"xgboost", "xgboost-cpu"},
    "pytorch": {"filelock", "networkx", "setuptools", "sympy"},
    "keras": {"keras"},
    "tensorflow": {"tensorflow", "tensorflow-cpu"},
    "spark": {"pyspark-client"},
    "spark-classic": {"pyspark"},
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
    "spark": {"grpcio-status", "pyspark-client", "zstandard"},
    "spark-classic": {"grpcio-status", "py4j", "pyspark", "zstandard"},
}
COMBINATIONS = [
    *(chosen for count in range(5) for chosen in itertools.combinations(FRAMEWORKS, count)),
    *(("spark",), ("spark-classic",), ("xgboost", "spark")),
]


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda chosen: "-".join(chosen) or "scikit-learn")
def chosen(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What is chosen beside scikit-learn."""
    return tuple(request.param)


@pytest.fixture(scope="module")
def baked(chosen: tuple[str, ...], bake: Bake) -> BakedProject:
    """A project with these frameworks."""
    return bake(frameworks=", ".join(("scikit-learn", *chosen)), git_init=False)


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
    """The packages that a project asks for by name, with those of the engine's extras."""
    declared = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    engine = tomllib.loads((project.path / "vendor/modelworks/pyproject.toml").read_text(encoding="utf-8"))["project"]
    [wanted] = [each for each in map(Requirement, declared) if each.name == "modelworks"]
    extras = [package for extra in wanted.extras for package in engine["optional-dependencies"][extra]]
    return names([*declared, *engine["dependencies"], *extras]) - {"modelworks"}


def model_types(project: BakedProject) -> set[str]:
    """Names of the model types in models.py; each is imported."""
    tree = ast.parse((project.package_dir / "models.py").read_text(encoding="utf-8"))
    [imported] = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    [table] = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert isinstance(table, ast.Dict)
    found = {str(ast.literal_eval(key)) for key in table.keys if key}
    assert found == {alias.name for alias in imported.names}
    return found


@pytest.mark.slow
def test_it_names_the_model_types_of_what_was_chosen_and_no_others(
    chosen: tuple[str, ...], baked: BakedProject
) -> None:
    assert model_types(baked) == TYPES | ({*chosen} & {*FRAMEWORKS})


def test_no_other_file_hangs_on_the_choice(chosen: tuple[str, ...], baked: BakedProject, plain: BakedProject) -> None:
    """But for the lock of PyTorch: every model type is in the engine, and imports its library when it is fitted."""
    relative = [{str(path.relative_to(project.path)) for path in project.files} for project in (baked, plain)]
    assert relative[0] - relative[1] == ({"torch.lock"} if "pytorch" in chosen else set())
    assert relative[1] - relative[0] == set()
    assert not (baked.path / "frameworks").exists()


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


def test_sizes_in_the_prompt_are_those_that_were_measured(template: Path) -> None:
    """By the column "adds" of the table of model types in the measurements; Keras on TensorFlow includes that."""
    page = (template / "docs" / "measurements.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    names = {*FRAMEWORKS, "keras on TensorFlow"}
    size = {row[0]: int(row[5].replace(",", "")) for row in rows if len(row) == 8 and row[0] in names}
    beside = size["keras"] - size["pytorch"]
    guide = (template / "docs" / "how-to" / "choose-frameworks.md").read_text(encoding="utf-8")
    prompt = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))["__prompts__"]["frameworks"]
    for size_mb, name in (
        (size["lightgbm"], "lightgbm"),
        (size["xgboost"], "xgboost"),
        (size["pytorch"], "pytorch"),
        (beside, "keras"),
    ):
        assert f"{name} (+{size_mb} MB" in prompt
        assert f"| `{name}` | {size_mb} MB" in guide
    on_tensorflow = f"{size['keras on TensorFlow'] / 1000:.1f} GB"
    assert f"+{on_tensorflow} on TensorFlow" in prompt
    assert f"{beside} MB, or {on_tensorflow} |" in guide
