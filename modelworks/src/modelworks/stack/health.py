"""Waiting until the processes of the stack are healthy: as long as they make progress, up to a limit."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from modelworks.errors import StackError
from modelworks.settings import Settings, check_disk, written_folders
from modelworks.stack.airflow_api import AirflowApi
from modelworks.stack.environment import pid_file
from modelworks.stack.processes import fetch, last_lines_of, read_processes
from modelworks.stack.session import find_members, read_leader

STALL_S = 240.0
MIN_CPU_S = 0.2
"""Processor seconds in each second that count as progress: idle servers use or lack fewer, starting ones more."""


class Patience:
    """How long to wait for something that takes longer on a busy machine.

    Parameters
    ----------
    limit_s : seconds in all
    stall_s : seconds without progress
    """

    def __init__(self, limit_s: float, stall_s: float = STALL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._limit_s, self._stall_s = clock, limit_s, stall_s
        self._started = self._seen_at = self._progress_at = clock()
        self._seen: tuple[int, float] = (0, 0.0)

    @property
    def waited_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def is_over(self, healthy: int, cpu_s: float) -> bool:
        """Whether to stop waiting.

        Parameters
        ----------
        healthy : parts that are healthy by now
        cpu_s : processor seconds that all processes have used, or waited for, by now
        """
        now, (healthy_before, cpu_before) = self._clock(), self._seen
        if healthy > healthy_before or cpu_s - cpu_before > MIN_CPU_S * (now - self._seen_at):
            self._progress_at = now
        self._seen, self._seen_at = (healthy, cpu_s), now
        return now - self._started > self._limit_s or now - self._progress_at > self._stall_s


def wait_until_healthy(settings: Settings, console: Console) -> None:
    """Wait for each process, then for the DAGs; each is printed when it is there.

    Raises
    ------
    StackError, DiskError
        If a process ends, or [stack] start_timeout_s is over, or nothing has moved for some minutes; or the disk is
        full, on which the processes would wait or start again and again.
    """
    patience = Patience(settings.stack.start_timeout_s)
    healthy: set[str] = set()
    with console.status("Starting ...") as line:
        while missing := _find_missing(settings, console, healthy, patience):
            check_disk(written_folders(settings))
            if patience.is_over(len(healthy), _wanted_cpu_seconds(settings)):
                raise StackError(
                    f"{', '.join(missing)} not healthy after {patience.waited_s:.0f} s, of "
                    f"{settings.stack.start_timeout_s:.0f} s by [stack] start_timeout_s:\n"
                    f"{last_lines_of(settings, missing[0])}"
                )
            line.update(f"Waiting for {', '.join(missing)} ({patience.waited_s:.0f} s) ...")
            time.sleep(1)
        line.update("Waiting for the DAGs ...")
        _wait_for_dags(settings, console, patience)


def _find_missing(settings: Settings, console: Console, healthy: set[str], patience: Patience) -> list[str]:
    """Names of the processes that are not healthy yet; those that have just become it are printed and added."""
    if not (processes := read_processes(settings)):
        raise StackError(f"supervisord ended:\n{last_lines_of(settings, 'supervisord')}")
    for each in processes:
        if each["state"] == "fatal":
            raise StackError(f"{each['name']} does not start:\n{last_lines_of(settings, each['name'])}")
        if each["health"] == "healthy" and each["name"] not in healthy:
            healthy.add(each["name"])
            console.print(f"[green]✓[/] {each['name']:<26} {patience.waited_s:5.1f} s")
    return [each["name"] for each in processes if each["name"] not in healthy]


def _wait_for_dags(settings: Settings, console: Console, patience: Patience) -> None:
    """Wait until Airflow has the DAGs, and let it answer tasks once: its first answer takes many seconds."""
    started = patience.waited_s
    fetch(f"{settings.stack.url('airflow')}/execution/health", timeout_s=60)
    api = AirflowApi(settings)
    errors, dags = _find_dags(api)
    while not errors and api.dag_id("training") not in dags and not patience.is_over(0, _wanted_cpu_seconds(settings)):
        time.sleep(0.5)
        errors, dags = _find_dags(api)
    for file, message in errors.items():
        console.print(f"[red]✗[/] {file} cannot be imported: {message.strip().splitlines()[-1]}", soft_wrap=True)
    if not dags:
        raise StackError(f"Airflow has found no DAG:\n{last_lines_of(settings, 'airflow-dag-processor')}")
    console.print(f"[green]✓[/] {f'{len(dags)} DAGs':<26} {patience.waited_s - started:5.1f} s")


def _find_dags(api: AirflowApi) -> tuple[dict[str, str], list[str]]:
    """Import errors by file, and the ids of the DAGs."""
    return api.import_errors(), api.dag_ids()


def _wanted_cpu_seconds(settings: Settings) -> float:
    """Processor seconds that all processes of the stack have used so far, or waited for on a busy machine."""
    total = 0.0
    for process in find_members(read_leader(pid_file(settings)), settings.home):
        with suppress(psutil.Error):
            times: Any = process.cpu_times()
            total += times.user + times.system + _waited_seconds(process.pid)
    return total


def _waited_seconds(pid: int) -> float:
    """Seconds for which threads of a process were ready and another one ran; 0 where the system does not say."""
    waited_ns = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, IndexError):  # a thread that ends meanwhile
            waited_ns += int(file.read_text().split()[1])
    return waited_ns / 1e9
