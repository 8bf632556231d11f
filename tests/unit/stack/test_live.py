"""What is shown of a live run, and how often."""

from typing import Any

from modelworks.stack.live import Change, changes_of

Task = dict[str, Any]


def task(task_id: str, state: str, attempt: int = 1, map_index: int = -1) -> Task:
    return {
        "task_id": task_id,
        "state": state,
        "try_number": attempt,
        "map_index": map_index,
        "start_date": f"2013-01-01T00:00:0{attempt}+00:00",
    }


def states(changes: list[Change]) -> list[tuple[str, str]]:
    return [(each.task_id, each.state) for each in changes]


def test_each_state_of_each_attempt_is_shown_once() -> None:
    shown: frozenset[Change] = frozenset()
    expected = {
        "running": [("train", "running")],
        "up_for_retry": [("train", "up_for_retry")],
    }
    for state in ("running", "running", "up_for_retry", "up_for_retry"):
        changes = list(changes_of([task("train", state)], shown))
        assert states(changes) == expected.pop(state, [])
        shown |= set(changes)
    changes = list(changes_of([task("train", "success", attempt=2)], shown))
    assert states(changes) == [("train", "running"), ("train", "success")]


def test_mapped_tasks_are_apart_and_those_that_have_not_started_are_not_shown() -> None:
    waiting = task("train", "scheduled") | {"start_date": None}
    changes = changes_of(
        [task("tune", "running", map_index=0), task("tune", "running", map_index=1), waiting], frozenset()
    )
    assert states(list(changes)) == [("tune", "running"), ("tune", "running")]


def test_approval_is_shown_only_where_a_person_is_asked() -> None:
    assert list(changes_of([task("approve", "running"), task("approve", "success")], frozenset())) == []
    asked = list(changes_of([task("approve", "awaiting_input")], frozenset()))
    assert states(asked) == [("approve", "running"), ("approve", "awaiting_input")]
    assert states(list(changes_of([task("approve", "success")], frozenset(asked)))) == [("approve", "success")]
