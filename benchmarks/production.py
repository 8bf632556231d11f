"""An hour of production in minutes: constant load on two replicas of the API while versions change and things fail."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from production_servers import FOLDER, Production, Server, start_production, start_requests, wait_until
from report import print_table

LOG_S = 8.0
"""Longer than a replica's log waits before it writes: what a kill takes with it was answered in the same phase."""
HEADER = [
    *("", "seconds", "requests", "failed", "retried", "p50 ms", "p99 ms", "longest ms", "logged", "lost"),
    *("recovered s",),
]
Disturb = Callable[[Production, float], float | None]
"""Does something to a production, for so many seconds; the seconds to recover, None where there is nothing to."""


@dataclass(frozen=True)
class Phase:
    """A span of time, by the clock, and what happened in it."""

    title: str
    started: float
    ended: float
    recovered_s: float | None


def measure(project: Path, seconds: float, rate: float) -> None:
    """Run all phases, each for so many seconds at least, at so many requests a second; print a line for each."""
    # So that a SIGTERM leaves no server and no disk behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    phases, outcomes, logged = _run(project, seconds, rate)
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
    lines = [_line(phase, [each for each in outcomes if _is_in(phase, each)], logged) for phase in phases]
    whole = Phase("all", phases[0].started, phases[-1].ended, None)
    lines.append(_line(whole, outcomes, logged))
    print_table(f"Production: {rate:g} requests a second, one row each, on two replicas", HEADER, lines)
    _print_verdict(phases, outcomes, logged)


def _run(project: Path, seconds: float, rate: float) -> tuple[list[Phase], list[dict[str, Any]], set[str]]:
    with start_production(project) as production:
        bodies, file, log = FOLDER / "bodies.jsonl", FOLDER / "outcomes.jsonl", FOLDER / "logged.txt"
        production.script("bucket", bodies)
        production.release(20)
        production.script("rows", bodies)
        for each in production.replicas:
            each.start()
        print(f"production: at least {seconds:g} s a phase", flush=True)
        with start_requests(production, bodies, rate, file):
            phases = [_pass(title, disturb, production, seconds) for title, disturb in _plan(production)]
        for each in production.replicas:
            each.end()
        production.script("logged", log)
        outcomes = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return phases, outcomes, {*log.read_text(encoding="utf-8").split()}


def _plan(production: Production) -> list[tuple[str, Disturb]]:
    first, second = production.replicas
    full_disk = [("full disk of the replicas", _fill_disk)] if production.disk else []
    return [
        ("nothing", _nothing),
        ("release", _release),
        ("canary, to its promotion", _canary),
        ("rollback", _roll_back),
        ("registry outage, a replica restarted in it", _registry_outage),
        ("object store outage", _store_outage),
        *full_disk,
        ("restart of each replica, by SIGTERM", _restart),
        ("kill -9 of replica 1", partial(_kill_replica, replica=first)),
        ("kill -9 of replica 2", partial(_kill_replica, replica=second)),
        ("kill -9 of the registry", _kill_registry),
        ("kill -9 of the object store", _kill_store),
        ("nothing, again", _nothing),
    ]


def _pass(title: str, disturb: Disturb, production: Production, seconds: float) -> Phase:
    started = time.time()
    recovered_s = disturb(production, seconds)
    time.sleep(max(0.0, started + seconds - time.time()))
    phase = Phase(title, started, time.time(), recovered_s)
    print(f"        {title}: {phase.ended - started:.0f} s", flush=True)
    return phase


def _nothing(_: Production, __: float) -> None:
    return None


def _release(production: Production, _: float) -> float:
    production.release(30)
    return _wait_for_version(production, "2")


def _canary(production: Production, _: float) -> float:
    production.release(40, ROLLOUT__RELEASE="canary")
    production.command("rollout", "watch", "--seconds", "1")
    return _wait_for_version(production, "3")


def _roll_back(production: Production, _: float) -> float:
    production.command("rollback", "--reason", "measured")
    return _wait_for_version(production, "2")


def _wait_for_version(production: Production, version: str) -> float:
    return wait_until(
        f"version {version} answers",
        lambda: all(each.get("version") == version for each in production.models()),
    )


