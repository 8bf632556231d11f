"""Which code runs, in which environment, and for whom."""

import getpass
import hashlib
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import modelworks
from modelworks.project import Project
from modelworks.settings import Model, Settings

ENGINE = Path(modelworks.__file__).parent
LOCKS = ("requirements.lock", "torch.lock")
NO_FILES = "none"
NO_COMMIT = "no git commit"
SHOWN_FILES = 3
GIT_VARIABLES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}


def code_commit(home: Path) -> str:
    """The git commit of the project, with `-dirty` if files differ from it.

    `GIT_COMMIT` takes precedence: an image holds the code without its repository.
    """
    if commit := os.environ.get("GIT_COMMIT"):
        return commit
    described = _ask_git(home, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    return NO_COMMIT if described is None else described


def find_uncommitted(home: Path) -> str:
    """What of the code is in no commit, in words; "" if all is.

    Unlike in `code_commit` new files count as well: a module that git does not know is imported like any other.
    """
    if commit := os.environ.get("GIT_COMMIT"):
        return f"GIT_COMMIT = {commit!r} was made of changed files" if commit.endswith("-dirty") else ""
    changed = _ask_git(home, "status", "--porcelain", "--untracked-files=all", ".")
    if changed is None or _ask_git(home, "rev-parse", "--verify", "HEAD") is None:
        return f"{home} is in no git repository with a commit"
    names = [line[3:] for line in changed.splitlines()]
    more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
    return f"not committed: {', '.join(names[:SHOWN_FILES])}{more}" if names else ""


def _ask_git(home: Path, *arguments: str) -> str | None:
    """What a command of git prints; None where it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=home,
            # A hook of another repository, or its shell, names that one.
            env={name: value for name, value in os.environ.items() if name not in GIT_VARIABLES},
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip()


def current_user() -> str:
    """Name of the operating system's user; containers run under numbers that have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def project_sha256(home: Path) -> str:
    """SHA-256 of the project's own Python files, in `src/` and `dags/`, committed or not."""
    return _sha256(home, [*_python_files(home / "src"), *_python_files(home / "dags")])


def engine_sha256() -> str:
    """SHA-256 of the Python files of `modelworks`; it differs from that of its release once one of them is patched."""
    return _sha256(ENGINE, _python_files(ENGINE))


def lock_sha256(home: Path) -> str:
    """SHA-256 of the project's locks."""
    return _sha256(home, [path for name in LOCKS if (path := home / name).is_file()])


def code_sha256(home: Path) -> str:
    """SHA-256 of all code that a run executes: the project's, the engine's and the locked distributions."""
    return hashlib.sha256("".join([project_sha256(home), engine_sha256(), lock_sha256(home)]).encode()).hexdigest()


def recipe(project: Project, settings: Settings, model: Model) -> dict[str, Any]:
    """Everything that makes a model but its data: with these, the same data give the same model.

    Parameters
    ----------
    model : the chosen one, which may differ from [model]
    """
    return {
        "training": settings.training.model_dump(),
        "model": model.model_dump(),
        "environment": {
            "project code": project_sha256(settings.home),
            "code commit": code_commit(settings.home),
            "engine code": engine_sha256(),
            "engine version": modelworks.__version__,
            "lock": lock_sha256(settings.home),
            "contract version": project.contract.version,
            "Python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            **{package: version(package) for package in ("numpy", "pandas", "scikit-learn")},
        },
    }


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """Parts of two environments of `recipe` that differ, each in words."""
    return [f"{name}: then {then.get(name)}, now {now[name]}" for name in now if then.get(name) != now[name]]


def _python_files(folder: Path) -> list[Path]:
    """Every Python file below a folder, also behind symbolic links, in the order of their paths."""
    walked = os.walk(folder, followlinks=True)
    return sorted(Path(parent, name) for parent, _, names in walked for name in names if name.endswith(".py"))


def _sha256(root: Path, files: list[Path]) -> str:
    """SHA-256 of the names and bytes of files; `NO_FILES` if there are none."""
    if not files:
        return NO_FILES
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
