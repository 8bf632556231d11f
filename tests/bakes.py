"""Bake projects from a clean copy of the template: what git tracks, with the edits not yet committed.

Fixtures of the tests in `template/` and `system/`, which run in the environment of the template's own tools.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from cookiecutter.main import cookiecutter

from live_project import PATIENCE_S, fetch, free_ports

REPOSITORY = Path(__file__).parents[1]
PROJECT_FOLDER = "{{cookiecutter.project_slug}}"

Bake = Callable[..., "BakedProject"]
VENDOR = "vendor"  # the engine in a project


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

    @property
    def own_files(self) -> list[Path]:
        """The files that are not the engine's."""
        return [path for path in self.files if VENDOR not in path.relative_to(self.path).parts]

    @property
    def command(self) -> Path:
        """Its command: the engine's command line, by the project's name."""
        return self.path / ".venv" / "bin" / self.path.name

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in its folder and capture what it prints; the exit code is the caller's to check."""
        return subprocess.run(
            command, cwd=self.path, env=os.environ | environment, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="session", autouse=True)
def isolate() -> None:
    """Let neither the user's git settings nor a surrounding git (as in `git rebase --exec`) or make change a result."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    # Within a `make`, another one would print where it is, and inherit its options and its variables.
    for name in {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"} & os.environ.keys():
        del os.environ[name]
    os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
    # Two workers run at any time: threads that wait for each other's cores take more time than they save.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git tracks, so that a file that was never added is missed."""
    copy = tmp_path_factory.mktemp("template") / "template"
    # In a container the checkout often belongs to another user, which git refuses without this.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listing.stdout.split("\0")):
        if not os.path.lexists(REPOSITORY / name):  # removed, and not yet from the index
            continue
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        # The engine comes into a project by a symbolic link, as in a clone.
        shutil.copy2(REPOSITORY / name, copy / name, follow_symlinks=False)
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
            # By default cookiecutter writes each bake's answers into the user's home.
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
    if (installed.path / "var" / "stack" / "supervisord.pid").exists():  # of a test that failed on its way
        installed.run("make", "down")
    for command in ("reset --quiet --hard", "clean --quiet -xdff --exclude=/.venv --exclude=/.tools"):
        done = installed.run("git", *command.split())
        assert done.returncode == 0, done.stderr
    return installed


def succeed(project: BakedProject, *command: str | Path, **environment: str) -> str:
    """What a command prints that has to succeed."""
    done = project.run(*command, **environment)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def in_foreground(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    output: int | IO[str],
    typed: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a command as a terminal does: its process group gets Ctrl-C, `os.killpg(pid, SIGINT)`, and heeds it."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=typed,
        stdout=output,
        stderr=output,
        start_new_session=True,
        # A shell starts what runs in the background with this signal ignored, which all children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@contextmanager
def serving(command: list[str], folder: Path, path: str = "/", **environment: str) -> Iterator[str]:
    """Run a server on a free port of 127.0.0.1 until the block ends; yields its URL once it answers."""
    port = str(free_ports(0)[0])
    url = f"http://127.0.0.1:{port}"
    log = folder / f"server-{port}.log"
    with log.open("w") as output:
        words = [word.replace("{port}", port) for word in command]
        server = subprocess.Popen(words, cwd=folder, env=os.environ | environment, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not answers(url + path):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"{url} did not answer within {PATIENCE_S} s: {log.read_text()}"
                time.sleep(0.2)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=PATIENCE_S)


def answers(url: str) -> bool:
    """Whether a server answers a request well."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - our own server
            return bool(response.status == 200)
    except OSError:
        return False


def answer_to_example(project: BakedProject, **environment: str) -> dict[str, Any]:
    """What a project's API answers to the example that its own page shows."""
    command = [".venv/bin/uvicorn", "modelworks.serving:create_app", "--factory", "--port", "{port}"]
    logs = {"MODELWORKS_SERVING__LOG_PREDICTIONS": "false"}
    with serving(command, project.path, "/ready", **logs, **environment) as url:
        page = fetch(f"{url}/openapi.json")
        body = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        answer: dict[str, Any] = fetch(f"{url}/predict", body["examples"]["one row"]["value"])
    return answer


def assert_engine_passes(project: BakedProject, *tests: str) -> None:
    """Run tests of the engine in a project's environment, which has the frameworks that these need."""
    command = [str(project.path / ".venv/bin/python"), "-m", "pytest", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # Where nobody looks at what was skipped, a missing framework must not pass for a tested one.
    assert " passed" in done.stdout


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
