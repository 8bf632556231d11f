"""Fixtures of the system tests, their order, and the stack that the tests of a file share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bakes import BakedProject, bake, installed, isolate, project, restored, template, uv
from live_project import Stack, stack

__all__ = ["bake", "installed", "isolate", "project", "template", "uv"]

# Minutes each; of what is left to the end, one worker would be busy with while the other has nothing to do.
LONGEST_FIRST = [
    "test_year.py",
    "test_adopted_tables.py",
    "test_run.py",
    "test_live.py",
    "test_pages.py",
    "test_stack.py",
    "test_frameworks.py",
    "test_how_to.py",
    "test_spark.py",
    "test_story.py",
    "test_sources.py",
    "test_site.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files start first, the others in the order of their names."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture(scope="module")
def shared_stack(installed: BakedProject) -> Iterator[Stack]:
    """The project, up, for all tests of a file.

    All settings but one stay in pipeline.toml, where a test may change them: each task reads them anew.
    """
    with stack(restored(installed).path, {**os.environ, "MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "40"}) as live:
        yield live
