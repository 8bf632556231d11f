"""Whoever follows a how-to of the site, step by step, arrives where it says."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bakes import REPOSITORY, BakedProject, commit_all, git, restored
from documents import Reader, steps_of
from live_project import free_ports

pytestmark = pytest.mark.slow

HOW_TO = REPOSITORY / "docs" / "how-to"
OF_THE_TEMPLATE = {"add-a-prompt", "company-defaults", "fork"}
WITH_SERVERS = {
    "dev-staging-prod",
    "observe",
    "start-by-a-message",
    "use-postgresql",
    "use-s3",
}  # followed by the system tests, which have these servers
OF_A_PLATFORM = {"run-on-aws", "run-on-kubeflow"}  # followed by the tests of the platform, in a project that has it
# Pages with steps; the others only explain.
WITH_STEPS = {
    page.stem for page in HOW_TO.glob("*.md") if any(step.language in {"console", "diff"} for step in steps_of(page))
}
WITHOUT_VENDOR = "publish-the-engine"
PROJECT_PAGES = sorted(WITH_STEPS - OF_THE_TEMPLATE - WITH_SERVERS - OF_A_PLATFORM - {WITHOUT_VENDOR})
ABOUT_THE_ENGINE = {"eject-a-project", "patch-the-engine"}
AUTHOR = "[user]\n name = Ada\n email = ada@example.com\n"


@pytest.fixture
def upstream(template: Path, tmp_path: Path) -> Path:
    """A repository of the template, at the address that the pages use."""
    origin = tmp_path / "servers" / "community" / "mlops-template.git"
    shutil.copytree(template, origin, symlinks=True)
    commit_all(origin, "Start")
    return origin


@pytest.fixture
def reader(upstream: Path, tmp_path: Path) -> Reader:
    """Somebody in an empty folder, who reaches the addresses of the pages and has `uvx`."""
    servers = upstream.parents[1]
    (servers / "platform").mkdir()
    git(servers, "init", "--quiet", "--bare", "--initial-branch", "main", "platform/our-template.git")
    home, desk = tmp_path / "home", tmp_path / "desk"
    for folder in (home / "bin", desk):
        folder.mkdir(parents=True)
    (home / ".gitconfig").write_text(f'{AUTHOR}[url "file://{servers}/"]\n insteadOf = https://git.example.com/\n')
    # The locked version of what `uvx` would fetch.
    (home / "bin" / "uvx").write_text(f'#!/bin/sh\nPATH="{Path(sys.executable).parent}:$PATH"\nexec "$@"\n')
    (home / "bin" / "uvx").chmod(0o755)
    return Reader(
        desk,
        {
            "HOME": str(home),
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        },
    )


@pytest.fixture
def fork(reader: Reader, template: Path) -> None:
    """The reader's own template, in whose folder the reader is then."""
    reader.folder /= "our-template"
    shutil.copytree(template, reader.folder, symlinks=True)
    commit_all(reader.folder, "Start")
    (reader.folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    # `.venv/` in .gitignore is a folder, not a link.
    (reader.folder / ".git" / "info" / "exclude").write_text("/.venv\n")


def test_fork_keeps_up_with_the_template_and_its_projects_with_the_fork(reader: Reader, upstream: Path) -> None:
    steps = steps_of(HOW_TO / "fork.md")
    later = next(number for number, step in enumerate(steps) if "git pull" in step.text)
    reader.follow(steps[:later])
    (upstream / "{{cookiecutter.project_slug}}" / "NEWS.md").write_text("Something new.\n")
    commit_all(upstream, "Add the news")
    reader.follow(steps[later:])
    assert (reader.folder / "NEWS.md").exists()
    assert "Platform Team" in (reader.folder / "pyproject.toml").read_text()


@pytest.mark.usefixtures("fork")
def test_defaults_of_a_company_are_in_its_projects(reader: Reader) -> None:
    reader.follow(steps_of(HOW_TO / "company-defaults.md"))


@pytest.mark.usefixtures("fork")
def test_answer_to_a_new_prompt_decides_about_a_file(reader: Reader) -> None:
    reader.follow(steps_of(HOW_TO / "add-a-prompt.md"))


@pytest.mark.parametrize("page", PROJECT_PAGES)
def test_what_is_added_to_a_project_works_and_is_clean(
    installed: BakedProject, page: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = restored(installed)
    port = free_ports(0)[0]  # of a service that a page starts
    reader = Reader(project.path, replaced={"8765": str(port)})
    try:
        reader.follow(steps_of(HOW_TO / f"{page}.md"))
    finally:
        stop(project.path / "service" / "pid")
        stop(project.path / "var" / "api.pid")
    changed = git(project.path, "status", "--short", "--untracked-files=all").splitlines()
    assert changed or page in ABOUT_THE_ENGINE  # whose last step takes the patch back
    assert not [line for line in changed if "vendor/" in line] or page in ABOUT_THE_ENGINE
    # What mypy knows of the rest of the project is the same for each page.
    done = project.run("make", "check", MYPY_CACHE_DIR=str(tmp_path_factory.getbasetemp() / "mypy"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_project_runs_with_an_engine_from_an_index(installed: BakedProject) -> None:
    project = restored(installed)
    try:
        Reader(project.path).follow(steps_of(HOW_TO / f"{WITHOUT_VENDOR}.md"))
        assert not (project.path / "vendor").exists()
        done = project.run("make", "check")
        assert done.returncode == 0, done.stdout + done.stderr
        assert list((project.path / ".venv").rglob("site-packages/modelworks/stack/airflow.cfg"))
    finally:
        assert restored(installed).run("make", "setup").returncode == 0  # with the engine in vendor/ again


def stop(pid_file: Path) -> None:
    """End a process that a page has left behind, since it was not followed to its end."""
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
