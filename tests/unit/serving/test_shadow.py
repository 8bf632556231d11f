"""The shadow's queue: bounded, never awaited, and what finds no room is counted."""

import json
import queue
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flights import FLIGHTS
from modelworks.serving.payload import RequestReader
from modelworks.serving.shadow import Offered, Shadow, to_table
from modelworks.settings import ENV_PREFIX, load_settings

ROWS, _ = RequestReader(FLIGHTS.contract, 2).read_columns(json.dumps([FLIGHTS.contract.example] * 2).encode())
CHAMPION = np.array([0.2, 0.8])


@pytest.fixture
def shadow(project: Path, monkeypatch: pytest.MonkeyPatch) -> Shadow:
    """Every request is offered; the queue has room for three, and nobody takes them."""
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__SHADOW_SHARE", "1.0")
    found = Shadow(load_settings())
    found._queue, found._version = queue.Queue(3), "3"
    return found


def test_a_full_queue_drops_and_counts_rows_and_nobody_waits(shadow: Shadow) -> None:
    for number in range(10):
        shadow.offer(f"request {number}", ROWS, CHAMPION, 0.001)
    assert shadow._queue.qsize() == 3
    assert shadow.counts() == (0, 14, 0)


def test_only_the_share_is_offered(shadow: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__SHADOW_SHARE", "0.1")
    some = Shadow(load_settings())
    some._queue, some._version = queue.Queue(), "3"
    for number in range(2000):
        some.offer(f"request {number}", ROWS, CHAMPION, 0.001)
    assert 140 <= some._queue.qsize() <= 260  # 200, and four standard deviations to both sides


def test_without_a_process_nothing_is_offered(project: Path) -> None:
    idle = Shadow(load_settings())
    idle.follow(None)
    idle.offer("request", ROWS, CHAMPION, 0.001)
    assert idle.counts() == (0, 0, 0)


def test_a_canary_has_no_shadow(shadow: Shadow) -> None:
    shadow._process = SimpleNamespace(join=lambda timeout: None, is_alive=lambda: False, exitcode=0)
    shadow._queue.close = lambda: None
    step: Any = SimpleNamespace(version="3", share=0.05)
    shadow.follow(step)
    shadow.offer("request", ROWS, CHAMPION, 0.001)
    assert shadow._queue is None


def test_the_table_has_both_predictions_and_the_seconds_of_a_row() -> None:
    at = datetime(2013, 5, 1, tzinfo=UTC)
    pairs = [(Offered("r1", at, ROWS, CHAMPION, 0.004), np.array([0.3, 0.6]), 0.002)]
    table = to_table(FLIGHTS.contract, 0.5, "3", pairs).to_pylist()
    assert [each["champion_probability"] for each in table] == [0.2, 0.8]
    assert [each["probability"] for each in table] == [0.3, 0.6]
    assert [(each["champion_seconds"], each["seconds"]) for each in table] == [(0.002, 0.001)] * 2
    assert [each["decision"] for each in table] == [0, 1]
    assert {each["model_version"] for each in table} == {"3"}
