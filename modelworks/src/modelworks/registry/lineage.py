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
GIT_VARIABLES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}


def code_commit(home: Path) -> str:
    """The git commit of the project, with `-dirty` if files differ from it.

    `GIT_COMMIT` takes precedence: an image holds the code without its repository.
    """
    if commit := os.environ.get("GIT_COMMIT"):
        return commit
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=home,
            # A hook of another repository, or its shell, names that one.
            env={name: value for name, value in os.environ.items() if name not in GIT_VARIABLES},
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "no git commit"
    return described.stdout.strip()


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
