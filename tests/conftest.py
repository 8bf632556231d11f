"""Bake projects from a clean copy of the template: what git tracks, with the edits not yet committed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

REPOSITORY = Path(__file__).parents[1]
PROJECT_FOLDER = "{{cookiecutter.project_slug}}"

Bake = Callable[..., "BakedProject"]


# Minutes each; of what is left to the end, one worker would be busy with while the other has nothing to do.
LONGEST_FIRST = [
    "test_drill.py",
    "test_year.py",
    "test_adopt.py",
    "test_run.py",
    "test_live.py",
    "test_stack.py",
    "test_frameworks.py",
    "test_pages.py",
    "test_how_to.py",
    "test_story.py",
    "test_site.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files start first; the others stay in the order of their names."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@dataclass(frozen=True)
class BakedProject:
    """A generated project and the answers that were given for it."""

    path: Path
    answers: Mapping[str, object]

    @property
    def package_dir(self) -> Path:
        """The folder of its Python package."""
        return self.path / "src" / self.path.name.replace("-", "_")

    @property
    def files(self) -> list[Path]:
        """Every file in it, git's own left out."""
        return [path for path in self.path.rglob("*") if path.is_file() and ".git" not in path.parts]

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in its folder and capture what it prints; the exit code is the caller's to check."""
        return subprocess.run(
            command, cwd=self.path, env=os.environ | environment, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_surroundings() -> None:
    """Let neither the user's git settings nor a surrounding git (as in `git rebase --exec`) or make change a result."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    # Within a `make`, another one would print where it is, and take over its options and its variables.
    for name in {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"} & os.environ.keys():
        del os.environ[name]
    os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
    # Two projects are at work at any time: threads that wait for each other's cores take more time than they save.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git tracks, so that a file that was never added is missed."""
    copy = tmp_path_factory.mktemp("template") / "template"
    # In a container the checkout often belongs to another user, which git refuses without this.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listing.stdout.split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def bake(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Generate a project in a new folder, or in `output_dir`, with the answers given and the defaults for the rest."""
    home = tmp_path_factory.mktemp("cookiecutter-home")

    def bake_project(
        output_dir: Path | None = None, *, overwrite_if_exists: bool = False, **answers: object
    ) -> BakedProject:
        path = cookiecutter(
            str(template),
            no_input=True,
            # Cookiecutter notes each bake's answers in the user's home, if it is not told where.
            default_config={"replay_dir": str(home)},
            extra_context=answers,
            output_dir=str(output_dir or tmp_path_factory.mktemp("bake")),
            overwrite_if_exists=overwrite_if_exists,
        )
        return BakedProject(Path(path), answers)

    return bake_project


@pytest.fixture(scope="session")
def installed(bake: Bake) -> BakedProject:
    """A project with its environment, whose compiled files cost more than all else of a project."""
    project = bake()
    assert project.run("make", "setup").returncode == 0
    return project


@pytest.fixture(scope="module")
def project(installed: BakedProject) -> BakedProject:
    """A project for each test file: as it was generated, with its environment and nothing else."""
    return restored(installed)


def restored(installed: BakedProject) -> BakedProject:
    """The project as it was generated, with its environment and nothing else."""
    for command in ("reset --quiet --hard", "clean --quiet -xdff --exclude=/.venv --exclude=/.tools"):
        done = installed.run("git", *command.split())
        assert done.returncode == 0, done.stderr
    return installed


def succeed(project: BakedProject, *command: str) -> str:
    """What a command prints that has to succeed."""
    done = project.run(*command)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, where it has to succeed; what it printed."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit_all(folder: Path, message: str) -> None:
    """Commit all that a folder holds, in a repository that is started if there is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "--message", message)


def tool(name: str) -> str:
    """Path of one of the template's own tools, installed beside the running Python."""
    return str(Path(sys.executable).parent / name)


@pytest.fixture(scope="session")
def uv() -> str:
    """Path of the uv that `make` uses: the one on PATH, or else our own."""
    return shutil.which("uv") or str(REPOSITORY / ".tools/bin/uv")
