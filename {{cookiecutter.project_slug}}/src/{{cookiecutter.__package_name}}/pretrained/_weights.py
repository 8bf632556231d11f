"""Weights of pre-trained networks in packages, and whether they are those that a model was trained with."""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from ..errors import WeightsError

PACKAGE_MARK = "package:"
WEIGHTS_FILE = "model.safetensors"


def find_in_package(weights: str) -> Path:
    """What is in an installed package, as `package:NAME/PATH` names it."""
    package, _, below = weights.removeprefix(PACKAGE_MARK).partition("/")
    found = find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise WeightsError(f"[model] weights = {weights!r}: no package {package!r} is installed")
    return Path(found.submodule_search_locations[0]) / below


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
    written = file.stat()
    return _hash_once(file, written.st_mtime_ns, written.st_size)


@lru_cache(maxsize=256)
def _hash_once(file: Path, mtime_ns: int, size: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_same(folder: Path, sha256: str) -> None:
    """Make sure that weights are those that a model was trained with.

    Raises
    ------
    WeightsError
        If they are others.
    """
    refuse_others(folder, identify(folder), sha256)


def refuse_others(source: object, found: str, sha256: str) -> None:
    """The same, where the SHA-256 of the weights that `source` has is known."""
    if found != sha256:
        raise WeightsError(
            f"{source} has other weights than the model was trained with: SHA-256 {found[:12]}... "
            f"instead of {sha256[:12]}...; bring those back, and give new ones a name of their own"
        )


def first_line(error: Exception) -> str:
    """What a library says of weights that it cannot read, as far as a sentence can hold it."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
