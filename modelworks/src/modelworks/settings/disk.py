"""Folders that cannot be written to: on a full disk, on one that is mounted for reading only, or somebody else's."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelworks.errors import DiskError
from modelworks.settings.settings import Settings

FULL_BYTES = 4 * 1024**2
"""With less than this, a period, a model or a log finds no room."""
FULL = ("No space left on device", "disk is full", "Disk quota exceeded")
"""What the system and SQLite say of a full disk; few libraries name its path."""


def written_folders(settings: Settings) -> list[Path]:
    """The local folders that a run writes to."""
    var = settings.home / "var"
    storage = [Path(settings.storage_uri)] if "://" not in settings.storage_uri else []
    # `tempfile.gettempdir` raises where the folder is full.
    return [var, *sorted(var.glob("*/")), *storage, Path(os.environ.get("TMPDIR") or "/tmp")]  # noqa: S108


def check_disk(folders: Iterable[Path]) -> None:
    """Make sure that folders can be written to.

    Raises
    ------
    DiskError
        If one cannot; names it.
    """
    if problem := explain_disk(folders):
        raise DiskError(problem)


def explain_disk(folders: Iterable[Path], error: str = "") -> str:
    """Which of some folders cannot be written to, why, and what to do; "" if all can.

    Parameters
    ----------
    error : what a library has said; of a full disk it is right, even if there is room again by now
    """
    existing = {folder: next(each for each in (folder, *folder.parents) if each.exists()) for folder in folders}
    problems = [f"{folder}: {problem}" for folder, there in existing.items() if (problem := _find_problem(there))]
    if not problems and says_full(error):
        fullest = min(existing, key=lambda folder: _free_bytes(existing[folder]))
        problems = [f"{fullest}: {_describe_full(existing[fullest])}"]
    return f"{problems[0]}, then run the same command again" if problems else ""


def says_full(error: str) -> bool:
    """Whether an error of the system or of a library is about a full disk."""
    return any(sign in error for sign in FULL)


@contextmanager
def explaining_disk(folders: Iterable[Path]) -> Iterator[None]:
    """A context that names the folder where writing failed, while what fills its disk is still there.

    Raises
    ------
    DiskError
    """
    try:
        yield
    except OSError as error:
        if problem := explain_disk(folders, str(error)):
            raise DiskError(problem) from error
        raise


def _find_problem(folder: Path) -> str:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "read-only file system; mount it for writing"
    if not os.access(folder, os.W_OK):
        return "no permission to write; make it writable for this user"
    return _describe_full(folder) if _free_bytes(folder) < FULL_BYTES else ""


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _describe_full(folder: Path) -> str:
    return f"no space left on its disk ({_free_bytes(folder) / 1024:,.0f} KB free); free some"
