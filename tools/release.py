"""Make a release: `make release VERSION=1.2.0` dates the changelog's entries, commits that and tags it."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

CHANGELOG = Path("CHANGELOG.md")
UNRELEASED = "## Unreleased\n"
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class ReleaseError(Exception):
    """Why there is no release, and what to do."""


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, by which versions are in order.

    Raises
    ------
    ReleaseError
        If it is not three numbers.
    """
    if not (found := VERSION.fullmatch(version)):
        raise ReleaseError(f"VERSION={version!r} is not three numbers: make release VERSION=1.2.0")
    return tuple(int(part) for part in found.groups())


def git(*arguments: str) -> str:
    """Run git in the current folder; what it prints."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def newest_release() -> str | None:
    """The highest version that is tagged, whatever the branch."""
    tagged = [tag.removeprefix("v") for tag in git("tag", "--list", "v*").splitlines()]
    return max((version for version in tagged if VERSION.fullmatch(version)), key=numbers, default=None)


def dated(changelog: str, version: str, day: str) -> str:
    """Return the changelog with its unreleased entries as those of a version, and a place for those to come.

    Raises
    ------
    ReleaseError
        If nothing is unreleased.
    """
    before, heading, after = changelog.partition(UNRELEASED)
    entries = after.partition("\n## ")[0]
    if not heading or not re.search(r"^- ", entries, re.MULTILINE):
        raise ReleaseError(f"{CHANGELOG} has no entries under {UNRELEASED.strip()!r}: say what an update changes")
    return f"{before}{UNRELEASED}\n## {version} - {day}\n{after}"


def refuse_what_is_not_ready(version: str) -> None:
    """Raise a ReleaseError if the version is not a next one, a file is not committed or a check fails."""
    released = newest_release()
    if released and numbers(version) <= numbers(released):
        raise ReleaseError(f"VERSION={version} is not newer than {released}, which is tagged")
    if changed := git("status", "--porcelain"):
        raise ReleaseError(f"commit these or put them away first:\n{changed}")
    if subprocess.run(["make", "--no-print-directory", "check"], check=False).returncode:
        raise ReleaseError("`make check` fails, as shown above")


def tag(version: str, changelog: str) -> None:
    """Commit the changelog and tag that commit; leave nothing changed if git will not."""
    before = git("rev-parse", "HEAD")
    try:
        CHANGELOG.write_text(changelog, encoding="utf-8")
        git("commit", "--quiet", "--message", f"Release {version}", "--", str(CHANGELOG))
        git("tag", "--annotate", f"v{version}", "--message", f"Release {version}")
    except subprocess.CalledProcessError as error:
        git("reset", "--quiet", before)
        git("checkout", "--quiet", "--", str(CHANGELOG))
        raise ReleaseError(f"git made no release: {error.stderr.strip()}") from error


def main(version: str) -> None:
    """Release what is committed as a version."""
    numbers(version)
    today = datetime.now(UTC).date().isoformat()
    changelog = dated(CHANGELOG.read_text(encoding="utf-8"), version, today)
    refuse_what_is_not_ready(version)
    tag(version, changelog)
    branch = git("rev-parse", "--abbrev-ref", "HEAD")
    print(f"\nv{version} is committed and tagged, here only. To publish it:\n")
    print(f"  git push --atomic origin {branch} v{version}\n")
    print(f"To take it back instead:\n\n  git tag --delete v{version} && git reset --keep HEAD^")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ReleaseError as refusal:
        sys.exit(f"No release: {refusal}")
