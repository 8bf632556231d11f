"""Pages are short: what somebody reads at one sitting."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakes import PROJECT_FOLDER, REPOSITORY

PAGES = sorted((REPOSITORY / "docs").rglob("*.md"))
READMES = [REPOSITORY / "README.md", REPOSITORY / PROJECT_FOLDER / "README.md"]


def name(path: Path) -> str:
    """A page's name for the list of tests."""
    return str(path.relative_to(REPOSITORY))


def count_lines(path: Path) -> int:
    """Lines of a page."""
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page_has_at_most_200_lines(page: Path) -> None:
    assert count_lines(page) <= 200


@pytest.mark.parametrize("page", READMES, ids=name)
def test_readme_has_at_most_150_lines(page: Path) -> None:
    assert count_lines(page) <= 150


def test_every_page_is_in_the_index_or_in_that_of_its_folder() -> None:
    folder = REPOSITORY / "docs"
    indexes = [folder / "index.md", folder / "explanation/statistics.md", folder / "explanation/decisions/index.md"]
    linked = {
        (index.parent / f"{line.removesuffix('.md')}.md").resolve()
        for index in indexes
        for line in index.read_text(encoding="utf-8").splitlines()
    }
    assert [name(page) for page in PAGES if page not in linked and page != indexes[0]] == []


@pytest.mark.parametrize("kind", ["Tutorial", "How-to guides", "Reference", "Explanation"])
def test_index_has_the_four_kinds_of_pages(kind: str) -> None:
    assert f"\n## {kind}\n" in (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