def _registry_outage(production: Production, seconds: float) -> float:
    production.registry.end()
    time.sleep(seconds / 3)
    _start_again(production.replicas[0])
    time.sleep(seconds / 3)
    production.registry.start()
    return _wait_for_registry(production)


def _wait_for_registry(production: Production) -> float:
    def is_followed(model: dict[str, Any]) -> bool:
        return model.get("source") == "registry" and not model["registry_error"]

    return wait_until("the registry is followed", lambda: all(map(is_followed, production.models())))


def _store_outage(production: Production, seconds: float) -> float:
    production.store.end()
    time.sleep(seconds / 2)
    production.store.start()
    return _wait_for_log(production)


def _wait_for_log(production: Production) -> float:
    before = production.written_rows()

    def is_written() -> bool:
        return all(now > then for now, then in zip(production.written_rows(), before, strict=True))

    return wait_until("the replicas write their log", is_written)


def _fill_disk(production: Production, seconds: float) -> float:
    assert production.disk
    with _full(production.disk):
        time.sleep(seconds / 2)
    return _wait_for_log(production)


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        while room := shutil.disk_usage(disk).free:
            with suppress(OSError):  # a replica took some of it meanwhile
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, room)
    try:
        yield
    finally:
        ballast.unlink()


def _restart(production: Production, _: float) -> float:
    return max(_start_again(each) for each in production.replicas)


def _start_again(server: Server, by: signal.Signals = signal.SIGTERM) -> float:
    """Seconds from the signal until it is ready again."""
    started = time.monotonic()
    server.end(by)
    server.start()
    return time.monotonic() - started


def _kill_replica(_: Production, __: float, replica: Server) -> float:
    time.sleep(LOG_S)
    return _start_again(replica, signal.SIGKILL)


def _kill_registry(production: Production, _: float) -> float:
    started = time.monotonic()
    _start_again(production.registry, signal.SIGKILL)
    _wait_for_registry(production)
    return time.monotonic() - started


def _kill_store(production: Production, _: float) -> float:
    started = time.monotonic()
    _start_again(production.store, signal.SIGKILL)
    _wait_for_log(production)
    return time.monotonic() - started


def _is_in(phase: Phase, outcome: dict[str, Any]) -> bool:
    return bool(phase.started <= outcome["due"] < phase.ended)


def _line(phase: Phase, outcomes: Sequence[dict[str, Any]], logged: set[str]) -> list[str]:
    answered = [each for each in outcomes if each["ok"]]
    milliseconds = sorted(1000 * each["seconds"] for each in answered) or [math.nan]
    lost = sum(each["id"] not in logged for each in answered)
    return [
        phase.title,
        f"{phase.ended - phase.started:.0f}",
        f"{len(outcomes):,}",
        f"{len(outcomes) - len(answered)}",
        f"{sum(bool(each['reasons']) for each in answered)}",
        *(f"{milliseconds[int(share * (len(milliseconds) - 1))]:.0f}" for share in (0.5, 0.99, 1.0)),
        f"{len(answered) - lost:,}",
        f"{lost}",
        "" if phase.recovered_s is None else f"{phase.recovered_s:.1f}",
    ]


def _print_verdict(phases: Sequence[Phase], outcomes: Sequence[dict[str, Any]], logged: set[str]) -> None:
    """Failed requests, and lost predictions where none may be lost."""
    killed = [phase for phase in phases if phase.title.startswith("kill -9 of replica")]
    lost = [each for each in outcomes if each["ok"] and each["id"] not in logged]
    unexpected = [each for each in lost if not any(_is_in(phase, each) for phase in killed)]
    failed = [each for each in outcomes if not each["ok"]]
    print(f"\nfailed requests: {len(failed)} {dict(Counter(str(each['reasons']) for each in failed)) or ''}")
    print(f"predictions lost outside the kills of a replica: {len(unexpected)}")
    retried = Counter(reason for each in outcomes if each["ok"] for reason in each["reasons"])
    print(f"answered by the next replica, and why the first did not: {dict(retried)}")
