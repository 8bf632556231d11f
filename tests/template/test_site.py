"""The site is built from a clean checkout, without a network, and nothing in it leads nowhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakes import REPOSITORY, BakedProject, commit_all, git

NOBODY = "http://127.0.0.1:9"  # the port of discard

WORKING = {"uri": "https://a.example", "status": "working", "code": 200, "info": "", "filename": "a.md", "lineno": 1}
MISSING = WORKING | {"uri": "https://a.example/b", "status": "broken", "code": 404, "info": "404 Not Found"}
UNREACHABLE = WORKING | {"status": "broken", "code": 0, "info": "Failed to resolve"}
WITHIN = WORKING | {"uri": "#guarantees", "status": "unchecked", "code": 0}


@pytest.fixture(scope="module")
def checkout(template: Path, tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """A clean checkout of the template."""
    folder = tmp_path_factory.mktemp("site") / "template"
    shutil.copytree(template, folder, symlinks=True)
    commit_all(folder, "All")
    return BakedProject(folder, {})


def make(checkout: BakedProject, target: str) -> subprocess.CompletedProcess[str]:
    """A target of the makefile, with the tools that run this test, on a machine without a network."""
    command = ["make", "-o", ".venv/.stamp", target, f"BIN={Path(sys.executable).parent}"]
    return checkout.run(*command, HTTP_PROXY=NOBODY, HTTPS_PROXY=NOBODY, https_proxy=NOBODY)


@pytest.mark.slow
def test_link_or_anchor_that_leads_nowhere_is_refused_with_its_place(checkout: BakedProject) -> None:
    index = checkout.path / "docs" / "index.md"
    before = index.read_text()
    index.write_text(before + "\n[a page](nowhere.md) and [an anchor](story.md#nothing)\n")
    done = make(checkout, "docs")
    index.write_text(before)
    assert done.returncode != 0
    last_line = len(before.splitlines()) + 2
    assert f"docs/index.md:{last_line}: WARNING" in done.stderr
    assert "nowhere.md" in done.stderr
    assert "nothing" in done.stderr


@pytest.mark.slow
def test_site_has_every_page_and_the_reference_and_needs_no_network(checkout: BakedProject) -> None:
    done = make(checkout, "docs-links")  # which makes them first
    assert "build/docs/index.html" in done.stdout, done.stderr
    assert done.returncode != 0
    assert "links was looked up: no server answers" in done.stderr
    site = checkout.path / "build" / "docs"
    pages = [checkout.path / "README.md", checkout.path / "CHANGELOG.md", *(checkout.path / "docs").rglob("*.md")]
    built = [site / page.relative_to(checkout.path).with_suffix(".html") for page in pages]
    assert [page for page in built if not page.exists()] == []
    assert "A fitted pipeline" in (site / "docs/api/modelworks/models/pipeline/index.html").read_text()
    fetched = re.compile(r'(?:src|href)="(?:https?:)?//[^"]*\.(?:js|css|png|svg|woff2?)"')
    assert [page.name for page in site.rglob("*.html") if fetched.search(page.read_text())] == []
    assert "<svg" in (site / "docs/how-to/when-to-retrain.html").read_text()
    assert git(checkout.path, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("links", "code", "printed"),
    [
        ([WORKING, WITHIN], 0, "1 links to the outside, 0 broken"),
        ([WORKING, MISSING], 1, "a.md:1: https://a.example/b: 404 Not Found"),
        ([UNREACHABLE, UNREACHABLE, WITHIN], 2, "None of 2 links was looked up"),
        ([WORKING, UNREACHABLE], 1, "Failed to resolve"),
    ],
)
def test_links_to_the_outside_are_reported(
    links: list[dict[str, Any]], code: int, printed: str, tmp_path: Path
) -> None:
    found = tmp_path / "output.json"
    found.write_text("".join(f"{json.dumps(link)}\n" for link in links))
    done = BakedProject(tmp_path, {}).run(sys.executable, str(REPOSITORY / "tools" / "links.py"), "output.json")
    assert done.returncode == code
    assert printed in done.stdout + done.stderr
