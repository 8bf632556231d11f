"""A version meets live traffic on two replicas: in the shadow, as a canary, and on its way back; no request fails."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from flights import FLIGHTS
from modelworks import stages
from modelworks.cli.app import app
from modelworks.data import frames, partitions
from modelworks.data.answers import read_answers
from modelworks.errors import ReleaseError
from modelworks.registry import ledger, rollouts
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHALLENGER, CHAMPION
from modelworks.serving.row_schema import logged_columns
from modelworks.settings import ENV_PREFIX, load_settings
from modelworks.stages.facts import RolloutFacts
from releases import release_flights
from servers import PATIENCE_S, InThreads, Server, get, running, serving

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


class Callers(InThreads):
    """Many callers, each with rows of its own, in turn on all replicas, without a pause."""

    def __init__(self, servers: list[Server], rows: list[dict[str, Any]], threads: int = 3) -> None:
        super().__init__(partial(self._ask, servers, rows), threads)
        self.answers: list[tuple[int, str, str]] = []
        self._number = count()

    def _ask(self, servers: list[Server], rows: list[dict[str, Any]]) -> None:
        with httpx.Client(timeout=PATIENCE_S) as client:
            while not self.is_over:
                at = next(self._number)
                row = rows[at % len(rows)]
                answer = client.post(f"{servers[at // len(rows) % len(servers)].url}/predict", json=row)
                self.answers.append((answer.status_code, answer.json().get("model_version", ""), json.dumps(row)))

    @property
    def versions(self) -> Counter[str]:
        """How many answers came from each version."""
        return Counter(version for _, version, _ in self.answers)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
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
    started = begin_canary(*servers)
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


def begin_canary(*servers: Server, **options: Any) -> RolloutFacts:
    """Version 2 as the challenger of version 1, on each of the servers."""
    stages.rollback(FLIGHTS, load_settings())
    facts = stages.start_rollout(FLIGHTS, load_settings(), "2", reason="try it", **options)
    wait_until(lambda: all(serves_both(each) for each in servers))
    return facts


def serves_both(server: Server) -> bool:
    model = get(f"{server.url}/model").json()
    return model["version"] == "1" and model["challenger"] is not None and model["challenger"]["version"] == "2"


@pytest.mark.parametrize("fault", ["failing", "slow"])
def test_faulty_challenger_is_taken_back_and_no_request_fails(
    home: Path, replicas, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"LATENCY_FLOOR_MS": "25", "TIMEOUT_S": "60"}
    for name, value in settings.items():
        monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__{name}", value)
    servers = replicas(f"faulty_challengers:{fault}")
    begin_canary(*servers)
    with Callers(servers, live_rows(), threads=8) as callers:
        seen = advance_until(lambda facts: facts.has_ended)
        wait_until(lambda: callers.answers[-1][1] == "1" and has_no_challenger(servers))
    assert {each.move for each in seen} == {"wait", "take_back"} or len(seen) == 1
    assert seen[-1].move == "take_back"
    assert ("max_error_fraction" if fault == "failing" else "max_latency_ratio") in seen[-1].summary
    assert aliases() == ("1", None)
    assert set(callers.versions) == ({"1"} if fault == "failing" else {"1", "2"})


def wait_until(has_come: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not has_come():
        assert time.monotonic() < until
        time.sleep(0.1)


def has_no_challenger(servers: list[Server]) -> bool:
    return all(get(f"{each.url}/model").json()["challenger"] is None for each in servers)


def test_timeouts_are_answered_by_the_champion_and_count_as_errors(
    home: Path, replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__TIMEOUT_S", "0.2")
    servers = replicas("faulty_challengers:slow")
    begin_canary(*servers)
    with Callers(servers, live_rows()) as callers:
        seen = advance_until(lambda facts: facts.has_ended)
    assert "max_error_fraction" in seen[-1].summary
    assert set(callers.versions) == {"1"}


def test_worse_challenger_of_a_release_in_steps_is_taken_back_by_the_labels(
    home: Path, replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = {
        "ROLLOUT__RELEASE": "canary",
        "ROLLOUT__MAX_PREDICTION_DIFFERENCE": "1",
        "ROLLOUT__MAX_CHANGED_DECISIONS": "1",
        "ROLLOUT__MIN_REQUESTS": "100000",
        "MODEL__PARAMETERS__MAX_ITER": "1",
        "GATES__MIN_GAIN_OVER_BASELINE": "-1",
        "GATES__MAX_LOSS_OVER_CHAMPION": "10",
        "GATES__MAX_SLICE_LOSS_OVER_CHAMPION": "10",
        "GATES__METRICS": "{}",
    }
    for name, value in loose.items():
        monkeypatch.setenv(f"{ENV_PREFIX}{name}", value)
    servers = replicas()
    assert release_flights("poor") == "3"
    assert aliases() == ("2", "3")
    with pytest.raises(ReleaseError, match="a rollout of version 3 goes on"):
        stages.start_rollout(FLIGHTS, load_settings(), "1", reason="another")
    with Callers(servers, live_rows(1500)):
        seen = advance_until(lambda facts: facts.has_ended)
    assert seen[-1].move == "take_back"
    assert "labelled rows; [rollout] max_loss_over_champion" in seen[-1].summary
    assert [entry.to_version for entry in ledger.read_ledger(load_settings())] == ["1", "2"]


@pytest.mark.parametrize("share", ["0", "1"], ids=["replayed", "in a process"])
def test_shadow_answers_nobody_and_is_promoted_after_its_comparison(
    home: Path, replicas, share: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__SHADOW_SHARE", share)
    monkeypatch.setenv(f"{ENV_PREFIX}ROLLOUT__PROMOTION", "manual")
    servers = replicas()
    facts = begin_canary(*servers, release="shadow")
    assert (facts.share, aliases()) == (0.0, ("1", "2"))
    with Callers(servers, live_rows()) as callers:
        advance_until(lambda facts: facts.move == "ask")
    assert set(callers.versions) == {"1"}
    found = json.loads(CliRunner().invoke(app, ["rollout", "status", "--json"]).stdout)
    compared = found["comparison"]["comparison"]
    assert found["in_force"] is True
    assert compared["rows"] >= 60
    assert 0 < compared["difference"]["value"] < 0.05
    assert compared["gain"]["low"] <= compared["gain"]["value"] <= compared["gain"]["high"]
    assert min(compared["champion_ms"], compared["challenger_ms"]) > 0
    printed = get(f"{servers[0].url}/metrics").text
    assert 'api_challenger_info{champion="1",step="0",version="2"} 1.0' in printed
    seen_rows = sum(shadow_rows(server) for server in servers)
    assert (seen_rows > 0) == (share == "1")
    promoted = CliRunner().invoke(app, ["rollout", "promote", "--reason", "looks right"])
    assert "version 2 is the champion, instead of 1: looks right" in promoted.stdout
    assert aliases() == ("2", None)
    assert ledger.read_ledger(load_settings())[-1].approved_by is not None


def shadow_rows(server: Server) -> float:
    lines = get(f"{server.url}/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith("api_shadow_rows_total ")))


def test_rollback_stops_a_rollout_and_so_does_a_person(home: Path) -> None:
    stages.start_rollout(FLIGHTS, load_settings(), "1", reason="again")
    assert "the rollout of version 1 is stopped" in stages.describe_rollback(load_settings())
    assert "the rollout of version 1 is stopped" in stages.rollback(FLIGHTS, load_settings()).summary
    # Version 1 became the champion by the rollback, not by the rollout.
    last = rollouts.read_steps(load_settings())[-1]
    assert (last.action, aliases()) == ("stopped", ("1", None))
    stages.start_rollout(FLIGHTS, load_settings(), "2", reason="once more")
    stopped = CliRunner().invoke(app, ["rollout", "stop", "--reason", "a holiday", "--json"])
    assert json.loads(stopped.stdout)["move"] == "stop"
    assert aliases() == ("1", None)
    with pytest.raises(ReleaseError, match="no rollout goes on: version 2 was stopped"):
        stages.stop_rollout(FLIGHTS, load_settings(), reason="twice")


def test_killed_between_ledger_and_journal_the_next_call_ends_the_rollout_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_canary()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rollouts, "record_step", killed)
        patched.setattr("modelworks.stages.challenger.replay", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            stages.promote_challenger(FLIGHTS, load_settings(), reason="now")
    assert len(ledger.read_ledger(load_settings())) == 4
    facts = stages.advance_rollout(FLIGHTS, load_settings())
    assert (facts.move, facts.has_ended, aliases()) == ("promote", True, ("2", None))
    assert len(ledger.read_ledger(load_settings())) == 4
    assert [step.action for step in rollouts.read_steps(load_settings())] == ["started", "promoted"]
    assert stages.advance_rollout(FLIGHTS, load_settings()).summary == facts.summary


def test_champion_that_comes_back_does_not_bring_its_rollout_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 3 is released at once in between, and taken back."""
    stages.start_rollout(FLIGHTS, load_settings(), "1", reason="try it")
    monkeypatch.setenv(f"{ENV_PREFIX}MODEL__PARAMETERS__MAX_ITER", "50")
    assert release_flights("third") == "3"
    assert rollouts.read_steps(load_settings())[-1].action == "stopped"
    stages.rollback(FLIGHTS, load_settings())
    assert aliases() == ("2", None)
    assert stages.advance_rollout(FLIGHTS, load_settings()).has_ended


def test_what_cannot_be_rolled_out_is_refused(home: Path) -> None:
    with pytest.raises(ReleaseError, match="version 2 is the champion already"):
        stages.start_rollout(FLIGHTS, load_settings(), "2", reason="again")
    with pytest.raises(ReleaseError, match="has no version 9"):
        stages.start_rollout(FLIGHTS, load_settings(), "9", reason="again")
    assert stages.advance_rollout(FLIGHTS, load_settings()).move == "none"
    assert rollouts.read_steps(load_settings()) == []
