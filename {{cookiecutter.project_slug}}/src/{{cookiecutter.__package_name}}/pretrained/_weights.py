"""Weights of pre-trained networks in packages, and whether they are those that a model was trained with."""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import ConfigError, ReleaseError

PACKAGE_MARK = "package:"
WEIGHTS_FILE = "model.safetensors"


def find_in_package(weights: str) -> Path:
    """What is in an installed package, as `package:NAME/PATH` names it."""
    package, _, below = weights.removeprefix(PACKAGE_MARK).partition("/")
    found = find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"[model] weights = {weights!r}: no package {package!r} is installed")
    return Path(found.submodule_search_locations[0]) / below


@lru_cache
def identify(folder: Path) -> str:
    """SHA-256 of a file of weights, or of those in a folder: of their file, or else of all files and their names."""
    if folder.is_file():
        return _hash(folder)
    if (file := folder / WEIGHTS_FILE).is_file():
        return _hash(file)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    told = "".join(f"{path.relative_to(folder).as_posix()} {_hash(path)}\n" for path in files)
    return hashlib.sha256(told.encode()).hexdigest()


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_same(folder: Path, sha256: str) -> None:
    """Make sure that weights are those that a model was trained with.

    Raises
    ------
    ReleaseError
        If they are others.
    """
    refuse_others(folder, identify(folder), sha256)


def refuse_others(source: object, found: str, sha256: str) -> None:
    """The same, where the SHA-256 of the weights that `source` has is known."""
    if found != sha256:
        raise ReleaseError(
            f"{source} has other weights than the model was trained with: SHA-256 {found[:12]}... "
            f"instead of {sha256[:12]}...; bring those back, or train and release a model with these"
        )
