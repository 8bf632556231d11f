"""What counts as a change since a version was trained."""

from dataclasses import replace
from typing import Any

import pytest

from modelworks.stages.compare import Origin

THEN = Origin(
    "data", "settings", "gates", "0", {"project code": "a", "engine code": "b", "code commit": "c", "Python": "3.11.7"}
)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({}, []),
        ({"data": "other"}, ["data"]),
        ({"settings": "other"}, ["[training], [model] or [tuning]"]),
        ({"gates": "other"}, ["[gates]"]),
        ({"trials": "20"}, ["trials"]),
        ({"environment": THEN.environment | {"project code": "other"}}, ["project code"]),
        ({"environment": THEN.environment | {"engine code": "other", "Python": "3.12"}}, ["engine code", "Python"]),
        ({"environment": THEN.environment | {"code commit": "other"}}, []),  # of a page, since the code is the same
        ({"environment": THEN.environment | {"lock": "new"}}, ["lock"]),
    ],
)
def test_each_change_is_named(changed: dict[str, Any], named: list[str]) -> None:
    assert replace(THEN, **changed).changes_since(THEN) == named


def test_version_whose_run_says_too_little_has_changed() -> None:
    """One of an engine before, or whose run is gone."""
    unknown = Origin("data", "", None, None, {})
    assert THEN.changes_since(unknown)
