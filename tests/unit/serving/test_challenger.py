"""The follower of the challenger where registry and storage fail."""

from pathlib import Path

import pytest

from flights import FLIGHTS
from modelworks.serving.challenger import ChallengerFollower
from modelworks.settings import load_settings


def test_outage_is_logged_once_until_the_step_is_known_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Exception | None] = [OSError("at 0x1"), OSError("at 0x2"), None, OSError("at 0x3")]

    def find_step(_: ChallengerFollower) -> None:
        if error := answers.pop(0):
            raise error

    monkeypatch.setattr(ChallengerFollower, "_find_step", find_step)
    follower = ChallengerFollower(FLIGHTS, load_settings())
    while answers:
        follower.poll()
    assert [record.getMessage() for record in caplog.records] == [
        "the step of the rollout is not known: at 0x1",
        "the step of the rollout is not known: at 0x3",
    ]
