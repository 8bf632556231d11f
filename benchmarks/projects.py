"""The folders and the project that the measurements use."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path

from processes import run

REPOSITORY = Path(__file__).resolve().parents[1]
WORK = REPOSITORY / "build" / "bench"
ENGINE_ENVIRONMENT = REPOSITORY / ".venv-engine"
OF_THE_ENGINE = {"", "lightgbm", "xgboost"}
"""Frameworks of that environment."""
SLUG = "flight-delays"
BAKE_OPTIONS = ["--no-input", "--default-config"]

COMMAND = ".venv/bin/modelworks"
"""The engine's command line, in a project's folder."""
RUN = [COMMAND, "run", "--force"]
"""What `make run` calls, again and again on the same data."""


@cache
def prepare_project(frameworks: str = "", example: str = "tabular") -> Path:
    """A project with `frameworks` or of another example, baked from this work tree; made once in a call.

    It has the environment of the engine's tests, where that has its frameworks; else it is installed. PyTorch comes
    from where the caller's `TORCH_BACKEND` and uv's own settings say.
    """
    print("Baking the project that is measured ...", flush=True)
    name = "-".join([*frameworks.split(","), *({example} - {"tabular"})]).strip("-")
    parent = WORK / name if name else WORK
    folder = parent / SLUG
    shutil.rmtree(folder, ignore_errors=True)
    parent.mkdir(parents=True, exist_ok=True)
    bake: list[str | Path] = [
        sys.executable,
        "-m",
        "cookiecutter",
        REPOSITORY,
        *BAKE_OPTIONS,
        "--output-dir",
        parent,
        "git_init=no",
        f"example={example}",
        *([f"frameworks={frameworks}"] if frameworks else []),
    ]
    run(bake, WORK, HOME=str(WORK / "home"))  # cookiecutter writes its answers into the home folder
    if {*name.split("-")} - OF_THE_ENGINE:
        run(["make", "setup", f"UV={find_uv()}"], folder)
    elif not ENGINE_ENVIRONMENT.is_dir():
        raise SystemExit("the engine's environment is missing: run `make engine` first")
    else:
        (folder / ".venv").symlink_to(ENGINE_ENVIRONMENT)
        shutil.rmtree(folder / "vendor")  # the engine of that environment is the repository's own
    return folder


def locked_versions(*packages: str) -> list[str]:
    """Name and version of packages as the project's requirements.lock has them."""
    lock = (REPOSITORY / "{{cookiecutter.project_slug}}" / "requirements.lock").read_text(encoding="utf-8")
    pins = dict(line.split(" ")[0].split("==") for line in lock.splitlines() if "==" in line.split(" ")[0])
    return [f"{package} {pins[package]}" for package in packages]


def find_uv() -> str:
    """The uv on the PATH, or the one that `make setup` has fetched.

    Raises
    ------
    SystemExit
        If there is neither.
    """
    fetched = REPOSITORY / ".tools" / "bin" / "uv"
    if found := shutil.which("uv") or shutil.which(fetched):
        return found
    raise SystemExit("uv is missing: run `make setup` first")
