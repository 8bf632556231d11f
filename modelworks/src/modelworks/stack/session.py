"""The processes of one session: everything that supervisord has started, however it was left behind.

A process keeps the session in which it was started, also where it leaves its process group and outlives its parent,
as Airflow's task runners do. No process is ended that is not of the session.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

PATIENCE_S = 10.0
MARK = "STACK_PID_FILE"
"""A variable that each process of a stack has."""


def read_leader(pid_file: Path) -> int | None:
    """The process id that supervisord noted, which is the number of its session; None if it noted nothing."""
    try:
        return int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def find_leader(pid_file: Path, home: Path) -> int | None:
    """The number of this project's session: as supervisord noted it, or else by what its processes run.

    The note is gone where somebody has removed `var`.
    """
    if (leader := read_leader(pid_file)) is not None:
        return leader
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if _is_alive(process) and works_in(process, home) and MARK in process.environ():
                return _session_of(process)
    return None


def find_supervisor(leader: int | None, home: Path) -> psutil.Process | None:
    """The supervisord of this project, if it runs."""
    with suppress(psutil.Error, OSError):
        if leader and _is_supervisor(process := psutil.Process(leader)) and process.cwd() == os.path.realpath(home):
            return process
    return None


def find_members(leader: int | None, home: Path) -> list[psutil.Process]:
    """All living processes of the session, if it is one of this project.

    After a restart of the computer the number may be that of a foreign session. While a session has members its
    number is given to no other process. So it is ours if supervisord leads it, or, where it has lost its leader, if
    somebody in it works in the project's folder.
    """
    if leader is None:
        return []
    members = [process for process in psutil.process_iter() if _session_of(process) == leader and _is_alive(process)]
    if any(process.pid == leader for process in members):
        return members if find_supervisor(leader, home) else []
    return members if any(works_in(process, home) for process in members) else []


def end_session(leader: int | None, home: Path) -> int:
    """End the session's processes by TERM, and those that remain by KILL; returns how many there were."""
    asked: set[int] = set()
    started = time.monotonic()
    while (members := find_members(leader, home)) and (waited := time.monotonic() - started) < 2 * PATIENCE_S:
        for process in members:
            with suppress(psutil.NoSuchProcess):
                if waited > PATIENCE_S:
                    process.kill()
                elif process.pid not in asked:
                    process.terminate()
        asked |= {process.pid for process in members}
        time.sleep(0.2)
    return len(asked)


def _is_supervisor(process: psutil.Process) -> bool:
    return process.is_running() and any(Path(word).name == "supervisord" for word in process.cmdline()[:2])


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _session_of(process: psutil.Process) -> int | None:
    with suppress(OSError):
        return os.getsid(process.pid)
    return None


def works_in(process: psutil.Process, home: Path) -> bool:
    """Whether a process works in a folder, which it does still when the folder is renamed."""
    with suppress(psutil.Error, OSError):
        return process.cwd() == os.path.realpath(home)
    return False
