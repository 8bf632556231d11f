"""`make release` tags what is ready, and leaves all as it was where something is not."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from bakes import REPOSITORY, BakedProject, commit_all, git

CHANGELOG = "# Changelog\n\nWhat it means.\n\n## Unreleased\n\n- A new gate.\n\n## 1.9.0 - 2026-01-31\n\n- The first.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose last release is 1.9.0 and whose `make check` passes."""
    (tmp_path / "tools").mkdir()
    shutil.copy(REPOSITORY / "tools" / "release.py", tmp_path / "tools")
    (tmp_path / "Makefile").write_text("check:\n\t@echo checked\n")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    commit_all(tmp_path, "Start")
    git(tmp_path, "config", "user.name", "Ada")
    git(tmp_path, "config", "user.email", "ada@example.com")
    git(tmp_path, "tag", "v1.9.0")
    return tmp_path


def release(repository: Path, version: str) -> tuple[int, str]:
    """Exit code of the script and all that it printed."""
    done = BakedProject(repository, {}).run(sys.executable, "tools/release.py", version)
    return done.returncode, done.stdout + done.stderr


def assert_refused(repository: Path, version: str, reason: str) -> None:
    """Assert that there is no release for this reason, and that nothing has changed."""
    before = git(repository, "log", "--format=%H %D") + git(repository, "status", "--porcelain")
    code, printed = release(repository, version)
    assert code == 1
    assert re.search(reason, printed), printed
    assert git(repository, "log", "--format=%H %D") + git(repository, "status", "--porcelain") == before


def test_a_release_dates_the_entries_and_tags_that_commit(repository: Path) -> None:
    code, printed = release(repository, "1.10.0")
    assert code == 0, printed
    expected = CHANGELOG.replace("- A new gate", "## 1.10.0 - DAY\n\n- A new gate")
    assert re.sub(r"1\.10\.0 - \d{4}-\d\d-\d\d", "1.10.0 - DAY", (repository / "CHANGELOG.md").read_text()) == expected
    assert git(repository, "log", "-1", "--format=%s %D") == "Release 1.10.0 HEAD -> main, tag: v1.10.0\n"
    assert git(repository, "status", "--porcelain") == ""
    assert "checked" in printed
    assert "git push --atomic origin main v1.10.0" in printed


def test_a_release_can_be_taken_back_as_it_says(repository: Path) -> None:
    before = git(repository, "log", "--format=%H %D")
    git(repository, "tag", "--delete", re.findall(r"git tag --delete (\S+)", release(repository, "1.10.0")[1])[0])
    git(repository, "reset", "--quiet", "--keep", "HEAD^")
    assert git(repository, "log", "--format=%H %D") == before


def test_after_a_release_there_is_nothing_to_release(repository: Path) -> None:
    assert release(repository, "1.10.0")[0] == 0
    assert_refused(repository, "1.11.0", "no entries under '## Unreleased'")


@pytest.mark.parametrize("version", ["1.9.0", "1.8.11", "0.99.0"])
def test_a_version_that_is_not_newer_is_refused(version: str, repository: Path) -> None:
    assert_refused(repository, version, rf"VERSION={version} is not newer than 1\.9\.0")


@pytest.mark.parametrize("version", ["", "v2.0.0", "2.0", "2.0.0rc1", "02.0.0"])
def test_what_is_no_version_is_refused(version: str, repository: Path) -> None:
    assert_refused(repository, version, f"VERSION='{version}' is not three numbers: make release VERSION=1.2.0")


@pytest.mark.parametrize("name", ["CHANGELOG.md", "new.txt"])
def test_a_tree_that_is_not_clean_is_refused(name: str, repository: Path) -> None:
    with (repository / name).open("a") as file:
        file.write("- More.\n")
    assert_refused(repository, "2.0.0", rf"commit these or put them away first:\n.*{name}")


def test_a_failing_check_is_shown_and_refused(repository: Path) -> None:
    (repository / "Makefile").write_text("check:\n\t@echo line 7 is too long; false\n")
    commit_all(repository, "Break it")
    assert_refused(repository, "2.0.0", r"(?s)line 7 is too long.*`make check` fails")


def test_a_git_that_will_not_commit_leaves_the_changelog_as_it_was(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not on Fridays >&2\nexit 1\n")
    hook.chmod(0o755)
    assert_refused(repository, "2.0.0", "git made no release: not on Fridays")
    assert (repository / "CHANGELOG.md").read_text() == CHANGELOG


def test_a_tag_that_cannot_be_made_takes_its_commit_back(repository: Path) -> None:
    git(repository, "config", "tag.gpgSign", "true")
    git(repository, "config", "gpg.program", "false")
    assert_refused(repository, "2.0.0", "git made no release: ")
    assert (repository / "CHANGELOG.md").read_text() == CHANGELOG


@pytest.mark.slow
def test_the_template_itself_is_released_once_its_checks_pass(template: Path, tmp_path: Path) -> None:
    """From a copy of the template, by make, which is lent the environments of this one."""
    copy = BakedProject(tmp_path / "template", {})
    shutil.copytree(template, copy.path, symlinks=True)
    changelog = copy.path / "CHANGELOG.md"
    # Nothing is unreleased right after a release.
    changelog.write_text(changelog.read_text().replace("## Unreleased\n", "## Unreleased\n\n- News.\n", 1))
    commit_all(copy.path, "All")
    for environment in (".venv", ".venv-engine"):
        (copy.path / environment).symlink_to(REPOSITORY / environment)
    # `.venv/` in .gitignore is a folder, not a link.
    (copy.path / ".git" / "info" / "exclude").write_text("/.venv\n/.venv-engine\n")
    identity = {f"GIT_{role}_{part}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}

    (copy.path / "tools" / "broken.py").write_text("import os\n")
    commit_all(copy.path, "An import that is not used")
    refused = copy.run("make", "release", "VERSION=99.0.0", **identity)
    assert refused.returncode != 0
    assert "`make check` fails" in refused.stderr
    assert git(copy.path, "tag") == ""

    git(copy.path, "reset", "--quiet", "--hard", "HEAD^")
    done = copy.run("make", "release", "VERSION=99.0.0", **identity)
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(copy.path, "describe", "--tags") == "v99.0.0\n"
