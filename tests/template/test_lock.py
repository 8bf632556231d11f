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
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bakes import PROJECT_FOLDER, Bake


class Locked(NamedTuple):
    """A lock, and the parts of pyproject.toml files that it was made from."""

    lock: Path
    pyproject: Path | None
    groups: Path | None
    names: tuple[str, ...]

    def compiled(self) -> list[str]:
        """Return what `uv pip compile` is given to make it."""
        groups = [word for name in self.names for word in ("--group", f"{self.groups}:{name}")]
        return [*groups, *([str(self.pyproject)] if self.pyproject else [])]


@pytest.fixture(scope="module", params=["template", "project", "supply chain"])
def locked(request: pytest.FixtureRequest, template: Path, bake: Bake) -> Locked:
    """The template's own tools, the generated project, and the tools that look at its supply chain.

    What a project asks for is the engine, so its lock is made from what the engine asks for.
    """
    folder = template if request.param == "template" else bake(git_init=False).path
    pyproject, engine = folder / "pyproject.toml", folder / "vendor" / "modelworks" / "pyproject.toml"
    return {
        "template": Locked(folder / "requirements.lock", pyproject, None, ()),
        "project": Locked(folder / "requirements.lock", engine, pyproject, ("dev",)),
        "supply chain": Locked(folder / "supply-chain.lock", None, pyproject, ("supply-chain",)),
    }[request.param]


def asked_for(locked: Locked) -> Iterator[Requirement]:
    """Every direct dependency."""
    lists = []
    if locked.groups:
        groups = tomllib.loads(locked.groups.read_text(encoding="utf-8"))["dependency-groups"]
        lists += [groups[name] for name in locked.names]
    if locked.pyproject:
        lists.append(tomllib.loads(locked.pyproject.read_text(encoding="utf-8"))["project"]["dependencies"])
    for listed in lists:
        yield from (Requirement(text) for text in listed)


def test_project_asks_for_the_engine_and_for_nothing_that_is_not_locked(bake: Bake) -> None:
    project = bake(git_init=False).path
    declared = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {canonicalize_name(Requirement(each).name) for each in declared}
    assert "modelworks" in names
    assert names - {"modelworks"} <= {
        canonicalize_name(Requirement(pin).name) for pin in pins(project / "requirements.lock")
    }


def test_what_the_engine_s_tests_need_is_locked_beside_the_project_and_no_part_of_it(template: Path) -> None:
    project, tests = (
        pins(template / name) for name in (f"{PROJECT_FOLDER}/requirements.lock", "tests/requirements.lock")
    )
    wanted = tomllib.loads((template / "modelworks" / "pyproject.toml").read_text(encoding="utf-8"))
    names = {canonicalize_name(Requirement(each).name) for each in wanted["dependency-groups"]["test"]}
    assert names <= {canonicalize_name(Requirement(pin).name) for pin in tests}
    assert project & tests == set()


def entries(lock: Path) -> list[str]:
    """Each locked package as one line: the pin, its marker and its hashes."""
    joined = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def pins(lock: Path) -> set[str]:
    """Names, versions and markers, without hashes: a release may gain a file after it was locked."""
    return {" ".join(entry.split("--hash", 1)[0].split()) for entry in entries(lock)}


def test_every_direct_dependency_is_pinned_to_a_version_that_it_allows(locked: Locked) -> None:
    pinned = [Requirement(pin) for pin in pins(locked.lock)]
    for wanted in asked_for(locked):
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
    command = [uv, "pip", "compile", "--quiet", "--universal", "--no-annotate", "--output-file", str(again)]
    command += locked.compiled()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pins(again) == pins(locked.lock)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_each_python_finds_a_wheel_of_every_package(locked: Locked, version: str, tmp_path: Path, uv: str) -> None:
    found = tmp_path / "found.txt"
    command = [uv, "pip", "compile", "--quiet", "--python-version", version, "--only-binary", ":all:", "--no-annotate"]
    command += [str(locked.lock), "--output-file", str(found)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {pin.partition(" ")[0] for pin in pins(found)} <= {pin.partition(" ")[0] for pin in pins(locked.lock)}


@pytest.mark.parametrize(
    ("ci", "file"), [("GitHub Actions", ".github/workflows/dependencies.yml"), ("GitLab CI", ".gitlab-ci.yml")]
)
def test_scheduled_update_takes_every_lock_that_make_lock_writes_and_nothing_else(
    bake: Bake, ci: str, file: str
) -> None:
    """By the commands of the workflow: what is kept of `make lock`, and of that what the job that writes applies."""
    project = bake(platforms="aws, kubeflow", ci=ci)
    run = (project.path / file).read_text(encoding="utf-8")
    keep, take = re.search(r"git diff -- .* > update\.patch", run), re.search(r"git apply .* update\.patch", run)
    assert keep
    assert take
    printed = project.run("make", "--dry-run", "--always-make", "lock").stdout
    written = set(re.findall(r"--output-file (\S+\.lock)", printed))
    assert len(written) == 4
    for name in (*written, "Makefile"):
        with (project.path / name).open("a", encoding="utf-8") as lock:
            lock.write("# newer\n")
    for diff in (keep[0], "git diff > update.patch"):  # the second as if another job had been taken over
        assert project.run("sh", "-c", f"{diff} && git stash --quiet && {take[0]}").returncode == 0
        assert set(project.run("git", "diff", "--name-only").stdout.split()) == written
        assert project.run("sh", "-c", "git checkout --quiet . && git stash pop --quiet").returncode == 0
