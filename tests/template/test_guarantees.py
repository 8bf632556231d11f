"""What docs/guarantees.md promises names the test that shows it."""

from __future__ import annotations

import re

from bakes import PROJECT_FOLDER, REPOSITORY

TEXT = (REPOSITORY / "docs" / "guarantees.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT)


def is_there(file: str, name: str) -> bool:
    """Whether the template or the generated project has such a test."""
    files = [folder / file for folder in (REPOSITORY, REPOSITORY / PROJECT_FOLDER)]
    return any(f"def {name}(" in each.read_text() for each in files if each.is_file())


def test_every_test_that_is_named_exists() -> None:
    assert [f"{file}::{name}" for file, name in NAMED if not is_there(file, name)] == []


def test_every_guarantee_names_a_test() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("| ")]
    rows = [line for line in lines if not line.startswith(("| ---", "| guarantee"))]
    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []


def test_every_fault_injection_test_is_named() -> None:
    faults = (REPOSITORY / "tests" / "system" / "faults").glob("test_*.py")
    made = {name for file in faults for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}
    assert made
    assert made <= {name for _, name in NAMED}
