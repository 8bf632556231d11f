"""Which code is running, and for whom."""

import getpass
import os
import subprocess
from pathlib import Path


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
