"""A fresh project is small: what a team reads, tests and all, in half an hour."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from bakes import Bake, BakedProject

# What is there with the default answers, and nothing else.
FILES = {
    ".": {
        ".dockerignore",
        ".env.example",
        ".gitattributes",
        ".gitignore",
        ".pre-commit-config.yaml",
        "AGENTS.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "pipeline.toml",
        "pyproject.toml",
        "requirements.lock",
        "supply-chain.lock",
    },
    "src/flight_delays": {"__init__.py", "checks.py", "contract.py", "features.py", "models.py", "project.py"},
    "dags": {"ingestion.py", "monitoring.py", "scoring.py", "training.py"},
    "notebooks": {"explore.ipynb"},
    "vendor": {"modelworks.sha256"},
}
FOLDERS = {
    *(".devcontainer", ".git", ".github", "dags", "data", "deploy", "notebooks", "src", "tests", "vendor"),
}


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    """The project of the default answers."""
    return bake()


def count_lines(paths: Iterable[Path]) -> int:
    """Lines of files."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def python_files(project: BakedProject, *folders: str) -> list[Path]:
    """The Python files below folders of a project."""
    found = [path for folder in folders for path in (project.path / folder).rglob("*.py")]
    assert found
    return found


def test_settings_are_at_most_30_each_with_its_meaning(project: BakedProject) -> None:
    lines = (project.path / "pipeline.toml").read_text(encoding="utf-8").splitlines()
    settings = [line for line in lines if re.match(r"\w+ = ", line)]
    assert 20 < len(settings) <= 30
    assert [line for line in settings if not re.search(r"\S +# \w|# [{\"]", line)] == []


def test_source_has_at_most_800_lines(project: BakedProject) -> None:
    assert count_lines(python_files(project, "src", "dags")) <= 800


def test_tests_have_at_most_500_lines(project: BakedProject) -> None:
    assert count_lines(python_files(project, "tests")) <= 500


def test_makefile_has_at_most_90_lines_and_the_readme_150(project: BakedProject) -> None:
    assert count_lines([project.path / "Makefile"]) <= 90
    assert count_lines([project.path / "README.md"]) <= 150


def test_pipeline_toml_has_about_30_settings(project: BakedProject) -> None:
    lines = (project.path / "pipeline.toml").read_text(encoding="utf-8").splitlines()
    assert 20 <= sum(" = " in line.split("#")[0] for line in lines) <= 35


def test_no_file_of_the_engine_has_more_than_300_lines(project: BakedProject) -> None:
    long = {path.name: count_lines([path]) for path in python_files(project, "vendor/modelworks/src")}
    assert {name: count for name, count in long.items() if count > 300} == {}


def test_files_are_those_of_the_design_and_no_others(project: BakedProject) -> None:
    for folder, names in FILES.items():
        found = {path.name for path in (project.path / folder).iterdir() if path.is_file()}
        assert found == names, folder
    assert {path.name for path in project.path.iterdir() if path.is_dir()} == FOLDERS


def test_it_is_born_clean(project: BakedProject) -> None:
    assert project.run("git", "status", "--porcelain", "--ignored").stdout == ""
