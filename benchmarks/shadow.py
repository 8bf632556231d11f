"""The prediction API with a challenger in its shadow against the same API without one, in turn, by wrk."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from processes import run
from projects import COMMAND, RUN, WORK
from report import print_table
from serving import API, Figures, Server, describe_champion, drive, start_server, uvicorn, write_bodies

ALONE = "no shadow"


def compare(project: Path, connections: Sequence[int], shares: Sequence[float], rounds: int, seconds: int) -> None:
    """Drive an API without a shadow and one for each share of the requests, in turn; print the ratios of their p99."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk, or brew install wrk")
    _release_two(project)
    champion = describe_champion(project)
    body = write_bodies(champion, WORK)[API, 1]
    with ExitStack() as stack:
        servers = {ALONE: _start(stack, project, 0.0)}
        servers |= {f"shadow_share {share:g}": _start(stack, project, share) for share in shares}
        for count in connections:
            measured = [
                {who: drive(server, body, count, seconds) for who, server in servers.items()} for _ in range(rounds)
            ]
            _print(count, measured, {who: _shadowed(server) for who, server in servers.items()})


def _release_two(project: Path) -> None:
    """A champion, and a challenger of other settings in its shadow."""
    run(RUN, project)
    other = {"MODELWORKS_ROLLOUT__RELEASE": "shadow", "MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "100"}
    said = run([COMMAND, "rollout", "status", "--json"], project).output
    if not (json.loads(said) or {}).get("in_force"):
        run(RUN, project, **other)


def _start(stack: ExitStack, project: Path, share: float) -> Server:
    name = "MODELWORKS_ROLLOUT__SHADOW_SHARE"
    server = stack.enter_context(
        start_server(project, uvicorn("modelworks.serving:create_app"), "/ready", WORK, **{name: str(share)})
    )
    until = time.monotonic() + 180
    with_challenger = False
    while not with_challenger:
        if time.monotonic() > until:
            raise SystemExit(f"{server.url}: no challenger is loaded")
        time.sleep(0.5)
        with urllib.request.urlopen(f"{server.url}/model", timeout=30) as answer:  # noqa: S310
            with_challenger = json.load(answer)["challenger"] is not None
    return Server(f"{server.url}/predict", server.process)


def _shadowed(server: Server) -> tuple[float, float]:
    """Rows that the shadow predicted, and that it dropped, so far."""
    with urllib.request.urlopen(server.url.replace("/predict", "/metrics"), timeout=30) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    names = ("api_shadow_rows_total", "api_shadow_dropped_rows_total")
    rows, dropped = (float(next(line.split()[-1] for line in lines if line.startswith(f"{name} "))) for name in names)
    return rows, dropped


def _print(count: int, measured: list[dict[str, Figures]], shadowed: dict[str, tuple[float, float]]) -> None:
    lines = []
    for who in measured[0]:
        names = ("p50_ms", "p99_ms", "per_second")
        p50, p99, rate = (median(getattr(each[who], name) for each in measured) for name in names)
        ratio = median(each[who].p99_ms / each[ALONE].p99_ms for each in measured)
        spread = sorted(each[who].p99_ms / each[ALONE].p99_ms for each in measured)
        rows, dropped = shadowed[who]
        figures = [f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{ratio:.2f}", f"{spread[0]:.2f} to {spread[-1]:.2f}"]
        lines.append([who, *figures, f"{rows:,.0f}", f"{dropped:,.0f}"])
    header = ["", "requests/s", "p50 ms", "p99 ms", "ratio of p99", "of single rounds", "shadow's rows", "dropped"]
    print_table(f"The champion beside a shadow: 1 row a request, {count} connections", header, lines)
