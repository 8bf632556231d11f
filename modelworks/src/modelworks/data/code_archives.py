"""The code that a job needs on other machines: packages as zip files, named by their content."""

import hashlib
import importlib.metadata
import pickletools
import site
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

ENGINE = __package__.partition(".")[0]
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file can have: the same code gives the same bytes


@dataclass(frozen=True)
class CodeArchive:
    """A package in a zip file, from which Python imports it."""

    package: str
    path: Path
    sha256: str


def find_code(payload: bytes) -> list[CodeArchive]:
    """Archives of the engine, and of each package of the project that pickled objects refer to.

    What comes from an index is not among them: the workers have the packages of the project's lock.
    """
    return [archive(each) for each in dict.fromkeys([ENGINE, *find_packages(payload)])]


def find_packages(payload: bytes) -> list[str]:
    """The packages of the project that pickled objects refer to."""
    return sorted(name for name in set(_find_names(payload)) & sys.modules.keys() if _is_own(name))


def _find_names(payload: bytes) -> Iterator[str]:
    """Every word of a pickle that could name a package, and of the pickles that it holds as bytes."""
    for _, argument, _ in pickletools.genops(payload):
        if isinstance(argument, str):
            yield argument.partition(".")[0]
        elif isinstance(argument, bytes | bytearray) and argument.startswith(b"\x80"):  # as a pickle does
            with suppress(ValueError):
                yield from _find_names(bytes(argument))


def _is_own(name: str) -> bool:
    """Whether a package is the project's: it lies in no folder of installed packages, or requires the engine."""
    file = getattr(sys.modules[name], "__file__", None)
    if name == "__main__" or file is None:
        return False
    folders = [*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()]
    if not any(Path(file).resolve().is_relative_to(Path(folder).resolve()) for folder in folders):
        return True
    try:
        requirements = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(each.startswith(ENGINE) for each in requirements)


@cache
def archive(package: str) -> CodeArchive:
    """A package or module that is imported, as it is on the disk now; written once in a process."""
    content = Path(_folder_of_archives().name) / "archive.zip"
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, path in _files_of(sys.modules[package]):
            file.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    sha256 = hashlib.sha256(content.read_bytes()).hexdigest()
    return CodeArchive(package, content.rename(content.with_name(f"{package}-{sha256[:16]}.zip")), sha256)


@cache
def _folder_of_archives() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="code-")  # removed when the process ends


def _files_of(module: ModuleType) -> list[tuple[str, Path]]:
    """Names in the archive, and paths, of all files of a package; bytecode is left out."""
    file = Path(str(module.__file__))
    if file.name != "__init__.py":
        return [(file.name, file)]
    paths = [path for path in file.parent.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted((path.relative_to(file.parents[1]).as_posix(), path) for path in paths)
