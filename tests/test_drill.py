"""The generated project's drill: real faults on its own live stack."""

from __future__ import annotations

import pytest
from conftest import BakedProject

pytestmark = pytest.mark.slow


def test_drill_ends_with_everything_whole(project: BakedProject) -> None:
    done = project.run("make", "drill")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.run("git", "status", "--porcelain").stdout == ""
