"""Who answers while a rollout goes on: the challenger may fail in any way, and no request does."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flights import FLIGHTS
from modelworks.data.columnar import Columns
from modelworks.monitoring.traffic import read_traffic
from modelworks.registry import rollouts
from modelworks.registry.rollouts import RolloutStep
from modelworks.serving import canary as module
from modelworks.serving.canary import FAILURES_IN_A_ROW, Canary, Predicted
from modelworks.serving.challenger import Challenger
from modelworks.serving.metrics import ApiMetrics
from modelworks.settings import load_settings

ROWS = Columns.from_records([FLIGHTS.contract.example])
CHAMPION: Any = SimpleNamespace(version="1")
SERVED: Any = SimpleNamespace(version="2")


def step(share: float = 1.0, champion: str = "1", number: int = 0) -> RolloutStep:
    return RolloutStep(1, "", 1, "started", "", "", "2", champion, 1, "canary", number, share, "", "", "", "")


@pytest.fixture
def canary(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canary]:
    """A challenger that answers every request, and may be late by 50 ms."""
    monkeypatch.setenv("MODELWORKS_ROLLOUT__TIMEOUT_S", "0.05")
    batcher: Any = "the champion's"
    found = Canary(FLIGHTS, load_settings(), ApiMetrics(), batcher)
    found.follower.current = Challenger(step(), SERVED)
    yield found
    found.close()


async def well(by: Any, _: Any) -> Predicted:
    return Predicted(by, np.array([0.2]))


async def failing(by: Any, _: Any) -> Predicted:
    if by is SERVED:
        raise ZeroDivisionError
    return await well(by, _)


async def late(by: Any, _: Any) -> Predicted:
    if by is SERVED:
        await asyncio.sleep(30)
    return await well(by, _)


async def not_a_number(by: Any, _: Any) -> Predicted:
    return Predicted(by, np.array([np.nan if by is SERVED else 0.2]))


def ask(canary: Canary, predict: Any, times: int = 1) -> list[str]:
    """Versions of some answers."""

    async def answer() -> list[str]:
        found = [await canary.answer(CHAMPION, ROWS, {}, f"request {at}", predict) for at in range(times)]
        assert all(np.isfinite(each.prediction).all() for each in found)
        return [each.served.version for each in found]

    return asyncio.run(answer())


def test_challenger_answers_by_its_own_batcher_and_is_counted(canary: Canary) -> None:
    batchers = []

    async def predict(by: Any, batcher: Any) -> Predicted:
        batchers.append(batcher)
        return await well(by, batcher)

    assert ask(canary, predict, 3) == ["2"] * 3
    assert "the champion's" not in batchers
    assert (canary._traffic.challenger.requests, canary._traffic.challenger.errors) == (3, 0)


@pytest.mark.parametrize("predict", [failing, late, not_a_number])
def test_champion_answers_for_a_challenger_that_fails_and_that_is_an_error(canary: Canary, predict: Any) -> None:
    assert ask(canary, predict, 2) == ["1", "1"]
    assert (canary._traffic.challenger.requests, canary._traffic.challenger.errors) == (2, 2)


def test_challenger_that_fails_again_and_again_is_left_alone_for_a_while(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    ask(canary, failing, 20)
    counted = canary._traffic
    assert (counted.challenger.errors, counted.champion.requests) == (FAILURES_IN_A_ROW, 20 - FAILURES_IN_A_ROW)
    assert ask(canary, well) == ["1"]
    now += module.PAUSE_S + 1
    assert ask(canary, well, 2) == ["2", "2"]


def test_nothing_meets_the_challenger_in_the_shadow_or_beside_another_champion(canary: Canary) -> None:
    canary.follower.current = Challenger(step(share=0), SERVED)
    assert ask(canary, well, 3) == ["1"] * 3
    canary.follower.current = Challenger(step(champion="0"), SERVED)
    assert ask(canary, well, 3) == ["1"] * 3
    canary.follower.current = None
    assert ask(canary, well, 3) == ["1"] * 3
    assert canary._traffic.champion.requests == 3  # only of the first three: then no rollout was in force


def test_counts_of_each_step_are_in_the_storage_once(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = canary.follower
    monkeypatch.setattr(follower, "poll", lambda: None)
    folder = rollouts.folder_of(load_settings(), step())
    canary.poll()
    ask(canary, well, 3)
    canary.save()
    canary.save()
    follower.current = Challenger(step(number=1), SERVED)
    ask(canary, well, 2)
    canary.poll()  # what came before the look belongs to the step before
    ask(canary, well, 4)
    canary.close()
    assert read_traffic(folder, [0]).challenger.requests == 5
    assert read_traffic(folder, [1]).challenger.requests == 4
    assert read_traffic(folder, [0, 1]).challenger.requests == 9
