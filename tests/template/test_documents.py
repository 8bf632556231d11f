"""A page that does not keep its word fails the test that follows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from documents import Reader, commands_of, first_missing, steps_of

PRINTED = "✓ 10:12:13  ingest  0.2 s  12 months\nROC-AUC 0.700 [0.654, 0.741]\nReleased   version 1\n"


def follow(folder: Path, page: str) -> None:
    """Take the steps of a page in a folder."""
    (folder / "page.md").write_text(page)
    Reader(folder).follow(steps_of(folder / "page.md"))


@pytest.mark.parametrize(
    "shown",
    [
        ["✓ 09:00:00  ingest  1.7 s  9 months"],  # other figures
        ["✓ 10:12:13  ingest ...", "Released version 1"],  # a rest and a line left out
        ["...", "ROC-AUC 0.7 [0.6, 0.8]"],
    ],
)
def test_output_may_differ_in_figures_and_be_shortened(shown: list[str]) -> None:
    assert first_missing(shown, PRINTED) is None


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (["Not released"], "Not released"),
        (["Released version 1", "ROC-AUC 0.700 [0.654, 0.741]"], "ROC-AUC 0.700 [0.654, 0.741]"),  # another order
        (["Released"], "Released"),  # the beginning of a line only
        (["ROC-AUC 0.700 [0.654, 0.741]"] * 2, "ROC-AUC 0.700 [0.654, 0.741]"),  # once only
    ],
)
def test_line_that_was_not_printed_is_named(shown: list[str], missing: str) -> None:
    assert first_missing(shown, PRINTED) == missing


def test_files_changes_and_commands_are_done_in_their_order(tmp_path: Path) -> None:
    page = (
        "```text file=a/b.txt\none\n```\n"
        "```diff\n--- a/a/b.txt\n+++ b/a/b.txt\n@@ -1 +1 @@\n-one\n+two\n```\n"
        "```console\n$ cd a\n$ cat b.txt \\\n    b.txt\ntwo\ntwo\n```\n"
    )
    follow(tmp_path, page)
    assert (tmp_path / "a" / "b.txt").read_text() == "two\n"
    assert [command for command, _ in commands_of(steps_of(tmp_path / "page.md")[-1])] == [
        "cd a",
        "cat b.txt \\\n    b.txt",
    ]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```console\n$ false\n```", "page.md:1: false"),
        ("```console fails\n$ true\n```", "page.md:1: true"),
        ("\n```console\n$ echo one\ntwo\n```", "page.md:2: echo one\nshould print\ntwo\nand printed\none"),
        ("```diff\n--- a/c.txt\n+++ b/c.txt\n@@ -1 +1 @@\n-one\n+two\n```", "page.md:1: .*c.txt: No such file"),
        ("```console\noutput\n```", "output before the first command"),
    ],
)
def test_step_that_does_not_go_as_written_fails_at_its_place(tmp_path: Path, page: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        follow(tmp_path, page)
