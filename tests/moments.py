"""Disturb a command at a moment of its work: Ctrl-C, or a disk that fills up; and disks that are small."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from bakes import REPOSITORY, BakedProject, in_foreground

PATIENCE_S = 1800
BALLAST = "ballast"

Happened = Callable[[str], bool]
"""Whether the moment has come, by what a command has printed so far."""
Disturb = Callable[[int], object]
"""What is done then; it gets the number of the command's process group."""


def press_ctrl_c(group: int) -> None:
    """Do what a terminal does."""
    os.killpg(group, signal.SIGINT)


def disturb(
    project: BakedProject,
    *command: str | Path,
    at: Happened,
    by: Disturb = press_ctrl_c,
    typed: int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Start a command, disturb it once a moment has come, and wait for its end; its exit status and what it printed.

    `typed` is what it reads from.
    """
    log = project.path.parent / "disturbed.log"
    with log.open("w") as output:
        process = in_foreground(command, project.path, os.environ | dict(environment or {}), output, typed)
        deadline = time.monotonic() + PATIENCE_S
        try:
            while not at(log.read_text()):
                assert process.poll() is None, f"ended before the moment came: {log.read_text()}"
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            by(process.pid)
            process.wait(PATIENCE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return process.returncode, log.read_text()


def printed(pattern: str) -> Happened:
    """The moment at which something has been printed."""
    return lambda text: re.search(pattern, text) is not None


def held(moment: str, orders: Path) -> tuple[Happened, dict[str, str]]:
    """A moment at which the command stands still until the order is gone; and the environment that makes it do so.

    Parameters
    ----------
    moment : as tests/system/faults/faults/sitecustomize.py names it
    orders : a new folder
    """
    orders.mkdir()
    (orders / moment).write_text("wait")
    faults = REPOSITORY / "tests" / "system" / "faults" / "faults"
    environment = {"PYTHONPATH": str(faults), "FAULT_ORDERS": str(orders)}
    return lambda _: any(orders.glob(f"{moment} *")), environment


def working_in(folder: Path) -> list[str]:
    """The commands of all processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def files_of(project: BakedProject) -> dict[Path, bytes]:
    """What a person's files of a project hold, and whatever else lies beside them."""
    folders = [project.path / name for name in ("dags", "data", "src", "tests")]
    found = [*project.path.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    return {path: path.read_bytes() for path in found if path.is_file() and "__pycache__" not in path.parts}


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own in place of a folder, with what the folder holds."""
    kept = folder.with_name(f"{folder.name}.kept")
    folder.mkdir(exist_ok=True)
    folder.rename(kept)
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "small"]
    if subprocess.run(["mount", *options, folder], capture_output=True, check=False).returncode:
        folder.rmdir()
        kept.rename(folder)
        pytest.skip("needs a small disk of its own, and `mount` is for root only here")
    shutil.copytree(kept, folder, dirs_exist_ok=True, symlinks=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
        kept.rename(folder)


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Let nobody write there, root neither."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def fill(disk: Path, but_bytes: int = 0) -> Path:
    """Leave so much room on a disk; returns the file that takes the rest."""
    ballast = disk / BALLAST
    with ballast.open("wb") as file:
        while (room := shutil.disk_usage(disk).free - but_bytes) > 0:
            with suppress(OSError):  # another process took some of it meanwhile
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, room)
    return ballast


def filling(disk: Path) -> Disturb:
    """Fill a disk while the command stands still: it finds no room from one instruction to the next."""

    def fill_up(group: int) -> None:
        os.killpg(group, signal.SIGSTOP)
        fill(disk)
        os.killpg(group, signal.SIGCONT)

    return fill_up
