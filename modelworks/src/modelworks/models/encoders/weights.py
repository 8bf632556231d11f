"""Weights of pre-trained networks: where packages hold them, and the check that a model was trained with them."""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from modelworks.errors import WeightsError

PACKAGE_MARK = "package:"
WEIGHTS_FILE = "model.safetensors"


def name_setting(weights: str) -> str:
    """The setting that names some weights, for errors."""
    return f"[model.parameters] weights = {weights!r}"


def find_in_package(weights: str) -> Path:
    """A file or folder in an installed package, by `package:NAME/PATH`."""
    package, _, below = weights.removeprefix(PACKAGE_MARK).partition("/")
    found = find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise WeightsError(f"{name_setting(weights)}: no package {package!r} is installed")
    return Path(found.submodule_search_locations[0]) / below


def identify(folder: Path) -> str:
    """SHA-256 of a file of weights, or of those in a folder: of their file, or else of all files and their names."""
    if folder.is_file():
        return _hash(folder)
    if (file := folder / WEIGHTS_FILE).is_file():
        return _hash(file)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = "".join(f"{path.relative_to(folder).as_posix()} {_hash(path)}\n" for path in files)
    return hashlib.sha256(listed.encode()).hexdigest()


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
    """The same, for weights of `source` whose SHA-256 is known."""
    if found != sha256:
        raise WeightsError(
            f"{source} has other weights than the model was trained with: SHA-256 {found[:12]}... "
            f"instead of {sha256[:12]}...; restore those, and give new ones a name of their own"
        )


def first_line(error: Exception) -> str:
    """The first line of a library's error, for a sentence."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
