"""A version meets live traffic on two replicas: in the shadow, as a canary, and on its way back; no request fails."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from flights import FLIGHTS
from modelworks import stages
from modelworks.data import frames, partitions
from modelworks.data.answers import read_answers
from modelworks.registry import ledger, rollouts
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHALLENGER, CHAMPION
from modelworks.serving.row_schema import logged_columns
from modelworks.settings import ENV_PREFIX, load_settings
from modelworks.stages.facts import RolloutFacts
from servers import PATIENCE_S, Server, running, serving

FAST = {"STEP_MINUTES": "0", "MIN_REQUESTS": "60", "STEPS": "[0.2, 0.6, 1.0]", "LATENCY_FLOOR_MS": "2000"}


@pytest.fixture
def home(released: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Versions 1 and 2 are released, 2 is the champion; a step takes 60 requests and no time."""
    for name, value in FAST.items():
        monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__{name}", value)
    return released


def live_rows(number: int = 400) -> list[dict[str, Any]]:
    """Real rows of the newest period, whose labels are known, spread over its days."""
    frame = partitions.read_partition(stages.newest_clean(load_settings()))
    step = max(1, len(frame) // number)
    return frames.to_records(frame[logged_columns(FLIGHTS.contract)].iloc[::step])


class Callers:
    """Many callers, each with rows of its own, in turn on all replicas, without a pause."""

    def __init__(self, servers: list[Server], rows: list[dict[str, Any]], threads: int = 3) -> None:
        self.answers: list[tuple[int, str, str]] = []
        self._stop = threading.Event()
        self._number = count()
        self._threads = [threading.Thread(target=self._ask, args=(servers, rows)) for _ in range(threads)]

    def _ask(self, servers: list[Server], rows: list[dict[str, Any]]) -> None:
        with httpx.Client(timeout=PATIENCE_S) as client:
            while not self._stop.is_set():
                at = next(self._number)
                row = rows[at % len(rows)]
                answer = client.post(f"{servers[at // len(rows) % len(servers)].url}/predict", json=row)
                self.answers.append((answer.status_code, answer.json().get("model_version", ""), json.dumps(row)))

    @property
    def versions(self) -> Counter[str]:
        """How many answers came from each version."""
        return Counter(version for _, version, _ in self.answers)

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert Counter(status for status, _, _ in self.answers) == {200: len(self.answers)}, "a request failed"


@pytest.fixture
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., list[Server]]]:
    """Starts two replicas of the API."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("replicas")

        def start(factory: str = "") -> list[Server]:
            if not factory:
                return [stack.enter_context(serving(folder)) for _ in range(2)]
            command = ["uvicorn", factory, "--factory", "--no-access-log"]
            quick = {f"{ENV_PREFIX}SERVING__CHAMPION_POLL_S": "0.2", "PYTHONPATH": str(Path(__file__).parents[1])}
            return [stack.enter_context(running(command, "/ready", folder, **quick)) for _ in range(2)]

        yield start


def advance_until(has_come: Callable[[RolloutFacts], bool]) -> list[RolloutFacts]:
    """Advance the rollout until something holds; the facts of each look."""
    until, seen = time.monotonic() + PATIENCE_S, []
    while time.monotonic() < until:
        seen.append(stages.advance_rollout(FLIGHTS, load_settings()))
        if has_come(seen[-1]):
            return seen
        time.sleep(0.5)
    raise AssertionError(seen[-1])


def aliases() -> tuple[str | None, str | None]:
    """Champion and challenger, by the registry."""
    versions = Tracker(FLIGHTS, load_settings()).versions
    found = [versions.find_alias(alias) for alias in (CHAMPION, CHALLENGER)]
    return tuple(each.version if each else None for each in found)  # type: ignore[return-value]


def test_good_challenger_reaches_every_caller_and_is_the_champion(home: Path, replicas) -> None:
    settings, rows = load_settings(), live_rows()
    servers = replicas()
    stages.rollback(FLIGHTS, settings)
    started = stages.start_rollout(FLIGHTS, settings, "2", reason="try it")
    assert (started.share, started.champion, aliases()) == (0.2, "1", ("1", "2"))
    with Callers(servers, rows) as callers:
        seen = advance_until(lambda facts: facts.has_ended)
    assert [each.share for each in seen if each.move == "advance"] == [0.6, 1.0], seen
    assert seen[-1].move == "promote", seen[-1].summary
    assert aliases() == ("2", None)
    entry = ledger.read_ledger(settings)[-1]
    assert (entry.action, entry.from_version, entry.to_version) == ("deploy", "1", "2")
    actions = [step.action for step in rollouts.read_steps(settings)]
    assert actions == ["started", "advanced", "advanced", "promoted"]
    logged = read_answers(settings.storage_uri, at_the_start(), 10**6)
    assert logged is not None
    assert set(logged["model_version"].to_pylist()) == {"1", "2"}
    # The same caller gets the same model at each share, on whichever replica, and never the old one again.
    order: dict[str, list[str]] = {}
    for _, version, row in callers.answers:
        order.setdefault(row, []).append(version)
    for versions in order.values():
        assert "1" not in versions[versions.index("2") :] if "2" in versions else True


def at_the_start() -> Any:
    from datetime import UTC, datetime

    return datetime(2000, 1, 1, tzinfo=UTC)
