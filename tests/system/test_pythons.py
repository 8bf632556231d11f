"""Each Python that a project may have: generated, trained and tested with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bakes import REPOSITORY, BakedProject, succeed

pytestmark = pytest.mark.slow


def find_python(uv: str, version: str) -> str:
    """An interpreter of this version, wherever it was installed.

    Raises
    ------
    pytest.skip.Exception
        If there is none.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    command = [uv, "python", "find", "--no-python-downloads", version]
    known = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    found = [known, shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python{version}"))]
    for python in filter(None, found):
        # A shim of pyenv may be there for a version that is not.
        done = subprocess.run([python, "--version"], capture_output=True, text=True, check=False)
        if done.stdout.startswith(f"Python {version}."):
            return python
    pytest.skip(f"no Python {version} on this machine; `uv python install {version}` brings one")


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_project_is_generated_trained_and_tested_with_it(template: Path, uv: str, version: str, tmp_path: Path) -> None:
    python = find_python(uv, version)
    environment = {"UV_PYTHON": python, "HOME": str(tmp_path), "UV_CACHE_DIR": cache()}
    [locked] = re.findall(r"^cookiecutter==(\S+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
    bake = [uv, "tool", "run", "--python", python, f"cookiecutter@{locked}", "--no-input", str(template)]
    succeed(BakedProject(tmp_path, {}), *bake, **environment)
    project = BakedProject(tmp_path / "flight-delays", {})
    succeed(project, "make", f"UV={uv}", "setup", **environment)
    assert f"Python {version}." in succeed(project, ".venv/bin/python", "--version")
    assert "version 1 is the champion" in succeed(project, "make", "run", "ARGS=--period 2013-03")
    assert " passed" in succeed(project, "make", "test")


def cache() -> str:
    """The folder of uv's downloads, which a new home would not have."""
    return os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
