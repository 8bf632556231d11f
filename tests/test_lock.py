"""The locks fit what the two pyproject files ask for, carry hashes, and name no index."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import Bake
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class Locked(NamedTuple):
    """A pyproject.toml and the lock made from it."""

    pyproject: Path
    lock: Path


@pytest.fixture(scope="module", params=["template", "project"])
def locked(request: pytest.FixtureRequest, template: Path, bake: Bake) -> Locked:
    """The template's own tools, and the generated project."""
    folder = template if request.param == "template" else bake(git_init=False).path
    return Locked(folder / "pyproject.toml", folder / "requirements.lock")


def asked_for(pyproject: Path) -> Iterator[Requirement]:
    """Every direct dependency: of the project, its extras and its groups."""
    declared = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    groups = declared.get("dependency-groups", {}).values()
    extras = declared["project"].get("optional-dependencies", {}).values()
    for listed in [declared["project"]["dependencies"], *extras, *groups]:
        yield from (Requirement(text) for text in listed if isinstance(text, str))


def entries(lock: Path) -> list[str]:
    """Each locked package as one line: the pin, its marker and its hashes."""
    joined = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def pins(lock: Path) -> set[str]:
    """Names, versions and markers, without hashes: a release may gain a file after it was locked."""
    return {" ".join(entry.split("--hash", 1)[0].split()) for entry in entries(lock)}


def test_every_direct_dependency_is_pinned_to_a_version_that_it_allows(locked: Locked) -> None:
    pinned = [Requirement(pin) for pin in pins(locked.lock)]
    for wanted in asked_for(locked.pyproject):
        found = [pin for pin in pinned if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        versions = [str(pin.specifier).removeprefix("==") for pin in found]
        assert versions, f"{wanted} is not in the lock: run `make lock`"
        assert all(wanted.specifier.contains(version, prereleases=True) for version in versions), (
            f"the lock has {wanted.name} {versions}, {wanted} is asked for: run `make lock`"
        )


def test_every_entry_is_one_exact_version_with_sha256_hashes(locked: Locked) -> None:
    for entry in entries(locked.lock):
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==[^ *]+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_it_names_no_index_and_no_place(locked: Locked) -> None:
    text = locked.lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert " @ " not in text
    options = [line.strip() for line in text.splitlines() if line.lstrip().startswith("-")]
    assert {option.split(":")[0] for option in options} == {"--hash=sha256"}


@pytest.mark.slow
def test_resolving_again_changes_no_pin(locked: Locked, tmp_path: Path, uv: str) -> None:
    """Unlike `make lock` this asks for no upgrade, so a pin moves only if pyproject.toml no longer allows it."""
    again = tmp_path / "requirements.lock"
    shutil.copy(locked.lock, again)
    declared = tomllib.loads(locked.pyproject.read_text(encoding="utf-8"))
    groups = [part for name in declared.get("dependency-groups", {}) for part in ("--group", name)]
    command = [uv, "pip", "compile", "--quiet", "--universal", "--no-annotate", *groups, "--output-file", again]
    command.append("pyproject.toml")
    done = subprocess.run(command, cwd=locked.pyproject.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pins(again) == pins(locked.lock)
