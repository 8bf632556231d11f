"""Which code is running."""

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
