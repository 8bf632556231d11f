"""Which code is running, and for whom."""

import getpass
import hashlib
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import schema
from .config import Model, Settings


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


def recipe(settings: Settings, model: Model) -> dict[str, Any]:
    """All that makes a model what it is, but for its data: with these, the same data give the same model.

    Parameters
    ----------
    model : as it was chosen, which need not be [model]
    """
    locks = _find_locks(settings.home)
    return {
        "training": settings.training.model_dump(),
        "model": model.model_dump(),
        "environment": {
            "code commit": code_commit(settings.home),
            "contract version": schema.version(),
            "lock SHA-256": _sha256(locks) if locks else "no requirements.lock",
            "Python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            **{package: version(package) for package in ("numpy", "pandas", "scikit-learn")},
        },
    }


def code_sha256(home: Path) -> str:
    """SHA-256 of the package and the locks as they lie there, committed or not."""
    return _sha256([*sorted(Path(__file__).parent.rglob("*.py")), *_find_locks(home)])


def _find_locks(home: Path) -> list[Path]:
    return [path for name in ("requirements.lock", "torch.lock") if (path := home / name).is_file()]


def _sha256(files: list[Path]) -> str:
    """The hash of files, one after the other."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
