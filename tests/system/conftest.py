"""Fixtures of the system tests, their order, and the stack that the tests of a file share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bakes import BakedProject, bake, installed, isolate, project, restored, template, uv
from live_project import Stack, stack
from order import start_first

__all__ = ["bake", "installed", "isolate", "project", "template", "uv"]

LONGEST_FIRST = [
    "test_year.py",
    "test_adopted_tables.py",
    "test_real_tables.py",
    "test_run.py",
    "test_live.py",
    "test_pages.py",
    "test_stack.py",
    "test_supply_chain.py",  # on the worker whose environment the stack has had
    "test_frameworks.py",
    "test_how_to.py",
    "test_spark.py",
    "test_story.py",
    "test_sources.py",
    "test_site.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files start first, the others in the order of their names."""
    start_first(items, LONGEST_FIRST)


@pytest.fixture(scope="module")
def shared_stack(installed: BakedProject) -> Iterator[Stack]:
    """The project, up, for all tests of a file.

    All settings but one stay in pipeline.toml, where a test may change them: each task reads them anew.
    """
    with stack(restored(installed).path, {**os.environ, "MODELWORKS_MODEL__PARAMETERS__MAX_ITER": "40"}) as live:
        yield live
